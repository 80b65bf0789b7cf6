//! Flag data of LaunchDarkly's SDKs, and files for their file data source.

use flipper::json::Json;
use flipper::targeting::{Place, Prerequisite, Test};

use flipper::evaluation::Operator;

use super::cond::{Cond, opposite};
use super::first::{Arm, Flag, Outcome};
use super::values::{date_of_millis, fields, full_version, is_scalar, is_true, items, number, text};
use super::{Found, Said, unsaid};
use crate::text::quoted;

/// The kind whose attributes have no prefix here.
const USER: &str = "user";

pub(super) fn read(json: &Json, now: i64) -> Result<Found, String> {
    let json = json.get("data").filter(|data| data.as_object().is_some()).unwrap_or(json);
    if !["flags", "flagValues", "segments"].iter().any(|key| json.get(key).and_then(Json::as_object).is_some()) {
        return Err("it has none of the objects \"flags\", \"flagValues\" and \"segments\"".to_owned());
    }
    let mut found = Found::default();
    for (name, segment) in fields(json, "segments") {
        let said = segment_of(segment).map(|cond| match cond {
            Cond::When(when) => when,
            Cond::Always => flipper::targeting::When::All(Vec::new()),
            Cond::Never => flipper::targeting::When::Any(Vec::new()),
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

fn flag_of(all: &Json, json: &Json) -> Said<Flag> {
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
        let clauses: Said<Vec<_>> = items(rule, "clauses").iter().map(clause).collect();
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

/// The attributes of a user as they are, those of another kind after its name; the parts of a path are joined by points.
fn attribute(kind: Option<&str>, name: &str) -> Said<String> {
    if name.is_empty() {
        return unsaid("a clause", "it names no attribute");
    }
    if name == "kind" {
        return unsaid("a clause about the kind of the context", "a context here has no kinds");
    }
    let name = match (kind, name.strip_prefix('/')) {
        (Some(_), Some(path)) => {
            path.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect::<Vec<_>>().join(".")
        }
        _ => name.to_owned(),
    };
    Ok(match kind {
        None | Some("" | USER) => name,
        Some(kind) => format!("{kind}.{name}"),
    })
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

/// A caller without the attribute fails a clause, also a negated one.
fn clause(json: &Json) -> Said<Cond> {
    let operator = text(json, "op").unwrap_or_default();
    let what = format!("clause {operator}");
    let negate = is_true(json, "negate");
    let values = items(json, "values");
    if operator == "segmentMatch" {
        let segments = values.iter().filter_map(Json::as_str);
        let any = Cond::any(segments.map(|name| Cond::When(flipper::targeting::When::Segment(name.to_owned()))));
        return Ok(if negate { any.not() } else { any });
    }
    let attribute = attribute(text(json, "contextKind"), text(json, "attribute").unwrap_or_default())?;
    let given = |cond: Cond| if negate { Cond::exists(&attribute).and(cond.not()) } else { cond };
    let texts = || values.iter().filter_map(Json::as_str).map(str::to_owned).collect::<Vec<_>>();
    let place = |place| Ok(given(Cond::text(&attribute, place, texts(), false)));
    // Of several values one must do; negated, none may.
    let ordered =
        |tests: Vec<Cond>| if negate { Cond::all(tests).and(Cond::exists(&attribute)) } else { Cond::any(tests) };
    let turned = |compare: Operator| if negate { opposite(compare) } else { compare };
    match operator {
        "in" if values.iter().all(is_scalar) => Ok(given(Cond::one_of(&attribute, values.to_vec()))),
        "in" => unsaid(what, "a value is no text, number or boolean"),
        "startsWith" => place(Place::Start),
        "endsWith" => place(Place::End),
        "contains" => place(Place::Anywhere),
        "matches" => {
            let patterns: Result<Vec<_>, _> =
                texts().into_iter().map(|pattern| Cond::checked(&attribute, Test::Matches(pattern))).collect();
            patterns.map(|any| given(Cond::any(any))).or_else(|why| unsaid(what, why))
        }
        "lessThan" | "lessThanOrEqual" | "greaterThan" | "greaterThanOrEqual" => {
            let compare = turned(match operator {
                "lessThan" => Operator::Lt,
                "lessThanOrEqual" => Operator::Lte,
                "greaterThan" => Operator::Gt,
                _ => Operator::Gte,
            });
            let numbers = values.iter().filter(|value| matches!(value, Json::Number(_)));
            Ok(ordered(numbers.map(|value| Cond::compare(&attribute, compare, value.clone())).collect()))
        }
        "before" | "after" => {
            let compare = turned(if operator == "before" { Operator::Lt } else { Operator::Gt });
            let date = |value: &Json| match value {
                Json::Number(number) => number.as_f64().and_then(date_of_millis),
                other => other.as_str().map(str::to_owned),
            };
            checked(&attribute, values.iter().map(date), |date| Test::Date(compare, date))
                .map(ordered)
                .or_else(|why| unsaid(what, why))
        }
        "semVerEqual" | "semVerLessThan" | "semVerGreaterThan" => {
            let compare = turned(match operator {
                "semVerEqual" => Operator::Eq,
                "semVerLessThan" => Operator::Lt,
                _ => Operator::Gt,
            });
            let versions = values.iter().map(|value| value.as_str().map(full_version));
            checked(&attribute, versions, |version| Test::Semver(compare, version))
                .map(ordered)
                .or_else(|why| unsaid(what, why))
        }
        "" => unsaid("a clause", "it has no op"),
        _ => unsaid(what, "the operator is unknown"),
    }
}

fn checked(
    attribute: &str,
    values: impl Iterator<Item = Option<String>>,
    test: impl Fn(String) -> Test,
) -> Result<Vec<Cond>, String> {
    let check = |value: Option<String>| {
        let value = value.ok_or_else(|| "a value is of the wrong type".to_owned())?;
        Cond::checked(attribute, test(value))
    };
    values.map(check).collect()
}

/// Included, or neither excluded nor without a rule that holds.
fn segment_of(json: &Json) -> Said<Cond> {
    if is_true(json, "deleted") {
        return unsaid("the segment", "it is deleted");
    }
    if is_true(json, "unbounded") {
        return unsaid("the segment", "its keys are not in the file, since it is a big segment");
    }
    let keys = |plain: &str, by_kind: &str| -> Said<Cond> {
        let users = Cond::one_of("key", items(json, plain).to_vec());
        let kinds: Said<Vec<_>> = items(json, by_kind)
            .iter()
            .map(|each| Ok(Cond::one_of(&attribute(text(each, "contextKind"), "key")?, items(each, "values").to_vec())))
            .collect();
        Ok(Cond::any(kinds?.into_iter().chain([users])))
    };
    let mut rules = Vec::new();
    for rule in items(json, "rules") {
        if rule.get("weight").is_some_and(|weight| !weight.is_null()) {
            return unsaid("a rule of the segment", "it is for a share of callers, and a segment here has none");
        }
        let clauses: Said<Vec<_>> = items(rule, "clauses").iter().map(clause).collect();
        rules.push(Cond::all(clauses?));
    }
    let excluded = keys("excluded", "excludedContexts")?;
    Ok(Cond::any([keys("included", "includedContexts")?, excluded.not().and(Cond::any(rules))]))
}
