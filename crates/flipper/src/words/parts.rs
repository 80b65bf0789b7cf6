//! Rules, variants, prerequisites, schedules and segments in words.

use super::text::{date, now, percent, plain, value};
use crate::FlagRecord;
use crate::conditions::Operator;
use crate::json::Json;
use crate::targeting::{Prerequisite, Rule, Schedule, Serve, Test, Variant, WHOLE, When};

/// More rules are counted, not shown, where there is one line for all.
const FEW_RULES: usize = 3;
/// Of a longer list of values the first ones are shown.
const FEW_VALUES: usize = 5;
/// Letters of a text that is shown within a line.
const LONGEST: usize = 300;

/// The text, cut where it is long: a segment may have a hundred thousand values.
pub fn brief(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}… ({} letters)", plain(&text[..end]), text.chars().count()),
        None => plain(text).into_owned(),
    }
}

/// Two long texts, cut to where they begin to differ.
pub(super) fn brief_pair(before: &str, after: &str) -> (String, String) {
    let long = |text: &str| text.len() > LONGEST;
    if !(long(before) && long(after)) {
        return (brief(before), brief(after));
    }
    let same = before.chars().zip(after.chars()).take_while(|(a, b)| a == b).count();
    let from = same.saturating_sub(LONGEST / 4);
    let part = |text: &str| {
        let rest: String = text.chars().skip(from).collect();
        if from > 0 { format!("…{}", brief(&rest)) } else { brief(&rest) }
    };
    (part(before), part(after))
}

/// `if plan = "pro": on for 25% by user_id`, or `everybody: off`.
pub fn rule(rule: &Rule) -> String {
    match &rule.when {
        Some(_) => rule.to_string(),
        None => format!("everybody: {rule}"),
    }
}

/// The same of all rules, after their names.
pub fn rules(record: &FlagRecord) -> Vec<String> {
    let rules = record.rules().iter().map(|each| match &each.name {
        Some(name) => format!("{}: {}", plain(name), rule(each)),
        None => rule(each),
    });
    rules.collect()
}

/// The same as names and values.
pub(super) fn rule_fields(record: &FlagRecord) -> Vec<(String, String)> {
    rules(record).into_iter().enumerate().map(|(index, rule)| (format!("rule {index}"), rule)).collect()
}

/// The same on one line.
pub(super) fn rules_briefly(record: &FlagRecord) -> Option<String> {
    match record.rules() {
        [] => None,
        rules if rules.len() > FEW_RULES => Some(format!("{} rules", rules.len())),
        rules => Some(rules.iter().map(|each| brief(&rule(each))).collect::<Vec<_>>().join("; ")),
    }
}

/// `needs CHECKOUT and SEARCH = red`
pub(super) fn prerequisites(record: &FlagRecord) -> Option<String> {
    let all: Vec<_> = record.prerequisites().iter().map(|each| plain(&each.to_string()).into_owned()).collect();
    (!all.is_empty()).then(|| format!("needs {}", all.join(" and ")))
}

/// `red 50%, blue 50% by user_id`
pub fn variants(record: &FlagRecord) -> Option<String> {
    record.variants().map(|variants| brief(&variants.to_string()))
}

/// `50%, "#f00"`
pub fn variant(variant: &Variant) -> String {
    format!("{}, {}", weight(variant.weight), brief(&value(&variant.value)))
}

/// Of 0.001 % each.
pub fn weight(weight: u32) -> String {
    percent(f64::from(weight) / f64::from(WHOLE))
}

/// How many callers of 100,000 have another variant afterwards.
pub fn moved(before: &FlagRecord, after: &FlagRecord) -> u32 {
    let (Some(before), Some(after)) = (before.variants(), after.variants()) else { return 0 };
    let (old, new) = (before.ranges(), after.ranges());
    let (mut moved, mut start, mut left, mut right) = (0, 0, 0, 0);
    while let (Some((old_end, old_place)), Some((new_end, new_place))) = (old.get(left), new.get(right)) {
        let end = *old_end.min(new_end);
        let names = (before.values.get(*old_place), after.values.get(*new_place));
        if before.by != after.by || names.0.map(|variant| &variant.name) != names.1.map(|variant| &variant.name) {
            moved += end - start;
        }
        start = end;
        left += usize::from(end == *old_end);
        right += usize::from(end == *new_end);
    }
    moved
}

/// The share of the schedule's steps now: `10% by user_id, in steps`.
pub(super) fn steps(record: &FlagRecord) -> Option<String> {
    let schedule = record.schedule()?;
    let share = schedule.share(now())?;
    Some(format!("{} by {}, in steps", percent(share), plain(&schedule.by)))
}

/// What the schedule does, each with its time.
pub fn turns(schedule: &Schedule) -> Vec<(i64, String)> {
    let mut turns: Vec<_> = schedule.enable_at.iter().map(|at| (*at, "on".to_owned())).collect();
    let step = |step: &crate::targeting::Step| (step.at, format!("{} by {}", percent(step.share), plain(&schedule.by)));
    turns.extend(schedule.steps.iter().map(step));
    turns.extend(schedule.disable_at.iter().map(|at| (*at, "off".to_owned())));
    turns
}

/// What comes next of an enabled flag's schedule: `on from 2026-12-01T08:00:00Z`.
pub fn next_turn(record: &FlagRecord) -> Option<String> {
    let schedule = record.schedule().filter(|_| record.is_enabled())?;
    let next = schedule.next_turn(now())?;
    let what: Vec<_> = turns(schedule).into_iter().filter(|(at, _)| *at == next).map(|(_, what)| what).collect();
    Some(format!("{} from {}", what.join(", "), date(next)))
}

