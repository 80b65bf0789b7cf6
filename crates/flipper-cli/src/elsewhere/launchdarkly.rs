//! Flag data of LaunchDarkly's SDKs, and files for their file data source.

use flipper::json::Json;
use flipper::targeting::{Prerequisite, When};

use super::cond::Cond;
use super::first::{Arm, Flag, Outcome};
use super::launchdarkly_clause::{attribute, clause, segment_of};
use super::values::{fields, is_true, items, number, only, text};
use super::{Found, Said, unsaid};
use crate::text::quoted;

/// The kind whose attributes have no prefix here.
pub(super) const USER: &str = "user";

pub(super) fn read(json: &Json, now: i64) -> Result<Found, String> {
    let json = json.get("data").filter(|data| data.as_object().is_some()).unwrap_or(json);
    if !["flags", "flagValues", "segments"].iter().any(|key| json.get(key).and_then(Json::as_object).is_some()) {
        return Err("it has none of the objects \"flags\", \"flagValues\" and \"segments\"".to_owned());
    }
    let mut found = Found::default();
    for (name, segment) in fields(json, "segments") {
        let said = segment_of(segment, json).map(|cond| match cond {
            Cond::When(when) => when,
            Cond::Always => When::All(Vec::new()),
            Cond::Never => When::Any(Vec::new()),
        });
        found.segments.push((name.to_owned(), said));
    }
    for (name, flag) in fields(json, "flags") {
        let record = flag_of(json, flag).and_then(|flag| flag.build(name, now));
        found.flags.push((name.to_owned(), record));
    }
    for (name, value) in fields(json, "flagValues") {
        let values = vec![(value_name(value, 0), value.clone())];
        let outcome = Outcome::Value(value_name(value, 0));
        let arms = vec![Arm { name: None, cond: Cond::Always, outcome }];
        let flag = Flag { is_on: true, values, arms, ..Flag::default() };
        found.flags.push((name.to_owned(), flag.build(name, now)));
    }
    Ok(found)
}

/// A variation has no name in this data: its value, if that is a short text or a number, or else its place.
fn value_name(value: &Json, place: usize) -> String {
    let shown = match value {
        Json::String(text) => Some(text.clone()),
        Json::Bool(_) | Json::Number(_) => Some(value.to_string()),
        _ => None,
    };
    let is_name = |text: &String| !text.is_empty() && text.len() <= 60 && !text.chars().any(char::is_control);
    shown.filter(is_name).unwrap_or_else(|| format!("variation-{place}"))
}

fn values_of(flag: &Json) -> Vec<(String, Json)> {
    let mut values: Vec<(String, Json)> = Vec::new();
    for (place, value) in items(flag, "variations").iter().enumerate() {
        let name = value_name(value, place);
        let is_there = values.iter().any(|(known, _)| *known == name);
        values.push((if is_there { format!("variation-{place}") } else { name }, value.clone()));
    }
    values
}

fn value_at(values: &[(String, Json)], json: Option<&Json>, what: &str) -> Said<String> {
    let place = json.and_then(Json::as_i64).and_then(|place| usize::try_from(place).ok());
    match place.and_then(|place| values.get(place)) {
        Some((name, _)) => Ok(name.clone()),
        None => unsaid(what, "it names no variation of the flag"),
    }
}

/// All that a flag may have. The second half is for hashes, people and statistics.
const FIELDS: [&str; 25] = [
    "on",
    "variations",
    "offVariation",
    "targets",
    "contextTargets",
    "rules",
    "fallthrough",
    "prerequisites",
    "deleted",
    "key",
    "name",
    "kind",
    "description",
    "version",
    "salt",
    "sel",
    "tags",
    "trackEvents",
    "trackEventsFallthrough",
    "debugEventsUntilDate",
    "clientSide",
    "clientSideAvailability",
    "samplingRatio",
    "excludeFromSummaries",
    "migration",
];

fn flag_of(all: &Json, json: &Json) -> Said<Flag> {
    only(json, &FIELDS)?;
    if is_true(json, "deleted") {
        return unsaid("the flag", "it is deleted");
    }
    let mut flag = Flag { is_on: is_true(json, "on"), values: values_of(json), ..Flag::default() };
    if let Some(off) = json.get("offVariation").filter(|off| !off.is_null()) {
        flag.off = Some(value_at(&flag.values, Some(off), "offVariation")?);
    }
    for each in items(json, "prerequisites") {
        flag.prerequisites.push(prerequisite(all, each)?);
    }
    for (kind, values, variation) in targets(json) {
        let outcome = Outcome::Value(value_at(&flag.values, variation, "a target")?);
        let keys = values.iter().map(|key| (*key).clone()).collect();
        flag.arms.push(Arm { name: None, cond: Cond::one_of(&attribute(Some(kind), "key")?, keys), outcome });
    }
    for rule in items(json, "rules") {
        let clauses: Said<Vec<_>> = items(rule, "clauses").iter().map(|json| clause(json, all)).collect();
        let outcome = outcome(&flag.values, rule, "a rule")?;
        flag.arms.push(Arm { name: None, cond: Cond::all(clauses?), outcome });
    }
    let none = Json::Null;
    let outcome = match json.get("fallthrough") {
        // Nothing more is served where the flag is off.
        None if !flag.is_on => Outcome::Default,
        fallthrough => outcome(&flag.values, fallthrough.unwrap_or(&none), "fallthrough")?,
    };
    flag.arms.push(Arm { name: None, cond: Cond::Always, outcome });
    // The value of a flag that stays off is the only one that is served.
    if !flag.is_boolean() && matches!(flag.arms.last(), Some(Arm { outcome: Outcome::Default, .. })) {
        flag.arms.pop();
        let outcome = flag.off.clone().map_or(Outcome::Default, Outcome::Value);
        flag.arms.push(Arm { name: None, cond: Cond::Always, outcome });
    }
    Ok(flag)
}

