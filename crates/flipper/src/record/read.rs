use super::plain::plain;
use super::{ENABLED, FlagRecord, More, NO_MORE, boxed};
use crate::bucketing::{Bucketer, NO_OP_JSON};
use crate::conditions::Condition;
use crate::json::{Json, Object};
use crate::json::{Parsed, Parser, parse};
use crate::targeting::Field;
use crate::{Error, Result};

impl FlagRecord {
    /// Reads the text of this crate, or of any version of the Python library.
    ///
    /// # Errors
    ///
    /// `Corrupt`, naming the field, if it is not JSON or not a flag.
    pub fn from_json(bytes: impl AsRef<[u8]>) -> Result<Self> {
        match plain(bytes.as_ref()) {
            Some(record) => Ok(record),
            None => Self::parsed(bytes.as_ref()),
        }
    }

    pub(super) fn parsed(bytes: &[u8]) -> Result<Self> {
        let mut record = ObjectField::<Item>::default();
        parse(bytes, |parser| record.read(parser, 0)).map_err(Error::corrupt)?;
        record.must_be_object("flag")?;
        let item = record.fields;
        let Json::String(name) = required(item.feature_name, "feature_name")? else {
            return Err(Error::corrupt("feature_name is not a string"));
        };
        let is_enabled = required(item.is_enabled, "is_enabled")?;
        item.meta.must_be_object("meta")?;
        let meta = item.meta.fields;
        let created_date = required(meta.created_date, "meta.created_date")?;
        let bucketer = match meta.bucketer {
            None | Some(Json::Null) => None,
            Some(fields) => boxed(Bucketer::from_json(&fields).map_err(|error| corrupt("meta.bucketer", error))?),
        };
        let mut unknown_meta = meta.unknown;
        let targeting = meta.targeting.map_or(Ok(None), |fields| fields.read())?;
        // Another program may have turned it on where it is stored as off.
        let is_enabled = match targeting.as_ref().filter(|targeting| targeting.is_off_for_python()) {
            Some(_) if is_enabled == Json::Bool(false) => {
                (unknown_meta.remove(ENABLED) == Some(Json::Bool(true))).into()
            }
            Some(_) => {
                unknown_meta.remove(ENABLED);
                // As it is written again.
                true.into()
            }
            None => is_enabled,
        };
        let (is_enabled, other_enabled) = match is_enabled {
            Json::Bool(enabled) => (enabled, None),
            other => (true, Some(other)),
        };
        let (date, other_date) = match created_date.as_i64() {
            Some(date) => (date, None),
            None => (0, Some(created_date)),
        };
        let more = More {
            other_enabled,
            other_date,
            client_data: meta.client_data.filter(|data| !is_empty(data)).unwrap_or_else(|| Object::new().into()),
            conditions: conditions(meta.conditions, "conditions")?,
            bucketer,
            deny_conditions: conditions(meta.deny_conditions, "deny_conditions")?,
            targeting,
            unknown: item.unknown,
            unknown_meta,
        };
        let more = (more != NO_MORE).then(|| Box::new(more));
        Ok(Self { name: name.into(), is_enabled, created_date: date, more })
    }
}

/// Fields read straight to their place: an intermediate object took most of the time. Their errors count only if the text is valid.
trait Fields: Default {
    /// The keys in their usual order.
    const KEYS: &[&str];

