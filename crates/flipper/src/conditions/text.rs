mod parse;
mod show;
mod tokens;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use super::Condition;
use crate::error::Error;

pub(crate) use show::{write_value, write_variable};
pub(crate) use tokens::{Kind, Token, tokens};

/// What is wrong with a condition's text, and where.
///
/// ```
/// use flipper::Condition;
///
/// let error = "plan in pro team".parse::<Condition>().unwrap_err();
/// assert_eq!(error.message(), "expected `and` or the end; a value of several words needs quotes");
/// assert_eq!(error.span(), 12..16);
/// assert_eq!(error.to_string(), "condition: expected `and` or the end; a value of several words needs quotes (at character 13)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseConditionError {
    message: Cow<'static, str>,
    span: Range<usize>,
    /// From 1.
    character: usize,
}

impl ParseConditionError {
    /// What is wrong, in words.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The byte range that is wrong; empty if something is missing at the end.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }
}

impl fmt::Display for ParseConditionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "condition: {} (at character {})", self.message, self.character)
    }
}

impl std::error::Error for ParseConditionError {}

impl From<ParseConditionError> for Error {
    fn from(error: ParseConditionError) -> Self {
        Self::invalid_input(error.to_string())
    }
}

impl FromStr for Condition {
    type Err = ParseConditionError;

    fn from_str(text: &str) -> Result<Self, ParseConditionError> {
        parse::condition(text).map_err(|wrong| wrong.of(text))
    }
}

#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) what: Cow<'static, str>,
    pub(crate) at: usize,
    pub(crate) len: usize,
}

impl Wrong {
    pub(crate) fn of(self, text: &str) -> ParseConditionError {
        let Self { what, at, len } = self;
        ParseConditionError {
            message: what,
            span: at..text.len().min(at + len),
            character: text[..at].chars().count() + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::conditions::Operator;

    #[test]
    fn conditions() {
        for (text, expected) in [
            ("horses > 9000", Condition::new().gt("horses", 9000)),
            ("horses>=9000", Condition::new().gte("horses", 9000)),
            ("plan in pro,team", Condition::new().one_of("plan", ["pro", "team"])),
            ("plan IN [pro, 'te am']", Condition::new().one_of("plan", ["pro", "te am"])),
            ("plan not in (1, 2)", Condition::new().not_one_of("plan", [1, 2])),
            ("is_admin = true and age < 1.5", Condition::new().eq("is_admin", true).lt("age", 1.5)),
            ("id == \"7\"", Condition::new().eq("id", "7")),
            ("'my plan' != null", Condition::new().ne("my plan", None::<bool>)),
            ("'a__gt' = 1", Condition::new().eq("a__gt", 1)),
            ("mail = a@b.c", Condition::new().eq("mail", "a@b.c")),
            ("day <= 2026-11-24", Condition::new().lte("day", "2026-11-24")),
        ] {
            assert_eq!(text.parse(), Ok(expected.clone()), "{text}");
            assert_eq!(expected.to_string().parse(), Ok(expected), "{text} is shown as what can be read");
        }
    }

    #[test]
    fn what_no_expression_has_is_shown_in_words() {
        for (condition, shown) in [
            (Condition::new(), "always"),
            (Condition::new().with("a", Operator::In, "text"), "a in the text \"text\""),
            (Condition::new().eq("in", "\u{1b}\u{202e}é\n"), r#""in" = "\u001b\u202eé\n""#),
        ] {
            assert_eq!(condition.to_string(), shown);
        }
    }

    #[test]
    fn what_is_wrong_is_marked() {
        for (text, what, wrong) in [
            ("", "expected an attribute", ""),
            ("horses", "expected an operator", ""),
            ("horses >", "expected a value", ""),
            ("horses > > 3", "expected a value", ">"),
            ("horses ~ 3", "expected an operator", "~"),
            ("plan = pro team", "expected `and` or the end", "team"),
            ("plan = pro,team", "needs `in`", ","),
            ("plan in [pro", "closing bracket", ""),
            ("plan in pro,", "expected a value", ""),
            ("plän = 'x", "not closed", "'"),
            ("a = 1 or b = 2", "no `or`", "or"),
            ("horses__gt = 3", "horses > 3", "horses__gt"),
            ("日本 = = 1", "expected a value", "="),
            ("a = \"\\q\"", "no string", "\"\\q\""),
            ("a ! b", "`!=`", "!"),
        ] {
            let error = text.parse::<Condition>().unwrap_err();
            assert!(error.message().contains(what), "{text}: {error}");
            assert_eq!(&text[error.span()], wrong, "{text}");
        }
        let error = Error::from("日本 = = 1".parse::<Condition>().unwrap_err());
        assert_eq!(
            (error.kind(), &*error.to_string()),
            (ErrorKind::InvalidInput, "condition: expected a value (at character 6)")
        );
    }

    proptest::proptest! {
        /// Any text prints and parses again, or is an error with its place.
        #[test]
        fn any_text(text in "[a-z\"'\\\\ =!<>,()\\[\\]0-9é_-]{0,24}|\\PC{0,16}") {
            match text.parse::<Condition>() {
                Ok(condition) => assert_eq!(condition.to_string().parse(), Ok(condition)),
                Err(error) => assert!(text.get(error.span()).is_some()),
            }
        }

        /// Any name and text print and parse again.
        #[test]
        fn any_check(variable in ".{0,8}", value in ".{0,8}") {
            let condition = Condition::new().eq(&variable, &*value).one_of(&variable, [&*value]);
            assert_eq!(condition.to_string().parse(), Ok(condition));
        }
    }
}