fn prerequisite(all: &Json, json: &Json) -> Said<Prerequisite> {
    let key = text(json, "key").unwrap_or_default();
    let what = format!("its prerequisite {}", quoted(key));
    let Some(other) = all.get("flags").and_then(|flags| flags.get(key)) else {
        return unsaid(what, "the file does not have that flag");
    };
    // There a flag counts as on while what it needs does not hold.
    if !items(other, "prerequisites").is_empty() && other.get("offVariation") == json.get("variation") {
        return unsaid(what, "it must serve what it also serves while it is off, and a prerequisite must be on");
    }
    let values = values_of(other);
    let name = value_at(&values, json.get("variation"), &what)?;
    let is_boolean = values.iter().all(|(_, value)| matches!(value, Json::Bool(_)));
    match values.iter().find(|(known, _)| *known == name).map(|(_, value)| value) {
        Some(Json::Bool(true)) if is_boolean => Ok(Prerequisite::new(key)),
        Some(_) if is_boolean => unsaid(what, "it must serve false, and a prerequisite must be on"),
        _ => Ok(Prerequisite::new(key).with_variant(name)),
    }
}

type Target<'a> = (&'a str, Vec<&'a Json>, Option<&'a Json>);

/// Kind, keys and variation, in the order in which they are asked.
fn targets(json: &Json) -> Vec<Target<'_>> {
    let of = |target: &'_ Json| -> bool { target.as_object().is_some() };
    let keys = |target: &'_ Json| -> usize { items(target, "values").len() };
    let users: Vec<&Json> = items(json, "targets").iter().filter(|each| of(each)).collect();
    let by_kind: Vec<&Json> = items(json, "contextTargets").iter().filter(|each| of(each)).collect();
    let kind = |target: &&Json| -> bool { matches!(text(target, "contextKind"), None | Some("" | USER)) };
    if by_kind.is_empty() {
        return users
            .iter()
            .map(|each| (USER, items(each, "values").iter().collect(), each.get("variation")))
            .collect();
    }
    let mut all: Vec<Target<'_>> = Vec::new();
    for target in &by_kind {
        let variation = target.get("variation");
        if kind(target) && keys(target) == 0 {
            // The keys of users are in the older list.
            let same = users.iter().find(|each| each.get("variation") == variation);
            all.extend(same.map(|each| (USER, items(each, "values").iter().collect(), variation)));
        } else {
            let kind = text(target, "contextKind").filter(|kind| !kind.is_empty()).unwrap_or(USER);
            all.push((kind, items(target, "values").iter().collect(), variation));
        }
    }
    all
}

fn outcome(values: &[(String, Json)], json: &Json, what: &str) -> Said<Outcome> {
    let Some(rollout) = json.get("rollout").filter(|rollout| !rollout.is_null()) else {
        return value_at(values, json.get("variation"), what).map(Outcome::Value);
    };
    let mut weights: Vec<(String, f64)> = Vec::new();
    for each in items(rollout, "variations") {
        let name = value_at(values, each.get("variation"), "a rollout")?;
        let weight = each.get("weight").and_then(number).filter(|weight| *weight >= 0.0);
        let Some(weight) = weight else { return unsaid("a rollout", "a weight is no number") };
        match weights.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known += weight,
            None => weights.push((name, weight)),
        }
    }
    let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
    // Callers beyond the last weight get the last variation.
    match weights.last_mut() {
        Some((_, weight)) if sum <= 100_000.0 => *weight += 100_000.0 - sum,
        _ => return unsaid("a rollout", "it has no variations, or weights of more than 100,000"),
    }
    let is_experiment = text(rollout, "kind") == Some("experiment");
    let by = text(rollout, "bucketBy").filter(|by| !by.is_empty() && !is_experiment).unwrap_or("key");
    let kind = text(rollout, "contextKind");
    let by = attribute(kind, by)?;
    Ok(Outcome::Split { weights, by })
}
