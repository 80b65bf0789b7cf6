//! The export of Flipper in Ruby: a feature is on if any of its gates is.

use flipper::FlagRecord;
use flipper::evaluation::Operator;
use flipper::json::Json;

use super::cond::Cond;
use super::either::{self, Share, Way};
use super::values::{fields, is_scalar, number, only, share, with_numbers};
use super::{Found, Said, unsaid};

/// The attribute of an actor.
const ACTOR: &str = "flipper_id";
/// How deep expressions nest.
const DEEPEST: usize = 30;

pub(super) fn read(json: &Json, now: i64) -> Result<Found, String> {
    if json.get("version").and_then(number) != Some(1.0) {
        return Err("its \"version\" is not 1".to_owned());
    }
    if json.get("features").and_then(Json::as_object).is_none() {
        return Err("it has no object \"features\"".to_owned());
    }
    let mut found = Found::default();
    for (name, gates) in fields(json, "features") {
        let record = ways(gates).and_then(|ways| {
            let mut record = FlagRecord::new(name, now);
            // Without gates there is nothing to turn on.
            record.set_enabled(!ways.is_empty());
            either::build(&mut record, ways)?;
            if !record.is_enabled() {
                record.set_rules(Vec::new());
            }
            Ok(record)
        });
        found.flags.push((name.to_owned(), record));
    }
    Ok(found)
}

const GATES: [&str; 6] = ["boolean", "groups", "actors", "percentage_of_actors", "percentage_of_time", "expression"];

fn ways(gates: &Json) -> Said<Vec<Way>> {
    only(gates, &GATES)?;
    // As its Typecast reads what an adapter has.
    let is_true = |json: &Json| json.as_bool() == Some(true) || matches!(json.as_str(), Some("true" | "1"));
    let all = || Way { cond: Cond::Always, share: Share::All, variants: None };
    if gates.get("boolean").is_some_and(is_true) {
        return Ok(vec![all()]);
    }
    let percent = |key: &str| match gates.get(key).filter(|value| !value.is_null()) {
        Some(percent) => share(percent, key),
        None => Ok(0.0),
    };
    let of_actors = percent("percentage_of_actors")?;
    let of_time = percent("percentage_of_time")?;
    // Only an actor is in a group.
    if let Some(group) = texts(gates, "groups")?.first().filter(|_| of_actors < 1.0 && of_time < 1.0) {
        return unsaid(format!("group {group:?}"), "a group is code in Ruby; a condition of attributes can replace it");
    }
    // There each `flipper_id` is made a text.
    let actors = Cond::one_of(ACTOR, with_numbers(texts(gates, "actors")?));
    let mut ways = vec![Way { cond: actors, ..all() }];
    ways.extend(of_share(of_actors, ACTOR));
    match of_time {
        time if time >= 1.0 => ways.push(all()),
        time => ways.push(Way { share: Share::Random(time), ..all() }),
    }
    if let Some(expression) = gates.get("expression").filter(|value| !value.is_null()) {
        ways.extend(of_expression(expression)?);
    }
    ways.retain(|way| way.cond != Cond::Never && way.share != Share::Random(0.0));
    Ok(ways)
}

fn texts(gates: &Json, key: &str) -> Said<Vec<String>> {
    let text = |json: &Json| json.as_str().map(str::to_owned);
    match gates.get(key).filter(|value| !value.is_null()) {
        None => Ok(Vec::new()),
        Some(value) => match value.as_array().and_then(|items| items.iter().map(text).collect()) {
            Some(texts) => Ok(texts),
            None => unsaid(key, format!("{value} is no list of texts")),
        },
    }
}

/// A caller without the attribute is not an actor, whatever the share.
fn of_share(share: f64, by: &str) -> Option<Way> {
    let part = Share::of(share, "actors", &[by])?;
    let cond = if part == Share::All { Cond::exists(by) } else { Cond::Always };
    Some(Way { cond, share: part, variants: None })
}

fn operation(json: &Json) -> Option<(&str, &[Json])> {
    let (name, arguments) = json.as_object().filter(|fields| fields.len() == 1)?.iter().next()?;
    Some((name, arguments.as_array().unwrap_or(std::slice::from_ref(arguments))))
}

