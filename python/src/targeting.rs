//! Rules, variants, prerequisites, schedules and segments: checks and changes that are made here alone.

use std::time::SystemTime;

use flipper::blocking;
use flipper::context::Value;
use flipper::evaluation::{Evaluation, ParseConditionError, Reason};
use flipper::json::{Json, Object};
use flipper::targeting::{Prerequisite, Rule, Schedule, Variants, When, segment_of};
use flipper::{Context, Error, ErrorKind, FeatureFlagClient, FlagRecord, MemoryFeatureFlagStore, Result};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString};

use crate::errors::OrRaise;
use crate::flags::Flags;
use crate::history::Cause;
use crate::objects::is_kept;

/// Whether the flag is on, the reason's code and its text, the attributes that are not given, the caller's score, the variant's name and its
/// value as JSON, and whether a rule's share of callers decided.
type Answer = (bool, &'static str, String, Vec<String>, Option<f64>, Option<(String, String)>, bool);

/// The stored name and text of a flag that another depends on.
type Text = (String, String);

/// The answer of a flag in memory, with the reason.
#[pyfunction]
pub(crate) fn evaluate(flags: &Flags, name: &str, attributes: &Bound<'_, PyDict>) -> PyResult<Option<Answer>> {
    let context = context(attributes)?;
    Ok(flags.read().map(|client| answer(client.evaluate(name, &context))))
}

/// The same for a flag that a store in Python has, and those that it depends on.
#[pyfunction]
pub(crate) fn evaluate_text(name: &str, texts: Vec<Text>, attributes: &Bound<'_, PyDict>) -> PyResult<Answer> {
    let context = context(attributes)?;
    Ok(answer(holding(texts).evaluate(name, &context)))
}

/// The reason's code, and the variant's value as JSON.
#[pyfunction]
pub(crate) fn variant(
    flags: &Flags,
    name: &str,
    attributes: &Bound<'_, PyDict>,
) -> PyResult<Option<(&'static str, Option<String>)>> {
    let context = context(attributes)?;
    let read = |evaluation: &Evaluation, _: Option<&FlagRecord>| {
        let value = evaluation.variant.as_ref().map(|chosen| chosen.value().to_string());
        (evaluation.reason.code(), value)
    };
    Ok(flags.read().map(|client| client.explain(name, &context, read)))
}

/// Replaces a part of the flag: `rules`, `variants`, `prerequisites` or `schedule`, as JSON.
#[pyfunction]
#[pyo3(signature = (flags, name, part, value, cause = None))]
pub(crate) fn set_part(
    py: Python<'_>,
    flags: &Flags,
    name: &str,
    part: &str,
    value: &str,
    cause: Option<&Cause>,
) -> PyResult<()> {
    let part = Part::read(part, value).or_raise(py)?;
    let client = flags.writer(py, cause)?;
    flags.write_again(py, || part.set(&client, name))
}

/// The flag's text with another part, for a store in Python.
#[pyfunction]
pub(crate) fn with_part(py: Python<'_>, name: &str, texts: Vec<Text>, part: &str, value: &str) -> PyResult<String> {
    let part = Part::read(part, value).or_raise(py)?;
    let client = holding(texts);
    part.set(&client, name).or_raise(py)?;
    Ok(client.record(name).or_raise(py)?.to_json())
}

/// A part as it is stored: what may be given as text is read. For what must be known before the flag is.
#[pyfunction]
pub(crate) fn stored_part(py: Python<'_>, part: &str, value: &str) -> PyResult<String> {
    let mut record = FlagRecord::new("", 0);
    Part::read(part, value).or_raise(py)?.apply(&mut record);
    Ok(record.meta().get(part).unwrap_or(&Json::Null).to_string())
}

/// The flag's text after it was turned on or off now.
#[pyfunction]
pub(crate) fn switched(py: Python<'_>, text: &str, on: bool) -> PyResult<String> {
    let mut record = FlagRecord::from_json(text).or_raise(py)?;
    record.switch(on, now());
    Ok(record.to_json())
}

/// Turns the flag on or off now.
#[pyfunction]
#[pyo3(signature = (flags, name, on, cause = None))]
pub(crate) fn switch(py: Python<'_>, flags: &Flags, name: &str, on: bool, cause: Option<&Cause>) -> PyResult<()> {
    let client = flags.writer(py, cause)?;
    flags.write_again(py, || if on { client.enable(name) } else { client.disable(name) })
}

/// The segments, ordered by name, as JSON.
#[pyfunction]
pub(crate) fn segments(flags: &Flags) -> Vec<Text> {
    let segments = flags.read().map(|client| client.segments()).unwrap_or_default();
    segments.into_iter().map(|(name, when)| (name, when.to_json().to_string())).collect()
}

/// Creates or replaces a segment.
#[pyfunction]
#[pyo3(signature = (flags, segment, value, cause = None))]
pub(crate) fn set_segment(
    py: Python<'_>,
    flags: &Flags,
    segment: &str,
    value: &str,
    cause: Option<&Cause>,
) -> PyResult<()> {
    let when = when(value).or_raise(py)?;
    let client = flags.writer(py, cause)?;
    flags.write_again(py, || client.set_segment(segment, when.clone()))
}

/// Deletes a segment.
#[pyfunction]
#[pyo3(signature = (flags, segment, cause = None))]
pub(crate) fn delete_segment(py: Python<'_>, flags: &Flags, segment: &str, cause: Option<&Cause>) -> PyResult<()> {
    let client = flags.writer(py, cause)?;
    flags.write_again(py, || client.delete_segment(segment))
}

fn now() -> i64 {
    let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}

fn answer(evaluation: Evaluation) -> Answer {
    let (code, explanation, variant) = (evaluation.reason.code(), evaluation.reason.to_string(), chosen(&evaluation));
    let (score, is_share) = match &evaluation.reason {
        Reason::Rule { share: Some(share), .. } => (share.score, true),
        // Of the steps of a schedule.
        Reason::Bucket { score, .. } => (Some(*score), false),
        _ => (evaluation.bucket.map(|bucket| bucket.score), false),
    };
    (evaluation.is_enabled, code, explanation, evaluation.not_given, score, variant, is_share)
}

fn chosen(evaluation: &Evaluation) -> Option<(String, String)> {
    let chosen = evaluation.variant.as_ref()?;
    Some((chosen.name().to_owned(), chosen.value().to_string()))
}

/// A client of these flags alone.
fn holding(texts: Vec<Text>) -> blocking::FeatureFlagClient {
    let store = MemoryFeatureFlagStore::new().without_history();
    for (name, text) in texts {
        store.put_text(&name, text);
    }
    FeatureFlagClient::new(store).into()
}

/// The values as rules see them: those that JSON cannot hold are null, and no rule holds for them.
fn context(attributes: &Bound<'_, PyDict>) -> PyResult<Context> {
    let mut context = Context::new();
    for (name, value) in attributes {
        // No rule names what is no text in UTF-8.
        let Ok(name) = name.extract::<String>() else { continue };
        if value.is_none() {
            context.insert(name, Value::Null);
        } else if let Ok(value) = value.cast::<PyBool>() {
            context.insert(name, value.is_true());
        } else if let Some(text) = value.cast::<PyString>().ok().and_then(|text| text.to_cow().ok()) {
            context.insert(name, &*text);
        } else if let Some(number) = value.cast::<PyInt>().ok().and_then(|number| number.extract::<i64>().ok()) {
            context.insert(name, number);
        } else if let Ok(number) = value.cast::<PyFloat>() {
            context.insert(name, number.value());
        } else {
            let text: String = plain(&value)?;
            context.insert(name, &Json::parse(&text).unwrap_or(Json::Null));
        }
    }
    Ok(context)
}

/// As JSON; times are texts.
fn plain(value: &Bound<'_, PyAny>) -> PyResult<String> {
    let py = value.py();
    py.import(intern!(py, "flipper.contrib.storage.limits"))?.call_method1(intern!(py, "json_of"), (value,))?.extract()
}

fn when(value: &str) -> Result<When> {
    match Json::parse(value)? {
        Json::String(text) => parsed(&text),
        json => When::from_json(&json).map_err(given),
    }
}

fn parsed(text: &str) -> Result<When> {
    text.parse()
        .map_err(|error: ParseConditionError| Error::new(ErrorKind::InvalidInput).with_message(error.to_string()))
}

/// What is given is no flag that is corrupt.
fn given(error: Error) -> Error {
    Error::new(ErrorKind::InvalidInput).with_message(error.chain())
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidInput).with_message(message.to_owned())
}

