//! A flag as the fields of a form, and back.

use std::collections::HashMap;

use flipper::evaluation::ParseConditionError;
use flipper::json::{Json, Object};
use flipper::{Condition, FlagRecord};

use super::form::Form;
use super::rollout::{self, Rollout};
use super::targeting::Targeting;
use crate::problem::Problem;

/// What is wrong with a field.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) field: &'static str,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}

/// All that the form of a flag has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) rollout: Rollout,
    /// One a line.
    pub(super) conditions: String,
    /// One a line.
    pub(super) deny: String,
    pub(super) is_strict: bool,
    /// JSON.
    pub(super) data: String,
    /// `None`: the form has no fields for it, and changes nothing of it.
    pub(super) targeting: Option<Targeting>,
}

impl Draft {
    pub(super) fn of(record: &FlagRecord) -> Self {
        Self {
            rollout: Rollout::of(record.bucketer()),
            conditions: lines(record.conditions()),
            deny: lines(record.deny_conditions()),
            is_strict: record.is_strict(),
            data: pretty(record.client_data()),
            targeting: Some(Targeting::of(record)),
        }
    }

    /// A form that ended early would remove what it does not have.
    pub(super) fn read_whole(form: &Form) -> Result<Self, Problem> {
        match [rollout::FIELD, "conditions", "deny", "data"].into_iter().find(|field| !form.has(field)) {
            None => Targeting::must_be_whole(form).map(|()| Self::read(form)),
            Some(field) => Err(Problem::bad_request(format!("the form has no field {field:?}"))),
        }
    }

    /// Also a form that has no fields that its viewer may not change.
    pub(super) fn read(form: &Form) -> Self {
        // Forms have the line ends of the early internet.
        let text = |name: &str| form.text(name).replace("\r\n", "\n");
        Self {
            rollout: Rollout::read(form),
            conditions: text("conditions"),
            deny: text("deny"),
            is_strict: form.has("strict"),
            data: text("data"),
            targeting: Targeting::read(form),
        }
    }

