//! A flag of Unleash: its strategies, variants and parents.

use std::collections::HashMap;

use flipper::FlagRecord;
use flipper::json::{Json, Object};
use flipper::targeting::{Prerequisite, Variant, When};

use super::cond::Cond;
use super::either::{self, Choice, Share, Way};
use super::unleash_constraint::{constraint, networks};
use super::values::{is_true, items, number, only, share, text, with_numbers};
use super::{Said, Unsaid, unsaid};
use crate::text::quoted;

/// What a strategy may have under a segment's id.
pub(super) enum Segment {
    /// The stored one of this name.
    Named(String),
    Constant(bool),
    Unsaid(Unsaid),
}

pub(super) type Segments = HashMap<String, Segment>;

/// A segment's id, a number or a text.
pub(super) fn id(json: &Json) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_owned)
}

/// With what it has in one environment.
pub(super) struct Feature<'a> {
    pub(super) json: &'a Json,
    /// Whether the feature of this name has parents.
    pub(super) is_child: &'a dyn Fn(&str) -> bool,
    pub(super) is_on: bool,
    pub(super) strategies: Vec<&'a Json>,
    pub(super) variants: &'a [Json],
    pub(super) parents: &'a [Json],
}

/// All that a feature may have. The second half is for people and statistics.
const FIELDS: [&str; 22] = [
    "name",
    "enabled",
    "strategies",
    "variants",
    "dependencies",
    "description",
    "type",
    "project",
    "environment",
    "environments",
    "stale",
    "potentiallyStale",
    "impressionData",
    "archived",
    "archivedAt",
    "createdAt",
    "createdBy",
    "createdByUserId",
    "lastSeenAt",
    "favorite",
    "tags",
    "links",
];

impl Feature<'_> {
    pub(super) fn record(
        &self,
        name: &str,
        segments: &Segments,
        now: i64,
        note: &mut impl FnMut(String),
    ) -> Said<FlagRecord> {
        let mut record = FlagRecord::new(name, now);
        record.set_enabled(self.is_on);
        if let Some(description) = text(self.json, "description").filter(|text| !text.is_empty()) {
            record.set_client_data([("description", description)].into_iter().collect::<Object>());
        }
        only(self.json, &FIELDS)?;
        let own = choice(self.variants, None)?;
        let mut ways = Vec::new();
        for strategy in self.strategies.iter().filter(|strategy| !is_true(strategy, "disabled")) {
            ways.extend(way(name, strategy, segments, own.as_ref(), note)?);
        }
        if self.strategies.is_empty() {
            ways.push(Way { cond: Cond::Always, share: Share::All, variants: own });
        }
        either::build(&mut record, ways)?;
        let parents = self.parents.iter().map(parent).collect::<Said<Vec<_>>>()?;
        if let Some(parent) = parents.iter().find(|parent| (self.is_child)(&parent.flag)) {
            let what = format!("its dependency on {}", quoted(&parent.flag));
            return unsaid(what, "that one has a dependency too, with which this one is off there for all callers");
        }
        record.set_prerequisites(parents);
        Ok(record)
    }
}

fn parent(json: &Json) -> Said<Prerequisite> {
    let Some(name) = text(json, "feature") else { return unsaid("a dependency", "it names no feature") };
    let what = || format!("its dependency on {}", quoted(name));
    if json.get("enabled").and_then(Json::as_bool) == Some(false) {
        return unsaid(what(), "the other flag must be off, and a prerequisite must be on");
    }
    match items(json, "variants") {
        [] => Ok(Prerequisite::new(name)),
        [only] if only.as_str() == Some("disabled") => {
            unsaid(what(), "the other flag must have no variant, and a prerequisite is on or has one")
        }
        [only] => Ok(Prerequisite::new(name).with_variant(id(only))),
        _ => unsaid(what(), "the other flag may have one of several variants, and a prerequisite has one"),
    }
}