/// What may be set.
enum Part {
    Rules(Vec<Rule>),
    Variants(Option<Variants>),
    Prerequisites(Vec<Prerequisite>),
    Schedule(Option<Schedule>),
    /// Of a record that is no flag.
    Segment(When),
}

impl Part {
    fn read(part: &str, value: &str) -> Result<Self> {
        let json = Json::parse(value)?;
        let items = |what: &str| json.as_array().ok_or_else(|| invalid(what));
        Ok(match part {
            "rules" => Self::Rules(items("rules are a list")?.iter().map(rule).collect::<Result<_>>()?),
            "prerequisites" => {
                Self::Prerequisites(items("prerequisites are a list")?.iter().map(prerequisite).collect::<Result<_>>()?)
            }
            "variants" if json.is_null() => Self::Variants(None),
            "variants" => Self::Variants(Some(Variants::from_json(&json).map_err(given)?)),
            "schedule" if json.is_null() => Self::Schedule(None),
            "schedule" => Self::Schedule(Some(Schedule::from_json(&json).map_err(given)?)),
            "segment" => Self::Segment(when(value)?),
            _ => return Err(invalid("a flag has rules, variants, prerequisites and a schedule")),
        })
    }

    fn apply(self, record: &mut FlagRecord) {
        match self {
            Self::Rules(rules) => record.set_rules(rules),
            Self::Variants(variants) => record.set_variants(variants),
            Self::Prerequisites(prerequisites) => record.set_prerequisites(prerequisites),
            Self::Schedule(schedule) => record.set_schedule(schedule),
            Self::Segment(when) => record.set_segment(Some(when)),
        }
    }

