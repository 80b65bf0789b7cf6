//! A flag as it is stored.

pub mod exchange;
mod kept;
mod limits;
mod plain;
mod read;
mod scan;
mod targeting;

use crate::bucketing::Bucketer;
use crate::conditions::Condition;
use crate::inline_text::InlineText;
use crate::json::{Json, Object};
use crate::targeting::Targeting;
use crate::{Error, Result};

pub(crate) use kept::Kept;
pub(crate) use limits::{validate_name, validate_new_name};

/// Stored among the unknown fields, which other versions preserve too.
const STRICT: &str = "strict_conditions";

/// Whether a flag is on whose `is_enabled` is `false` for the Python library alone.
const ENABLED: &str = "enabled";

static NO_BUCKETER: Bucketer = Bucketer::NoOp;

/// As long as takes no more memory than a `String`.
const SHORT_NAME: usize = 22;

/// A flag as a store holds it, the same text in every store and in Python. Unknown fields are written back, after the known ones.
///
/// ```
/// use flipper::FlagRecord;
///
/// let mut flag = FlagRecord::new("CHECKOUT", 1_700_000_000);
/// flag.set_enabled(true);
/// flag.set_client_data([("team", "payments")].into_iter().collect());
///
/// let stored = r#"{"feature_name": "CHECKOUT", "is_enabled": true, "meta": {"client_data": {"team": "payments"}, "created_date": 1700000000, "conditions": [], "bucketer": {"type": "NoOpBucketer"}}}"#;
/// assert_eq!(flag.to_json(), stored);
/// assert_eq!(FlagRecord::from_json(stored)?, flag);
/// # Ok::<(), flipper::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FlagRecord {
    name: InlineText<SHORT_NAME>,
    is_enabled: bool,
    created_date: i64,
    /// Boxed: most flags have none of it, and so take a third of the memory.
    more: Option<Box<More>>,
}

#[derive(Clone, Debug, PartialEq)]
struct More {
    /// What other programs store that is no bool; it counts as on.
    other_enabled: Option<Json>,
    /// What they store that is no integer.
    other_date: Option<Json>,
    client_data: Json,
    conditions: Vec<Condition>,
    bucketer: Option<Box<Bucketer>>,
    deny_conditions: Vec<Condition>,
    targeting: Option<Box<Targeting>>,
    unknown: Object,
    unknown_meta: Object,
}

static NO_MORE: More = More::new();

impl More {
    const fn new() -> Self {
        Self {
            other_enabled: None,
            other_date: None,
            client_data: Json::Object(Object::new()),
            conditions: Vec::new(),
            bucketer: None,
            deny_conditions: Vec::new(),
            targeting: None,
            unknown: Object::new(),
            unknown_meta: Object::new(),
        }
    }
}

impl PartialEq for FlagRecord {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.is_enabled, self.created_date) == (&other.name, other.is_enabled, other.created_date)
            && self.more() == other.more()
    }
}

impl FlagRecord {
    /// Disabled, without client data, conditions or bucketer, created at this Unix time in seconds.
    #[must_use]
    pub fn new(name: impl Into<String>, created_date: i64) -> Self {
        let name: String = name.into();
        Self { name: name.into(), is_enabled: false, created_date, more: None }
    }

    /// Nothing but a name, a state and a date.
    fn is_plain(&self) -> bool {
        self.more.as_deref().is_none_or(|more| *more == NO_MORE)
    }

    fn more(&self) -> &More {
        self.more.as_deref().unwrap_or(&NO_MORE)
    }

    fn more_mut(&mut self) -> &mut More {
        self.more.get_or_insert_with(|| Box::new(More::new()))
    }

    #[cfg(feature = "thrift")]
    pub(crate) fn unknown(&self) -> &Object {
        &self.more().unknown
    }

    /// The text to store: what Python would write, byte for byte, then unknown fields.
    #[must_use]
    pub fn to_json(&self) -> String {
        let is_enabled = match &self.more().other_enabled {
            _ if self.is_off_for_python() => false.into(),
            Some(other) => other.clone(),
            None => self.is_enabled.into(),
        };
        let known =
            [("feature_name", Json::from(self.name.as_str())), ("is_enabled", is_enabled), ("meta", self.meta())];
        let mut item: Object = known.into_iter().collect();
        item.append(&self.more().unknown);
        Json::Object(item).to_string()
    }

    /// The flag's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// If a store's key is not the name in the text, the key counts.
    pub(crate) fn set_name(&mut self, name: &str) {
        if self.name() != name {
            self.name = name.into();
        }
    }

