//! Bucketers: for which share of the callers a flag is on.

mod consistent_hash;
pub(crate) mod custom;
mod hash;
mod linear_ramp;
mod percentage;
mod percentage_bucketer;
mod ready;
mod salted;

use std::sync::Arc;

pub use consistent_hash::ConsistentHashPercentageBucketer;
pub use custom::{CustomBucketer, register_bucketer};
pub use linear_ramp::LinearRampPercentage;
pub use percentage::{AnyPercentage, Percentage};
pub use percentage_bucketer::PercentageBucketer;
pub(crate) use ready::{ReadyHash, ReadyShare};
pub use salted::SaltedPercentageBucketer;
pub(crate) use salted::{bucket_at, seed_of_shares, seed_of_variants};

use crate::json::{Json, Object};
use crate::{Error, Result};

const TYPE: &str = "type";
const NO_OP: &str = "NoOpBucketer";
/// The stored text of nearly every flag.
pub(crate) const NO_OP_JSON: &str = r#"{"type": "NoOpBucketer"}"#;

/// Decides for which callers a flag is on, where no conditions do. The guide [compares](crate::_guide::evaluation) them. Each percentage is
/// a fixed [`Percentage`] or a [`LinearRampPercentage`].
///
/// ```
/// use flipper::Bucketer;
/// use flipper::bucketing::ConsistentHashPercentageBucketer;
///
/// let bucketer = Bucketer::from(ConsistentHashPercentageBucketer::new(0.1).key_whitelist(["user_id"]));
/// assert_eq!(bucketer.bucketer_type(), "ConsistentHashPercentageBucketer");
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Bucketer {
    /// On for everybody.
    #[default]
    NoOp,
    /// A share of all checks.
    Percentage(PercentageBucketer),
    /// A share of all callers, the same as in Python.
    ConsistentHash(ConsistentHashPercentageBucketer),
    /// A share of all callers, independent from flag to flag.
    Salted(SaltedPercentageBucketer),
    /// A type of your own; see [`register_bucketer`].
    Custom(Arc<dyn CustomBucketer>),
}

impl Bucketer {
    /// The stored type name.
    #[must_use]
    pub fn bucketer_type(&self) -> &str {
        match self {
            Self::NoOp => NO_OP,
            Self::Percentage(_) => PercentageBucketer::TYPE,
            Self::ConsistentHash(_) => ConsistentHashPercentageBucketer::TYPE,
            Self::Salted(_) => SaltedPercentageBucketer::TYPE,
            Self::Custom(bucketer) => bucketer.bucketer_type(),
        }
    }

    /// The stored form; null stands for `NoOp`.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the type is not registered, or its fields are unreadable.
    pub fn from_json(json: &Json) -> Result<Self> {
        if json.is_null() {
            return Ok(Self::NoOp);
        }
        let fields = json.as_object().ok_or_else(|| Error::corrupt("bucketer is not an object"))?;
        match type_of(fields, "bucketer")? {
            NO_OP => Ok(Self::NoOp),
            PercentageBucketer::TYPE => PercentageBucketer::from_json(fields).map(Self::Percentage),
            ConsistentHashPercentageBucketer::TYPE => {
                ConsistentHashPercentageBucketer::from_json(fields).map(Self::ConsistentHash)
            }
            SaltedPercentageBucketer::TYPE => SaltedPercentageBucketer::from_json(fields).map(Self::Salted),
            name => custom::from_json(name, fields).map(Self::Custom),
        }
    }

    pub(crate) fn percentage(&self) -> Option<&AnyPercentage> {
        match self {
            Self::Percentage(bucketer) => Some(bucketer.percentage()),
            Self::ConsistentHash(bucketer) => Some(bucketer.percentage()),
            Self::Salted(bucketer) => Some(bucketer.percentage()),
            Self::NoOp | Self::Custom(_) => None,
        }
    }

    /// The stored form, as Python writes it.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut fields = Object::new();
        fields.insert(TYPE, self.bucketer_type());
        match self {
            Self::NoOp => {}
            Self::Percentage(bucketer) => bucketer.write_fields(&mut fields),
            Self::ConsistentHash(bucketer) => bucketer.write_fields(&mut fields),
            Self::Salted(bucketer) => bucketer.write_fields(&mut fields),
            Self::Custom(bucketer) => fields.extend(bucketer.fields()),
        }
        Json::Object(fields)
    }
}

/// Bucketers are equal if their stored forms are.
impl PartialEq for Bucketer {
    fn eq(&self, other: &Self) -> bool {
        self.to_json() == other.to_json()
    }
}

impl From<PercentageBucketer> for Bucketer {
    fn from(bucketer: PercentageBucketer) -> Self {
        Self::Percentage(bucketer)
    }
}

impl From<ConsistentHashPercentageBucketer> for Bucketer {
    fn from(bucketer: ConsistentHashPercentageBucketer) -> Self {
        Self::ConsistentHash(bucketer)
    }
}

impl From<SaltedPercentageBucketer> for Bucketer {
    fn from(bucketer: SaltedPercentageBucketer) -> Self {
        Self::Salted(bucketer)
    }
}

fn type_of<'a>(fields: &'a Object, what: &str) -> Result<&'a str> {
    fields.get(TYPE).and_then(Json::as_str).ok_or_else(|| Error::corrupt(format!("{what} has no type")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_no_op_is_what_is_written() {
        assert_eq!(Bucketer::NoOp.to_json().to_string(), NO_OP_JSON);
    }
}
