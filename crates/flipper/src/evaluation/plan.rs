use std::cell::Cell;
use std::collections::HashSet;
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use foldhash::fast::RandomState;

use super::chosen::Chosen;
use super::extra::{Ask, Extra};
use super::link::{Links, MOST, NoLinks, Visit};
use super::matcher::Matcher;
use super::quick::{Brief, Quick};
use super::verdict::Verdict;
use super::{Bucket, Environment, Evaluation, Exact};
use crate::bucketing::{
    AnyPercentage, Bucketer, ConsistentHashPercentageBucketer, SaltedPercentageBucketer, custom, seed_of_shares,
};
use crate::clock::Clock;
use crate::conditions::{AllChecks, Answers, Condition, Outcome, Sole};
use crate::context::{Attributes, Value};
use crate::record::FlagRecord;

pub(crate) const NO_ATTRIBUTES: [(&str, Value<'static>); 0] = [];

/// The largest score of the bucketer that is compatible with Python.
const LAST_SCORE: f64 = 0.99;

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    enabled: bool,
    conditions: Vec<Condition>,
    all_checks: AllChecks,
    /// Whether a condition on a missing attribute fails.
    strict: bool,
    quick: Quick,
    deny_conditions: Vec<Condition>,
    bucketer: Bucketer,
    without_context: Option<bool>,
    with_context: Option<bool>,
    /// Boxed: most flags have none.
    pub(super) extra: Option<Box<Extra>>,
    /// Of the salted bucketer.
    seed: u64,
}

/// The plans of flags that are off, and on, for everybody.
static PLAIN: LazyLock<[Arc<Plan>; 2]> = LazyLock::new(|| {
    [false, true].map(|enabled| {
        let mut record = FlagRecord::new("", 0);
        record.set_enabled(enabled);
        Arc::new(Plan::new("", &record, false, &NoLinks))
    })
});

impl Plan {
    /// `strict` makes the flag strict. Most flags share a plan, which saves a quarter of their memory.
    pub(crate) fn of(name: &str, record: &FlagRecord, strict: bool, links: &dyn Links) -> Arc<Self> {
        let unconditional =
            record.conditions().is_empty() && record.deny_conditions().is_empty() && record.targeting().is_none();
        if unconditional && matches!(record.bucketer(), Bucketer::NoOp) {
            return PLAIN[usize::from(record.is_enabled())].clone();
        }
        Arc::new(Self::new(name, record, strict, links))
    }

    /// `name`: the store's key, which counts if the record has another.
    pub(crate) fn new(name: &str, record: &FlagRecord, strict: bool, links: &dyn Links) -> Self {
        let extra = Extra::of(name, record, links);
        let open = extra.as_ref().is_none_or(|extra| !extra.limits);
        let (enabled, bucketer, seed) = (record.is_enabled(), record.bucketer(), seed_of_shares(name));
        let strict = (strict || record.is_strict()) && !record.conditions().is_empty();
        let limited = !record.conditions().is_empty() || !record.deny_conditions().is_empty();
        let with_context = if enabled { settled(bucketer, true).filter(|_| open && !limited) } else { Some(false) };
        Self {
            enabled,
            conditions: record.conditions().to_vec(),
            all_checks: AllChecks::of(record.conditions().iter().flat_map(Condition::checks)),
            strict,
            quick: if enabled && open { Quick::of(record, strict, seed) } else { Quick::Nothing },
            deny_conditions: record.deny_conditions().to_vec(),
            bucketer: bucketer.clone(),
            without_context: match (enabled, open) {
                (false, _) => Some(false),
                (true, false) => None,
                (true, true) if strict => Some(false),
                (true, true) => settled(bucketer, false),
            },
            with_context,
            extra,
            seed,
        }
    }

    /// The comparison that alone decides all checks with attributes, if there is one.
    pub(crate) fn sole(&self) -> Option<Sole> {
        if matches!(self.quick, Quick::Conditions) {
            let (name, check) = self.all_checks.only()?;
            return Sole::new(name, check, Answers { holds: true, fails: false, missing: true, first_counts: false });
        }
        let (name, check, serves, others) = self.extra.as_ref()?.only_comparison()?;
        // Where the rule does not hold.
        let rest = others.or_else(|| self.settled_plainly(true))?;
        Sole::new(name, check, Answers { holds: serves, fails: rest, missing: rest, first_counts: true })
    }

    /// The answer to all checks without attributes, if it is constant whatever other flags there are.
    #[cfg(test)]
    pub(crate) fn settled_without_context(&self) -> Option<bool> {
        self.without_context
    }

    pub(crate) fn settled_with_context(&self) -> Option<bool> {
        self.with_context
    }

    /// As the two above, if nothing but prerequisites keeps it from being constant, and they are constant now.
    pub(crate) fn settled_by_links(&self, with_context: bool) -> Option<bool> {
        let plainly = if with_context { self.with_context } else { self.without_context };
        match &self.extra {
            Some(extra) if self.enabled && extra.limits => {
                extra.settled(with_context, || self.settled_plainly(with_context))
            }
            _ => plainly,
        }
    }

    /// As if it had nothing but conditions and a bucketer.
    fn settled_plainly(&self, with_context: bool) -> Option<bool> {
        if !with_context {
            return if self.strict { Some(false) } else { settled(&self.bucketer, false) };
        }
        let limited = !(self.conditions.is_empty() && self.deny_conditions.is_empty());
        settled(&self.bucketer, true).filter(|_| !limited)
    }

    /// Whether an enabled flag has conditions, which a check without attributes ignores.
    pub(crate) fn has_conditions(&self) -> bool {
        self.enabled && !self.strict && !(self.conditions.is_empty() && self.deny_conditions.is_empty())
    }

    /// It allocates only to sort more than eight attributes for a hash.
    #[inline]
    pub(crate) fn is_enabled<A: Attributes + ?Sized>(
        &self,
        flag_name: &str,
        attributes: &A,
        environment: &Environment,
    ) -> bool {
        if let Some(answer) = self.quick.answer(&self.all_checks, attributes) {
            return answer;
        }
        if let Some(extra) = self.extra.as_ref().filter(|extra| extra.limits) {
            return extra.answer_by_rule(self, attributes).unwrap_or_else(|| {
                let now = Moment::of(&*environment.clock);
                self.decide_limited(flag_name, attributes, environment, &now).enabled()
            });
        }
        self.decide_plainly(flag_name, attributes, environment, || environment.clock.recent()).enabled()
    }

    pub(super) fn segment(&self) -> Option<&Matcher> {
        self.extra.as_ref()?.segment()
    }

    fn is_limited(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.limits)
    }

    /// The answer and the variant, of one decision.
    pub(crate) fn answer_with_variant<A: Attributes + ?Sized>(
        &self,
        flag_name: &str,
        attributes: &A,
        environment: &Environment,
    ) -> (bool, Option<Chosen>) {
        let verdict = self.decide_once(flag_name, attributes, environment, &Moment::of(&*environment.clock));
        let variant = self.extra.as_ref().and_then(|extra| extra.chosen(&verdict, attributes)).cloned();
        (verdict.enabled(), variant)
    }

    pub(crate) fn has_variants(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.choice().is_some())
    }

    /// The variant of this check; for a flag without variants `None`.
    #[inline]
    pub(crate) fn variant<A: Attributes + ?Sized>(
        &self,
        flag_name: &str,
        attributes: &A,
        environment: &Environment,
    ) -> Option<&Chosen> {
        let extra = self.extra.as_ref()?;
        let choice = extra.choice()?;
        if self.with_context == Some(true) && !attributes.is_empty() {
            return choice.choose(attributes);
        }
        let verdict = self.decide_once(flag_name, attributes, environment, &Moment::of(&*environment.clock));
        extra.chosen(&verdict, attributes)
    }

    /// Allocates as little as [`is_enabled`](Self::is_enabled).
    pub(crate) fn exact<A: Attributes + ?Sized>(
        &self,
        flag_name: &str,
        attributes: &A,
        environment: &Environment,
    ) -> Exact {
        let now = Moment::of(&*environment.clock);
        let verdict = match self.decide_once(flag_name, attributes, environment, &now) {
            Verdict::ConditionsNotMet => self.first_failure(attributes),
            verdict => verdict,
        };
        match verdict {
            Verdict::TypeMismatch { .. } | Verdict::CustomBucketer { .. } => Exact::Undecided,
            verdict if verdict.enabled() => Exact::On,
            _ => Exact::Off,
        }
    }

    pub(crate) fn evaluate<A: Attributes + ?Sized>(
        &self,
        flag_name: &str,
        attributes: &A,
        environment: &Environment,
    ) -> Evaluation {
        let now = Moment::of(&*environment.clock);
        let verdict = match self.decide_once(flag_name, attributes, environment, &now) {
            Verdict::ConditionsNotMet => self.first_failure(attributes),
            verdict => verdict,
        };
        let bucket = match verdict {
            // They take the bucketer's place.
            Verdict::Step { percentage, bucket, .. } => bucket.map(|bucket| Bucket {
                score: SaltedPercentageBucketer::score(bucket),
                percentage: AnyPercentage::from(percentage).shown(|| now.get()),
                is_shared: false,
            }),
            _ => self.bucket(attributes, &now),
        };
        let score = bucket.as_ref().map_or(0.0, |bucket| bucket.score);
        let not_given = self.not_given(attributes);
        let variant = self.extra.as_ref().and_then(|extra| extra.chosen(&verdict, attributes)).cloned();
        let reason = verdict.reason(score, self.rule_name(&verdict));
        Evaluation { is_enabled: verdict.enabled(), reason, not_given, bucket, variant }
    }

    /// As [`evaluate`](Self::evaluate), without scores and attributes that are not given.
    pub(crate) fn explain<A: Attributes + ?Sized>(
        &self,
        flag_name: &str,
        attributes: &A,
        environment: &Environment,
    ) -> Evaluation {
        let now = Moment::of(&*environment.clock);
        let verdict = match self.decide_once(flag_name, attributes, environment, &now) {
            Verdict::ConditionsNotMet => self.first_failure(attributes),
            verdict => verdict,
        };
        let variant = self.extra.as_ref().and_then(|extra| extra.chosen(&verdict, attributes)).cloned();
        let reason = verdict.reason(0.0, self.rule_name(&verdict));
        Evaluation { variant, ..Evaluation::of(verdict.enabled(), reason) }
    }

    /// Whether [`brief`](Self::brief) has an answer to most checks with attributes.
    pub(super) fn is_quick(&self) -> bool {
        self.extra.is_none() && !matches!(self.quick, Quick::Nothing)
    }

    pub(super) fn brief<A: Attributes + ?Sized>(&self, attributes: &A) -> Option<Brief> {
        self.quick.brief(&self.all_checks, attributes)
    }

    fn rule_name(&self, verdict: &Verdict<'_>) -> Option<&str> {
        match verdict {
            Verdict::Rule { index, .. } => self.extra.as_ref()?.rule_name(*index),
            _ => None,
        }
    }

    fn not_given<A: Attributes + ?Sized>(&self, attributes: &A) -> Vec<String> {
        let conditions = self.deny_conditions.iter().chain(&self.conditions);
        let mut names: Vec<&str> = conditions.flat_map(Condition::checks).map(|(variable, ..)| variable).collect();
        match &self.bucketer {
            // The bucketer is ignored then.
            _ if !self.conditions.is_empty() && !attributes.is_empty() => {}
            _ if self.extra.as_ref().is_some_and(|extra| extra.has_steps()) => {}
            Bucketer::ConsistentHash(bucketer) => names.extend(bucketer.keys()),
            Bucketer::Salted(bucketer) => names.push(bucketer.bucket_by()),
            Bucketer::NoOp | Bucketer::Percentage(_) | Bucketer::Custom(_) => {}
        }
        names.extend(self.extra.iter().flat_map(|extra| extra.chooses_by()));
        if names.is_empty() {
            return Vec::new();
        }
        // A set: there may be thousands of both.
        let given: HashSet<&str, RandomState> =
            (0..attributes.len()).map(|index| attributes.attribute(index).0).collect();
        names.retain(|name| !given.contains(name));
        names.sort_unstable();
        names.dedup();
        names.into_iter().map(str::to_owned).collect()
    }

    fn decide_once<A: Attributes + ?Sized>(
        &self,
        flag_name: &str,
        attributes: &A,
        environment: &Environment,
        now: &Moment<'_>,
    ) -> Verdict<'_> {
        if self.is_limited() {
            return self.decide_limited(flag_name, attributes, environment, now);
        }
        self.decide_plainly(flag_name, attributes, environment, || now.get())
    }

    #[inline(never)]
    fn decide_limited<A: Attributes + ?Sized>(
        &self,
        flag_name: &str,
        attributes: &A,
        environment: &Environment,
        now: &Moment<'_>,
    ) -> Verdict<'_> {
        let left = Cell::new(MOST);
        let visit = Visit::first(self, &left);
        self.decide(flag_name, attributes, &Ask { environment, now: &|| now.get(), visit: &visit })
    }

    /// With all that a flag may have.
    pub(super) fn decide<A: Attributes + ?Sized>(&self, flag_name: &str, attributes: &A, ask: &Ask<'_>) -> Verdict<'_> {
        let now = || (ask.now)();
        let Some(extra) = self.extra.as_ref().filter(|extra| extra.limits) else {
            return self.decide_plainly(flag_name, attributes, ask.environment, now);
        };
        if !self.enabled {
            return Verdict::Disabled;
        }
        if let Some(refused) = extra.refuses(attributes, ask) {
            return refused;
        }
        if !attributes.is_empty()
            && let Some(denied) = self.denied(attributes)
        {
            return denied;
        }
        if let Some(decided) = extra.rule(attributes, ask) {
            return decided;
        }
        let conditions_decide = !self.conditions.is_empty() && (self.strict || !attributes.is_empty());
        if !conditions_decide && let Some(step) = extra.step(attributes, ask) {
            return step;
        }
        self.decide_plainly(flag_name, attributes, ask.environment, now)
    }

    /// Without what Python does not have, but for deny conditions and strictness.
    fn decide_plainly<A: Attributes + ?Sized>(
        &self,
        flag_name: &str,
        attributes: &A,
        environment: &Environment,
        now: impl Fn() -> SystemTime,
    ) -> Verdict<'_> {
        if !self.enabled {
            return Verdict::Disabled;
        }
        if !attributes.is_empty()
            && let Some(denied) = self.denied(attributes)
        {
            return denied;
        }
        if self.strict || !(attributes.is_empty() || self.conditions.is_empty()) {
            let given = !self.strict || self.conditions.iter().all(|condition| condition.all_given(attributes));
            let met = given && self.all_checks.hold(attributes);
            return if met { Verdict::ConditionsMet } else { Verdict::ConditionsNotMet };
        }
        self.ask_bucketer(flag_name, attributes, environment, now)
    }

    fn denied<A: Attributes + ?Sized>(&self, attributes: &A) -> Option<Verdict<'_>> {
        self.deny_conditions.iter().enumerate().find_map(|(index, condition)| {
            Some(match condition.check_deny(attributes)? {
                Outcome::Mismatch { variable, operator, types } => Verdict::TypeMismatch { variable, operator, types },
                Outcome::Holds | Outcome::Fails { .. } => Verdict::Denied { index },
            })
        })
    }

    /// The first check that fails, in the order of the conditions, then of the attributes.
    fn first_failure<A: Attributes + ?Sized>(&self, attributes: &A) -> Verdict<'_> {
        for condition in &self.conditions {
            match condition.check(attributes) {
                Outcome::Holds => {
                    if let Some(variable) = condition.first_missing(attributes).filter(|_| self.strict) {
                        return Verdict::NotGiven { variable };
                    }
                }
                Outcome::Fails { variable, operator } => return Verdict::ConditionFailed { variable, operator },
                Outcome::Mismatch { variable, operator, types } => {
                    return Verdict::TypeMismatch { variable, operator, types };
                }
            }
        }
        Verdict::ConditionsNotMet
    }

    fn ask_bucketer<A: Attributes + ?Sized>(
        &self,
        flag_name: &str,
        attributes: &A,
        environment: &Environment,
        now: impl Fn() -> SystemTime,
    ) -> Verdict<'_> {
        let percentage = match self.bucketer.percentage() {
            None => 0.0,
            Some(percentage) => match percentage.value(now) {
                Ok(percentage) => percentage,
                Err(actual) => return Verdict::not_a_number(actual),
            },
        };
        match &self.bucketer {
            Bucketer::NoOp => Verdict::Enabled,
            Bucketer::Percentage(_) => {
                let enabled = percentage != 0.0 && environment.random.next() <= percentage;
                Verdict::Random { enabled, percentage }
            }
            Bucketer::ConsistentHash(bucketer) => {
                let enabled = percentage != 0.0 && self.score(bucketer, attributes) <= percentage;
                Verdict::Bucket { enabled, percentage }
            }
            Bucketer::Salted(bucketer) => match bucketer.bucket_with(self.seed, attributes) {
                Some(bucket) => {
                    Verdict::Bucket { enabled: SaltedPercentageBucketer::takes(bucket, percentage), percentage }
                }
                None => Verdict::NoBucketAttribute {
                    enabled: SaltedPercentageBucketer::takes_all(percentage),
                    attribute: bucketer.bucket_by(),
                    percentage,
                },
            },
            Bucketer::Custom(bucketer) => Verdict::CustomBucketer {
                enabled: custom::ask(&**bucketer, flag_name, &attributes),
                bucketer_type: bucketer.bucketer_type(),
            },
        }
    }

    fn score<A: Attributes + ?Sized>(&self, bucketer: &ConsistentHashPercentageBucketer, attributes: &A) -> f64 {
        self.quick.score(attributes).unwrap_or_else(|| bucketer.score(attributes))
    }

    fn bucket<A: Attributes + ?Sized>(&self, attributes: &A, now: &Moment<'_>) -> Option<Bucket> {
        let (score, is_shared) = match &self.bucketer {
            Bucketer::ConsistentHash(bucketer) => (self.score(bucketer, attributes), !bucketer.hashes_any(attributes)),
            Bucketer::Salted(bucketer) => {
                (SaltedPercentageBucketer::score(bucketer.bucket_with(self.seed, attributes)?), false)
            }
            _ => return None,
        };
        let percentage = self.bucketer.percentage()?.shown(|| now.get());
        Some(Bucket { score, percentage, is_shared })
    }
}

