//! Reading a stored flag, of both eras of the Python library.

use super::FlagRecord;
use crate::bucketing::Bucketer;
use crate::conditions::Condition;
use crate::json::parse_slice;
use crate::{Error, Json, Object, Result};

impl FlagRecord {
    /// Reads the stored text, of this crate or of any version of the Python library.
    ///
    /// # Errors
    ///
    /// `Corrupt`, naming the field, if the text is not JSON or not a flag.
    pub fn from_json(bytes: impl AsRef<[u8]>) -> Result<Self> {
        let mut item = into_object(parse_slice(bytes.as_ref()).map_err(Error::corrupt)?, "flag")?;
        let Json::String(name) = take(&mut item, "feature_name", "feature_name")? else {
            return Err(Error::corrupt("feature_name is not a string"));
        };
        let is_enabled = take(&mut item, "is_enabled", "is_enabled")?;
        let mut meta = into_object(take(&mut item, "meta", "meta")?, "meta")?;
        let created_date = take(&mut meta, "created_date", "meta.created_date")?;
        let client_data = meta.remove("client_data").filter(|data| !is_empty(data));
        let bucketer = match meta.remove("bucketer") {
            None | Some(Json::Null) => Bucketer::default(),
            Some(fields) => Bucketer::from_json(&fields).map_err(|error| corrupt("meta.bucketer", error))?,
        };
        Ok(Self {
            name,
            is_enabled,
            client_data: client_data.unwrap_or_else(|| Object::new().into()),
            created_date,
            conditions: take_conditions(&mut meta, "conditions")?,
            bucketer,
            deny_conditions: take_conditions(&mut meta, "deny_conditions")?,
            unknown: item,
            unknown_meta: meta,
        })
    }
}

fn take(object: &mut Object, key: &str, path: &str) -> Result<Json> {
    object.remove(key).ok_or_else(|| Error::corrupt(format!("{path} is missing")))
}

fn into_object(json: Json, path: &str) -> Result<Object> {
    match json {
        Json::Object(object) => Ok(object),
        other => Err(Error::corrupt(format!("{path} is {}, not an object", other.type_name()))),
    }
}

fn corrupt(path: &str, cause: Error) -> Error {
    Error::corrupt(format!("{path} cannot be read")).with_source(cause)
}

/// Whether Python takes the value for nothing, and so the default instead.
fn is_empty(json: &Json) -> bool {
    match json {
        Json::Null => true,
        Json::Bool(value) => !value,
        Json::Number(number) => number.as_f64() == Some(0.0),
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(object) => object.is_empty(),
    }
}

fn take_conditions(meta: &mut Object, key: &str) -> Result<Vec<Condition>> {
    let items = match meta.remove(key) {
        None => return Ok(Vec::new()),
        Some(Json::Array(items)) => items,
        // Python only goes through it, and finds nothing to trip over.
        Some(Json::String(text)) if text.is_empty() => return Ok(Vec::new()),
        Some(Json::Object(object)) if object.is_empty() => return Ok(Vec::new()),
        Some(other) => return Err(Error::corrupt(format!("meta.{key} is {}, not an array", other.type_name()))),
    };
    let read =
        |(index, item)| Condition::from_json(item).map_err(|error| corrupt(&format!("meta.{key}[{index}]"), error));
    items.iter().enumerate().map(read).collect()
}
