//! What a flag may have at most, so that no check takes long and no writer fills the memory of others.

use super::variants::WHOLE;
use super::{Rule, Schedule, Serve, Targeting, Variants, When, segment_of};
use crate::json::Json;
use crate::{Error, Result};

/// How deep the parts of a rule nest.
pub(super) const MAX_DEPTH: usize = 32;
const MAX_RULES: usize = 1_000;
/// Parts of all rules of a flag, or of a segment. A list of values is one part, however long.
const MAX_PARTS: usize = 10_000;
/// All regular expressions of a flag.
const MAX_PATTERNS: usize = 100;
const MAX_VARIANTS: usize = 100;
/// Changes of weights split the buckets of a variant.
const MAX_RANGES: usize = 10_000;
const MAX_PREREQUISITES: usize = 100;
const MAX_STEPS: usize = 100;
/// Bytes.
const MAX_NAME: usize = 255;

/// Counts the regular expressions of one flag.
#[derive(Default)]
struct Patterns(usize);

impl Targeting {
    pub(super) fn check_limits(&self) -> Result<()> {
        let patterns = &mut Patterns::default();
        at_most(self.rules.len(), MAX_RULES, "rules")?;
        at_most(self.prerequisites.len(), MAX_PREREQUISITES, "prerequisites")?;
        let mut parts = 0;
        for (index, rule) in self.rules.iter().enumerate() {
            let wrong = |error: Error| match &rule.name {
                Some(name) => invalid(format!("rule {index} ({name:?}): {error}")),
                None => invalid(format!("rule {index}: {error}")),
            };
            self.check_rule(rule, &mut parts, patterns).map_err(wrong)?;
        }
        if let Some(segment) = &self.segment {
            check_when(segment, &mut 0, patterns)?;
            if self.limits() || self.variants.is_some() {
                return Err(invalid("a segment has neither rules nor variants, prerequisites or a schedule"));
            }
        }
        self.variants.as_ref().map_or(Ok(()), Variants::check)?;
        self.schedule.as_ref().map_or(Ok(()), Schedule::check)?;
        for (index, prerequisite) in self.prerequisites.iter().enumerate() {
            if segment_of(&prerequisite.flag).is_some() {
                return Err(invalid(format!("the prerequisite {:?} is a segment, not a flag", prerequisite.flag)));
            }
            if self.prerequisites[..index].iter().any(|other| other.flag == prerequisite.flag) {
                return Err(invalid(format!("the prerequisite {:?} is there twice", prerequisite.flag)));
            }
        }
        Ok(())
    }

    fn check_rule(&self, rule: &Rule, parts: &mut usize, patterns: &mut Patterns) -> Result<()> {
        check_name(rule.name.as_deref().unwrap_or("-"), "the rule's name")?;
        if let Some(when) = &rule.when {
            check_when(when, parts, patterns)?;
        }
        match &rule.serve {
            Serve::On | Serve::Off => Ok(()),
            Serve::Share { percentage, by } => {
                check_name(by, "the attribute that chooses callers")?;
                match percentage.fixed() {
                    Some(Err(found)) => Err(invalid(format!("the share is {found}, not a number"))),
                    _ => percentage.check(),
                }
            }
            Serve::Variant(name) => match &self.variants {
                Some(variants) if variants.get(name).is_some() => Ok(()),
                _ => Err(invalid(format!("there is no variant {name:?}"))),
            },
        }
    }
}

fn check_when(when: &When, parts: &mut usize, patterns: &mut Patterns) -> Result<()> {
    let (more, depth) = when.measure();
    *parts += more;
    at_most(*parts, MAX_PARTS, "parts of rules")?;
    at_most(depth, MAX_DEPTH + 1, "levels of brackets")?;
    check_tests(when, patterns)
}

fn check_tests(when: &When, patterns: &mut Patterns) -> Result<()> {
    match when {
        When::All(parts) | When::Any(parts) => parts.iter().try_for_each(|part| check_tests(part, patterns)),
        When::Not(part) => check_tests(part, patterns),
        When::Segment(name) => check_name(name, "a segment's name"),
        When::Check { attribute, test } => {
            if matches!(test, super::Test::Matches(_)) {
                patterns.0 += 1;
                at_most(patterns.0, MAX_PATTERNS, "regular expressions")?;
            }
            test.check().map_err(|what| invalid(format!("attribute {attribute:?}: {what}")))
        }
    }
}

