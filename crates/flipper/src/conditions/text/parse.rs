//! `variable operator value`, several joined by `and`.

use super::Wrong;
use super::tokens::{Kind, Token, tokens};
use crate::conditions::{Condition, DELIMITER, Operator};
use crate::json::Json;

pub(super) fn condition(text: &str) -> Result<Condition, Wrong> {
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
        // The end is never consumed.
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
                Ok(condition.with_json(&variable, *operator, value))
            }
            Kind::Word(word) if word.eq_ignore_ascii_case("in") => {
                let values = self.list()?;
                Ok(condition.with_json(&variable, Operator::In, values))
            }
            Kind::Word(word) if word.eq_ignore_ascii_case("not") && self.takes_word("in") => {
                let values = self.list()?;
                Ok(condition.with_json(&variable, Operator::NotIn, values))
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

/// Any other word is a string.
fn scalar(word: &str) -> Json {
    Json::parse_strict(word).unwrap_or_else(|_| Json::from(word))
}

fn at(token: &Token, what: &'static str) -> Wrong {
    Wrong { what: what.into(), at: token.at, len: token.len }
}