    /// Changes what differs from the record's own draft, and nothing else.
    pub(super) fn apply(&self, record: &mut FlagRecord) -> Result<(), Vec<Fault>> {
        let (was, mut faults) = (Self::of(record), Vec::new());
        match self.rollout.bucketer(record.bucketer()) {
            Ok(bucketer) if self.rollout != was.rollout => record.set_bucketer(bucketer),
            Ok(_) => {}
            Err(fault) => faults.push(fault),
        }
        if self.conditions.trim() != was.conditions {
            match read_lines("conditions", &self.conditions, record.conditions()) {
                Ok(conditions) => record.set_conditions(conditions),
                Err(fault) => faults.push(fault),
            }
        }
        if self.deny.trim() != was.deny {
            match read_lines("deny", &self.deny, record.deny_conditions()) {
                Ok(conditions) => record.set_deny_conditions(conditions),
                Err(fault) => faults.push(fault),
            }
        }
        if self.is_strict != was.is_strict {
            record.set_strict(self.is_strict);
        }
        if self.data.trim() != was.data {
            match read_data(&self.data) {
                Ok(data) => record.set_client_data(data),
                Err(fault) => faults.push(fault),
            }
        }
        if let Some(targeting) = &self.targeting {
            targeting.apply(record, &mut faults);
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// Fields and keys of the client data that `mine` changed since `base`, and else those of `theirs`.
    pub(super) fn merged(base: &FlagRecord, mine: &Self, theirs: &FlagRecord) -> Merged {
        let mut is_clash = false;
        let data = merged_data(base.client_data(), &mine.data, theirs.client_data(), &mut is_clash);
        let (base, theirs) = (Self::of(base), Self::of(theirs));
        let conditions = pick(&*base.conditions, mine.conditions.trim(), &*theirs.conditions, &mut is_clash);
        let deny = pick(&*base.deny, mine.deny.trim(), &*theirs.deny, &mut is_clash);
        let rollout = pick(&base.rollout, &mine.rollout, &theirs.rollout, &mut is_clash);
        let targeting = match (&base.targeting, &mine.targeting, &theirs.targeting) {
            (Some(base), Some(mine), Some(theirs)) => Some(Targeting::merged(base, mine, theirs, &mut is_clash)),
            (_, _, theirs) => theirs.clone(),
        };
        let is_strict = *pick(&base.is_strict, &mine.is_strict, &theirs.is_strict, &mut is_clash);
        let draft = Self {
            rollout: rollout.clone(),
            conditions: conditions.to_owned(),
            deny: deny.to_owned(),
            is_strict,
            data,
            targeting,
        };
        Merged { draft, is_clash }
    }
}

/// Two changes of one flag in one form.
pub(super) struct Merged {
    pub(super) draft: Draft,
    /// Both changed the same, and the form has that of one alone.
    pub(super) is_clash: bool,
}

pub(super) fn pick<'a, T: PartialEq + ?Sized>(base: &T, mine: &'a T, theirs: &'a T, is_clash: &mut bool) -> &'a T {
    *is_clash |= mine != base && theirs != base && mine != theirs;
    if mine == base { theirs } else { mine }
}

/// What cannot be read stays as it was typed.
fn merged_data(base: &Json, typed: &str, theirs: &Json, is_clash: &mut bool) -> String {
    let typed = typed.trim();
    let (was, are) = (pretty(base), pretty(theirs));
    if typed == was || typed == are || was == are {
        return pick(&*was, typed, &*are, is_clash).to_owned();
    }
    let (Ok(mine), Some(base), Some(theirs)) = (read_data(typed), base.as_object(), theirs.as_object()) else {
        *is_clash = true;
        return typed.to_owned();
    };
    let mut merged = Object::new();
    for key in theirs.keys().chain(mine.keys().filter(|key| !theirs.contains_key(key))) {
        if let Some(value) = pick(&base.get(key), &mine.get(key), &theirs.get(key), is_clash) {
            merged.insert(key, Json::clone(value));
        }
    }
    pretty(&Json::Object(merged))
}

fn lines(conditions: &[Condition]) -> String {
    conditions.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// A line that is there already stays what it is: not all that can be stored has a text that parses.
fn read_lines(field: &'static str, text: &str, before: &[Condition]) -> Result<Vec<Condition>, Fault> {
    let before: HashMap<String, &Condition> = before.iter().map(|each| (each.to_string(), each)).collect();
    let mut conditions = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        if let Some(same) = before.get(line) {
            conditions.push(Condition::clone(same));
            continue;
        }
        let wrong = |error: ParseConditionError| {
            let place = match &line[error.span()] {
                "" => "at the end".to_owned(),
                part => format!("at “{part}”"),
            };
            Fault::new(field, format!("line {}, {place}: {}", number + 1, error.message()))
        };
        conditions.push(line.parse().map_err(wrong)?);
    }
    Ok(conditions)
}

fn read_data(text: &str) -> Result<Object, Fault> {
    if text.trim().is_empty() {
        return Ok(Object::new());
    }
    match Json::parse_strict(text) {
        Ok(Json::Object(data)) => Ok(data),
        Ok(other) => Err(Fault::new(
            "data",
            format!("it is {}, and must be an object: {{…}}", flipper::__words::json_type(&other)),
        )),
        Err(error) => Err(Fault::new("data", error.to_string())),
    }
}

/// JSON over several lines, with letters beyond ASCII as they are.
pub(super) fn pretty(json: &Json) -> String {
    let mut text = String::new();
    write(json, 0, &mut text);
    text
}

fn write(json: &Json, depth: usize, out: &mut String) {
    match json {
        Json::Object(object) if !object.is_empty() => {
            out.push('{');
            for (index, (key, value)) in object.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                new_line(depth + 1, out);
                string(key, out);
                out.push_str(": ");
                write(value, depth + 1, out);
            }
            new_line(depth, out);
            out.push('}');
        }
        Json::Array(items) if items.iter().any(|item| matches!(item, Json::Array(_) | Json::Object(_))) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                new_line(depth + 1, out);
                write(item, depth + 1, out);
            }
            new_line(depth, out);
            out.push(']');
        }
        Json::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                write(item, depth, out);
            }
            out.push(']');
        }
        Json::String(text) => string(text, out),
        other => out.push_str(&other.to_string()),
    }
}

fn new_line(depth: usize, out: &mut String) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

