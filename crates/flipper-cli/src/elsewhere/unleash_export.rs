//! The two files of Unleash: what its client API serves, and what its export has, with environments.

use std::collections::{BTreeSet, HashMap, HashSet};

use flipper::json::Json;
use flipper::targeting::{When, stored_name};

use super::cond::Cond;
use super::unleash::{Feature, Segment, Segments, id};
use super::unleash_constraint::constraint;
use super::values::{is_true, items, text};
use super::{Found, Said, Unsaid};
use crate::text::some;

pub(super) fn read(json: &Json, environment: Option<&str>, now: i64) -> Result<Found, String> {
    if json.get("features").and_then(Json::as_array).is_none() {
        return Err("it has no list \"features\"".to_owned());
    }
    let mut found = Found::default();
    let segments = segments(json, &mut found);
    if json.get("featureStrategies").is_none() {
        if environment.is_some() {
            return Err("it has one environment, and --environment chooses one of several".to_owned());
        }
        let is_child = |name: &str| {
            let of = |each: &&Json| text(each, "name") == Some(name);
            items(json, "features").iter().find(of).is_some_and(|each| !items(each, "dependencies").is_empty())
        };
        for feature in items(json, "features") {
            let feature = Feature {
                json: feature,
                is_child: &is_child,
                is_on: is_true(feature, "enabled"),
                strategies: items(feature, "strategies").iter().collect(),
                variants: items(feature, "variants"),
                parents: items(feature, "dependencies"),
            };
            add(&feature, &segments, now, &mut found);
        }
        return Ok(found);
    }
    let environment = chosen(json, environment)?;
    let is_here = |each: &Json| text(each, "environment").is_none_or(|each| Some(each) == environment.as_deref());
    let of_strategies = strategy_segments(json);
    let strategies: Vec<Json> = items(json, "featureStrategies")
        .iter()
        .filter(|each| is_here(each))
        .map(|each| with(each, &of_strategies))
        .collect();
    let is_child = |name: &str| {
        let of = |each: &&Json| text(each, "feature") == Some(name) && !items(each, "dependencies").is_empty();
        items(json, "dependencies").iter().any(|each| of(&each))
    };
    for feature in items(json, "features") {
        let name = text(feature, "name");
        let is_of = |key: &'static str| move |each: &&Json| text(each, key) == name;
        let here = items(json, "featureEnvironments").iter().filter(|each| is_here(each)).find(is_of("featureName"));
        let parents = items(json, "dependencies").iter().find(is_of("feature"));
        let variants = here.map(|here| items(here, "variants")).filter(|variants| !variants.is_empty());
        let feature = Feature {
            json: feature,
            is_child: &is_child,
            is_on: match here {
                Some(here) => is_true(here, "enabled"),
                // It is off in an environment that does not know it.
                None => environment.is_none() && is_true(feature, "enabled"),
            },
            strategies: strategies.iter().filter(is_of("featureName")).collect(),
            variants: variants.unwrap_or_else(|| items(feature, "variants")),
            parents: parents.map_or_else(|| items(feature, "dependencies"), |parents| items(parents, "dependencies")),
        };
        add(&feature, &segments, now, &mut found);
    }
    Ok(found)
}

fn add(feature: &Feature<'_>, segments: &Segments, now: i64, found: &mut Found) {
    let name = text(feature.json, "name").unwrap_or_default().to_owned();
    let mut notes: Vec<String> = Vec::new();
    let mut note = |note: String| {
        if !notes.contains(&note) {
            notes.push(note);
        }
    };
    let record = feature.record(&name, segments, now, &mut note);
    found.notes.extend(notes.into_iter().map(|note| (name.clone(), note)));
    found.flags.push((name, record));
}

/// The environment to read: the one that is named, or the only one.
fn chosen(json: &Json, environment: Option<&str>) -> Result<Option<String>, String> {
    let lists = [items(json, "featureEnvironments"), items(json, "featureStrategies")];
    let there: BTreeSet<&str> = lists.into_iter().flatten().filter_map(|each| text(each, "environment")).collect();
    let names = some(there.iter().copied());
    match environment {
        Some(environment) if there.contains(environment) => Ok(Some(environment.to_owned())),
        Some(environment) => Err(format!("it has no environment {environment:?}, only {names}")),
        None if there.len() > 1 => Err(format!("it has several environments ({names}); --environment chooses one")),
        None => Ok(there.first().map(|only| (*only).to_owned())),
    }
}

/// An old export lists apart which strategy has which segments.
fn strategy_segments(json: &Json) -> HashMap<String, Vec<Json>> {
    let mut segments: HashMap<String, Vec<Json>> = HashMap::new();
    for each in items(json, "featureStrategySegments") {
        if let (Some(strategy), Some(segment)) = (each.get("featureStrategyId"), each.get("segmentId")) {
            segments.entry(id(strategy)).or_default().push(segment.clone());
        }
    }
    segments
}

/// The strategy as the client API has it.
fn with(strategy: &Json, segments: &HashMap<String, Vec<Json>>) -> Json {
    let mut strategy = strategy.as_object().cloned().unwrap_or_default();
    if !strategy.contains_key("name")
        && let Some(name) = strategy.get("strategyName").cloned()
    {
        strategy.insert("name", name);
    }
    if let Some(more) = strategy.get("id").and_then(|own| segments.get(&id(own))) {
        strategy.insert("segments", Json::Array(more.clone()));
    }
    Json::Object(strategy)
}

fn segments(json: &Json, found: &mut Found) -> Segments {
    let mut segments = Segments::new();
    let mut names = HashSet::new();
    for each in items(json, "segments") {
        let Some(own) = each.get("id").map(id) else { continue };
        let name = text(each, "name").filter(|name| !name.is_empty() && !name.contains('/') && !names.contains(*name));
        let name = name.map_or_else(|| format!("segment-{own}"), str::to_owned);
        let is_first = names.insert(name.clone());
        let said: Said<Cond> = match each.get("constraints").and_then(Json::as_array) {
            Some(constraints) => {
                let mut notes = Vec::new();
                let all: Said<Vec<_>> =
                    constraints.iter().map(|each| constraint(each, &mut |note| notes.push(note))).collect();
                found.notes.extend(notes.into_iter().map(|note| (stored_name(&name), note)));
                all.map(Cond::all)
            }
            None => Err(Unsaid {
                what: "its constraints".to_owned(),
                why: "the export has the segment's name alone; the client API serves them".to_owned(),
            }),
        };
        let segment = match said {
            Ok(_) if !is_first => {
                Segment::Unsaid(Unsaid { what: "its name".to_owned(), why: "another segment has it".to_owned() })
            }
            Ok(Cond::Always) => Segment::Constant(true),
            Ok(Cond::Never) => Segment::Constant(false),
            Ok(Cond::When(when)) => named(name, when, found),
            Err(unsaid) => {
                found.segments.push((name, Err(unsaid.clone())));
                Segment::Unsaid(unsaid)
            }
        };
        segments.insert(own, segment);
    }
    segments
}

fn named(name: String, when: When, found: &mut Found) -> Segment {
    found.segments.push((name.clone(), Ok(when)));
    Segment::Named(name)
}
