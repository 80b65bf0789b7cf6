use std::fmt::{self, Write};

use super::tokens::{Kind, tokens};
use crate::conditions::{Condition, DELIMITER, Operator};
use crate::json::Json;

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("always");
        }
        for (index, (variable, operator, value)) in self.checks().enumerate() {
            if index > 0 {
                f.write_str(" and ")?;
            }
            write_variable(variable, f)?;
            f.write_str(match operator {
                Operator::Eq => " = ",
                Operator::Ne => " != ",
                Operator::Gt => " > ",
                Operator::Gte => " >= ",
                Operator::Lt => " < ",
                Operator::Lte => " <= ",
                Operator::In => " in ",
                Operator::NotIn => " not in ",
            })?;
            // Stored by other programs; the grammar lacks this `in`.
            f.write_str(match (operator, value) {
                (Operator::In | Operator::NotIn, Json::String(_)) => "the text ",
                (Operator::In | Operator::NotIn, Json::Object(_)) => "the keys of ",
                _ => "",
            })?;
            write_value(value, f)?;
        }
        Ok(())
    }
}

pub(crate) fn write_variable(variable: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let is_word = matches!(tokens(variable).as_deref(), Ok([only, _]) if only.kind == Kind::Word(variable.to_owned()));
    let is_keyword = ["and", "or", "in", "not"].iter().any(|word| variable.eq_ignore_ascii_case(word));
    let is_odd = is_keyword || variable.contains(DELIMITER) || variable.chars().any(is_unprintable);
    if is_word && !is_odd { f.write_str(variable) } else { write_text(variable, f) }
}

/// With letters beyond ASCII unescaped.
pub(crate) fn write_value(value: &Json, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        Json::String(text) => write_text(text, f),
        Json::Array(items) => {
            f.write_char('[')?;
            for (index, item) in items.iter().enumerate() {
                f.write_str(if index > 0 { ", " } else { "" })?;
                write_value(item, f)?;
            }
            f.write_char(']')
        }
        other => write!(f, "{other}"),
    }
}

/// Escapes what would control a terminal or change the writing direction.
fn write_text(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            // None is beyond U+FFFF.
            c if is_unprintable(c) => write!(f, "\\u{:04x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
