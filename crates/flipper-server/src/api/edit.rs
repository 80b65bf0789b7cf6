//! What a request says about a flag.

use std::time::SystemTime;

use flipper::json::{Json, Object};
use flipper::targeting::{Prerequisite, Rule, Schedule, Variants};
use flipper::{Bucketer, Condition, Error, FlagRecord};

use super::input::Fields;
use super::{now, targeting};
use crate::problem::Problem;

pub(crate) const FIELDS: [&str; 10] = [
    "enabled",
    "client_data",
    "conditions",
    "deny_conditions",
    "strict",
    "bucketer",
    "rules",
    "variants",
    "prerequisites",
    "schedule",
];

/// Fields that are not given stay as they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edit {
    enabled: Option<bool>,
    client_data: Option<Object>,
    conditions: Option<Vec<Condition>>,
    deny_conditions: Option<Vec<Condition>>,
    strict: Option<bool>,
    bucketer: Option<Bucketer>,
    rules: Option<Vec<Rule>>,
    /// `Some(None)`: none from now on.
    variants: Option<Option<Variants>>,
    prerequisites: Option<Vec<Prerequisite>>,
    schedule: Option<Option<Schedule>>,
}

impl Edit {
    pub(crate) fn read(fields: &Fields<'_>) -> Result<Self, Problem> {
        let bucketer = fields
            .get("bucketer")
            .map(|bucketer| Bucketer::from_json(bucketer).map_err(|error| fields.wrong("bucketer", &error)));
        Ok(Self {
            enabled: fields.bool("enabled")?,
            client_data: fields.object("client_data")?.cloned(),
            conditions: conditions(fields, "conditions")?,
            deny_conditions: conditions(fields, "deny_conditions")?,
            strict: fields.bool("strict")?,
            bucketer: bucketer.transpose()?,
            rules: targeting::rules(fields)?,
            variants: targeting::variants(fields)?,
            prerequisites: targeting::prerequisites(fields)?,
            schedule: targeting::schedule(fields)?,
        })
    }

    /// Fields that are not given get their value of a new flag.
    pub(crate) fn whole(self) -> Self {
        Self {
            enabled: self.enabled.or(Some(false)),
            client_data: self.client_data.or_else(|| Some(Object::new())),
            conditions: self.conditions.or(Some(Vec::new())),
            deny_conditions: self.deny_conditions.or(Some(Vec::new())),
            strict: self.strict.or(Some(false)),
            bucketer: self.bucketer.or(Some(Bucketer::NoOp)),
            rules: self.rules.or(Some(Vec::new())),
            variants: self.variants.or(Some(None)),
            prerequisites: self.prerequisites.or(Some(Vec::new())),
            schedule: self.schedule.or(Some(None)),
        }
    }

    /// Client data is merged; a null removes its key. The caller validates the change.
    pub(crate) fn apply(&self, record: &mut FlagRecord) -> Result<(), Error> {
        if let Some(changes) = &self.client_data {
            let (removed, set): (Vec<_>, Vec<_>) = changes.iter().partition(|(_, value)| value.is_null());
            record.merge_client_data(&set.into_iter().map(|(key, value)| (key, value.clone())).collect())?;
            let mut data = record.client_data().as_object().cloned().unwrap_or_default();
            removed.into_iter().for_each(|(key, _)| {
                data.remove(key);
            });
            record.set_client_data(data);
        }
        self.apply_rest(record)
    }

    /// Client data is replaced.
    pub(crate) fn replace(&self, record: &mut FlagRecord) -> Result<(), Error> {
        if let Some(data) = &self.client_data {
            record.set_client_data(data.clone());
        }
        self.apply_rest(record)?;
        record.validate()
    }

    fn apply_rest(&self, record: &mut FlagRecord) -> Result<(), Error> {
        if let Some(schedule) = &self.schedule {
            schedule.iter().try_for_each(|new| new.check_new(record.schedule(), SystemTime::now()))?;
            match schedule {
                Some(new) => record.set_schedule(Some(new.clone())),
                None => record.clear_schedule(now()),
            }
        }
        match self.enabled {
            // What of the schedule would keep it off is dropped, unless the same request sets it.
            Some(enabled) if self.schedule.is_none() => record.switch(enabled, now()),
            Some(enabled) => record.set_enabled(enabled),
            None => {}
        }
        if let Some(rules) = &self.rules {
            record.set_rules(rules.clone());
        }
        if let Some(variants) = &self.variants {
            record.set_variants(variants.clone());
        }
        if let Some(prerequisites) = &self.prerequisites {
            record.set_prerequisites(prerequisites.clone());
        }
        if let Some(conditions) = &self.conditions {
            record.set_conditions(conditions.clone());
        }
        if let Some(conditions) = &self.deny_conditions {
            record.set_deny_conditions(conditions.clone());
        }
        if let Some(strict) = self.strict {
            record.set_strict(strict);
        }
        if let Some(bucketer) = &self.bucketer {
            record.set_bucketer(bucketer.clone());
            record.validate_shares()?;
        }
        Ok(())
    }

    /// If nothing else changes.
    pub(crate) fn only_enabled(&self) -> Option<bool> {
        match self {
            Self {
                enabled,
                client_data: None,
                conditions: None,
                deny_conditions: None,
                strict: None,
                bucketer: None,
                rules: None,
                variants: None,
                prerequisites: None,
                schedule: None,
            } => *enabled,
            _ => None,
        }
    }
}

/// Each as it is stored, or as text: `plan in pro, team`.
fn conditions(fields: &Fields<'_>, name: &str) -> Result<Option<Vec<Condition>>, Problem> {
    let Some(given) = fields.array(name)? else { return Ok(None) };
    let read = |json: &Json| match json.as_str() {
        Some(text) => text.parse::<Condition>().map_err(Error::from),
        None => Condition::from_json(json),
    };
    let read = given.iter().map(|json| {
        let condition = read(json).map_err(|error| fields.wrong(name, &error))?;
        match condition.is_empty() {
            // It would hold for everybody.
            true => Err(Problem::invalid(format!("field {name:?} has a condition without checks")).with("field", name)),
            false => Ok(condition),
        }
    });
    read.collect::<Result<_, _>>().map(Some)
}
