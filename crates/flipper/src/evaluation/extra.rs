//! What Python does not have: the schedule, prerequisites, rules, variants and segments of a flag, ready to be asked.

use std::cell::Cell;
use std::sync::Arc;
use std::time::SystemTime;

use super::chosen::{Choice, Chosen};
use super::link::{Linked, Links, MOST, Refused, Visit};
use super::matcher::Matcher;
use super::verdict::{Served, Verdict};
use super::{Environment, Plan, Unmet};
use crate::bucketing::{AnyPercentage, ReadyShare, SaltedPercentageBucketer, bucket_at, seed_of_shares};
use crate::conditions::{ReadyCheck, Word};
use crate::context::Attributes;
use crate::record::FlagRecord;
use crate::targeting::{Prerequisite, Rule, Schedule, Serve, Targeting, seconds};

#[derive(Clone, Debug)]
pub(super) struct Extra {
    schedule: Option<Schedule>,
    prerequisites: Vec<(Prerequisite, Arc<dyn Linked>)>,
    rules: Vec<ReadyRule>,
    choice: Option<Choice>,
    segment: Option<Matcher>,
    /// Of the shares, as the salted bucketer has it.
    seed: u64,
    /// Whether it may turn an enabled flag off.
    pub(super) limits: bool,
    /// Whether its rules alone decide a check, where one holds.
    rules_first: bool,
}

#[derive(Clone, Debug)]
struct ReadyRule {
    name: Option<Box<str>>,
    when: Option<Matcher>,
    serve: ReadyServe,
}

#[derive(Clone, Debug)]
enum ReadyServe {
    On,
    Off,
    Variant(usize),
    Share {
        percentage: AnyPercentage,
        by: Box<str>,
        /// Of a fixed percentage.
        ready: Option<ReadyShare>,
    },
}

impl ReadyServe {
    #[inline]
    fn constant(&self) -> Option<bool> {
        match self {
            Self::On | Self::Variant(_) => Some(true),
            Self::Off => Some(false),
            Self::Share { .. } => None,
        }
    }
}

/// What a check needs besides the attributes.
#[derive(Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) environment: &'a Environment,
    pub(super) now: &'a dyn Fn() -> SystemTime,
    pub(super) visit: &'a Visit<'a>,
}

impl Extra {
    pub(super) fn of(name: &str, record: &FlagRecord, links: &dyn Links) -> Option<Box<Self>> {
        let targeting: &Targeting = record.targeting()?;
        let seed = seed_of_shares(name);
        let choice = targeting.variants.as_ref().map(|variants| Choice::of(variants, name));
        let rules = targeting.rules.iter().map(|rule| ReadyRule::of(rule, choice.as_ref(), seed, links)).collect();
        let prerequisites = targeting.prerequisites.iter();
        Some(Box::new(Self {
            schedule: targeting.schedule.clone(),
            prerequisites: prerequisites.map(|each| (each.clone(), links.link(&each.flag))).collect(),
            rules,
            choice,
            segment: targeting.segment.as_ref().map(|when| Matcher::of(when, links)),
            seed,
            limits: targeting.limits(),
            rules_first: targeting.prerequisites.is_empty()
                && targeting.schedule.is_none()
                && record.deny_conditions().is_empty()
                && record.is_enabled(),
        }))
    }

    pub(super) fn segment(&self) -> Option<&Matcher> {
        self.segment.as_ref()
    }

    pub(super) fn choice(&self) -> Option<&Choice> {
        self.choice.as_ref()
    }

    pub(super) fn rule_name(&self, index: usize) -> Option<&str> {
        self.rules.get(index)?.name.as_deref()
    }

    /// The answer, if only prerequisites limit the flag, and all of them, or one that is off, are constant.
    pub(super) fn settled(&self, with_attributes: bool, otherwise: impl FnOnce() -> Option<bool>) -> Option<bool> {
        if !self.rules.is_empty() || self.schedule.is_some() {
            return None;
        }
        let mut all = true;
        for (wanted, link) in &self.prerequisites {
            match link.settled(with_attributes) {
                Some(false) => return Some(false),
                Some(true) if wanted.variant.is_none() => {}
                _ => all = false,
            }
        }
        all.then(otherwise).flatten()
    }

