//! JSON as stored: integers of any size, keys in order. For these `serde_json::Value` needs features that would change it for every crate
//! of the build.

mod lone_surrogates;
mod members;
mod number;
mod object;
mod parse;
mod serde;
mod to_json;
mod write;

use std::ops::Index;

use ::serde::Serialize;

use crate::{Error, Result};

pub use lone_surrogates::LoneSurrogates;
#[doc(hidden)]
pub use members::{Found, Member, Members, members};
pub use number::Number;
pub(crate) use number::NumberRef;
pub(crate) use number::write_float;
pub(crate) use object::Key;
pub use object::Object;
use parse::parse_strict;
pub(crate) use parse::{Parsed, Parser, parse, parse_slice, parse_str};
pub(crate) use write::write_string;

static NULL: Json = Json::Null;

/// How deep arrays and objects may nest. Python's parser allows less than 1,000.
pub(crate) const MAX_DEPTH: usize = 512;

/// A JSON value that keeps a stored flag exactly.
///
/// `Display` writes the text of Python's `json.dumps`, byte for byte; hash buckets depend on it. Equality is structural: `1`, `1.0` and
/// `true` differ; the order of keys does not count.
///
/// ```
/// use flipper::json::Json;
///
/// let json = Json::parse(r#"{"plan": "é", "limit": 123456789012345678901234567890, "ratio": 1e-7}"#)?;
/// assert_eq!(json.get("plan").and_then(Json::as_str), Some("é"));
/// assert_eq!(json["plan"].as_str(), Some("é"));
/// assert!(json["owner"]["name"].is_null());
/// assert_eq!(json.to_string(), r#"{"plan": "\u00e9", "limit": 123456789012345678901234567890, "ratio": 1e-07}"#);
/// # Ok::<(), flipper::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Json {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer of any size, or a float.
    Number(Number),
    /// A string.
    String(String),
    /// A string that only Python can hold.
    LoneSurrogates(LoneSurrogates),
    /// An array.
    Array(Vec<Json>),
    /// An object, its keys in order.
    Object(Object),
}

impl Json {
    /// Parses JSON text as Python does. The last of equal keys counts, at the place of the first. Strings have no control characters, but
    /// may have [lone surrogates](LoneSurrogates). `NaN` and `±Infinity` are floats; `1e999` is infinite.
    ///
    /// # Errors
    ///
    /// `InvalidInput`, with line and column (in characters, from 1), if it is not JSON or nests deeper than 512.
    pub fn parse(text: &str) -> Result<Self> {
        parse_str(text).map_err(Error::invalid_input)
    }

    /// As [`parse`](Self::parse), but refuses floats that are not finite, and lone surrogates, as other parsers do. For user input.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn parse_strict(text: &str) -> Result<Self> {
        parse_strict(text).map_err(Error::invalid_input)
    }

    /// Parses JSON text from UTF-8 bytes without a byte order mark.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn from_slice(bytes: &[u8]) -> Result<Self> {
        parse_slice(bytes).map_err(Error::invalid_input)
    }

    /// Converts what serde can serialize, also a nested `Json`, without losing digits or order.
    ///
    /// ```
    /// use flipper::json::Json;
    ///
    /// let json = Json::from_serialize(&(u128::MAX, "a", 0.5))?;
    /// assert_eq!(json.to_string(), r#"[340282366920938463463374607431768211455, "a", 0.5]"#);
    /// assert!(Json::from_serialize(&f64::NAN).is_err());
    /// # Ok::<(), flipper::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a float that is not finite, a map key that is no string, number, bool or char, or nesting deeper than 512.
    pub fn from_serialize<T: Serialize + ?Sized>(value: &T) -> Result<Self> {
        to_json::to_json(value)
    }

    /// As a `serde_json::Value`, with losses, as in other serde formats: keys may be sorted; an integer outside `i64` and `u64` becomes the
    /// nearest float, or beyond `f64` a string of digits; a float that is not finite becomes null, a lone surrogate U+FFFD.
    #[must_use]
    pub fn to_serde(&self) -> serde_json::Value {
        serde::to_serde(self)
    }

    /// Whether this is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The bool, if it is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// The integer, if it is one within `i64`; `1.0` is a float.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        if let Self::Number(number) = self { number.as_i64() } else { None }
    }

    /// As the nearest `f64`, NaN and infinities too; `None` for an integer beyond its range.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        if let Self::Number(number) = self { number.as_f64() } else { None }
    }

    /// The string, if it is one; lone surrogates are U+FFFD.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::LoneSurrogates(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// The elements, if it is an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Json]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    /// The object, if it is one.
    #[must_use]
    pub fn as_object(&self) -> Option<&Object> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// The value at a key, if it is an object with it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.as_object()?.get(key)
    }

    /// How deep containers nest: 0 for a scalar. Not recursive, for values deeper than the stack allows.
    pub(crate) fn depth(&self) -> usize {
        let mut deepest = 0;
        let mut open = vec![(self, 1)];
        while let Some((json, depth)) = open.pop() {
            match json {
                Self::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
                Self::Object(object) => open.extend(object.iter().map(|(_, value)| (value, depth + 1))),
                _ => continue,
            }
            deepest = deepest.max(depth);
        }
        deepest
    }

    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a bool",
            Self::Number(_) => "a number",
            Self::String(_) | Self::LoneSurrogates(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

impl std::str::FromStr for Json {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl<T: Into<Json>> From<Vec<T>> for Json {
    fn from(items: Vec<T>) -> Self {
        Self::Array(items.into_iter().map(Into::into).collect())
    }
}

macro_rules! from {
    ($($variant:ident: $($type:ty),*;)*) => {$($(
        impl From<$type> for Json {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        }
    )*)*};
}
from! {
    Bool: bool;
    Number: Number, i32, i64, u32, u64, usize, i128, u128;
    String: &str, String;
    Object: Object;
}

impl TryFrom<f64> for Json {
    type Error = Error;

    /// # Errors
    ///
    /// `InvalidInput` if the float is not finite, though Python writes it.
    fn try_from(value: f64) -> Result<Self> {
        let number = Number::from_f64(value);
        number.map(Self::Number).ok_or_else(|| Error::invalid_input(format!("{value} is not a JSON number")))
    }
}

/// The value of a key, or null.
impl Index<&str> for Json {
    type Output = Self;

    fn index(&self, key: &str) -> &Self {
        self.get(key).unwrap_or(&NULL)
    }
}

/// The element at this index, or null.
impl Index<usize> for Json {
    type Output = Self;

    fn index(&self, place: usize) -> &Self {
        self.as_array().and_then(|items| items.get(place)).unwrap_or(&NULL)
    }
}
