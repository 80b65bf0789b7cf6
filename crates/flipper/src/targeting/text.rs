mod show;

use std::borrow::Cow;

use super::limits::MAX_DEPTH;
use super::{Place, Test, When};
use crate::conditions::text::{Kind, Token, Wrong, tokens};
use crate::conditions::{Operator, ParseConditionError};
use crate::json::Json;

pub(super) fn parse(text: &str) -> Result<When, ParseConditionError> {
    let mut parser = match tokens(text) {
        Ok(tokens) => Parser { tokens, next: 0, depth: 0 },
        Err(wrong) => return Err(wrong.of(text)),
    };
    parser.whole().map_err(|wrong| wrong.of(text))
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn whole(&mut self) -> Result<When, Wrong> {
        let when = self.any()?;
        let token = self.take();
        match &token.kind {
            Kind::End => Ok(when),
            Kind::Comma => Err(at(&token, "a list needs `in`: `plan in pro, team`")),
            Kind::Close => Err(at(&token, "this bracket was not opened")),
            _ => Err(at(&token, "expected `and`, `or` or the end; a value of several words needs quotes")),
        }
    }

    fn peek(&self) -> &Token {
        // The end is never consumed.
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn is_word(&self, ahead: usize, wanted: &str) -> bool {
        let token = self.tokens.get(self.next + ahead).map(|token| &token.kind);
        matches!(token, Some(Kind::Word(word)) if word.eq_ignore_ascii_case(wanted))
    }

    fn takes(&mut self, words: &[&str]) -> bool {
        let found = words.iter().enumerate().all(|(ahead, word)| self.is_word(ahead, word));
        self.next += if found { words.len() } else { 0 };
        found
    }

    fn any(&mut self) -> Result<When, Wrong> {
        let mut parts = vec![self.all()?];
        while self.takes(&["or"]) {
            parts.push(self.all()?);
        }
        Ok(only(parts, When::Any))
    }

    fn all(&mut self) -> Result<When, Wrong> {
        let mut parts = vec![self.part()?];
        while self.takes(&["and"]) {
            parts.push(self.part()?);
        }
        Ok(only(parts, When::All))
    }

    fn part(&mut self) -> Result<When, Wrong> {
        if self.depth >= MAX_DEPTH {
            return Err(at(self.peek(), format!("brackets and `not` nest deeper than {MAX_DEPTH}")));
        }
        self.depth += 1;
        let part = self.part_of_this_depth();
        self.depth -= 1;
        part
    }

    fn part_of_this_depth(&mut self) -> Result<When, Wrong> {
        if self.takes(&["not"]) {
            return Ok(When::Not(Box::new(self.part()?)));
        }
        if self.peek().kind == Kind::Open {
            self.next += 1;
            let inner = self.any()?;
            let token = self.take();
            return match token.kind {
                Kind::Close => Ok(inner),
                _ => Err(at(&token, "expected `and`, `or` or the closing bracket")),
            };
        }
        if self.takes(&["in", "segment"]) {
            let name = self.text("expected the segment's name")?;
            return Ok(When::Segment(name));
        }
        for (word, empty) in [("always", When::All as fn(_) -> _), ("never", When::Any)] {
            if self.is_word(0, word) && self.is_whole_check(1) {
                self.next += 1;
                return Ok(empty(Vec::new()));
            }
        }
        let attribute = self.text("expected an attribute, `not`, `in segment` or a bracket")?;
        let first = self.peek().clone();
        let test = self.test()?;
        // The whole check is marked, since the value alone may look right.
        test.check().map_err(|what| {
            let last = &self.tokens[self.next - 1];
            Wrong { what: what.into(), at: first.at, len: last.at + last.len - first.at }
        })?;
        Ok(When::Check { attribute, test })
    }

    fn test(&mut self) -> Result<Test, Wrong> {
        if let Kind::Operator(operator) = self.peek().kind {
            self.next += 1;
            return self.comparison(operator);
        }
        for (words, place) in
            [(&["starts", "with"][..], Place::Start), (&["ends", "with"], Place::End), (&["contains"], Place::Anywhere)]
        {
            if self.takes(words) {
                let ignore_case = self.takes(&["ignoring", "case"]);
                return Ok(Test::Text { place, values: self.list(Self::word)?, ignore_case });
            }
        }
        if self.takes(&["matches"]) {
            return Ok(Test::Matches(self.text("expected a regular expression; most need quotes")?));
        }
        if self.takes(&["exists"]) {
            return Ok(Test::Exists);
        }
        if self.is_word(0, "in") && self.is_word(1, "network") && !self.ends_after(2) {
            self.next += 2;
            return Ok(Test::Network(self.list(Self::word)?));
        }
        if self.takes(&["in"]) {
            return Ok(Test::Compare(Operator::In, Json::Array(self.list(Self::value)?)));
        }
        if self.takes(&["not", "in"]) {
            return Ok(Test::Compare(Operator::NotIn, Json::Array(self.list(Self::value)?)));
        }
        let token = self.take();
        Err(at(
            &token,
            "expected an operator: = != < <= > >= in `not in` `starts with` `ends with` contains matches exists `in network`",
        ))
    }

    /// A word `date` is a value too, if nothing that could be its own follows.
    fn comparison(&mut self, operator: Operator) -> Result<Test, Wrong> {
        for (word, test) in [("semver", Test::Semver as fn(_, _) -> _), ("date", Test::Date)] {
            if self.is_word(0, word) && !self.ends_after(1) {
                self.next += 1;
                return Ok(test(operator, self.text("expected a value")?));
            }
        }
        Ok(Test::Compare(operator, self.value()?))
    }

    /// Whether the next check or the end comes after so many tokens.
    fn is_whole_check(&self, ahead: usize) -> bool {
        let joins = |word: &str| ["and", "or"].iter().any(|end| word.eq_ignore_ascii_case(end));
        match self.tokens.get(self.next + ahead).map(|token| &token.kind) {
            Some(Kind::Word(word)) => joins(word),
            Some(kind) => matches!(kind, Kind::End | Kind::Close),
            None => true,
        }
    }

    /// Whether no value comes after so many tokens.
    fn ends_after(&self, ahead: usize) -> bool {
        match self.tokens.get(self.next + ahead).map(|token| &token.kind) {
            Some(Kind::Word(word)) => ["and", "or"].iter().any(|end| word.eq_ignore_ascii_case(end)),
            Some(Kind::Quoted(_) | Kind::Open) => false,
            _ => true,
        }
    }

    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Result<T, Wrong>) -> Result<Vec<T>, Wrong> {
        let open = self.peek().kind == Kind::Open;
        self.next += usize::from(open);
        let mut values = vec![item(self)?];
        while self.peek().kind == Kind::Comma {
            self.next += 1;
            values.push(item(self)?);
        }
        if open {
            let token = self.take();
            if token.kind != Kind::Close {
                return Err(at(&token, "expected `,` or the closing bracket"));
            }
        }
        Ok(values)
    }

    fn word(&mut self) -> Result<String, Wrong> {
        self.text("expected a value")
    }

    fn text(&mut self, expected: &'static str) -> Result<String, Wrong> {
        let token = self.take();
        match token.kind {
            Kind::Quoted(text) | Kind::Word(text) => Ok(text),
            _ => Err(at(&token, expected)),
        }
    }

    fn value(&mut self) -> Result<Json, Wrong> {
        let token = self.take();
        match &token.kind {
            Kind::Quoted(text) => Ok(Json::from(text.as_str())),
            Kind::Word(word) => Ok(Json::parse_strict(word).unwrap_or_else(|_| Json::from(word.as_str()))),
            _ => Err(at(&token, "expected a value")),
        }
    }
}