    /// The answer of the first rule that holds, if nothing comes before the rules. It is the same as [`rule`](Self::rule), in less time.
    #[inline]
    pub(super) fn answer_by_rule<A: Attributes + ?Sized>(&self, plan: &Plan, attributes: &A) -> Option<bool> {
        if !self.rules_first {
            return None;
        }
        let left = Cell::new(MOST);
        let visit = Visit::first(plan, &left);
        let holds = |rule: &&ReadyRule| rule.when.as_ref().is_none_or(|when| when.holds(attributes, &visit));
        match &self.rules.iter().find(holds)?.serve {
            ReadyServe::Share { ready, .. } => ready.as_ref().map(|share| share.takes(attributes)),
            serve => serve.constant(),
        }
    }

    /// The comparison of the only rule that has one, what this rule serves, and what the rule for all others does, if there is one. `None` if
    /// anything comes before it.
    pub(super) fn only_comparison(&self) -> Option<(&Word, &ReadyCheck, bool, Option<bool>)> {
        let (first, others) = match self.rules.as_slice() {
            [first] => (first, None),
            [first, others @ ReadyRule { when: None, .. }] => (first, Some(others.serve.constant()?)),
            _ => return None,
        };
        let (name, check) = first.when.as_ref().filter(|_| self.rules_first)?.comparison()?;
        Some((name, check, first.serve.constant()?, others))
    }

