//! Clauses and segments of LaunchDarkly.

use std::collections::HashMap;

use flipper::evaluation::Operator;
use flipper::json::Json;
use flipper::targeting::{Place, Test, When};

use super::cond::{Cond, opposite};
use super::launchdarkly::USER;
use super::pattern::{self, Pattern};
use super::values::{date_of_millis, full_version, is_scalar, is_true, items, only, text};
use super::{Said, unsaid};

/// The attributes of a user as they are, those of another kind after its name; the parts of a path are joined by points.
pub(super) fn attribute(kind: Option<&str>, name: &str) -> Said<String> {
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

/// How deep segments name each other.
const DEEPEST: usize = 64;

/// Whether the segment holds for the same callers here, whatever their attributes are. Conditions hold for no list, and negated ones for no other
/// type, so a flag for those outside of it would be on for more callers than there.
/// `known`: the answers so far, since many segments may name the same.
fn is_exact<'a>(all: &'a Json, name: &'a str, depth: usize, known: &mut HashMap<&'a str, bool>) -> bool {
    if let Some(known) = known.get(name) {
        return *known;
    }
    // Also the answer within a circle.
    known.insert(name, false);
    let Some(segment) = all.get("segments").and_then(|segments| segments.get(name)) else { return false };
    let mut clauses = items(segment, "rules").iter().flat_map(|rule| items(rule, "clauses"));
    let mut names = |clause: &'a Json| {
        let mut names = items(clause, "values").iter().filter_map(Json::as_str);
        names.all(|name| is_exact(all, name, depth + 1, known))
    };
    let is_exact = depth < DEEPEST && clauses.all(|clause| text(clause, "op") == Some("segmentMatch") && names(clause));
    known.insert(name, is_exact);
    is_exact
}

/// A caller without the attribute fails a clause, also a negated one. `all`: the file.
pub(super) fn clause(json: &Json, all: &Json) -> Said<Cond> {
    let operator = text(json, "op").unwrap_or_default();
    let what = format!("clause {operator}");
    let negate = is_true(json, "negate");
    let values = items(json, "values");
    if operator == "segmentMatch" {
        let segments = || values.iter().filter_map(Json::as_str);
        if let Some(name) = segments().find(|name| negate && !is_exact(all, name, 0, &mut HashMap::new())) {
            let why =
                "it is negated, and the segment's conditions hold for fewer callers here, such as none with a list";
            return unsaid(format!("clause segmentMatch {name:?}"), why);
        }
        let any = Cond::any(segments().map(|name| Cond::When(When::Segment(name.to_owned()))));
        return Ok(if negate { any.not() } else { any });
    }
    let attribute = attribute(text(json, "contextKind"), text(json, "attribute").unwrap_or_default())?;
    let texts = || values.iter().filter_map(Json::as_str).map(str::to_owned).collect::<Vec<_>>();
    let place = |place| {
        let holds = Cond::text(&attribute, place, texts(), false);
        Ok(if negate { Cond::exists(&attribute).and(holds.not_for_text(&attribute)) } else { holds })
    };
    // Of several values one must do; negated, none may.
    let ordered =
        |tests: Vec<Cond>| if negate { Cond::all(tests).and(Cond::exists(&attribute)) } else { Cond::any(tests) };
    let turned = |compare: Operator| if negate { opposite(compare) } else { compare };
    match operator {
        "in" if values.iter().all(is_scalar) => {
            let holds = Cond::one_of(&attribute, values.to_vec());
            Ok(if negate { of_their_types(&attribute, values).and(holds.not()) } else { holds })
        }
        "in" => unsaid(what, "a value is no text, number or boolean"),
        "startsWith" => place(Place::Start),
        "endsWith" => place(Place::End),
        "contains" => place(Place::Anywhere),
        "matches" => {
            let patterns: Result<Vec<_>, _> = texts().iter().map(|text| Pattern::of(text, false)).collect();
            let holds = patterns.and_then(|patterns| pattern::matches(&attribute, patterns, negate));
            holds.or_else(|why| unsaid(what, why))
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

/// Of the type of one of these values: there a list has equal elements.
fn of_their_types(attribute: &str, values: &[Json]) -> Cond {
    let has = |is: fn(&Json) -> bool| values.iter().any(is);
    let text = has(|value| matches!(value, Json::String(_))).then(|| Cond::is_text(attribute));
    let number = has(|value| matches!(value, Json::Number(_)))
        .then(|| Cond::any([Operator::Lt, Operator::Gte].map(|than| Cond::compare(attribute, than, 0))));
    let boolean = has(|value| matches!(value, Json::Bool(_)))
        .then(|| Cond::one_of(attribute, vec![Json::from(true), Json::from(false)]));
    match values {
        [] => Cond::exists(attribute),
        _ => Cond::any([text, number, boolean].into_iter().flatten()),
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

/// All that a segment may have. The second half does not decide.
const FIELDS: [&str; 14] = [
    "included",
    "excluded",
    "includedContexts",
    "excludedContexts",
    "rules",
    "deleted",
    "unbounded",
    "unboundedContextKind",
    "key",
    "name",
    "description",
    "version",
    "generation",
    "salt",
];

/// Included, or neither excluded nor without a rule that holds.
pub(super) fn segment_of(json: &Json, all: &Json) -> Said<Cond> {
    only(json, &FIELDS)?;
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
        let clauses: Said<Vec<_>> = items(rule, "clauses").iter().map(|json| clause(json, all)).collect();
        rules.push(Cond::all(clauses?));
    }
    let excluded = keys("excluded", "excludedContexts")?;
    Ok(Cond::any([keys("included", "includedContexts")?, excluded.not().and(Cond::any(rules))]))
}
