//! One thing a line.

use std::collections::HashMap;

use flipper::__words::{percent, percentage};
use flipper::json::Json;
use flipper::targeting::{Prerequisite, Rule, Serve, Variant, When};

use super::super::draft::Fault;

/// Between the name of a rule and the rest.
const NAMED: char = '[';
/// All callers, in steps of 0.001 %.
pub(super) const WHOLE: f64 = 100_000.0;

pub(super) fn all<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
    items.iter().map(show).collect::<Vec<_>>().join("\n")
}

/// A line that is there already stays what it is: not all that can be stored has a text that parses.
pub(super) fn read<T: Clone>(
    field: &'static str,
    text: &str,
    before: &[T],
    show: impl Fn(&T) -> String,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, Fault> {
    let before: HashMap<String, &T> = before.iter().map(|each| (show(each), each)).collect();
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
    let read = lines.map(|(number, line)| match before.get(line) {
        Some(same) => Ok(T::clone(same)),
        None => parse(line).map_err(|message| Fault::new(field, format!("line {}: {message}", number + 1))),
    });
    read.collect()
}

/// `[staff] plan = "pro": 25% by user_id`
pub(super) fn rule(rule: &Rule) -> String {
    let name = rule.name.as_ref().map(|name| format!("[{name}] ")).unwrap_or_default();
    let when = rule.when.as_ref().map(|when| format!("{when}: ")).unwrap_or_default();
    let serve = match &rule.serve {
        Serve::Share { percentage, by } => format!("{percentage} by {by}"),
        other => other.to_string(),
    };
    format!("{name}{when}{serve}")
}

pub(super) fn read_rule(line: &str) -> Result<Rule, String> {
    let (name, rest) = match line.strip_prefix(NAMED).and_then(|rest| rest.split_once(']')) {
        Some((name, rest)) => (Some(name.trim()), rest.trim()),
        None => (None, line),
    };
    // A value may have a colon, too.
    let (when, serve) = match rest.rsplit_once(':') {
        Some((when, serve)) => (Some(when.trim()), serve.trim()),
        None => (None, rest),
    };
    let mut rule = Rule::new(read_serve(serve)?);
    if let Some(when) = when {
        let wrong = |error: flipper::evaluation::ParseConditionError| match &when[error.span()] {
            "" => format!("at the end of the condition: {}", error.message()),
            part => format!("at “{part}”: {}", error.message()),
        };
        rule = rule.when(when.parse::<When>().map_err(wrong)?);
    }
    rule.name = name.filter(|name| !name.is_empty()).map(str::to_owned);
    Ok(rule)
}

fn read_serve(text: &str) -> Result<Serve, String> {
    if let Some(name) = text.strip_prefix("variant ") {
        return Ok(Serve::Variant(name.trim().to_owned()));
    }
    match (text, text.split_once(" by ")) {
        ("on", _) => Ok(Serve::On),
        ("off", _) => Ok(Serve::Off),
        (_, Some((share, by))) => {
            let share = share.trim();
            let share = share.strip_prefix("on for ").unwrap_or(share);
            Ok(Serve::Share { percentage: percentage(share, None)?, by: by.trim().to_owned() })
        }
        _ => Err(format!(
            "“{text}” is nothing that a rule serves; that is `on`, `off`, `25% by user_id` or `variant red`, after a colon"
        )),
    }
}

/// `red 50% "#f00"`
pub(super) fn variant(variant: &Variant) -> String {
    let is_plain = |letter: char| !(letter.is_whitespace() || letter.is_control() || letter == '"');
    let name = match variant.name.chars().all(is_plain) {
        true => variant.name.clone(),
        false => Json::from(variant.name.as_str()).to_string(),
    };
    format!("{name} {} {}", percent(f64::from(variant.weight) / WHOLE), variant.value)
}

pub(super) fn read_variant(line: &str) -> Result<Variant, String> {
    const FORM: &str = "a variant is its name, its share and its value, such as `red 50% \"#f00\"`";
    let (name, rest) = match line.strip_prefix('"') {
        Some(quoted) => {
            let end = end_of_quote(quoted).ok_or("a quote is not closed")?;
            let name = Json::parse_strict(&line[..end + 2]).map_err(|error| error.to_string())?;
            (name.as_str().unwrap_or_default().to_owned(), &quoted[end + 1..])
        }
        None => {
            let (name, rest) = line.split_once(char::is_whitespace).ok_or(FORM)?;
            (name.to_owned(), rest)
        }
    };
    let (share, value) = rest.trim_start().split_once('%').ok_or(FORM)?;
    let share = share.trim();
    let parsed: f64 = share.parse().map_err(|_| format!("“{share}%” is no percentage"))?;
    if !(0.0..=100.0).contains(&parsed) {
        return Err(format!("“{share}%” is not between 0% and 100%"));
    }
    let variant = Variant::new(name, parsed);
    if (f64::from(variant.weight) - parsed * 1000.0).abs() > 1e-6 {
        return Err(format!("“{share}%” is finer than the 0.001% that a variant can have"));
    }
    match value.trim() {
        "" => Ok(variant),
        value => Json::parse_strict(value)
            .map(|value| variant.value(value))
            .map_err(|error| format!("the value is not JSON, such as \"text\", 7, true or {{}}: {error}")),
    }
}

/// Where the quote ends that begins before this text.
fn end_of_quote(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.char_indices().find_map(|(at, letter)| {
        let ends = letter == '"' && !is_escaped;
        is_escaped = letter == '\\' && !is_escaped;
        ends.then_some(at)
    })
}

pub(super) fn read_prerequisite(line: &str) -> Result<Prerequisite, String> {
    Ok(match line.rsplit_once(" = ") {
        Some((flag, variant)) => Prerequisite::new(flag.trim()).with_variant(variant.trim()),
        None => Prerequisite::new(line),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_lines() {
        for line in [
            "on",
            "[rest] off",
            r#"plan = "pro": 25% by user_id"#,
            r#"[a: b] at < date 2026-12-01T09:00Z and address in network fd00::/8: variant red"#,
            r#"name = "x: on": off"#,
        ] {
            let read = read_rule(line).unwrap();
            assert_eq!(read_rule(&rule(&read)), Ok(read), "{line}");
        }
        assert_eq!(rule(&read_rule("[ a ]plan = pro : on for 5% by id").unwrap()), r#"[a] plan = "pro": 5% by id"#);
        for (line, wrong) in [
            ("plan = pro", "after a colon"),
            ("plan ~ pro: on", "at “~”: "),
            ("plan =: on", "at the end of the condition"),
            ("plan = pro: 25", "is nothing that a rule serves"),
            ("plan = pro: 125% by id", "between 0% and 100%"),
        ] {
            let message = read_rule(line).unwrap_err();
            assert!(message.contains(wrong), "{line}: {message}");
        }
    }

    #[test]
    fn variants_are_lines() {
        for line in [r##"red 50% "#f00""##, r#"a 33.333% {"b": [1, 2.5]}"#, r#""a \"b" 0.001% null"#, "x 100% 5.0"] {
            assert_eq!(variant(&read_variant(line).unwrap()), line);
        }
        assert_eq!(variant(&read_variant("red 50%").unwrap()), r#"red 50% "red""#);
        for line in ["red", "red 50", "red x%", "red 101%", "red 1.0001%", "red 50% x", "\"red 50%"] {
            assert!(read_variant(line).is_err(), "{line}");
        }
    }

    #[test]
    fn what_was_there_stays() {
        let odd = Rule { name: Some("a]\u{2028}".to_owned()), ..Rule::new(Serve::On) };
        let before = [odd.clone(), Rule::new(Serve::Off)];
        let text = all(&before, rule);
        let read = read("rules", &format!("{text}\n\n plan = pro: on"), &before, rule, read_rule).unwrap();
        assert_eq!((read.len(), &read[0]), (3, &odd));
    }
}
