//! The stored form. An unknown field is an error, not ignored: it could change whom a rule is about.

use super::limits::MAX_DEPTH;
use super::{Place, Prerequisite, Rule, Schedule, Serve, Step, Targeting, Test, Variant, Variants, When};
use crate::bucketing::AnyPercentage;
use crate::conditions::Operator;
use crate::json::{Json, Object};
use crate::{Error, Result};

/// The fields of `meta`, as they were read.
#[derive(Default)]
pub(crate) struct Field {
    pub(crate) rules: Option<Json>,
    pub(crate) variants: Option<Json>,
    pub(crate) prerequisites: Option<Json>,
    pub(crate) schedule: Option<Json>,
    pub(crate) segment: Option<Json>,
}

impl Field {
    pub(crate) fn read(self) -> Result<Option<Box<Targeting>>> {
        let Self { rules, variants, prerequisites, schedule, segment } = self;
        if [&rules, &variants, &prerequisites, &schedule, &segment].into_iter().all(Option::is_none) {
            return Ok(None);
        }
        let targeting = Targeting {
            rules: list(rules.as_ref(), "meta.rules", Rule::from_json)?,
            variants: one(variants.as_ref(), "meta.variants", Variants::from_json)?,
            prerequisites: list(prerequisites.as_ref(), "meta.prerequisites", Prerequisite::from_json)?,
            schedule: one(schedule.as_ref(), "meta.schedule", Schedule::from_json)?,
            segment: one(segment.as_ref(), "meta.segment", When::from_json)?,
        };
        targeting.check().map_err(|error| Error::corrupt("meta cannot be read").with_source(error))?;
        Ok((!targeting.is_empty()).then(|| Box::new(targeting)))
    }
}

fn list<T>(field: Option<&Json>, path: &str, read: impl Fn(&Json) -> Result<T>) -> Result<Vec<T>> {
    let Some(field) = field.filter(|field| !field.is_null()) else { return Ok(Vec::new()) };
    let items =
        field.as_array().ok_or_else(|| Error::corrupt(format!("{path} is {}, not an array", field.type_name())))?;
    let read = |(index, item)| {
        read(item).map_err(|error| Error::corrupt(format!("{path}[{index}] cannot be read")).with_source(error))
    };
    items.iter().enumerate().map(read).collect()
}

fn one<T>(field: Option<&Json>, path: &str, read: impl Fn(&Json) -> Result<T>) -> Result<Option<T>> {
    let wrong = |error: Error| Error::corrupt(format!("{path} cannot be read")).with_source(error);
    field.filter(|field| !field.is_null()).map(|field| read(field).map_err(wrong)).transpose()
}

/// An object's fields, none of which may be left.
struct Fields<'a> {
    what: &'static str,
    object: &'a Object,
}

impl<'a> Fields<'a> {
    fn of(json: &'a Json, what: &'static str, known: &[&str]) -> Result<Self> {
        let object = json.as_object().ok_or_else(|| Error::corrupt(format!("{what} is {}", json.type_name())))?;
        match object.keys().find(|key| !known.contains(key)) {
            Some(key) => Err(Error::corrupt(format!("{what} has the unknown field {key:?}"))),
            None => Ok(Self { what, object }),
        }
    }

    /// A null is as if it were missing.
    fn get(&self, key: &str) -> Option<&'a Json> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    fn must(&self, key: &str) -> Result<&'a Json> {
        self.get(key).ok_or_else(|| Error::corrupt(format!("{} has no {key:?}", self.what)))
    }

    fn text(&self, key: &str) -> Result<Option<String>> {
        let text = |value: &Json| match value {
            Json::String(text) => Ok(text.clone()),
            _ => Err(Error::corrupt(format!("{key:?} of {} is no string", self.what))),
        };
        self.get(key).map(text).transpose()
    }

    fn must_text(&self, key: &str) -> Result<String> {
        self.text(key)?.ok_or_else(|| Error::corrupt(format!("{} has no {key:?}", self.what)))
    }

    fn integer(&self, key: &str) -> Result<Option<i64>> {
        let integer = |value: &Json| {
            value.as_i64().ok_or_else(|| Error::corrupt(format!("{key:?} of {} is no integer", self.what)))
        };
        self.get(key).map(integer).transpose()
    }