fn string(text: &str, out: &mut String) {
    // Fails for no text.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> FlagRecord {
        let mut record = FlagRecord::new("F", 1);
        record.add_condition(Condition::new().one_of("plan", ["pro"]));
        record.add_condition(Condition::new());
        record.set_client_data(Json::parse(r#"{"é": [1, 2.5], "o": {"a": []}}"#).unwrap().as_object().unwrap().clone());
        record
    }

    #[test]
    fn an_unchanged_form_changes_nothing() {
        let before = record();
        let draft = Draft::of(&before);
        assert_eq!(draft.conditions, "plan in [\"pro\"]\nalways");
        assert_eq!(draft.data, "{\n  \"é\": [1, 2.5],\n  \"o\": {\n    \"a\": []\n  }\n}");
        let mut after = before.clone();
        draft.apply(&mut after).unwrap();
        assert_eq!(after.to_json(), before.to_json());
        let lenient =
            r#"{"feature_name": "F", "is_enabled": true, "meta": {"created_date": 1, "strict_conditions": false}}"#;
        let before = FlagRecord::from_json(lenient).unwrap();
        let mut after = before.clone();
        Draft::of(&before).apply(&mut after).unwrap();
        assert_eq!(after.to_json(), before.to_json());
    }

    #[test]
    fn lines_that_were_there_stay() {
        let mut after = record();
        let draft = Draft { conditions: "\nalways\n horses > 9\n".to_owned(), ..Draft::of(&after) };
        draft.apply(&mut after).unwrap();
        assert_eq!(after.conditions(), [Condition::new(), Condition::new().gt("horses", 9)]);
    }

    #[test]
    fn faults_are_all_shown() {
        let mut after = record();
        let draft = Draft {
            conditions: "a = 1\nhorses ~ 3".to_owned(),
            deny: "x".to_owned(),
            data: "[]".to_owned(),
            ..Draft::of(&after)
        };
        let faults = draft.apply(&mut after).unwrap_err();
        let shown: Vec<_> = faults.iter().map(|fault| (fault.field, &*fault.message)).collect();
        assert!(
            shown[0].0 == "conditions" && shown[0].1.starts_with("line 2, at “~”: expected an operator"),
            "{shown:?}"
        );
        assert!(shown[1].0 == "deny" && shown[1].1.starts_with("line 1, at the end: "), "{shown:?}");
        assert_eq!(shown[2], ("data", "it is an array, and must be an object: {…}"));
    }

    fn with(change: impl FnOnce(&mut FlagRecord)) -> FlagRecord {
        let mut record = record();
        change(&mut record);
        record
    }

    fn data(text: &str) -> Object {
        Json::parse(text).unwrap().as_object().unwrap().clone()
    }

    #[test]
    fn both_sides_are_merged_by_field() {
        let mine = Draft { conditions: "a = 1".to_owned(), is_strict: true, ..Draft::of(&record()) };
        let theirs = with(|theirs| theirs.set_client_data(Object::new()));
        let merged = Draft::merged(&record(), &mine, &theirs);
        assert_eq!((&*merged.draft.conditions, &*merged.draft.data, merged.draft.is_strict), ("a = 1", "{}", true));
        assert!(!merged.is_clash);
        let theirs = with(|theirs| theirs.set_conditions(vec![Condition::new().eq("b", 1)]));
        let merged = Draft::merged(&record(), &mine, &theirs);
        assert!(merged.draft.conditions == "a = 1" && merged.is_clash);
    }

    #[test]
    fn client_data_are_merged_by_key() {
        let base = with(|base| base.set_client_data(data(r#"{"owner": "a", "tags": ["x"], "old": 1}"#)));
        let theirs = with(|theirs| theirs.set_client_data(data(r#"{"owner": "a", "tags": ["x", "y"], "old": 1}"#)));
        let merged = |typed: &str| {
            let merged = Draft::merged(&base, &Draft { data: typed.to_owned(), ..Draft::of(&base) }, &theirs);
            (
                Json::parse(&merged.draft.data).map_or(merged.draft.data.clone(), |json| json.to_string()),
                merged.is_clash,
            )
        };
        let of = |text: &str, is_clash| (text.to_owned(), is_clash);
        assert_eq!(
            merged(r#"{"owner": "b", "tags": [ "x" ], "new": 2}"#),
            of(r#"{"owner": "b", "tags": ["x", "y"], "new": 2}"#, false)
        );
        assert_eq!(merged(r#"{"owner": "a", "tags": []}"#), of(r#"{"owner": "a", "tags": []}"#, true));
        assert_eq!(merged(r#"{"owner": "a", "old": 1}"#), of(r#"{"owner": "a", "old": 1}"#, true));
        assert_eq!(merged("{"), of("{", true));
    }
}
