//! Flags of which the first arm that holds says the value.

use std::time::{Duration, UNIX_EPOCH};

use flipper::FlagRecord;
use flipper::bucketing::{AnyPercentage, LinearRampPercentage};
use flipper::json::Json;
use flipper::targeting::{Prerequisite, Rule, Schedule, Serve, Variant, Variants};

use super::cond::Cond;
use super::{Said, unsaid};

/// All callers, in the unit of weights.
const WHOLE: u32 = 100_000;

pub(super) struct Arm {
    pub(super) name: Option<String>,
    pub(super) cond: Cond,
    pub(super) outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    /// The value of this name.
    Value(String),
    /// One of these, by weights of whatever sum.
    Split { weights: Vec<(String, f64)>, by: String },
    /// From one value to another, between two times.
    Ramp { from: String, to: String, start: i64, end: i64, by: String },
    /// Whatever the program has as its default.
    Default,
}

impl Outcome {
    fn names(&self) -> Vec<&String> {
        match self {
            Self::Value(name) => vec![name],
            Self::Split { weights, .. } => weights.iter().map(|(name, _)| name).collect(),
            Self::Ramp { from, to, .. } => vec![from, to],
            Self::Default => Vec::new(),
        }
    }
}

#[derive(Default)]
pub(super) struct Flag {
    pub(super) is_on: bool,
    pub(super) values: Vec<(String, Json)>,
    /// The value of a flag that is off.
    pub(super) off: Option<String>,
    /// The last holds for all.
    pub(super) arms: Vec<Arm>,
    pub(super) prerequisites: Vec<Prerequisite>,
    pub(super) schedule: Option<Schedule>,
}

