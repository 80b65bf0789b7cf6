use std::time::SystemTime;

use super::{LinearRampPercentage, TYPE, type_of};
use crate::context::ValueType;
use crate::context::operand::Operand;
use crate::json::{Json, Number, Object};
use crate::{Error, Result};

/// A fixed part: 0 is nobody, 0.25 a quarter, 1 everybody.
///
/// Less than 0 is nobody and more than 1 is everybody. Stored by the Python library it may be anything JSON has; what is
/// not a number turns the flag off, with the reason [`TypeMismatch`](crate::Reason::TypeMismatch).
#[derive(Clone, Debug, PartialEq)]
pub struct Percentage {
    stored: Json,
}

impl Percentage {
    pub(crate) const TYPE: &str = "Percentage";

    /// This part. A NaN is nobody.
    #[must_use]
    pub fn new(value: f64) -> Self {
        let value = if value.is_nan() { 0.0 } else { value.clamp(f64::MIN, f64::MAX) };
        Self { stored: Number::from_f64(value).map_or(Json::Null, Json::Number) }
    }

    /// The value as it is stored.
    #[must_use]
    pub fn value(&self) -> &Json {
        &self.stored
    }
}

impl Default for Percentage {
    /// Everybody.
    fn default() -> Self {
        Self::new(1.0)
    }
}

/// A fixed [`Percentage`] or a [`LinearRampPercentage`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AnyPercentage {
    /// Always the same.
    Fixed(Percentage),
    /// Growing or shrinking with time.
    Ramp(LinearRampPercentage),
}

impl AnyPercentage {
    /// The value at the time that `now` tells; a fixed one does not ask.
    #[inline]
    pub(crate) fn value(&self, now: impl FnOnce() -> SystemTime) -> Result<f64, ValueType> {
        match self {
            Self::Fixed(percentage) => number(&percentage.stored),
            Self::Ramp(ramp) => ramp.value(now),
        }
    }

    /// The value as JSON: as it is stored, or as the ramp has it now.
    pub(crate) fn shown(&self, now: impl FnOnce() -> SystemTime) -> Json {
        match self {
            Self::Fixed(percentage) => percentage.stored.clone(),
            Self::Ramp(ramp) => ramp.shown(now),
        }
    }

    /// The value, if it is always the same.
    pub(crate) fn fixed(&self) -> Option<Result<f64, ValueType>> {
        match self {
            Self::Fixed(percentage) => Some(number(&percentage.stored)),
            Self::Ramp(_) => None,
        }
    }

    /// The field `percentage` of a bucketer.
    pub(crate) fn from_fields(fields: &Object) -> Result<Self> {
        let fields = match fields.get("percentage") {
            None | Some(Json::Null) => return Ok(Self::default()),
            Some(json) => json.as_object().ok_or_else(|| Error::corrupt("percentage is not an object"))?,
        };
        match type_of(fields, "percentage")? {
            Percentage::TYPE => {
                Ok(Self::Fixed(Percentage { stored: fields.get("value").cloned().unwrap_or(Json::Null) }))
            }
            LinearRampPercentage::TYPE => LinearRampPercentage::from_json(fields).map(Self::Ramp),
            name => Err(Error::corrupt(format!("percentage type {name:?} is unknown"))),
        }
    }

    pub(crate) fn to_json(&self) -> Json {
        let mut fields = Object::new();
        match self {
            Self::Fixed(percentage) => {
                fields.insert(TYPE, Percentage::TYPE);
                fields.insert("value", percentage.stored.clone());
            }
            Self::Ramp(ramp) => {
                fields.insert(TYPE, LinearRampPercentage::TYPE);
                ramp.write_fields(&mut fields);
            }
        }
        Json::Object(fields)
    }
}

impl Default for AnyPercentage {
    /// Everybody.
    fn default() -> Self {
        Self::Fixed(Percentage::default())
    }
}

impl From<f64> for AnyPercentage {
    fn from(value: f64) -> Self {
        Self::Fixed(Percentage::new(value))
    }
}

impl From<Percentage> for AnyPercentage {
    fn from(percentage: Percentage) -> Self {
        Self::Fixed(percentage)
    }
}

impl From<LinearRampPercentage> for AnyPercentage {
    fn from(ramp: LinearRampPercentage) -> Self {
        Self::Ramp(ramp)
    }
}

/// What Python can compare with a float, or what it is instead.
#[inline]
pub(super) fn number(json: &Json) -> Result<f64, ValueType> {
    match Operand::from(json) {
        Operand::Bool(value) => Ok(f64::from(u8::from(value))),
        Operand::Int(value) => Ok(value as f64),
        Operand::Big(digits) => Ok(if digits.starts_with('-') { f64::MIN } else { f64::MAX }),
        Operand::Float(value) => Ok(value),
        other => Err(other.value_type()),
    }
}