/// `None`: it is on for no caller.
fn way(
    flag: &str,
    strategy: &Json,
    segments: &Segments,
    own: Option<&Choice>,
    note: &mut impl FnMut(String),
) -> Said<Option<Way>> {
    let name = text(strategy, "name").unwrap_or_default();
    let what = || format!("strategy {}", quoted(name));
    let mut cond = Cond::Always;
    for each in items(strategy, "constraints") {
        cond = cond.and(constraint(each, note)?);
    }
    for each in items(strategy, "segments") {
        cond = cond.and(match segments.get(&id(each)) {
            Some(Segment::Named(name)) => Cond::When(When::Segment(name.clone())),
            Some(Segment::Constant(true)) => Cond::Always,
            // Without its segment a strategy is on for no caller.
            Some(Segment::Constant(false)) | None => Cond::Never,
            Some(Segment::Unsaid(unsaid)) => {
                return super::unsaid(format!("segment {}: {}", id(each), unsaid.what), unsaid.why.clone());
            }
        });
    }
    let none = Json::Null;
    let parameters = strategy.get("parameters").unwrap_or(&none);
    let parameter = |key: &str| parameters.get(key).map(id).unwrap_or_default();
    let list = |key: &str| -> Vec<String> {
        parameter(key).split(',').map(str::trim).filter(|each| !each.is_empty()).map(str::to_owned).collect()
    };
    let percent = |key: &str| share(parameters.get(key).unwrap_or(&none), &format!("{} {key}", what()));
    let group = Some(parameter("groupId")).filter(|group| !group.is_empty()).unwrap_or_else(|| flag.to_owned());
    let (more, part) = match name {
        "default" => (Cond::Always, Some(Share::All)),
        "userWithId" => (Cond::one_of("userId", with_numbers(list("userIds"))), Some(Share::All)),
        "remoteAddress" => (networks("remoteAddress", list("IPs")), Some(Share::All)),
        "gradualRolloutUserId" => by_one(percent("percentage")?, &group, "userId"),
        "gradualRolloutSessionId" => by_one(percent("percentage")?, &group, "sessionId"),
        "gradualRolloutRandom" => (Cond::Always, random(percent("percentage")?)),
        "flexibleRollout" => match &*parameter("stickiness") {
            "random" => (Cond::Always, random(percent("rollout")?)),
            "" | "default" => {
                let part = Share::of(percent("rollout")?, &group, &["userId", "sessionId"]);
                if matches!(part, Some(Share::Part { .. })) {
                    note(
                        "callers without userId and sessionId find it off; there they are chosen at random".to_owned(),
                    );
                }
                (Cond::Always, part)
            }
            attribute => by_one(percent("rollout")?, &group, attribute),
        },
        "applicationHostname" => {
            return unsaid(what(), "it is about the machine of the program, which is no attribute");
        }
        _ => return unsaid(what(), "it is a strategy of its own, whose code decides"),
    };
    let stickiness = text(parameters, "stickiness");
    let variants = match choice(items(strategy, "variants"), stickiness)? {
        Some(choice) => Some(choice),
        None => own.cloned(),
    };
    Ok(part.map(|share| Way { cond: cond.and(more), share, variants }))
}

/// Without the attribute a caller is not chosen, whatever the share.
fn by_one(share: f64, group: &str, attribute: &str) -> (Cond, Option<Share>) {
    match Share::of(share, group, &[attribute]) {
        Some(Share::All) => (Cond::exists(attribute), Some(Share::All)),
        part => (Cond::Always, part),
    }
}

fn random(share: f64) -> Option<Share> {
    match share {
        share if share <= 0.0 => None,
        share if share >= 1.0 => Some(Share::All),
        share => Some(Share::Random(share)),
    }
}

/// `None` without variants, or without weights.
fn choice(variants: &[Json], stickiness: Option<&str>) -> Said<Option<Choice>> {
    let mut found = Vec::new();
    let mut overrides = Vec::new();
    for json in variants {
        let Some(name) = text(json, "name") else { return unsaid("a variant", "it has no name") };
        let what = || format!("variant {}", quoted(name));
        let Some(weight) = json.get("weight").and_then(number).filter(|weight| *weight >= 0.0) else {
            return unsaid(what(), "its weight is no number");
        };
        let value = match json.get("payload").filter(|payload| !payload.is_null()) {
            Some(payload) => payload_of(payload, &what())?,
            None => Json::from(name),
        };
        found.push((Variant::new(name, 0.0).value(value), weight));
        for each in items(json, "overrides") {
            let attribute = text(each, "contextName").unwrap_or_default();
            let values = with_numbers(items(each, "values").iter().map(id));
            overrides.push((Cond::one_of(attribute, values), name.to_owned()));
        }
    }
    let weighed = found.iter().filter(|(_, weight)| *weight > 0.0).count();
    if weighed == 0 {
        return Ok(None);
    }
    let stickiness = variants.first().and_then(|first| text(first, "stickiness")).or(stickiness);
    let by = match stickiness {
        None | Some("" | "default") => "userId",
        Some("random") if weighed > 1 => return unsaid("its variants", "they are chosen at random at each check"),
        Some("random") => "userId",
        Some(attribute) => attribute,
    };
    Ok(Some(Choice { by: by.to_owned(), variants: found, overrides }))
}

fn payload_of(payload: &Json, what: &str) -> Said<Json> {
    let value = payload.get("value").map(id).unwrap_or_default();
    match text(payload, "type") {
        Some("number") => match number(&Json::from(value.as_str())) {
            Some(number) => Ok(super::values::json_of(number)),
            None => unsaid(what, format!("its payload {value:?} is no number")),
        },
        Some("json") => match Json::parse_strict(&value) {
            Ok(json) => Ok(json),
            Err(_) => unsaid(what, "its payload is no JSON"),
        },
        _ => Ok(Json::from(value)),
    }
}
