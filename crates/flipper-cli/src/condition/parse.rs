//! `variable operator value`, several joined by `and`.

use flipper::{Condition, Json, Operator};
use unicode_width::UnicodeWidthStr;

use super::tokens::{Kind, Token, Wrong, tokens};
use crate::failure::{Done, Failure};
use crate::text::plain;

/// What joins the parts of a variable and an operator in the Python library.
const DELIMITER: &str = "__";
const FORMS: &str =
    "write it in quotes, like 'horses > 9000' or 'plan in pro,team'; `flipper condition add --help` has more";

/// Reads a condition; what is wrong is marked in the text.
pub(crate) fn parse(text: &str) -> Done<Condition> {
    condition(text)
        .map_err(|wrong| Failure::usage(format!("condition: {}", wrong.what)).details(marked(text, &wrong)).hint(FORMS))
}

/// The text, with carets below what is wrong.
fn marked(text: &str, wrong: &Wrong) -> String {
    // Escaped like the text, so that it is as wide.
    let width = |part: &str| plain(part).width();
    let before = width(&text[..wrong.at]);
    let carets = text.get(wrong.at..wrong.at + wrong.len).map_or(1, width).max(1);
    format!("  {}\n  {}{}", plain(text), " ".repeat(before), "^".repeat(carets))
}

fn condition(text: &str) -> Result<Condition, Wrong> {
    let mut parser = Parser { tokens: tokens(text)?, next: 0 };
    let mut condition = Condition::new();
    loop {
        condition = parser.check(condition)?;
        let token = parser.take();
        match &token.kind {
            Kind::End => return Ok(condition),
            Kind::Word(word) if word.eq_ignore_ascii_case("and") => {}
            Kind::Word(word) if word.eq_ignore_ascii_case("or") => {
                return Err(at(&token, "conditions know no `or`; for one of several values write `in a,b`"));
            }
            Kind::Comma => return Err(at(&token, "a list needs `in`: `plan in pro,team`")),
            _ => return Err(at(&token, "expected `and` or the end; a value of several words needs quotes")),
        }
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        // The last one is the end, which is never left behind.
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn takes_word(&mut self, wanted: &str) -> bool {
        let found = matches!(&self.peek().kind, Kind::Word(word) if word.eq_ignore_ascii_case(wanted));
        self.next += usize::from(found);
        found
    }

    fn check(&mut self, condition: Condition) -> Result<Condition, Wrong> {
        let token = self.take();
        let variable = match &token.kind {
            Kind::Word(name) if name.contains(DELIMITER) => {
                return Err(at(
                    &token,
                    "`__` is the Python library's way to name an operator; write `horses > 3` for `horses__gt=3`",
                ));
            }
            Kind::Word(name) | Kind::Quoted(name) => name.clone(),
            _ => return Err(at(&token, "expected an attribute")),
        };
        let token = self.take();
        match &token.kind {
            Kind::Operator(operator) => {
                let value = self.value()?;
                Ok(condition.with(&variable, *operator, &value))
            }
            Kind::Word(word) if word.eq_ignore_ascii_case("in") => {
                let values = self.list()?;
                Ok(condition.with(&variable, Operator::In, &values))
            }
            Kind::Word(word) if word.eq_ignore_ascii_case("not") && self.takes_word("in") => {
                let values = self.list()?;
                Ok(condition.with(&variable, Operator::NotIn, &values))
            }
            _ => Err(at(&token, "expected an operator: = != < <= > >= in `not in`")),
        }
    }

    fn list(&mut self) -> Result<Json, Wrong> {
        let open = matches!(self.peek().kind, Kind::Open);
        self.next += usize::from(open);
        let mut values = vec![self.value()?];
        while matches!(self.peek().kind, Kind::Comma) {
            self.next += 1;
            values.push(self.value()?);
        }
        if open {
            let token = self.take();
            if token.kind != Kind::Close {
                return Err(at(&token, "expected `,` or the closing bracket"));
            }
        }
        Ok(Json::Array(values))
    }

    fn value(&mut self) -> Result<Json, Wrong> {
        let token = self.take();
        match &token.kind {
            Kind::Quoted(text) => Ok(Json::from(text.as_str())),
            Kind::Word(word) => Ok(scalar(word)),
            _ => Err(at(&token, "expected a value")),
        }
    }
}

/// A number, `true`, `false` or `null`; else the word is a string.
fn scalar(word: &str) -> Json {
    Json::parse_strict(word).unwrap_or_else(|_| Json::from(word))
}

fn at(token: &Token, what: &str) -> Wrong {
    Wrong { what: what.to_owned(), at: token.at, len: token.len }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::show;

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
            ("mail = a@b.c", Condition::new().eq("mail", "a@b.c")),
            ("day <= 2026-11-24", Condition::new().lte("day", "2026-11-24")),
        ] {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
            assert_eq!(parse(&show(&expected)).unwrap(), expected, "{text} is shown as what can be read");
        }
    }

    #[test]
    fn what_is_wrong_is_marked() {
        for (text, what, carets) in [
            ("", "expected an attribute", "^"),
            ("horses", "expected an operator", "      ^"),
            ("horses >", "expected a value", "        ^"),
            ("horses > > 3", "expected a value", "         ^"),
            ("horses ~ 3", "expected an operator", "       ^"),
            ("plan = pro team", "expected `and` or the end", "           ^^^^"),
            ("plan = pro,team", "needs `in`", "          ^"),
            ("plan in [pro", "closing bracket", "            ^"),
            ("plan in pro,", "expected a value", "            ^"),
            ("plän = 'x", "not closed", "       ^"),
            ("a = 1 or b = 2", "no `or`", "      ^^"),
            ("horses__gt = 3", "horses > 3", "^^^^^^^^^^"),
            ("日本 = = 1", "expected a value", "       ^"),
            ("a = \"\\q\"", "no string", "    ^^^^"),
            ("a ! b", "`!=`", "  ^"),
        ] {
            let failure = parse(text).unwrap_err().to_string();
            assert!(failure.contains(what), "{text}: {failure}");
            assert_eq!(failure.lines().nth(2), Some(format!("  {carets}").as_str()), "{failure}");
        }
    }

    proptest::proptest! {
        /// Whatever is typed, it is a condition that can be shown and read again, or an error with a mark in the text.
        #[test]
        fn any_text(text in "[a-z\"'\\\\ =!<>,()\\[\\]0-9é_-]{0,24}|\\PC{0,16}") {
            match parse(&text) {
                Ok(condition) => assert_eq!(parse(&show(&condition)).unwrap(), condition),
                Err(failure) => assert!(failure.to_string().contains('^')),
            }
        }
    }
}