impl Flag {
    pub(super) fn value(&self, name: &str) -> Option<&Json> {
        self.values.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    pub(super) fn is_boolean(&self) -> bool {
        !self.values.is_empty() && self.values.iter().all(|(_, value)| matches!(value, Json::Bool(_)))
    }

    pub(super) fn build(mut self, name: &str, now: i64) -> Said<FlagRecord> {
        let names = self.arms.iter().flat_map(|arm| arm.outcome.names()).chain(&self.off);
        if let Some(unknown) = names.into_iter().find(|name| self.value(name).is_none()) {
            return unsaid("its values", format!("{unknown:?} is not one of them"));
        }
        self.arms.retain(|arm| arm.cond != Cond::Never);
        match self.arms.iter().position(|arm| arm.cond == Cond::Always) {
            Some(place) => self.arms.truncate(place + 1),
            None => self.arms.push(Arm { name: None, cond: Cond::Always, outcome: Outcome::Default }),
        }
        let mut record = FlagRecord::new(name, now);
        record.set_enabled(self.is_on);
        record.set_prerequisites(std::mem::take(&mut self.prerequisites));
        record.set_schedule(self.schedule.take());
        if self.is_boolean() {
            self.build_boolean(&mut record)?;
        } else {
            self.build_values(&mut record)?;
        }
        Ok(record)
    }

    fn is_true(&self, name: &str) -> bool {
        self.value(name).and_then(Json::as_bool).unwrap_or_default()
    }

    /// On where the value is true.
    fn build_boolean(mut self, record: &mut FlagRecord) -> Said<()> {
        if self.off.as_ref().is_some_and(|off| self.is_true(off)) {
            if !record.prerequisites().is_empty() {
                return unsaid("its value when off", "it is true, and a flag whose prerequisites are not met is off");
            }
            if !record.is_enabled() {
                return unsaid("its value when off", "it is true: the flag is off there, and all callers get true");
            }
        }
        let mut rules = Vec::new();
        for Arm { name, cond, outcome } in std::mem::take(&mut self.arms) {
            let serve = match outcome {
                Outcome::Default => Serve::Off,
                Outcome::Value(name) => on_or_off(self.is_true(&name)),
                Outcome::Split { weights, by } => {
                    let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
                    let on: f64 = weights.iter().filter(|(name, _)| self.is_true(name)).map(|(_, weight)| weight).sum();
                    match on {
                        on if on <= 0.0 => Serve::Off,
                        on if on >= total => Serve::On,
                        on => Serve::share(on / total, by),
                    }
                }
                Outcome::Ramp { from, to, start, end, by } => match (self.is_true(&from), self.is_true(&to)) {
                    (first, last) if first == last => on_or_off(first),
                    (first, _) => Serve::share(ramp(first, start, end)?, by),
                },
            };
            rules.extend(cond.rule(serve).map(|rule| Rule { name, ..rule }));
        }
        if let [only] = &rules[..]
            && only.serve == Serve::On
            && only.when.is_none()
        {
            rules.clear();
        }
        record.set_rules(rules);
        Ok(())
    }

    /// On wherever there is a value, which is a variant.
    fn build_values(self, record: &mut FlagRecord) -> Said<()> {
        let mut split: Option<(&Vec<(String, f64)>, &str)> = None;
        for arm in &self.arms {
            match &arm.outcome {
                Outcome::Ramp { .. } => {
                    return unsaid("a rollout that grows with time", "only one from false to true can be said");
                }
                Outcome::Split { weights, by } => match split {
                    Some(known) if known != (weights, by.as_str()) => {
                        return unsaid("its weights", "a flag has one set of them, and this has several");
                    }
                    _ => split = Some((weights, by)),
                },
                Outcome::Default if self.off.is_some() => {
                    return unsaid("the default of the program", "the flag has a value when it is off");
                }
                Outcome::Default | Outcome::Value(_) => {}
            }
        }
        let last = self.arms.last().and_then(|arm| match &arm.outcome {
            Outcome::Value(name) => Some(name),
            _ => None,
        });
        let whole = last.or(self.values.first().map(|(name, _)| name));
        let share = |name: &String| match split {
            Some((weights, _)) => weights.iter().filter(|(each, _)| each == name).map(|(_, weight)| weight).sum(),
            None => f64::from(u8::from(Some(name) == whole)),
        };
        let shares: Vec<f64> = self.values.iter().map(|(name, _)| share(name)).collect();
        if shares.iter().sum::<f64>() <= 0.0 {
            return unsaid("its weights", "they are all 0");
        }
        let values = self.values.iter().zip(weights(&shares)).map(|((name, value), weight)| Variant {
            name: name.clone(),
            weight,
            value: value.clone(),
            buckets: Vec::new(),
        });
        let by = split.map_or("key", |(_, by)| by).to_owned();
        record.set_variants(Some(Variants { by, off: self.off.clone(), values: values.collect() }));
        let is_plain = self.arms.len() == 1 && self.arms[0].outcome != Outcome::Default;
        if is_plain && self.arms[0].cond == Cond::Always {
            return Ok(());
        }
        let rules = self.arms.into_iter().filter_map(|Arm { name, cond, outcome }| {
            let serve = match outcome {
                Outcome::Value(name) => Serve::Variant(name),
                Outcome::Default => Serve::Off,
                Outcome::Split { .. } | Outcome::Ramp { .. } => Serve::On,
            };
            cond.rule(serve).map(|rule| Rule { name, ..rule })
        });
        record.set_rules(rules.collect());
        Ok(())
    }
}

fn on_or_off(on: bool) -> Serve {
    if on { Serve::On } else { Serve::Off }
}

/// From all to none if `down`, else from none to all.
fn ramp(down: bool, start: i64, end: i64) -> Said<AnyPercentage> {
    let (Ok(start), Ok(end)) = (u64::try_from(start), u64::try_from(end)) else {
        return unsaid("a rollout that grows with time", "it begins before 1970");
    };
    let (from, to) = if down { (1.0, 0.0) } else { (0.0, 1.0) };
    let length = Duration::from_secs(end.saturating_sub(start));
    let start = UNIX_EPOCH.checked_add(Duration::from_secs(start)).unwrap_or(UNIX_EPOCH);
    Ok(LinearRampPercentage::new(from, to, length).starting_at(start).into())
}

/// Weights of whatever sum, in 0.001 %. What is left by rounding goes to the largest parts.
pub(super) fn weights(parts: &[f64]) -> Vec<u32> {
    let total: f64 = parts.iter().sum();
    if total <= 0.0 {
        return vec![0; parts.len()];
    }
    let exact: Vec<f64> = parts.iter().map(|part| part / total * f64::from(WHOLE)).collect();
    let mut weights: Vec<u32> = exact.iter().map(|part| part.floor() as u32).collect();
    let left = WHOLE.saturating_sub(weights.iter().sum());
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by(|a, b| exact[*b].fract().total_cmp(&exact[*a].fract()));
    for place in order.into_iter().cycle().take(left as usize) {
        weights[place] += 1;
    }
    weights
}
