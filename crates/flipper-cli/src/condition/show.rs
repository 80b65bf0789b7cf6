//! A stored condition, written as it could be entered.

use flipper::{Condition, Json, Operator};

use super::tokens::{Kind, tokens};
use crate::text::value;

/// All checks of a condition.
pub(crate) fn show(condition: &Condition) -> String {
    let checks: Vec<_> =
        condition.checks().map(|(variable, operator, value)| check(variable, operator, value)).collect();
    if checks.is_empty() { "always".to_owned() } else { checks.join(" and ") }
}

/// One of them.
pub(crate) fn check(variable: &str, operator: Operator, right: &Json) -> String {
    let variable = named(variable);
    let symbol = match operator {
        Operator::Eq => "=",
        Operator::Ne => "!=",
        Operator::Gt => ">",
        Operator::Gte => ">=",
        Operator::Lt => "<",
        Operator::Lte => "<=",
        Operator::In => "in",
        Operator::NotIn => "not in",
    };
    // Other programs store them; `in` has a meaning for them that no expression has.
    let of = match (operator, right) {
        (Operator::In | Operator::NotIn, Json::String(_)) => "the text ",
        (Operator::In | Operator::NotIn, Json::Object(_)) => "the keys of ",
        _ => "",
    };
    format!("{variable} {symbol} {of}{}", value(right))
}

fn named(variable: &str) -> String {
    let is_word = matches!(tokens(variable).as_deref(), Ok([only, _]) if only.kind == Kind::Word(variable.to_owned()));
    let is_keyword = ["and", "or", "in", "not"].iter().any(|word| variable.eq_ignore_ascii_case(word));
    if is_word && !is_keyword { variable.to_owned() } else { value(&Json::from(variable)) }
}
