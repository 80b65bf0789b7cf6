use super::AnyPercentage;
use crate::Result;
use crate::json::Object;

/// A share of all checks, drawn at each: one caller gets both answers.
///
/// ```
/// use flipper::Bucketer;
/// use flipper::bucketing::PercentageBucketer;
///
/// let bucketer = Bucketer::from(PercentageBucketer::new(0.3));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PercentageBucketer {
    percentage: AnyPercentage,
}

impl PercentageBucketer {
    pub(crate) const TYPE: &str = "PercentageBucketer";

    /// This share of checks, from 0 to 1; [`Percentage::percent`](crate::bucketing::Percentage::percent) takes 0 to 100.
    #[must_use]
    pub fn new(percentage: impl Into<AnyPercentage>) -> Self {
        Self { percentage: percentage.into() }
    }

    /// The share.
    #[must_use]
    pub fn percentage(&self) -> &AnyPercentage {
        &self.percentage
    }

    pub(crate) fn from_json(fields: &Object) -> Result<Self> {
        AnyPercentage::from_fields(fields).map(|percentage| Self { percentage })
    }

    pub(crate) fn write_fields(&self, fields: &mut Object) {
        fields.insert("percentage", self.percentage.to_json());
    }
}
