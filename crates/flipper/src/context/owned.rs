use indexmap::IndexMap;

use super::{Attributes, Value, sealed};
use crate::json::{Json, Object};
use crate::{Error, Result};

/// Attributes that own their names and values, for contexts built at run time, unlike those of [`context!`](crate::context!).
///
/// ```
/// use flipper::Context;
/// use flipper::context::Attributes;
///
/// let context = Context::new().with("user_id", 7).with("plan", "pro");
/// assert_eq!(context.len(), 2);
///
/// let context = Context::try_from(serde_json::json!({"user_id": 7, "tags": ["a", {"b": 1}]}))?;
/// assert_eq!(context.len(), 2);
/// # Ok::<(), flipper::Error>(())
/// ```
///
/// NaN and infinities are kept; inside a list they become null and the largest float.
#[derive(Clone, Debug, Default)]
pub struct Context(IndexMap<String, Owned>);

#[derive(Clone, Debug)]
enum Owned {
    Json(Json),
    /// NaN or an infinity.
    NotFinite(f64),
}

impl Context {
    /// A context without attributes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an attribute, or replaces its value in place.
    #[must_use]
    pub fn with<'a>(mut self, name: impl Into<String>, value: impl Into<Value<'a>>) -> Self {
        self.insert(name, value);
        self
    }

    /// As [`with`](Self::with).
    pub fn insert<'a>(&mut self, name: impl Into<String>, value: impl Into<Value<'a>>) {
        let value = match value.into() {
            Value::Float(value) if !value.is_finite() => Owned::NotFinite(value),
            value => Owned::Json(value.to_json()),
        };
        self.0.insert(name.into(), value);
    }
}

impl<K: Into<String>> FromIterator<(K, Json)> for Context {
    fn from_iter<I: IntoIterator<Item = (K, Json)>>(attributes: I) -> Self {
        Self(attributes.into_iter().map(|(name, value)| (name.into(), Owned::Json(value))).collect())
    }
}

/// Keeps the last value of a name that occurs twice.
impl<const N: usize> From<[(&str, Value<'_>); N]> for Context {
    fn from(attributes: [(&str, Value<'_>); N]) -> Self {
        Self::from(attributes.as_slice())
    }
}

impl From<&[(&str, Value<'_>)]> for Context {
    fn from(attributes: &[(&str, Value<'_>)]) -> Self {
        let mut context = Self(IndexMap::with_capacity(attributes.len()));
        for (name, value) in attributes {
            context.insert(*name, *value);
        }
        context
    }
}

impl From<&Context> for Context {
    fn from(context: &Context) -> Self {
        context.clone()
    }
}

impl From<Object> for Context {
    fn from(object: Object) -> Self {
        object.into_iter().collect()
    }
}

impl TryFrom<serde_json::Map<String, serde_json::Value>> for Context {
    type Error = Error;

    /// # Errors
    ///
    /// `InvalidInput` if a value nests too deeply.
    fn try_from(map: serde_json::Map<String, serde_json::Value>) -> Result<Self> {
        map.into_iter().map(|(name, value)| Ok((name, Json::from_serialize(&value)?))).collect()
    }
}

impl TryFrom<serde_json::Value> for Context {
    type Error = Error;

    /// # Errors
    ///
    /// `InvalidInput` if it is no object, or nests too deeply.
    fn try_from(value: serde_json::Value) -> Result<Self> {
        match value {
            serde_json::Value::Object(map) => Self::try_from(map),
            _ => Err(Error::invalid_input("context is not a JSON object")),
        }
    }
}

impl sealed::Sealed for Context {}

impl Attributes for Context {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn attribute(&self, index: usize) -> (&str, Value<'_>) {
        match self.0.get_index(index) {
            Some((name, Owned::Json(value))) => (name, Value::Json(value)),
            Some((name, Owned::NotFinite(value))) => (name, Value::Float(*value)),
            None => panic!("attribute {index} of {}", self.0.len()),
        }
    }
}