    /// Before anything else of an enabled flag. `None`: nothing of it keeps the flag off.
    pub(super) fn refuses<A: Attributes + ?Sized>(&self, attributes: &A, ask: &Ask<'_>) -> Option<Verdict<'_>> {
        if let Some(schedule) = self.schedule.as_ref().filter(|schedule| schedule.turns_whole_flag()) {
            let now = seconds((ask.now)());
            if let Some(at) = schedule.enable_at.filter(|at| now < *at) {
                return Some(Verdict::Scheduled { at, is_over: false });
            }
            if let Some(at) = schedule.disable_at.filter(|at| now >= *at) {
                return Some(Verdict::Scheduled { at, is_over: true });
            }
        }
        let unmet = |(wanted, link): &'_ (Prerequisite, Arc<dyn Linked>)| unmet(wanted, &**link, attributes, ask);
        self.prerequisites.iter().find_map(|prerequisite| {
            Some(Verdict::Prerequisite { flag: &prerequisite.0.flag, unmet: unmet(prerequisite)? })
        })
    }

    /// What the first rule that holds says.
    pub(super) fn rule<A: Attributes + ?Sized>(&self, attributes: &A, ask: &Ask<'_>) -> Option<Verdict<'_>> {
        let holds = |rule: &ReadyRule| rule.when.as_ref().is_none_or(|when| when.holds(attributes, ask.visit));
        let index = self.rules.iter().position(holds)?;
        let served = match &self.rules[index].serve {
            ReadyServe::On => Served::On,
            ReadyServe::Off => Served::Off,
            ReadyServe::Variant(place) => Served::Variant(*place),
            ReadyServe::Share { percentage, by, .. } => {
                // It was a number when the flag was read.
                let percentage = percentage.value(|| (ask.now)()).unwrap_or_default();
                let bucket = self.bucket(by, attributes);
                Served::Share { enabled: takes(bucket, percentage), by, percentage, bucket }
            }
        };
        Some(Verdict::Rule { index, served })
    }

    /// What the steps of the schedule say, where they are instead of the bucketer.
    pub(super) fn step<A: Attributes + ?Sized>(&self, attributes: &A, ask: &Ask<'_>) -> Option<Verdict<'_>> {
        let schedule = self.schedule.as_ref().filter(|schedule| !schedule.steps.is_empty())?;
        let percentage = schedule.share(seconds((ask.now)()))?;
        let bucket = self.bucket(&schedule.by, attributes);
        Some(Verdict::Step { enabled: takes(bucket, percentage), by: &schedule.by, percentage, bucket })
    }

    fn bucket<A: Attributes + ?Sized>(&self, by: &str, attributes: &A) -> Option<u32> {
        let index = (0..attributes.len()).find(|index| attributes.attribute(*index).0 == by)?;
        Some(bucket_at(self.seed, attributes, index))
    }

    /// The variant of this answer.
    pub(super) fn chosen<A: Attributes + ?Sized>(&self, verdict: &Verdict<'_>, attributes: &A) -> Option<&Chosen> {
        let choice = self.choice.as_ref()?;
        match verdict {
            Verdict::Rule { served: Served::Variant(place), .. } => choice.get(*place),
            verdict if verdict.enabled() => choice.choose(attributes),
            _ => choice.when_off(),
        }
    }

    pub(super) fn has_steps(&self) -> bool {
        self.schedule.as_ref().is_some_and(|schedule| !schedule.steps.is_empty())
    }

    /// The attributes that choose callers here.
    pub(super) fn chooses_by(&self) -> impl Iterator<Item = &str> {
        let steps = self.schedule.as_ref().filter(|schedule| !schedule.steps.is_empty());
        let steps = steps.map(|schedule| schedule.by.as_str());
        steps.into_iter().chain(self.choice.as_ref().map(Choice::by))
    }
}

fn takes(bucket: Option<u32>, percentage: f64) -> bool {
    match bucket {
        Some(bucket) => SaltedPercentageBucketer::takes(bucket, percentage),
        None => SaltedPercentageBucketer::takes_all(percentage),
    }
}

/// Why the prerequisite does not hold; `None` if it does.
fn unmet<A: Attributes + ?Sized>(
    wanted: &Prerequisite,
    link: &dyn Linked,
    attributes: &A,
    ask: &Ask<'_>,
) -> Option<Unmet> {
    if wanted.variant.is_none() && link.settled(!attributes.is_empty()) == Some(true) {
        return None;
    }
    let mut found = Some(Unmet::Missing);
    link.read(&mut |plan| {
        let Some(plan) = plan else { return };
        found = match ask.visit.enter(plan) {
            Err(Refused::Cycle) => Some(Unmet::Cycle),
            Err(Refused::TooMany) => Some(Unmet::TooMany),
            Ok(visit) => plan.unmet(wanted, attributes, &Ask { visit: &visit, ..*ask }),
        };
    });
    found
}

impl Plan {
    fn unmet<A: Attributes + ?Sized>(&self, wanted: &Prerequisite, attributes: &A, ask: &Ask<'_>) -> Option<Unmet> {
        let verdict = self.decide(&wanted.flag, attributes, ask);
        if !verdict.enabled() {
            return Some(verdict.passed_on());
        }
        let wanted = wanted.variant.as_ref()?;
        let chosen = self.extra.as_ref().and_then(|extra| extra.chosen(&verdict, attributes));
        match chosen {
            Some(chosen) if chosen.name() == wanted => None,
            _ => Some(Unmet::OtherVariant),
        }
    }
}

impl ReadyRule {
    fn of(rule: &Rule, choice: Option<&Choice>, seed: u64, links: &dyn Links) -> Self {
        let serve = match &rule.serve {
            Serve::On => ReadyServe::On,
            Serve::Off => ReadyServe::Off,
            Serve::Share { percentage, by } => {
                let fixed = percentage.fixed().and_then(Result::ok);
                let ready = fixed.map(|share| ReadyShare::new(by, seed, share));
                ReadyServe::Share { percentage: percentage.clone(), by: by.as_str().into(), ready }
            }
            // Without the variant it would be corrupt.
            Serve::Variant(name) => {
                choice.and_then(|choice| choice.place(name)).map_or(ReadyServe::Off, ReadyServe::Variant)
            }
        };
        Self {
            name: rule.name.as_deref().map(Box::from),
            when: rule.when.as_ref().map(|when| Matcher::of(when, links)),
            serve,
        }
    }
}