/// The time of one check, read at most once, when needed.
struct Moment<'a> {
    clock: &'a dyn Clock,
    read: Cell<Option<SystemTime>>,
}

impl<'a> Moment<'a> {
    fn of(clock: &'a dyn Clock) -> Self {
        Self { clock, read: Cell::new(None) }
    }

    fn get(&self) -> SystemTime {
        let now = self.read.get().unwrap_or_else(|| self.clock.recent());
        self.read.set(Some(now));
        now
    }
}

/// The bucketer's answer, if it is the same for all callers.
fn settled(bucketer: &Bucketer, context: bool) -> Option<bool> {
    if matches!(bucketer, Bucketer::NoOp) {
        return Some(true);
    }
    // What is no number is off; the check finds the reason.
    let percentage = bucketer.percentage()?.fixed()?.ok()?;
    match bucketer {
        Bucketer::NoOp | Bucketer::Custom(_) => None,
        _ if percentage <= 0.0 => Some(false),
        Bucketer::Percentage(_) => (percentage >= 1.0).then_some(true),
        Bucketer::ConsistentHash(bucketer) if !context => Some(bucketer.score(&NO_ATTRIBUTES) <= percentage),
        Bucketer::ConsistentHash(_) => (percentage >= LAST_SCORE).then_some(true),
        Bucketer::Salted(_) if SaltedPercentageBucketer::takes_all(percentage) => Some(true),
        Bucketer::Salted(_) => (!context || !SaltedPercentageBucketer::takes(0, percentage)).then_some(false),
    }
}