fn only(mut parts: Vec<When>, joined: fn(Vec<When>) -> When) -> When {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            joined(parts)
        }
    }
}

fn at(token: &Token, what: impl Into<Cow<'static, str>>) -> Wrong {
    Wrong { what: what.into(), at: token.at, len: token.len }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(attribute: &str, test: Test) -> When {
        When::check(attribute, test)
    }

    fn eq(attribute: &str, value: impl Into<Json>) -> When {
        check(attribute, Test::Compare(Operator::Eq, value.into()))
    }

    fn text_test(place: Place, values: &[&str], ignore_case: bool) -> Test {
        Test::Text { place, values: values.iter().map(|value| (*value).to_owned()).collect(), ignore_case }
    }

    #[test]
    fn what_can_be_written() {
        for (text, expected) in [
            ("a = 1 and b = 2 or c = 3", When::Any(vec![When::All(vec![eq("a", 1), eq("b", 2)]), eq("c", 3)])),
            ("a = 1 and (b = 2 or c = 3)", When::All(vec![eq("a", 1), When::Any(vec![eq("b", 2), eq("c", 3)])])),
            ("not a = 1 and b = x", When::All(vec![When::Not(Box::new(eq("a", 1))), eq("b", "x")])),
            ("not (a = 1 or b = 2)", When::Not(Box::new(When::Any(vec![eq("a", 1), eq("b", 2)])))),
            ("in segment beta", When::Segment("beta".into())),
            ("not in segment 'be ta'", When::Not(Box::new(When::Segment("be ta".into())))),
            ("mail ends with @a.de, '@b.de'", check("mail", text_test(Place::End, &["@a.de", "@b.de"], false))),
            ("mail starts with ignoring case ÄX", check("mail", text_test(Place::Start, &["ÄX"], true))),
            ("mail contains (7)", check("mail", text_test(Place::Anywhere, &["7"], false))),
            ("name matches '^a.*(b|c)$'", check("name", Test::Matches("^a.*(b|c)$".into()))),
            ("app >= semver 2.1.0-rc.1", check("app", Test::Semver(Operator::Gte, "2.1.0-rc.1".into()))),
            ("born < date 2000-01-01", check("born", Test::Date(Operator::Lt, "2000-01-01".into()))),
            ("ip in network 10.0.0.0/8, ::1", check("ip", Test::Network(vec!["10.0.0.0/8".into(), "::1".into()]))),
            (
                "kind = date and at in network",
                When::All(vec![eq("kind", "date"), check("at", Test::Compare(Operator::In, vec!["network"].into()))]),
            ),
            ("plan exists", check("plan", Test::Exists)),
            (
                "plan NOT IN a, 2",
                check("plan", Test::Compare(Operator::NotIn, Json::Array(vec!["a".into(), 2.into()]))),
            ),
            ("'in' = 'not'", eq("in", "not")),
            ("always", When::All(Vec::new())),
            ("always = 1 and not never", When::All(vec![eq("always", 1), When::Not(Box::new(When::Any(Vec::new())))])),
        ] {
            let when: When = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(when, expected, "{text}");
            assert_eq!(when.to_string().parse(), Ok(expected.clone()), "{text} is shown as {when}");
            assert_eq!(When::from_json(&expected.to_json()).unwrap(), expected, "{text} is stored");
        }
    }

    #[test]
    fn what_is_wrong_is_marked() {
        for (text, what, wrong) in [
            ("", "expected an attribute", ""),
            ("(a = 1", "closing bracket", ""),
            ("a = 1)", "not opened", ")"),
            ("a = 1 b", "`and`, `or` or the end", "b"),
            ("a = 1, 2", "needs `in`", ","),
            ("in segment", "segment's name", ""),
            ("a ~ 1", "expected an operator", "~"),
            ("a matches '('", "regular expression", "matches '('"),
            ("a >= semver 2.x", "no semantic version", ">= semver 2.x"),
            ("a < date 2026-13-01", "no date", "< date 2026-13-01"),
            ("a < date 2026-12-01T09:00", "time zone", "< date 2026-12-01T09:00"),
            ("a in network 10.0.0.0/40", "no network", "in network 10.0.0.0/40"),
            ("a in", "expected a value", ""),
        ] {
            let error = text.parse::<When>().unwrap_err();
            assert!(error.message().contains(what), "{text}: {error}");
            assert_eq!(&text[error.span()], wrong, "{text}");
        }
        let deep = format!("{}a = 1{}", "(".repeat(40), ")".repeat(40));
        assert!(deep.parse::<When>().unwrap_err().message().contains("deeper"));
        let long = format!("a matches '{}'", "x".repeat(2_000));
        assert!(long.parse::<When>().unwrap_err().message().contains("more than the 1000 allowed"));
        let large = "a matches '(\\w{50}){50}'".parse::<When>().unwrap_err();
        assert!(large.message().contains("once compiled"), "{large}");
    }

    proptest::proptest! {
        /// Any text prints and parses again, or is an error with its place.
        #[test]
        fn any_text(text in "(a|in|not|and|or|segment|starts|with|contains|ignoring|case|date|semver|network|exists|=|>|,|\\(|\\)|'x'|1| ){0,16}") {
            match text.parse::<When>() {
                Ok(when) => assert_eq!(when.to_string().parse(), Ok(when)),
                Err(error) => assert!(text.get(error.span()).is_some()),
            }
        }
    }
}
