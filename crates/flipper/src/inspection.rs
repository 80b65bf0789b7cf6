/// One finding of [`FeatureFlagStore::inspect`](crate::FeatureFlagStore::inspect).
///
/// ```
/// use flipper::store::{Check, Finding};
///
/// let check = Check::new("push", Finding::Problem, "changes are polled once a second").hint("allow `CLIENT TRACKING`");
/// assert_eq!(check.what, "push");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// One word, the same in all stores: `reachable`, `rights`, `kind`, `push`, `version`, `clock`, `identity`, `flags`.
    pub what: &'static str,
    /// How it is.
    pub finding: Finding,
    /// For a person; lower case, no full stop.
    pub text: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Check {
    /// A check without a hint.
    #[must_use]
    pub fn new(what: &'static str, finding: Finding, text: impl Into<String>) -> Self {
        Self { what, finding, text: text.into(), hint: None }
    }

    pub(crate) fn fine(what: &'static str, text: impl Into<String>) -> Self {
        Self::new(what, Finding::Fine, text)
    }

    #[cfg(any(
        feature = "consul",
        feature = "http",
        feature = "postgres",
        feature = "redis",
        feature = "s3",
        feature = "sqlite",
        feature = "thrift"
    ))]
    pub(crate) fn problem(what: &'static str, text: impl Into<String>) -> Self {
        Self::new(what, Finding::Problem, text)
    }

    pub(crate) fn fault(what: &'static str, text: impl Into<String>) -> Self {
        Self::new(what, Finding::Fault, text)
    }

    /// Sets what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// How good a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Finding {
    /// As it should be.
    Fine,
    /// It works, but could be better.
    Problem,
    /// It does not work.
    Fault,
}