    /// The last of equal keys counts.
    fn read(&mut self, key: &str, parser: &mut Parser<'_>, depth: usize) -> Parsed<()>;
}

#[derive(Default)]
struct Item {
    feature_name: Option<Json>,
    is_enabled: Option<Json>,
    meta: ObjectField<Meta>,
    unknown: Object,
}

impl Fields for Item {
    const KEYS: &[&str] = &[r#""feature_name": "#, r#""is_enabled": "#, r#""meta": "#];

    fn read(&mut self, key: &str, parser: &mut Parser<'_>, depth: usize) -> Parsed<()> {
        match key {
            "feature_name" => self.feature_name = Some(parser.value(depth)?),
            "is_enabled" => self.is_enabled = Some(parser.value(depth)?),
            "meta" => self.meta.read(parser, depth)?,
            _ => parser.entry(&mut self.unknown, key, depth)?,
        }
        Ok(())
    }
}

#[derive(Default)]
struct Meta {
    client_data: Option<Json>,
    created_date: Option<Json>,
    conditions: Option<Json>,
    bucketer: Option<Json>,
    deny_conditions: Option<Json>,
    /// Boxed: most flags have none.
    targeting: Option<Box<Field>>,
    unknown: Object,
}

impl Fields for Meta {
    const KEYS: &[&str] = &[r#""client_data": "#, r#""created_date": "#, r#""conditions": "#, r#""bucketer": "#];

    fn read(&mut self, key: &str, parser: &mut Parser<'_>, depth: usize) -> Parsed<()> {
        let field = match key {
            "client_data" => &mut self.client_data,
            "created_date" => &mut self.created_date,
            "conditions" => &mut self.conditions,
            "bucketer" => {
                // As most flags have it.
                let none = parser.skip(NO_OP_JSON);
                self.bucketer = if none { None } else { Some(parser.value(depth)?) };
                return Ok(());
            }
            "deny_conditions" => &mut self.deny_conditions,
            "rules" | "variants" | "prerequisites" | "schedule" | "segment" => {
                let fields = self.targeting.get_or_insert_default();
                match key {
                    "rules" => &mut fields.rules,
                    "variants" => &mut fields.variants,
                    "prerequisites" => &mut fields.prerequisites,
                    "schedule" => &mut fields.schedule,
                    _ => &mut fields.segment,
                }
            }
            _ => return parser.entry(&mut self.unknown, key, depth),
        };
        *field = Some(parser.value(depth)?);
        Ok(())
    }
}

/// A value that should be an object.
#[derive(Default)]
struct ObjectField<T> {
    /// The type of the last value there.
    type_name: Option<&'static str>,
    fields: T,
}

impl<T: Fields> ObjectField<T> {
    /// In place: moving it takes time.
    fn read(&mut self, parser: &mut Parser<'_>, depth: usize) -> Parsed<()> {
        if self.type_name.is_some() {
            self.fields = T::default();
        }
        if !parser.at_object() {
            self.type_name = Some(parser.value(depth)?.type_name());
            return Ok(());
        }
        self.type_name = Some(OBJECT);
        parser.object_of(T::KEYS, depth, |parser, key, depth| self.fields.read(&key, parser, depth))
    }

    fn must_be_object(&self, path: &str) -> Result<()> {
        match self.type_name {
            Some(OBJECT) => Ok(()),
            Some(other) => Err(Error::corrupt(format!("{path} is {other}, not an object"))),
            None => Err(missing(path)),
        }
    }
}

const OBJECT: &str = "an object";

fn required(field: Option<Json>, path: &str) -> Result<Json> {
    field.ok_or_else(|| missing(path))
}

fn missing(path: &str) -> Error {
    Error::corrupt(format!("{path} is missing"))
}

fn corrupt(path: &str, cause: Error) -> Error {
    Error::corrupt(format!("{path} cannot be read")).with_source(cause)
}

/// Whether Python treats it as empty, and uses the default.
fn is_empty(json: &Json) -> bool {
    match json {
        Json::Null => true,
        Json::Bool(value) => !value,
        Json::Number(number) => number.as_f64() == Some(0.0),
        Json::String(text) => text.is_empty(),
        Json::LoneSurrogates(_) => false,
        Json::Array(items) => items.is_empty(),
        Json::Object(object) => object.is_empty(),
    }
}

fn conditions(field: Option<Json>, key: &str) -> Result<Vec<Condition>> {
    let items = match field {
        None => return Ok(Vec::new()),
        Some(Json::Array(items)) if items.is_empty() => return Ok(Vec::new()),
        Some(Json::Array(items)) => items,
        // Python finds nothing in it.
        Some(Json::String(text)) if text.is_empty() => return Ok(Vec::new()),
        Some(Json::Object(object)) if object.is_empty() => return Ok(Vec::new()),
        Some(other) => return Err(Error::corrupt(format!("meta.{key} is {}, not an array", other.type_name()))),
    };
    let read =
        |(index, item)| Condition::from_json(item).map_err(|error| corrupt(&format!("meta.{key}[{index}]"), error));
    items.iter().enumerate().map(read).collect()
}