/// A share may stand alone, or in an `All` with conditions, or in an `Any` of such.
fn of_expression(json: &Json) -> Said<Vec<Way>> {
    match operation(json) {
        Some(("Any", parts)) => {
            let ways: Said<Vec<_>> = parts.iter().map(of_expression).collect();
            Ok(ways?.into_iter().flatten().collect())
        }
        Some(("PercentageOfActors", arguments)) => of_actors(arguments).map(|way| way.into_iter().collect()),
        Some(("All", parts)) => {
            let is_share = |part: &&Json| matches!(operation(part), Some(("PercentageOfActors", _)));
            let conds: Said<Vec<_>> = parts.iter().filter(|part| !is_share(part)).map(|part| cond(part, 0)).collect();
            let all = Cond::all(conds?);
            let mut shares = parts.iter().filter(is_share);
            match (shares.next(), shares.next()) {
                (None, _) => Ok(vec![Way { cond: all, share: Share::All, variants: None }]),
                (Some(share), None) => {
                    let way = of_actors(operation(share).map(|(_, arguments)| arguments).unwrap_or_default())?;
                    Ok(way.map(|way| Way { cond: all.and(way.cond), ..way }).into_iter().collect())
                }
                _ => unsaid("expression PercentageOfActors", "there are several in one All"),
            }
        }
        _ => Ok(vec![Way { cond: cond(json, 0)?, share: Share::All, variants: None }]),
    }
}

fn of_actors(arguments: &[Json]) -> Said<Option<Way>> {
    let what = "expression PercentageOfActors";
    match arguments {
        [by, percent] => match property(by) {
            Some(by) => Ok(of_share(share(percent, what)?, by)),
            None => unsaid(what, "it chooses by something other than one property"),
        },
        _ => unsaid(what, "it has not two arguments"),
    }
}

fn property(json: &Json) -> Option<&str> {
    match operation(json) {
        Some(("Property", [name])) => name.as_str().filter(|name| !name.is_empty()),
        _ => None,
    }
}

fn cond(json: &Json, depth: usize) -> Said<Cond> {
    if depth > DEEPEST {
        return unsaid("its expression", format!("it nests deeper than {DEEPEST}"));
    }
    let Some((name, arguments)) = operation(json) else {
        return match json {
            Json::Bool(true) => Ok(Cond::Always),
            Json::Bool(false) | Json::Null => Ok(Cond::Never),
            other => unsaid("its expression", format!("{other} is no condition")),
        };
    };
    let what = format!("expression {name}");
    let each = || arguments.iter().map(|each| cond(each, depth + 1)).collect::<Said<Vec<_>>>();
    let compare = match name {
        "All" => return each().map(Cond::all),
        "Any" => return each().map(Cond::any),
        // All but nil and false is true in Ruby.
        "Property" => {
            return match property(json) {
                Some(name) => Ok(Cond::exists(name).and(Cond::compare(name, Operator::Eq, false).not())),
                None => unsaid(what, "it names no property"),
            };
        }
        "Equal" => Operator::Eq,
        "NotEqual" => Operator::Ne,
        "GreaterThan" => Operator::Gt,
        "GreaterThanOrEqualTo" => Operator::Gte,
        "LessThan" => Operator::Lt,
        "LessThanOrEqualTo" => Operator::Lte,
        _ => return unsaid(what, "conditions here have nothing like it"),
    };
    let (name, compare, value) = match arguments {
        [left, right] => match (property(left), property(right)) {
            (Some(name), None) => (name, compare, right),
            (None, Some(name)) => (name, flipped(compare), left),
            _ => return unsaid(what, "it does not compare a property with a value"),
        },
        _ => return unsaid(what, "it has not two arguments"),
    };
    if !is_scalar(value) {
        return unsaid(what, format!("it compares with {value}"));
    }
    Ok(match compare {
        Operator::Ne => Cond::compare(name, Operator::Eq, value.clone()).not(),
        compare => Cond::compare(name, compare, value.clone()),
    })
}

fn flipped(compare: Operator) -> Operator {
    match compare {
        Operator::Gt => Operator::Lt,
        Operator::Gte => Operator::Lte,
        Operator::Lt => Operator::Gt,
        Operator::Lte => Operator::Gte,
        other => other,
    }
}
