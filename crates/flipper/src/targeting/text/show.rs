use std::fmt;

use crate::conditions::Operator;
use crate::conditions::text::{write_value, write_variable};
use crate::json::Json;
use crate::targeting::{Place, Test, When};

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(parts) if parts.is_empty() => f.write_str("always"),
            Self::Any(parts) if parts.is_empty() => f.write_str("never"),
            Self::All(parts) => joined(parts, " and ", f),
            Self::Any(parts) => joined(parts, " or ", f),
            Self::Not(part) => {
                f.write_str("not ")?;
                in_brackets_if(matches!(**part, Self::All(_) | Self::Any(_)), part, f)
            }
            Self::Segment(name) => {
                f.write_str("in segment ")?;
                write_variable(name, f)
            }
            Self::Check { attribute, test } => {
                write_variable(attribute, f)?;
                write!(f, " {test}")
            }
        }
    }
}

/// Brackets wherever parts are joined within parts, so that the text has the same shape when it is read again.
fn joined(parts: &[When], by: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if let [only] = parts {
        return fmt::Display::fmt(only, f);
    }
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(by)?;
        }
        in_brackets_if(matches!(part, When::All(_) | When::Any(_)), part, f)?;
    }
    Ok(())
}

fn in_brackets_if(brackets: bool, part: &When, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if brackets { write!(f, "({part})") } else { fmt::Display::fmt(part, f) }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compare(operator, value) => {
                write!(f, "{} ", sign(*operator))?;
                f.write_str(match (operator, value) {
                    // Stored by other programs; the grammar lacks this `in`.
                    (Operator::In | Operator::NotIn, Json::String(_)) => "the text ",
                    (Operator::In | Operator::NotIn, Json::Object(_)) => "the keys of ",
                    _ => "",
                })?;
                write_value(value, f)
            }
            Self::Text { place, values, ignore_case } => {
                f.write_str(match place {
                    Place::Start => "starts with ",
                    Place::End => "ends with ",
                    Place::Anywhere => "contains ",
                })?;
                f.write_str(if *ignore_case { "ignoring case " } else { "" })?;
                texts(values, f)
            }
            Self::Matches(pattern) => {
                f.write_str("matches ")?;
                write_value(&Json::from(pattern.as_str()), f)
            }
            Self::Semver(operator, version) => {
                write!(f, "{} semver ", sign(*operator))?;
                write_value(&Json::from(version.as_str()), f)
            }
            Self::Date(operator, date) => {
                write!(f, "{} date ", sign(*operator))?;
                write_value(&Json::from(date.as_str()), f)
            }
            Self::Network(networks) => {
                f.write_str("in network ")?;
                texts(networks, f)
            }
            Self::Exists => f.write_str("exists"),
        }
    }
}

fn texts(values: &[String], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match values {
        [only] => write_value(&Json::from(only.as_str()), f),
        several => write_value(&Json::Array(several.iter().map(|value| value.as_str().into()).collect()), f),
    }
}

fn sign(operator: Operator) -> &'static str {
    match operator {
        Operator::Eq => "=",
        Operator::Ne => "!=",
        Operator::Gt => ">",
        Operator::Gte => ">=",
        Operator::Lt => "<",
        Operator::Lte => "<=",
        Operator::In => "in",
        Operator::NotIn => "not in",
    }
}