impl Variants {
    fn check(&self) -> Result<()> {
        at_most(self.values.len(), MAX_VARIANTS, "variants")?;
        check_name(&self.by, "the attribute that chooses variants")?;
        let Some(first) = self.values.first() else { return Err(invalid("there are no variants")) };
        for (index, variant) in self.values.iter().enumerate() {
            check_name(&variant.name, "a variant's name")?;
            if self.values[..index].iter().any(|other| other.name == variant.name) {
                return Err(invalid(format!("the variant {:?} is there twice", variant.name)));
            }
            let types = (kind(&first.value), kind(&variant.value));
            if types.0 != types.1 {
                return Err(invalid(format!(
                    "the value of variant {:?} is {}, and that of {:?} is {}: all must have one type",
                    variant.name, types.1, first.name, types.0
                )));
            }
        }
        let sum: u64 = self.values.iter().map(|variant| u64::from(variant.weight)).sum();
        if sum != u64::from(WHOLE) {
            let percent = |weight: u64| crate::bucketing::AnyPercentage::from(weight as f64 / f64::from(WHOLE));
            let whole = u64::from(WHOLE);
            let (off, word) = if sum < whole { (whole - sum, "missing") } else { (sum - whole, "too much") };
            return Err(invalid(format!(
                "the weights of the variants add up to {}, so {} are {word}",
                percent(sum),
                percent(off)
            )));
        }
        if let Some(off) = self.off.as_ref().filter(|off| self.get(off).is_none()) {
            return Err(invalid(format!("there is no variant {off:?} for when the flag is off")));
        }
        self.check_buckets()
    }

    /// Each bucket belongs to exactly one variant.
    fn check_buckets(&self) -> Result<()> {
        let ranges: usize = self.values.iter().map(|variant| variant.buckets.len()).sum();
        if ranges == 0 {
            return Ok(());
        }
        at_most(ranges, MAX_RANGES, "ranges of buckets")?;
        let mut all: Vec<(u32, u32)> = Vec::with_capacity(ranges);
        for variant in &self.values {
            let sum: u64 = variant.buckets.iter().map(|(start, end)| u64::from(end.saturating_sub(*start))).sum();
            if sum != u64::from(variant.weight) {
                let name = &variant.name;
                return Err(invalid(format!("the buckets of variant {name:?} are not as many as its weight")));
            }
            all.extend(&variant.buckets);
        }
        all.sort_unstable();
        let follow = all.windows(2).all(|pair| pair[0].1 == pair[1].0);
        let ends = (all.first().map(|range| range.0), all.last().map(|range| range.1));
        if follow && ends == (Some(0), Some(WHOLE)) && all.iter().all(|(start, end)| start < end) {
            return Ok(());
        }
        Err(invalid("the buckets of the variants do not cover each bucket once"))
    }
}

/// Integers and floats are one type, as in JSON; so are lists and objects.
fn kind(value: &Json) -> &'static str {
    match value {
        Json::Array(_) | Json::Object(_) => "a list or an object",
        other => other.type_name(),
    }
}

impl Schedule {
    fn check(&self) -> Result<()> {
        use super::time;
        at_most(self.steps.len(), MAX_STEPS, "steps of the schedule")?;
        if self.is_empty() {
            return Err(invalid("the schedule has no time"));
        }
        let mut times: Vec<i64> = self.enable_at.into_iter().collect();
        for step in &self.steps {
            if !(0.0..=1.0).contains(&step.share) {
                return Err(invalid(format!("a step's share is a part from 0 to 1, and {} is not", step.share)));
            }
            times.push(step.at);
        }
        times.extend(self.disable_at);
        if !self.steps.is_empty() {
            check_name(&self.by, "the attribute by which the steps choose callers")?;
        }
        // A first step may begin with the flag.
        let starts_together = self.enable_at.is_some() && self.steps.first().map(|step| step.at) == self.enable_at;
        let wrong = times
            .windows(2)
            .enumerate()
            .find(|(index, pair)| pair[0] > pair[1] || pair[0] == pair[1] && !(starts_together && *index == 0));
        if let Some((_, pair)) = wrong {
            let (first, second) = (time(pair[0]), time(pair[1]));
            return Err(invalid(format!(
                "the schedule is out of order: {second} must come after {first} (it is enabled, then the steps, then disabled)"
            )));
        }
        let known = -62_135_596_800..=253_402_300_799;
        match times.iter().find(|at| !known.contains(*at)) {
            Some(at) => Err(invalid(format!("the schedule's time {at} is in no year from 1 to 9999"))),
            None => Ok(()),
        }
    }
}

fn check_name(name: &str, what: &str) -> Result<()> {
    if name.is_empty() {
        return Err(invalid(format!("{what} is empty")));
    }
    if name.len() > MAX_NAME {
        return Err(invalid(format!("{what} has {} bytes, more than the {MAX_NAME} allowed", name.len())));
    }
    match name.chars().find(|letter| letter.is_control()) {
        Some(letter) => Err(invalid(format!("{what} has the control character {letter:?}"))),
        None => Ok(()),
    }
}

fn at_most(count: usize, most: usize, what: &str) -> Result<()> {
    if count <= most {
        return Ok(());
    }
    Err(invalid(format!("the flag has {count} {what}, more than the {most} allowed")))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::invalid_input(message)
}
