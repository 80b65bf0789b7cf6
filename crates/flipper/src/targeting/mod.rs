//! More than on and off: rules, variants, prerequisites, schedules and segments. The guide has [an example of each](crate::_guide::rules).

mod limits;
mod names;
mod read;
mod rule;
mod schedule;
mod test;
mod text;
mod variants;
mod when;
mod write;

pub use names::{SEGMENTS, segment_of, stored_name};
pub use rule::{Rule, Serve};
pub use schedule::{Schedule, Step};
pub use test::{Place, Test};
pub use variants::{Variant, Variants};
pub use when::When;

pub(crate) use read::Field;
pub(crate) use schedule::{seconds, time};
pub(crate) use test::{Network, date, date_of_seconds, date_of_text, network, pattern, version};
pub(crate) use variants::WHOLE;

/// Another flag that must be on, for the same context.
///
/// ```
/// use flipper::targeting::Prerequisite;
///
/// assert_eq!(Prerequisite::new("CHECKOUT").with_variant("red").to_string(), "CHECKOUT = red");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prerequisite {
    /// The other flag's name.
    pub flag: String,
    /// The variant that it must have; without one it must be on.
    pub variant: Option<String>,
}

impl Prerequisite {
    /// The flag must be on.
    #[must_use]
    pub fn new(flag: impl Into<String>) -> Self {
        Self { flag: flag.into(), variant: None }
    }

    /// The flag must be on and have this variant.
    #[must_use]
    pub fn with_variant(mut self, variant: impl Into<String>) -> Self {
        self.variant = Some(variant.into());
        self
    }
}

impl std::fmt::Display for Prerequisite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.variant {
            Some(variant) => write!(f, "{} = {variant}", self.flag),
            None => f.write_str(&self.flag),
        }
    }
}

/// The parts of a flag that the Python library does not have. Most flags have none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Targeting {
    pub(crate) rules: Vec<Rule>,
    pub(crate) variants: Option<Variants>,
    pub(crate) prerequisites: Vec<Prerequisite>,
    pub(crate) schedule: Option<Schedule>,
    pub(crate) segment: Option<When>,
}

pub(crate) static NONE: Targeting =
    Targeting { rules: Vec::new(), variants: None, prerequisites: Vec::new(), schedule: None, segment: None };

impl Targeting {
    pub(crate) fn is_empty(&self) -> bool {
        *self == NONE
    }

    /// Whether a program that ignores these parts would find the flag on where it is off. Variants alone do not change that.
    pub(crate) fn limits(&self) -> bool {
        !(self.rules.is_empty() && self.prerequisites.is_empty() && self.schedule.is_none())
    }

    pub(crate) fn is_off_for_python(&self) -> bool {
        self.limits() || self.segment.is_some()
    }

    pub(crate) fn has_links(&self) -> bool {
        !(self.prerequisites.is_empty() && self.rules.is_empty() && self.segment.is_none())
    }

    /// The names under which the store has what this flag's answer depends on.
    pub(crate) fn links(&self) -> Vec<String> {
        let mut links: Vec<_> = self.prerequisites.iter().map(|prerequisite| prerequisite.flag.clone()).collect();
        let whens = self.rules.iter().filter_map(|rule| rule.when.as_ref()).chain(&self.segment);
        whens.for_each(|when| when.each_segment(&mut |segment| links.push(stored_name(segment))));
        links
    }
}
