//! How OpenFeature sees a flag, for its provider and for OFREP. Not part of the API.

use crate::conditions::Condition;
use crate::context::Attributes;
use crate::evaluation::{Brief, Evaluation, Reason, Share};
use crate::json::Json;
use crate::record::FlagRecord;

/// OpenFeature's reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standard {
    /// The same for everybody.
    Static,
    /// It has conditions, and the context has none of their attributes.
    Default,
    /// Conditions or the program's own bucketer decided.
    TargetingMatch,
    /// A share of the callers.
    Split,
    /// The flag is off.
    Disabled,
    /// OpenFeature has no such reason.
    Other,
}

/// Why OpenFeature gets an error instead of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There is no such flag.
    NotFound,
    /// The flag is unreadable, or its percentage is no number.
    Unreadable,
    /// An attribute cannot be compared.
    InvalidContext,
    /// The attribute to choose by is missing.
    TargetingKeyMissing,
}

/// The reason of an answer. `record`: the flag that was evaluated.
pub fn reason(
    evaluation: &Evaluation,
    record: Option<&FlagRecord>,
    context: &(impl Attributes + ?Sized),
) -> Result<Standard, Failure> {
    Ok(match &evaluation.reason {
        Reason::NoSuchFlag => return Err(Failure::NotFound),
        Reason::Corrupt => return Err(Failure::Unreadable),
        // Not an attribute of the context: the variable is the percentage, which should be a number.
        Reason::TypeMismatch { variable, .. } if !has(context, variable) => return Err(Failure::Unreadable),
        Reason::TypeMismatch { .. } => return Err(Failure::InvalidContext),
        Reason::NoBucketAttribute { .. } if !evaluation.is_enabled => return Err(Failure::TargetingKeyMissing),
        Reason::Rule { share: Some(Share { score: None, .. }), .. } if !evaluation.is_enabled => {
            return Err(Failure::TargetingKeyMissing);
        }
        Reason::Disabled | Reason::Scheduled { .. } => Standard::Disabled,
        // All conditions were skipped.
        Reason::Enabled | Reason::ConditionsMet if is_untargeted(record, context) => Standard::Default,
        Reason::Enabled => Standard::Static,
        Reason::ConditionsMet
        | Reason::ConditionFailed { .. }
        | Reason::NotGiven { .. }
        | Reason::Denied { .. }
        | Reason::CustomBucketer { .. } => Standard::TargetingMatch,
        Reason::Rule { share: Some(_), .. } => Standard::Split,
        Reason::Rule { share: None, .. } | Reason::Prerequisite { .. } => Standard::TargetingMatch,
        Reason::Bucket { .. } | Reason::Random { .. } | Reason::NoBucketAttribute { .. } => Standard::Split,
        Reason::Overridden => Standard::Other,
    })
}

/// The answer, its [`reason`], and its [code](Reason::code).
pub fn of_brief(brief: Brief) -> (bool, Standard, &'static str) {
    const BUCKET: &str = Reason::Bucket { score: 0.0, percentage: 0.0 }.code();
    match brief {
        Brief::ConditionsMet { is_any_given: true } => (true, Standard::TargetingMatch, Reason::ConditionsMet.code()),
        Brief::ConditionsMet { is_any_given: false } => (true, Standard::Default, Reason::ConditionsMet.code()),
        Brief::Bucket { is_enabled } => (is_enabled, Standard::Split, BUCKET),
    }
}

/// Whether the flag has conditions, all on attributes that the context lacks.
fn is_untargeted(record: Option<&FlagRecord>, context: &(impl Attributes + ?Sized)) -> bool {
    let Some(record) = record else { return false };
    let mut checks = record.conditions().iter().chain(record.deny_conditions()).flat_map(Condition::checks);
    let mut has_checks = false;
    let all_lack = checks.all(|(variable, ..)| {
        has_checks = true;
        !has(context, variable)
    });
    has_checks && all_lack
}

fn has(context: &(impl Attributes + ?Sized), attribute: &str) -> bool {
    (0..context.len()).any(|index| context.attribute(index).0 == attribute)
}

/// A flag's name, and what `FLAG/KEY` means in its client data. No new name has a slash, but other programs may have stored one: then the
/// longest name that exists counts.
pub fn split(key: &str, exists: impl Fn(&str) -> bool) -> (&str, Option<&str>) {
    let Some((first, rest)) = key.split_once('/') else { return (key, None) };
    if exists(key) {
        return (key, None);
    }
    for (at, _) in key.rmatch_indices('/').take_while(|(at, _)| *at > first.len()) {
        if exists(&key[..at]) {
            return (&key[..at], Some(&key[at + 1..]));
        }
    }
    (first, Some(rest))
}

/// The value at this place of the client data: `KEY`, or `KEY/INNER` for nested objects.
pub fn at<'a>(data: &'a Json, path: &str) -> Option<&'a Json> {
    data.get(path).or_else(|| path.split('/').try_fold(data, Json::get))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_that_exists_counts() {
        let flags = |names: &'static [&str]| move |name: &str| names.contains(&name);
        assert_eq!(split("a", flags(&[])), ("a", None));
        assert_eq!(split("a/b/c", flags(&[])), ("a", Some("b/c")));
        assert_eq!(split("a/b/c", flags(&["a"])), ("a", Some("b/c")));
        assert_eq!(split("a/b/c", flags(&["a", "a/b"])), ("a/b", Some("c")));
        assert_eq!(split("a/b/c", flags(&["a", "a/b", "a/b/c"])), ("a/b/c", None));
        assert_eq!(split("a/", flags(&["a"])), ("a", Some("")));
        assert_eq!(split("/a", flags(&["/a"])), ("/a", None));
    }

    #[test]
    fn a_value_has_a_place() {
        let data = Json::parse(r#"{"a": {"b": 1}, "a/c": 2}"#).unwrap();
        assert_eq!(at(&data, "a/b"), Some(&Json::from(1)));
        assert_eq!(at(&data, "a/c"), Some(&Json::from(2)));
        assert_eq!(at(&data, "a/b/c"), None);
        assert_eq!(at(&data, ""), None);
    }
}
