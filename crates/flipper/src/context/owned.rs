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

/// As the plainest value, which is compared fastest.
#[derive(Clone, Debug)]
enum Owned {
    Null,
    Bool(bool),
    Int(i64),
    /// Also NaN and infinities.
    Float(f64),
    Str(Box<str>),
    /// Whatever else there is.
    Json(Json),
}

impl From<Value<'_>> for Owned {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Int(value) => Self::Int(value),
            Value::Float(value) => Self::Float(value),
            Value::Str(text) => Self::Str(text.into()),
            other => Self::from(other.to_json()),
        }
    }
}

impl From<Json> for Owned {
    fn from(json: Json) -> Self {
        match json {
            Json::String(text) => Self::Str(text.into()),
            json => match Value::plainest(&json) {
                Value::Json(_) => Self::Json(json),
                plain => Self::from(plain),
            },
        }
    }
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

    #[inline]
    fn at(&self, index: usize) -> (&String, &Owned) {
        self.0.get_index(index).unwrap_or_else(|| no_attribute(index, self.0.len()))
    }

    /// As [`with`](Self::with).
    pub fn insert<'a>(&mut self, name: impl Into<String>, value: impl Into<Value<'a>>) {
        self.0.insert(name.into(), value.into().into());
    }
}

impl<K: Into<String>> FromIterator<(K, Json)> for Context {
    fn from_iter<I: IntoIterator<Item = (K, Json)>>(attributes: I) -> Self {
        Self(attributes.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
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
    #[inline]
    fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    fn attribute(&self, index: usize) -> (&str, Value<'_>) {
        let (name, value) = self.at(index);
        let value = match value {
            Owned::Null => Value::Null,
            Owned::Bool(value) => Value::Bool(*value),
            Owned::Int(value) => Value::Int(*value),
            Owned::Float(value) => Value::Float(*value),
            Owned::Str(text) => Value::Str(text),
            Owned::Json(json) => Value::Json(json),
        };
        (name, value)
    }

    // Not by way of a `Value`, which takes a jump through a table.
    #[inline]
    fn text_at(&self, index: usize) -> Option<&str> {
        if let Owned::Str(text) = self.at(index).1 { Some(text) } else { None }
    }

    #[inline]
    fn int_at(&self, index: usize) -> Option<i64> {
        if let Owned::Int(value) = self.at(index).1 { Some(*value) } else { None }
    }
}

/// Apart, as only its message needs the index in memory.
#[cold]
fn no_attribute(index: usize, len: usize) -> ! {
    panic!("attribute {index} of {len}")
}
