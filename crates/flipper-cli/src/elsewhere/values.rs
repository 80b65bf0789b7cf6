//! What all readers ask of JSON.

use std::str::FromStr;

use flipper::json::{Json, Number, Object};
use jiff::Timestamp;

use super::{Said, unsaid};

pub(super) fn items<'a>(json: &'a Json, key: &str) -> &'a [Json] {
    json.get(key).and_then(Json::as_array).unwrap_or_default()
}

/// Keys and values of an object.
pub(super) fn fields<'a>(json: &'a Json, key: &str) -> impl Iterator<Item = (&'a str, &'a Json)> + use<'a> {
    json.get(key).and_then(Json::as_object).into_iter().flat_map(Object::iter)
}

pub(super) fn text<'a>(json: &'a Json, key: &str) -> Option<&'a str> {
    json.get(key).and_then(Json::as_str)
}

pub(super) fn is_true(json: &Json, key: &str) -> bool {
    json.get(key).and_then(Json::as_bool).unwrap_or_default()
}

/// A number, also one in a text.
pub(super) fn number(json: &Json) -> Option<f64> {
    let number = match json {
        Json::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    };
    number.filter(|number: &f64| number.is_finite())
}

/// An integer where it is one.
pub(super) fn json_of(number: f64) -> Json {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.trunc() == number && number.abs() < EXACT {
        return Json::from(number as i64);
    }
    Number::from_f64(number).map_or(Json::Null, Json::Number)
}

/// Texts, and for texts that are integers the integers too: for a tool whose attributes are all texts, both are one value.
pub(super) fn with_numbers(texts: impl IntoIterator<Item = String>) -> Vec<Json> {
    let mut values = Vec::new();
    for text in texts {
        let twin = text.parse::<i64>().ok().filter(|number| number.to_string() == text);
        values.push(Json::from(text));
        values.extend(twin.map(Json::from));
    }
    values
}

/// The same for values that must not be given: with more twins, whose texts there depend on the program.
pub(super) fn with_twins(texts: impl IntoIterator<Item = String>) -> Vec<Json> {
    let mut values = Vec::new();
    for text in texts {
        let twin = match &*text {
            "true" | "false" => Some(Json::from(text == "true")),
            text => match text.parse::<i64>() {
                Ok(number) => Some(Json::from(number)),
                Err(_) => number(&Json::from(text)).map(json_of),
            },
        };
        values.push(Json::from(text));
        values.extend(twin.filter(|twin| !twin.is_null()));
    }
    values
}

/// What a copy of it costs, in parts of a condition.
pub(super) fn cost(json: &Json) -> usize {
    match json {
        Json::String(text) => text.len() / 1_000,
        Json::Array(items) => {
            items.len() / 100 + items.iter().filter_map(Json::as_str).map(str::len).sum::<usize>() / 1_000
        }
        _ => 0,
    }
}

/// Only these fields: one that is unknown may decide who gets what.
pub(super) fn only(json: &Json, known: &[&str]) -> Said<()> {
    let mut fields = json.as_object().into_iter().flat_map(Object::iter);
    match fields.find(|(key, value)| !value.is_null() && !known.contains(key)) {
        Some((key, _)) => unsaid(key, "a field that is not known here"),
        None => Ok(()),
    }
}

pub(super) fn is_scalar(json: &Json) -> bool {
    matches!(json, Json::Bool(_) | Json::Number(_) | Json::String(_))
}

/// Percent as a share.
pub(super) fn share(json: &Json, what: &str) -> Said<f64> {
    match number(json).filter(|percent| (0.0..=100.0).contains(percent)) {
        Some(percent) => Ok(percent / 100.0),
        None => unsaid(what, format!("{json} is no percentage from 0 to 100")),
    }
}

/// Seconds since 1970 of RFC 3339, or of a day.
pub(super) fn seconds(text: &str, what: &str) -> Said<i64> {
    let day = || format!("{text}T00:00:00Z").parse::<Timestamp>();
    match Timestamp::from_str(text).or_else(|_| day()) {
        Ok(time) => Ok(time.as_second()),
        Err(_) => unsaid(what, format!("{text:?} is no time with a time zone")),
    }
}

/// RFC 3339 of milliseconds since 1970.
pub(super) fn date_of_millis(millis: f64) -> Option<String> {
    if millis.abs() > 253_402_300_799_000.0 {
        return None;
    }
    Timestamp::from_millisecond(millis as i64).ok().map(|time| time.to_string())
}

/// A version with all three numbers: `v2` and `2.1` are 2.0.0 and 2.1.0 for tools that are not strict.
pub(super) fn full_version(text: &str) -> String {
    let text = text.trim();
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, rest) = text.split_at(end);
    match numbers.matches('.').count() {
        0 => format!("{numbers}.0.0{rest}"),
        1 => format!("{numbers}.0{rest}"),
        _ => text.to_owned(),
    }
}