    fn list<T>(&self, key: &str, read: impl Fn(&Json) -> Result<T>) -> Result<Vec<T>> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let items = value.as_array().ok_or_else(|| Error::corrupt(format!("{key:?} of {} is no array", self.what)))?;
        items.iter().map(read).collect()
    }
}

impl Prerequisite {
    fn from_json(json: &Json) -> Result<Self> {
        let fields = Fields::of(json, "prerequisite", &["flag", "variant"])?;
        Ok(Self { flag: fields.must_text("flag")?, variant: fields.text("variant")? })
    }
}

impl Rule {
    /// One element of `meta.rules`.
    ///
    /// # Errors
    ///
    /// `Corrupt`, naming the field.
    pub fn from_json(json: &Json) -> Result<Self> {
        let fields = Fields::of(json, "rule", &["name", "when", "serve"])?;
        // A null is not taken for everybody.
        let when = fields.object.get("when").map(When::from_json).transpose()?;
        Ok(Self { name: fields.text("name")?, when, serve: Serve::from_json(fields.must("serve")?)? })
    }
}

impl Serve {
    fn from_json(json: &Json) -> Result<Self> {
        match json.as_str() {
            Some("on") => return Ok(Self::On),
            Some("off") => return Ok(Self::Off),
            Some(other) => return Err(Error::corrupt(format!("a rule serves {other:?}, which is unknown"))),
            None => {}
        }
        let fields = Fields::of(json, "what a rule serves", &["share", "by", "variant"])?;
        match (fields.get("share"), fields.text("variant")?) {
            (Some(share), None) => {
                let percentage = AnyPercentage::from_short(share)?;
                Ok(Self::Share { percentage, by: fields.must_text("by")? })
            }
            (None, Some(variant)) if fields.get("by").is_none() => Ok(Self::Variant(variant)),
            _ => Err(Error::corrupt("a rule serves either a share by an attribute, or a variant")),
        }
    }
}

impl Variants {
    /// `meta.variants`.
    ///
    /// # Errors
    ///
    /// `Corrupt`, naming the field.
    pub fn from_json(json: &Json) -> Result<Self> {
        let fields = Fields::of(json, "variants", &["by", "off", "values"])?;
        let values = fields.list("values", Variant::from_json)?;
        Ok(Self { by: fields.must_text("by")?, off: fields.text("off")?, values })
    }
}

impl Variant {
    fn from_json(json: &Json) -> Result<Self> {
        let fields = Fields::of(json, "variant", &["name", "weight", "value", "buckets"])?;
        let name = fields.must_text("name")?;
        let number = |number: Option<i64>, what: &str| {
            number
                .and_then(|number| u32::try_from(number).ok())
                .ok_or_else(|| Error::corrupt(format!("{what} of variant {name:?} is no integer from 0 to 100000")))
        };
        let range = |json: &Json| {
            let ends = json.as_array().filter(|ends| ends.len() == 2);
            let end = |place: usize| number(ends.and_then(|ends| ends[place].as_i64()), "a range of buckets");
            Ok((end(0)?, end(1)?))
        };
        let weight = number(fields.integer("weight")?, "the weight")?;
        let buckets = fields.list("buckets", range)?;
        // A null is a value here.
        let value = fields.object.get("value").cloned().unwrap_or_else(|| Json::from(name.as_str()));
        Ok(Self { weight, value, buckets, name })
    }
}

impl Schedule {
    /// `meta.schedule`.
    ///
    /// # Errors
    ///
    /// `Corrupt`, naming the field.
    pub fn from_json(json: &Json) -> Result<Self> {
        let fields = Fields::of(json, "schedule", &["enable_at", "disable_at", "steps", "by"])?;
        let step = |json: &Json| {
            let fields = Fields::of(json, "step of the schedule", &["at", "share"])?;
            let at = fields.integer("at")?.ok_or_else(|| Error::corrupt("a step of the schedule has no \"at\""))?;
            let share = fields.must("share")?.as_f64();
            let share = share.ok_or_else(|| Error::corrupt("the share of a step of the schedule is no number"))?;
            Ok(Step { at, share })
        };
        Ok(Self {
            enable_at: fields.integer("enable_at")?,
            disable_at: fields.integer("disable_at")?,
            steps: fields.list("steps", step)?,
            by: fields.text("by")?.unwrap_or_default(),
        })
    }
}

