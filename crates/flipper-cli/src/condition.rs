//! A condition that somebody typed.

use flipper::Condition;
use unicode_width::UnicodeWidthStr;

use crate::failure::{Done, Failure};
use crate::text::plain;

const FORMS: &str =
    "write it in quotes, like 'horses > 9000' or 'plan in pro,team'; `flipper condition add --help` has more";

/// Reads a condition; what is wrong is marked in the text.
pub(crate) fn parse(text: &str) -> Done<Condition> {
    text.parse().map_err(|error: flipper::evaluation::ParseConditionError| {
        // Escaped like the text, so that it is as wide.
        let width = |part: &str| plain(part).width();
        let wrong = error.span();
        let (before, carets) = (width(&text[..wrong.start]), width(&text[wrong]).max(1));
        let marked = format!("  {}\n  {}{}", plain(text), " ".repeat(before), "^".repeat(carets));
        Failure::usage(format!("condition: {}", error.message())).details(marked).hint(FORMS)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_marked() {
        for (text, carets) in [
            ("", "^"),
            ("horses >", "        ^"),
            ("plan = pro team", "           ^^^^"),
            ("日本 = = 1", "       ^"),
            ("a\n = = 1", "      ^"),
        ] {
            let failure = parse(text).unwrap_err().to_string();
            assert_eq!(failure.lines().nth(2), Some(format!("  {carets}").as_str()), "{failure}");
        }
    }
}
