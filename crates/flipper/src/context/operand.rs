//! A borrowed attribute or a stored JSON value, as one type.

use super::{Value, ValueType};
use crate::json::{Json, LoneSurrogates, NumberRef, Object};

/// Up to this many digits surely fit.
const I128_DIGITS: usize = 38;

#[derive(Clone, Copy)]
pub(crate) enum Operand<'a> {
    Null,
    Bool(bool),
    Int(i128),
    Big(&'a str),
    Float(f64),
    Str(&'a str),
    LoneSurrogates(&'a LoneSurrogates),
    List(List<'a>),
    Object(&'a Object),
}

#[derive(Clone, Copy)]
pub(crate) enum List<'a> {
    Values(&'a [Value<'a>]),
    Json(&'a [Json]),
}

impl<'a> List<'a> {
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Values(items) => items.len(),
            Self::Json(items) => items.len(),
        }
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Operand<'a>> {
        (0..self.len()).map(move |index| match self {
            Self::Values(items) => Operand::from(items[index]),
            Self::Json(items) => Operand::from(&items[index]),
        })
    }
}

impl Operand<'_> {
    pub(crate) fn value_type(self) -> ValueType {
        match self {
            Self::Null => ValueType::Null,
            Self::Bool(_) => ValueType::Bool,
            Self::Int(_) | Self::Big(_) => ValueType::Int,
            Self::Float(_) => ValueType::Float,
            Self::Str(_) | Self::LoneSurrogates(_) => ValueType::Str,
            Self::List(_) => ValueType::List,
            Self::Object(_) => ValueType::Object,
        }
    }
}

impl<'a> From<Value<'a>> for Operand<'a> {
    fn from(value: Value<'a>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Int(value) => Self::Int(value.into()),
            Value::UInt(value) => Self::Int(value.into()),
            Value::Float(value) => Self::Float(value),
            Value::Str(value) => Self::Str(value),
            Value::List(items) => Self::List(List::Values(items)),
            Value::Json(value) => Self::from(value),
        }
    }
}

impl<'a> From<&'a Json> for Operand<'a> {
    fn from(value: &'a Json) -> Self {
        match value {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match number.as_ref() {
                NumberRef::Int(value) => Self::Int(value.into()),
                NumberRef::Float(value) => Self::Float(value),
                NumberRef::Big(digits) if digits.len() <= I128_DIGITS => {
                    digits.parse().map_or(Self::Big(digits), Self::Int)
                }
                NumberRef::Big(digits) => Self::Big(digits),
            },
            Json::String(value) => Self::Str(value),
            Json::LoneSurrogates(value) => Self::LoneSurrogates(value),
            Json::Array(items) => Self::List(List::Json(items)),
            Json::Object(object) => Self::Object(object),
        }
    }
}