impl When {
    /// The stored form of a rule's `when`, and of a segment.
    ///
    /// # Errors
    ///
    /// `Corrupt`, naming the field.
    pub fn from_json(json: &Json) -> Result<Self> {
        Self::nested(json, 0)
    }

    fn nested(json: &Json, depth: usize) -> Result<Self> {
        if depth > MAX_DEPTH {
            return Err(Error::corrupt(format!("a rule nests deeper than {MAX_DEPTH}")));
        }
        let known = ["all", "any", "not", "segment", "attribute", "operator", "value"];
        let fields = Fields::of(json, "part of a rule", &known)?;
        let kinds = ["all", "any", "not", "segment", "attribute"];
        let mut given = kinds.into_iter().filter(|kind| fields.get(kind).is_some());
        let (Some(kind), None) = (given.next(), given.next()) else {
            return Err(Error::corrupt(format!("part of a rule has not exactly one of {}", kinds.join(", "))));
        };
        let parts = |key| fields.list(key, |part| Self::nested(part, depth + 1));
        if kind != "attribute" && (fields.get("operator").is_some() || fields.get("value").is_some()) {
            return Err(Error::corrupt(format!("part {kind:?} of a rule has an operator or a value")));
        }
        Ok(match kind {
            "all" => Self::All(parts("all")?),
            "any" => Self::Any(parts("any")?),
            "not" => Self::Not(Box::new(Self::nested(fields.must("not")?, depth + 1)?)),
            "segment" => Self::Segment(fields.must_text("segment")?),
            _ => {
                let operator = fields.must_text("operator")?;
                let test = Test::from_stored(&operator, fields.object.get("value"))?;
                Self::Check { attribute: fields.must_text("attribute")?, test }
            }
        })
    }
}

impl Test {
    fn from_stored(symbol: &str, value: Option<&Json>) -> Result<Self> {
        let value = match (symbol, value) {
            ("exists", None) => return Ok(Self::Exists),
            ("exists", Some(_)) => return Err(Error::corrupt("the operator \"exists\" has a value")),
            (_, None) => return Err(Error::corrupt(format!("the operator {symbol:?} has no value"))),
            (_, Some(value)) => value,
        };
        let text = || match value {
            Json::String(text) => Ok(text.clone()),
            _ => Err(Error::corrupt(format!("the value of the operator {symbol:?} is no string"))),
        };
        let texts = || match value {
            Json::String(text) => Ok(vec![text.clone()]),
            Json::Array(items) => items
                .iter()
                .map(|item| match item {
                    Json::String(text) => Ok(text.clone()),
                    _ => Err(Error::corrupt(format!("a value of the operator {symbol:?} is no string"))),
                })
                .collect(),
            _ => Err(Error::corrupt(format!("the value of the operator {symbol:?} is no list of strings"))),
        };
        let unknown = || Error::corrupt(format!("the operator {symbol:?} of a rule is unknown"));
        let comparison = |name: &str| match name {
            "eq" => Some(Operator::Eq),
            "in" | "not_in" => None,
            name => Operator::from_symbol(name),
        };
        if let Some(operator) = symbol.strip_prefix("semver_") {
            return Ok(Self::Semver(comparison(operator).ok_or_else(unknown)?, text()?));
        }
        if let Some(operator) = symbol.strip_prefix("date_") {
            return Ok(Self::Date(comparison(operator).ok_or_else(unknown)?, text()?));
        }
        let (name, ignore_case) = match symbol.strip_suffix("_ignore_case") {
            Some(name) => (name, true),
            None => (symbol, false),
        };
        if let Some(place) = Place::from_stored(name) {
            return Ok(Self::Text { place, values: texts()?, ignore_case });
        }
        match symbol {
            "matches" => Ok(Self::Matches(text()?)),
            "in_network" => Ok(Self::Network(texts()?)),
            "eq" => Ok(Self::Compare(Operator::Eq, value.clone())),
            other => {
                Operator::from_symbol(other).map(|operator| Self::Compare(operator, value.clone())).ok_or_else(unknown)
            }
        }
    }
}

impl Place {
    fn from_stored(name: &str) -> Option<Self> {
        [Self::Start, Self::End, Self::Anywhere].into_iter().find(|place| place.stored() == name)
    }
}

impl Targeting {
    /// Refuses what no flag may have, whatever other flags there are.
    pub(crate) fn check(&self) -> Result<()> {
        self.check_limits()
    }
}