/// Whether the flag is on now, as far as its switch and its schedule decide.
pub fn is_on_now(record: &FlagRecord) -> bool {
    record.is_on_at(now())
}

/// All parts but the rules as names and values.
pub(super) fn fields(record: &FlagRecord) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    let mut add = |what: &str, how: String| fields.push((what.to_owned(), how));
    for (at, what) in record.schedule().map(turns).unwrap_or_default() {
        add("schedule", format!("{what} from {}", date(at)));
    }
    for prerequisite in record.prerequisites() {
        add("prerequisite", plain(&prerequisite.to_string()).into_owned());
    }
    if let Some(variants) = record.variants() {
        add("variants by", plain(&variants.by).into_owned());
        for each in &variants.values {
            add(&format!("variant {}", plain(&each.name)), format!("{}, {}", weight(each.weight), value(&each.value)));
        }
        if let Some(off) = &variants.off {
            add("variant when off", plain(off).into_owned());
        }
    }
    if let Some(segment) = record.segment() {
        add("segment", segment.to_string());
    }
    fields
}

/// Whom a segment is about; of a long list of values how many there are.
pub fn segment(when: &When) -> String {
    match when {
        When::Check { attribute, test: Test::Compare(Operator::In, Json::Array(values)) }
            if values.len() > FEW_VALUES =>
        {
            let first: Vec<_> = values[..FEW_VALUES].iter().map(value).collect();
            let (attribute, count) = (plain(attribute), values.len());
            format!("{attribute} in {count} values: {}", brief(&format!("{}, …", first.join(", "))))
        }
        other => brief(&other.to_string()),
    }
}

/// What this flag names that no other part of it has: `CHECKOUT`, `CHECKOUT = red`, `in segment beta`.
pub fn links(record: &FlagRecord) -> (Vec<&Prerequisite>, Vec<String>) {
    let mut segments = Vec::new();
    let whens = record.rules().iter().filter_map(|rule| rule.when.as_ref()).chain(record.segment());
    whens.for_each(|when| when.each_segment(&mut |segment| segments.push(segment.to_owned())));
    segments.sort_unstable();
    segments.dedup();
    (record.prerequisites().iter().collect(), segments)
}

/// The place of the first rule that is for everybody: rules after it are never asked.
pub fn last_rule(record: &FlagRecord) -> Option<usize> {
    record.rules().iter().position(|rule| match &rule.when {
        None => true,
        Some(When::All(parts)) => parts.is_empty(),
        Some(_) => false,
    })
}

/// The attribute by which the flag's parts choose callers already, if it is one.
pub fn chosen_by(record: &FlagRecord) -> Option<String> {
    let of_rule = |serve: &Serve| match serve {
        Serve::Share { by, .. } => Some(by.clone()),
        _ => None,
    };
    let hashed = || match super::hashed(record.bucketer())[..] {
        [only] => Some(only.to_owned()),
        _ => None,
    };
    let steps = || record.schedule().map(|schedule| schedule.by.clone()).filter(|by| !by.is_empty());
    let variants = || record.variants().map(|variants| variants.by.clone());
    record.rules().iter().find_map(|rule| of_rule(&rule.serve)).or_else(steps).or_else(variants).or_else(hashed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targeting::{Step, Variants};

    #[test]
    fn long_texts_are_cut_where_they_differ() {
        assert_eq!(brief("short"), "short");
        let ids = |last: &str| format!("{}{last}", "12345, ".repeat(1000));
        let (before, after) = brief_pair(&ids("7"), &ids("8"));
        assert!(before.ends_with('7') && after.ends_with('8') && before.starts_with('…'), "{before} {after}");
        assert!(before.len() < 2 * LONGEST);
        assert!(brief(&ids("7")).ends_with("… (7001 letters)"));
    }

    #[test]
    fn callers_that_move_are_counted() {
        let with = |by: &str, weights: [f64; 2]| {
            let mut record = FlagRecord::new("F", 1);
            let [red, blue] = weights;
            record
                .set_variants(Some(Variants::new(by).with(Variant::new("red", red)).with(Variant::new("blue", blue))));
            record
        };
        let before = with("id", [50.0, 50.0]);
        for (by, weights, expected) in [
            ("id", [50.0, 50.0], 0),
            ("id", [60.0, 40.0], 10_000),
            ("id", [10.0, 90.0], 40_000),
            ("x", [50.0, 50.0], 100_000),
        ] {
            let mut after = before.clone();
            after.set_variants(with(by, weights).variants().cloned());
            assert_eq!(moved(&before, &after), expected, "{by} {weights:?}");
        }
        assert_eq!(moved(&FlagRecord::new("F", 1), &before), 0, "all are new");
    }

    #[test]
    fn the_next_turn() {
        let mut record = FlagRecord::new("F", 1);
        let step = |at| Step { at, share: 0.5 };
        let (past, future) = (10, now() + 1000);
        let schedule = |enable_at, steps: &[Step]| Schedule {
            enable_at,
            disable_at: Some(future + 9),
            steps: steps.to_vec(),
            by: "id".into(),
        };
        record.set_schedule(Some(schedule(Some(past), &[step(past), step(future)])));
        assert_eq!(next_turn(&record), None, "it is off");
        record.set_enabled(true);
        assert_eq!(next_turn(&record), Some(format!("50% by id from {}", date(future))));
        record.set_schedule(Some(schedule(Some(future), &[step(future)])));
        assert_eq!(next_turn(&record), Some(format!("on, 50% by id from {}", date(future))));
        assert!(!is_on_now(&record));
    }
}