    /// Whether the flag is on. As in Python, any stored value but `false` counts as on.
    ///
    /// A flag with rules, prerequisites or a schedule is stored as off, and `meta.enabled` has its state: the Python library would find it
    /// on for everybody.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.is_enabled
    }

    /// Turns the flag on or off.
    pub fn set_enabled(&mut self, enabled: bool) {
        self.is_enabled = enabled;
        if let Some(more) = &mut self.more {
            more.other_enabled = None;
        }
    }

    /// The client data; another program may store no object.
    #[must_use]
    pub fn client_data(&self) -> &Json {
        &self.more().client_data
    }

    /// Replaces the client data.
    pub fn set_client_data(&mut self, data: Object) {
        self.more_mut().client_data = data.into();
    }

    /// Sets keys of the client data; an object is replaced, not merged.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the stored client data is no object; [`set_client_data`](Self::set_client_data) replaces it.
    pub fn merge_client_data(&mut self, data: &Object) -> Result<()> {
        match &mut self.more_mut().client_data {
            Json::Object(stored) => {
                stored.append(data);
                Ok(())
            }
            other => {
                let found = other.type_name();
                Err(Error::corrupt(format!("client data is {found}, not an object")).with_flag(self.name()))
            }
        }
    }

    /// When the flag was created, in seconds of Unix time, if an integer is stored.
    #[must_use]
    pub fn created_date(&self) -> Option<i64> {
        self.more().other_date.is_none().then_some(self.created_date)
    }

    /// Sets the creation time, in seconds of Unix time.
    pub fn set_created_date(&mut self, created_date: i64) {
        self.created_date = created_date;
        if let Some(more) = &mut self.more {
            more.other_date = None;
        }
    }

    /// The conditions, all of which must hold.
    #[must_use]
    pub fn conditions(&self) -> &[Condition] {
        &self.more().conditions
    }

    /// Replaces the conditions.
    pub fn set_conditions(&mut self, conditions: Vec<Condition>) {
        self.more_mut().conditions = conditions;
    }

    /// Adds a condition after the existing ones.
    pub fn add_condition(&mut self, condition: Condition) {
        self.more_mut().conditions.push(condition);
    }

    /// The bucketer.
    #[must_use]
    pub fn bucketer(&self) -> &Bucketer {
        self.more().bucketer.as_deref().unwrap_or(&NO_BUCKETER)
    }

    /// Replaces the bucketer.
    pub fn set_bucketer(&mut self, bucketer: Bucketer) {
        self.more_mut().bucketer = boxed(bucketer);
    }

    /// The deny conditions. Python ignores them, and drops them on a write.
    #[must_use]
    pub fn deny_conditions(&self) -> &[Condition] {
        &self.more().deny_conditions
    }

    /// Replaces the deny conditions.
    pub fn set_deny_conditions(&mut self, conditions: Vec<Condition>) {
        self.more_mut().deny_conditions = conditions;
    }

    /// Refuses percentages outside 0 to 1.
    ///
    /// # Errors
    ///
    /// `InvalidInput`.
    #[doc(hidden)]
    pub fn validate_shares(&self) -> Result<()> {
        self.bucketer().percentage().map_or(Ok(()), |percentage| percentage.check())
    }

    /// Whether a condition fails on an attribute that the check lacks, rather than being ignored. Python ignores this field, and drops it
    /// on a write.
    #[must_use]
    pub fn is_strict(&self) -> bool {
        self.more().unknown_meta.get(STRICT).and_then(Json::as_bool).unwrap_or_default()
    }

    /// Sets [strictness](Self::is_strict).
    pub fn set_strict(&mut self, strict: bool) {
        if strict {
            self.more_mut().unknown_meta.insert(STRICT, true);
        } else {
            self.more_mut().unknown_meta.remove(STRICT);
        }
    }

    /// The stored metadata: client data, creation time, conditions, bucketer, then the rest.
    #[must_use]
    pub fn meta(&self) -> Json {
        let mut meta = Object::new();
        let more = self.more();
        meta.insert("client_data", more.client_data.clone());
        meta.insert("created_date", more.other_date.clone().unwrap_or_else(|| self.created_date.into()));
        meta.insert("conditions", conditions_to_json(&more.conditions));
        meta.insert("bucketer", self.bucketer().to_json());
        if !more.deny_conditions.is_empty() {
            meta.insert("deny_conditions", conditions_to_json(&more.deny_conditions));
        }
        if self.is_off_for_python() && self.is_enabled() {
            meta.insert(ENABLED, true);
        }
        if let Some(targeting) = &more.targeting {
            targeting.write(&mut meta);
        }
        meta.append(&more.unknown_meta);
        meta.into()
    }
}

fn conditions_to_json(conditions: &[Condition]) -> Json {
    Json::Array(conditions.iter().map(Condition::to_json).collect())
}

fn boxed(bucketer: Bucketer) -> Option<Box<Bucketer>> {
    (!matches!(bucketer, Bucketer::NoOp)).then(|| Box::new(bucketer))
}
