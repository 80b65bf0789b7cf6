use std::fmt;

use crate::json::{Json, Member, Number, NumberRef};

/// One attribute's value, borrowed. Numbers, strings and `bool`s convert by `From`; so do `Option`s (`None` is null) and references to
/// [`Json`].
///
/// ```
/// use flipper::context::Value;
///
/// assert!(matches!(Value::from(7), Value::Int(7)));
/// assert!(matches!(Value::from(Some("pro")), Value::Str("pro")));
/// assert!(matches!(Value::from(None::<bool>), Value::Null));
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub enum Value<'a> {
    /// Null; equal to null only.
    #[default]
    Null,
    /// As a number 1 or 0, as in Python.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer, perhaps beyond `i64`.
    UInt(u64),
    /// A number with a fraction. A NaN equals nothing.
    Float(f64),
    /// A string, compared by code point.
    Str(&'a str),
    /// A list.
    List(&'a [Value<'a>]),
    /// Any JSON, also objects and integers of any size.
    Json(&'a Json),
}

impl<'a> Value<'a> {
    /// The plainest value of the JSON, which is compared fastest.
    #[inline]
    pub(crate) fn plainest(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::String(text) => Self::Str(text),
            Json::Number(number) => match number.as_ref() {
                NumberRef::Int(value) => Self::Int(value),
                NumberRef::Float(value) if value.is_finite() => Self::Float(value),
                _ => Self::Json(json),
            },
            _ => Self::Json(json),
        }
    }

    /// As JSON: a NaN becomes null, an infinity the largest float.
    #[must_use]
    pub fn to_json(self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => value.into(),
            Self::Int(value) => value.into(),
            Self::UInt(value) => value.into(),
            Self::Float(value) => Number::from_f64(value.clamp(f64::MIN, f64::MAX)).map_or(Json::Null, Json::Number),
            Self::Str(value) => value.into(),
            Self::List(items) => Json::Array(items.iter().map(|item| item.to_json()).collect()),
            Self::Json(value) => value.clone(),
        }
    }
}

macro_rules! from {
    ($($variant:ident: $($type:ty),*;)*) => {$($(
        impl<'a> From<$type> for Value<'a> {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        }
    )*)*};
}

from! {
    Bool: bool;
    Int: i8, i16, i32, i64, u8, u16, u32;
    Float: f64, f32;
    Str: &'a str;
    List: &'a [Value<'a>];
    Json: &'a Json;
}

impl From<u64> for Value<'_> {
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or(Self::UInt(value), Self::Int)
    }
}

impl From<usize> for Value<'_> {
    fn from(value: usize) -> Self {
        Self::from(value as u64)
    }
}

impl From<isize> for Value<'_> {
    fn from(value: isize) -> Self {
        Self::Int(value as i64)
    }
}

impl<'a> From<&'a Member<'_>> for Value<'a> {
    fn from(member: &'a Member<'_>) -> Self {
        match member {
            Member::Text(text) => Self::Str(text),
            Member::Json(json) => Self::plainest(json),
        }
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Self::Str(value)
    }
}

impl<'a, const N: usize> From<&'a [Value<'a>; N]> for Value<'a> {
    fn from(value: &'a [Value<'a>; N]) -> Self {
        Self::List(value)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The type of a value, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ValueType {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// An integer of any size.
    Int,
    /// A number with a fraction or an exponent.
    Float,
    /// A string.
    Str,
    /// A list.
    List,
    /// An object.
    Object,
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Int => "an integer",
            Self::Float => "a float",
            Self::Str => "a string",
            Self::List => "a list",
            Self::Object => "an object",
        })
    }
}
