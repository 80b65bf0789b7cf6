//! Flags of GO Feature Flag.

use flipper::evaluation::Operator;
use flipper::json::{Json, Object};
use flipper::targeting::Schedule;

use super::cond::Cond;
use super::first::{Arm, Flag, Outcome};
use super::logic::Logic;
use super::values::{fields, is_true, items, number, only, seconds, text};
use super::{Found, Said, query, unsaid};

/// The attribute by which it chooses callers.
pub(super) const KEY: &str = "targetingKey";
/// False there unless a program says otherwise.
pub(super) const ANONYMOUS: &str = "anonymous";

pub(super) fn read(json: &Json, now: i64) -> Result<Found, String> {
    let flags = json.as_object().ok_or("it has no flags by name")?;
    let mut found = Found::default();
    for (name, flag) in flags {
        if flag.as_object().is_none() {
            return Err(format!("{name:?} is no flag, which has \"variations\" and a \"defaultRule\""));
        }
        let record = flag_of(flag, now).and_then(|flag| flag.build(name, now)).map(|mut record| {
            let description = flag.get("metadata").and_then(|metadata| text(metadata, "description"));
            if let Some(description) = description.filter(|text| !text.is_empty()) {
                record.set_client_data([("description", description)].into_iter().collect::<Object>());
            }
            record
        });
        found.flags.push((name.to_owned(), record));
    }
    Ok(found)
}

/// All that a flag may have. Two are for people and statistics alone.
const FIELDS: [&str; 10] = [
    "variations",
    "targeting",
    "defaultRule",
    "bucketingKey",
    "disable",
    "experimentation",
    "scheduledRollout",
    "metadata",
    "trackEvents",
    "version",
];

fn flag_of(json: &Json, now: i64) -> Said<Flag> {
    for (key, why) in [
        ("scheduledRollout", "its steps replace parts of the flag at their times"),
        ("rollout", "the format before version 1.0"),
        ("converter", "the flag is converted by a program"),
    ] {
        if json.get(key).is_some_and(|value| !value.is_null()) {
            return unsaid(key, why);
        }
    }
    only(json, &FIELDS)?;
    let own_key = text(json, "bucketingKey").filter(|by| !by.is_empty());
    let by = own_key.unwrap_or(KEY);
    let mut flag = Flag {
        is_on: !is_true(json, "disable"),
        values: fields(json, "variations").map(|(name, value)| (name.to_owned(), value.clone())).collect(),
        schedule: experiment(json)?,
        ..Flag::default()
    };
    if flag.values.is_empty() {
        return unsaid("its variations", "there are none");
    }
    let none = Object::new();
    let logic = Logic::new(&none).of_goff();
    for rule in items(json, "targeting").iter().filter(|rule| !is_true(rule, "disable")) {
        let cond = match text(rule, "query").map(str::trim) {
            None | Some("") => Cond::Always,
            Some(query) if query.starts_with('{') => {
                let Ok(parsed) = Json::parse_strict(query) else { return unsaid("a query", "it is no JSON") };
                if query.contains(&format!("\"{ANONYMOUS}\"")) {
                    return unsaid("a query", "it is about anonymous, which GO Feature Flag fills in by itself");
                }
                logic.cond(&parsed, 0)?
            }
            Some(query) => query::parse(query).or_else(|why| unsaid(format!("query {query:?}"), why))?,
        };
        let name = text(rule, "name").filter(|name| !name.is_empty()).map(str::to_owned);
        flag.arms.push(Arm { name, cond, outcome: outcome(rule, by, now)? });
    }
    let Some(rule) = json.get("defaultRule").filter(|rule| !rule.is_null()) else {
        return unsaid("its defaultRule", "it is missing");
    };
    flag.arms.push(Arm { name: None, cond: Cond::Always, outcome: outcome(rule, by, now)? });
    // Without the key, which is a text, no rule is asked if any needs it, also a disabled one. The flag's own key must be there always.
    if items(json, "targeting").iter().chain([rule]).any(needs_key) {
        let cond = Cond::compare(by, Operator::Gt, "").not();
        flag.arms.insert(0, Arm { name: None, cond, outcome: Outcome::Default });
    } else if let Some(by) = own_key {
        flag.arms.insert(0, Arm { name: None, cond: Cond::is_text(by).not(), outcome: Outcome::Default });
    }
    Ok(flag)
}

fn needs_key(rule: &Json) -> bool {
    let has_rollout = rule.get("progressiveRollout").is_some_and(|rollout| !rollout.is_null());
    has_rollout || fields(rule, "percentage").next().is_some()
}

/// Outside of the experiment the program's default counts.
fn experiment(json: &Json) -> Said<Option<Schedule>> {
    let Some(experiment) = json.get("experimentation").filter(|value| !value.is_null()) else { return Ok(None) };
    let time = |key| text(experiment, key).map(|time| seconds(time, "experimentation")).transpose();
    let (enable_at, disable_at) = (time("start")?, time("end")?);
    if enable_at.is_none() && disable_at.is_none() {
        return Ok(None);
    }
    Ok(Some(Schedule { enable_at, disable_at, ..Schedule::default() }))
}

fn outcome(rule: &Json, by: &str, now: i64) -> Said<Outcome> {
    if let Some(rollout) = rule.get("progressiveRollout").filter(|value| !value.is_null()) {
        return progressive(rollout, by, now);
    }
    if rule.get("percentage").is_some_and(|value| !value.is_null()) {
        let mut weights = Vec::new();
        for (name, percent) in fields(rule, "percentage") {
            match number(percent).filter(|percent| *percent >= 0.0) {
                Some(percent) => weights.push((name.to_owned(), percent)),
                None => return unsaid("a percentage", format!("{percent} is no number from 0")),
            }
        }
        let sum: f64 = weights.iter().map(|(_, percent)| percent).sum();
        return match sum {
            sum if sum > 0.0 => Ok(Outcome::Split { weights, by: by.to_owned() }),
            _ => unsaid("a percentage", "all are 0"),
        };
    }
    match text(rule, "variation") {
        Some(name) => Ok(Outcome::Value(name.to_owned())),
        None => unsaid("a rule", "it has neither a variation nor percentages"),
    }
}

/// Before its start all have the first value, after its end all the second one.
fn progressive(rollout: &Json, by: &str, now: i64) -> Said<Outcome> {
    let what = "progressiveRollout";
    let none = Json::Null;
    let end = |key: &str| rollout.get(key).unwrap_or(&none);
    let part = |key: &str| {
        let name = text(end(key), "variation").map(str::to_owned);
        let at = text(end(key), "date").map(|date| seconds(date, what)).transpose()?;
        let percent = end(key).get("percentage").and_then(number);
        match (name, at) {
            (Some(name), Some(at)) => Ok((name, at, percent)),
            _ => unsaid(what, format!("its {key:?} lacks a variation or a date")),
        }
    };
    let (from, start, first) = part("initial")?;
    let (to, end, last) = part("end")?;
    let ends_whole = matches!(last.unwrap_or(0.0), 0.0 | 100.0) && end > start;
    if ends_whole && end <= now {
        return Ok(Outcome::Value(to));
    }
    if !ends_whole || first.unwrap_or(0.0) != 0.0 {
        return unsaid(what, "only one from 0 to 100 percent can be said, since these jump at their start and end");
    }
    Ok(Outcome::Ramp { from, to, start, end, by: by.to_owned() })
}