    fn set(&self, client: &blocking::FeatureFlagClient, name: &str) -> Result<()> {
        match self {
            Self::Rules(rules) => client.set_rules(name, rules.clone()),
            Self::Variants(variants) => client.set_variants(name, variants.clone()),
            Self::Prerequisites(prerequisites) => client.set_prerequisites(name, prerequisites.clone()),
            Self::Schedule(schedule) => {
                let has_steps = schedule.as_ref().is_some_and(|schedule| !schedule.steps.is_empty());
                if has_steps && client.record(name).is_ok_and(|record| is_kept(&record)) {
                    // Steps are instead of a bucketer, and where there are conditions, those alone decide.
                    return Err(invalid("a flag whose conditions or bucketer are objects of Python has no steps"));
                }
                client.set_schedule(name, schedule.clone())
            }
            Self::Segment(when) => client.set_segment(segment_of(name).unwrap_or_default(), when.clone()),
        }
    }
}

/// Its `when` may be text.
fn rule(json: &Json) -> Result<Rule> {
    let Some(fields) = json.as_object() else { return Err(invalid("a rule is a dict")) };
    let mut fields: Object = fields.clone();
    if let Some(text) = json.get("when").and_then(Json::as_str) {
        fields.insert("when", parsed(text)?.to_json());
    }
    Rule::from_json(&Json::Object(fields)).map_err(given)
}

/// The name of a flag, or the stored form.
fn prerequisite(json: &Json) -> Result<Prerequisite> {
    let wrong = || invalid("a prerequisite is a flag's name, or a dict with \"flag\", and perhaps \"variant\"");
    if let Some(flag) = json.as_str() {
        return Ok(Prerequisite::new(flag));
    }
    let fields = json.as_object().filter(|fields| fields.keys().all(|key| ["flag", "variant"].contains(&key)));
    let flag = fields.and_then(|fields| fields.get("flag")?.as_str()).ok_or_else(wrong)?;
    let prerequisite = Prerequisite::new(flag);
    match json.get("variant").filter(|variant| !variant.is_null()) {
        Some(variant) => Ok(prerequisite.with_variant(variant.as_str().ok_or_else(wrong)?)),
        None => Ok(prerequisite),
    }
}
