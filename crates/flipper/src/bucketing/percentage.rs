use std::fmt;
use std::time::SystemTime;

use super::{LinearRampPercentage, TYPE, type_of};
use crate::context::ValueType;
use crate::context::operand::Operand;
use crate::json::{Json, Number, Object};
use crate::{Error, Result};

/// A fixed share: 0 is no caller, 0.25 a quarter, 1 all. A client refuses to write any other. Of what Python stored, below 0 is no caller,
/// above 1 all, and what is no number is off, with the reason [`TypeMismatch`](crate::evaluation::Reason::TypeMismatch).
///
/// ```
/// use flipper::bucketing::Percentage;
///
/// assert_eq!(Percentage::percent(25.0), Percentage::new(0.25));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Percentage {
    stored: Json,
}

impl Percentage {
    pub(crate) const TYPE: &str = "Percentage";

    /// This percentage, from 0 to 100.
    #[must_use]
    pub fn percent(percent: f64) -> Self {
        Self::new(of_percent(percent))
    }

    /// This share, from 0 to 1. A NaN turns the flag off.
    #[must_use]
    pub fn new(value: f64) -> Self {
        let value = if value.is_nan() { 0.0 } else { value.clamp(f64::MIN, f64::MAX) };
        Self { stored: Number::from_f64(value).map_or(Json::Null, Json::Number) }
    }

    /// The value as stored.
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
    /// Constant.
    Fixed(Percentage),
    /// Growing or shrinking with time.
    Ramp(LinearRampPercentage),
}

impl AnyPercentage {
    /// The value at the time of `now`, which a fixed one does not call.
    #[inline]
    pub(crate) fn value(&self, now: impl FnOnce() -> SystemTime) -> Result<f64, ValueType> {
        match self {
            Self::Fixed(percentage) => number(&percentage.stored),
            Self::Ramp(ramp) => ramp.value(now),
        }
    }

    /// The value as stored, or the ramp's current one.
    pub(crate) fn shown(&self, now: impl FnOnce() -> SystemTime) -> Json {
        match self {
            Self::Fixed(percentage) => percentage.stored.clone(),
            Self::Ramp(ramp) => ramp.shown(now),
        }
    }

    /// Refuses numbers outside 0 to 1, such as 25 for 25 %.
    pub(crate) fn check(&self) -> Result<()> {
        let values = match self {
            Self::Fixed(percentage) => [number(&percentage.stored).ok(), None],
            Self::Ramp(ramp) => ramp.ends(),
        };
        match values.into_iter().flatten().find(|value| !(0.0..=1.0).contains(value)) {
            Some(value) => Err(Error::invalid_input(format!(
                "a percentage is a part from 0 to 1, and {value} is not; `Percentage::percent` takes 0 to 100"
            ))),
            None => Ok(()),
        }
    }

    pub(crate) fn fixed(&self) -> Option<Result<f64, ValueType>> {
        match self {
            Self::Fixed(percentage) => Some(number(&percentage.stored)),
            Self::Ramp(_) => None,
        }
    }

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

    /// A number alone is a fixed one.
    pub(crate) fn from_short(json: &Json) -> Result<Self> {
        match json {
            Json::Object(_) => {
                let fields: Object = std::iter::once(("percentage", json.clone())).collect();
                Self::from_fields(&fields)
            }
            number => Ok(Self::Fixed(Percentage { stored: number.clone() })),
        }
    }

    pub(crate) fn to_short(&self) -> Json {
        match self {
            Self::Fixed(percentage) => percentage.stored.clone(),
            Self::Ramp(_) => self.to_json(),
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

/// For people: `25%`, `0% to 100%`.
impl fmt::Display for AnyPercentage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the digits that a multiplication adds.
        let percent = |share: f64| (share * 1e6).round() / 1e4;
        match self {
            Self::Fixed(percentage) => match number(&percentage.stored) {
                Ok(share) => write!(f, "{}%", percent(share)),
                Err(_) => write!(f, "{} (not a number)", percentage.stored),
            },
            Self::Ramp(ramp) => match ramp.ends() {
                [Some(first), Some(last)] => write!(f, "{}% to {}%", percent(first), percent(last)),
                _ => f.write_str("a ramp without numbers"),
            },
        }
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

/// A percentage as a share, without the digits that a division adds.
pub(super) fn of_percent(percent: f64) -> f64 {
    (percent * 1e6).round() / 1e8
}

/// The number, if Python can compare it with a float; else the type.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_are_the_decimal_parts() {
        for (percent, part) in [(0.0, 0.0), (0.7, 0.007), (7.0, 0.07), (12.5, 0.125), (29.0, 0.29), (100.0, 1.0)] {
            assert_eq!(Percentage::percent(percent), Percentage::new(part), "{percent} %");
        }
    }
}
