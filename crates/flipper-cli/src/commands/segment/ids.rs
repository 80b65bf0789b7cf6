use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flipper::evaluation::Operator;
use flipper::json::Json;
use flipper::targeting::{Test, When};

use crate::failure::{Done, Failure, message_of};
use crate::text::{UTF_8_MARK, count, json_type, path_text, thousands};

const STDIN: &str = "-";
/// In bytes. Millions of values fit.
const LARGEST: u64 = 256 << 20;

pub(super) struct Ids {
    pub(super) values: Vec<Json>,
    /// What is unusual about them.
    pub(super) notes: Vec<String>,
}

pub(super) fn when(attribute: &str, values: Vec<Json>) -> When {
    When::check(attribute, Test::Compare(Operator::In, Json::Array(values)))
}

/// The attribute and the values of a segment that is `attribute in a, b`.
pub(super) fn listed(when: &When) -> Option<(&str, &[Json])> {
    match when {
        When::Check { attribute, test: Test::Compare(Operator::In, Json::Array(values)) } => Some((attribute, values)),
        _ => None,
    }
}

/// A note if a list of texts becomes one of numbers, which no caller with a text is in.
pub(super) fn turned(before: &When, after: &When) -> Option<String> {
    let ((before_by, before), (by, after)) = (listed(before)?, listed(after)?);
    let is_number = |value: &Json| matches!(value, Json::Number(_));
    let turned = before_by == by && !before.iter().any(is_number) && !after.is_empty() && after.iter().all(is_number);
    turned.then(|| "the values before were text, and these are numbers; with --text they are text".to_owned())
}

/// Reads a file with one value a line, or a JSON array.
pub(super) fn read(path: &Path, all_text: bool) -> Done<Ids> {
    let shown = if path.as_os_str() == STDIN { "standard input".to_owned() } else { path_text(path) };
    let refuse = |what: String| Failure::usage(format!("{shown}: {what}"));
    let source: Box<dyn Read> = if path.as_os_str() == STDIN {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).map_err(|error| refuse(format!("cannot be opened: {error}")))?)
    };
    let mut bytes = Vec::new();
    source.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > LARGEST {
        return Err(refuse("is larger than 256 MiB".to_owned()));
    }
    let text = std::str::from_utf8(bytes.strip_prefix(UTF_8_MARK).unwrap_or(&bytes))
        .map_err(|error| refuse(format!("not UTF-8 at byte {}", error.valid_up_to())))?;
    parse(text, all_text).map_err(refuse)
}

fn parse(text: &str, all_text: bool) -> Result<Ids, String> {
    let values = if text.trim_start().starts_with('[') { array(text, all_text)? } else { lines(text, all_text) };
    if values.is_empty() {
        return Err("has no values; write one a line".to_owned());
    }
    let (read, mut seen) = (values.len(), HashSet::with_capacity(values.len()));
    let values: Vec<_> = values.into_iter().filter(|value| seen.insert(value.to_string())).collect();
    let mut notes = Vec::new();
    if values.len() < read {
        notes.push(format!("left out {}", count(read - values.len(), "repeated value")));
    }
    let texts = values.iter().filter(|value| matches!(value, Json::String(_))).count();
    if texts > 0 && texts < values.len() {
        let numbers = thousands(values.len() - texts);
        notes.push(format!(
            "{numbers} of {} look like numbers, and are; with --text all are text",
            count(values.len(), "value")
        ));
    }
    Ok(Ids { values, notes })
}

fn array(text: &str, all_text: bool) -> Result<Vec<Json>, String> {
    let items = match Json::parse_strict(text.trim()) {
        Ok(Json::Array(items)) => items,
        Ok(_) => return Err("is no JSON array".to_owned()),
        Err(error) => return Err(message_of(&error)),
    };
    let each = |item: Json| match item {
        Json::Number(number) if all_text => Ok(Json::from(Json::Number(number).to_string())),
        Json::Number(_) | Json::String(_) => Ok(item),
        other => Err(format!("a value is {}, and must be a number or a text", json_type(&other))),
    };
    items.into_iter().map(each).collect()
}

fn lines(text: &str, all_text: bool) -> Vec<Json> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| if all_text { line.into() } else { number(line).unwrap_or_else(|| line.into()) }).collect()
}

/// `7`, `-7` and `7.5`, but neither `007` nor `7e5`, which more likely are names.
fn number(line: &str) -> Option<Json> {
    let is_plain = line.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.'));
    if is_plain { Json::parse_strict(line).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str, all_text: bool) -> Result<String, String> {
        parse(text, all_text).map(|ids| Json::Array(ids.values).to_string())
    }

    #[test]
    fn values() {
        for (text, all_text, expected) in [
            ("7\n-8\n9.5\n", false, "[7, -8, 9.5]"),
            ("7\r\n 8 \r\n\r\n", true, r#"["7", "8"]"#),
            ("007\n7e5\na b\n", false, r#"["007", "7e5", "a b"]"#),
            ("7\n7\n\"7\"", false, r#"[7, "\"7\""]"#),
            (" [7, \"7\", \"a\"]\n", false, r#"[7, "7", "a"]"#),
            ("[7, \"7\"]", true, r#"["7"]"#),
            ("12345678901234567890", false, "[12345678901234567890]"),
        ] {
            assert_eq!(read_text(text, all_text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_list_of_texts_that_becomes_numbers_is_noted() {
        let list = |by: &str, text: &str| when(by, parse(text, false).unwrap().values);
        for (before, after, expected) in [
            (list("id", "007"), list("id", "7\n8"), true),
            (list("id", r#"["7", "8"]"#), list("id", "7\n8"), true),
            (list("id", r#"["7", 8]"#), list("id", "7\n8"), false),
            (list("id", "7"), list("id", "7\n8"), false),
            (list("id", "007"), list("id", "7\n008"), false),
            (list("id", "007"), list("id", "008"), false),
            (list("id", "007"), list("plan", "7"), false),
            ("id = \"7\"".parse().unwrap(), list("id", "7"), false),
        ] {
            assert_eq!(turned(&before, &after).is_some(), expected, "{before} {after}");
        }
    }

    #[test]
    fn what_has_no_values() {
        for (text, what) in [
            ("", "has no values"),
            ("[]", "has no values"),
            ("[1, null]", "a value is null"),
            ("[[1]]", "a value is an array"),
            ("[1,", "not JSON"),
        ] {
            let error = read_text(text, false).unwrap_err();
            assert!(error.contains(what), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_unusual_is_noted() {
        let notes = |text| parse(text, false).unwrap().notes;
        assert_eq!(notes("1\n2\n"), [] as [&str; 0]);
        assert_eq!(
            notes("1\n1\nx\n"),
            ["left out 1 repeated value", "1 of 2 values look like numbers, and are; with --text all are text"]
        );
    }
}
