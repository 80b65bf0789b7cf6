use flipper::__openfeature::{self as openfeature, Failure, Standard};
use flipper::FlagRecord;
use flipper::context::Value;
use flipper::evaluation::{Brief, Chosen, Evaluation, Reason};
use flipper::store::FlagTable;

use super::error::Code;
use super::passing;

/// What a context gets from a flag.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) enabled: bool,
    pub(super) given: Given,
    /// One that all clients can read.
    pub(super) reason: &'static str,
    /// Flipper's own.
    pub(super) reason_code: &'static str,
    /// Whether time or chance decides, so that the answer may change without a change of the flag.
    pub(super) is_passing: bool,
}

/// The value of the flag itself.
#[derive(Clone, Debug)]
pub(super) enum Given {
    /// Whether it is on.
    Switch,
    Variant(Chosen),
    /// The caller's default: the flag has variants, none of which is for callers for whom it is off.
    Default,
    /// Nothing, since the context lacks the attribute to choose a variant by: an error with these details.
    Error(String),
}

impl Outcome {
    pub(super) const DISABLED: Self = Self {
        enabled: false,
        given: Given::Switch,
        reason: "DISABLED",
        reason_code: Reason::Disabled.code(),
        is_passing: false,
    };
    pub(super) const ENABLED: Self = Self {
        enabled: true,
        given: Given::Switch,
        reason: "STATIC",
        reason_code: Reason::Enabled.code(),
        is_passing: false,
    };

    /// Whether the flag itself has the same answer, if that is a switch.
    pub(super) fn reads_as(&self, other: &Self) -> bool {
        (self.enabled, self.reason, self.reason_code) == (other.enabled, other.reason, other.reason_code)
    }

    pub(super) fn of_brief(brief: Brief) -> Self {
        let (enabled, standard, reason_code) = openfeature::of_brief(brief);
        Self { enabled, given: Given::Switch, reason: word(standard), reason_code, is_passing: false }
    }

    /// Or the error, with details that name no attribute which the caller could not know or need not send: web pages ask too.
    pub(super) fn of(
        name: &str,
        evaluation: &Evaluation,
        record: Option<&FlagRecord>,
        context: &[(&str, Value<'_>)],
        table: &FlagTable,
    ) -> Result<Self, (Code, String)> {
        let reason = match openfeature::reason(evaluation, record, context) {
            Ok(standard) => word(standard),
            Err(Failure::NotFound) => return Err((Code::FlagNotFound, format!("there is no flag {name:?}"))),
            Err(failure) => {
                let code = match failure {
                    Failure::InvalidContext => Code::InvalidContext,
                    Failure::TargetingKeyMissing => Code::TargetingKeyMissing,
                    Failure::NotFound | Failure::Unreadable => Code::ParseError,
                };
                return Err((code, format!("flag {name:?}: {}", evaluation.reason)));
            }
        };
        Ok(Self {
            enabled: evaluation.is_enabled,
            given: given(name, evaluation, record),
            reason,
            reason_code: evaluation.reason.code(),
            is_passing: record.is_some_and(|record| passing::is_passing(&evaluation.reason, record, table)),
        })
    }
}

fn word(standard: Standard) -> &'static str {
    match standard {
        Standard::Static => "STATIC",
        Standard::TargetingMatch => "TARGETING_MATCH",
        Standard::Split => "SPLIT",
        Standard::Disabled => "DISABLED",
        // OFREP has no other, and a client fails on them.
        Standard::Default | Standard::Other => "UNKNOWN",
    }
}

fn given(name: &str, evaluation: &Evaluation, record: Option<&FlagRecord>) -> Given {
    let Some(variants) = record.and_then(FlagRecord::variants) else { return Given::Switch };
    match &evaluation.variant {
        Some(chosen) => Given::Variant(chosen.clone()),
        // A test's answer is on or off.
        None if evaluation.reason == Reason::Overridden => Given::Switch,
        None if !evaluation.is_enabled => Given::Default,
        None => Given::Error(format!("flag {name:?}: the context has no {:?} to choose a variant by", variants.by)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use flipper::bucketing::{
        ConsistentHashPercentageBucketer, LinearRampPercentage, PercentageBucketer, SaltedPercentageBucketer,
    };
    use flipper::json::Json;
    use flipper::store::{LocalFeatureFlagStore, Precondition};
    use flipper::targeting::{Prerequisite, Variant, Variants};
    use flipper::{Bucketer, Condition, FeatureFlagClient, FeatureFlagStore, MemoryFeatureFlagStore};
    use flipper_testkit::block_on;

    use super::*;

    fn records() -> Vec<FlagRecord> {
        let ramp = || LinearRampPercentage::new(0.0, 1.0, Duration::from_secs(1_000_000));
        let many = |condition: Condition, number: i64| condition.eq(&format!("a{number}"), number);
        let conditions: [Vec<Condition>; 6] = [
            vec![],
            vec![Condition::new()],
            vec![Condition::new().eq("plan", "pro")],
            vec![Condition::new().eq("plan", "pro").gt("age", 18), Condition::new().ne("plan", "free")],
            vec![Condition::new().one_of("plan", ["pro", "team"])],
            vec![(0..20).fold(Condition::new(), many)],
        ];
        let mut bucketers = vec![Bucketer::NoOp, PercentageBucketer::new(0.5).into()];
        bucketers.push(SaltedPercentageBucketer::new("user", ramp()).into());
        for share in [0.0, 0.5, 1.0] {
            bucketers.push(SaltedPercentageBucketer::new("user", share).into());
            bucketers.push(ConsistentHashPercentageBucketer::new(share).key_whitelist(["user"]).into());
        }
        let changes: [fn(&mut FlagRecord); 6] = [
            |_| {},
            |record| record.set_enabled(false),
            |record| record.set_strict(true),
            |record| record.set_deny_conditions(vec![Condition::new().eq("plan", "free")]),
            |record| record.set_variants(Some(Variants::new("user").with(Variant::new("a", 100.0)))),
            |record| record.set_prerequisites(vec![Prerequisite::new("NONE")]),
        ];
        let mut records = Vec::new();
        for (conditions, bucketer) in conditions.iter().flat_map(|it| bucketers.iter().map(move |by| (it, by))) {
            for change in changes {
                let mut record = FlagRecord::new("F", 1);
                record.set_enabled(true);
                conditions.iter().for_each(|condition| record.add_condition(condition.clone()));
                record.set_bucketer(bucketer.clone());
                change(&mut record);
                records.push(record);
            }
        }
        records
    }

    #[test]
    fn a_brief_outcome_is_that_of_the_whole_check() {
        let store = MemoryFeatureFlagStore::new();
        let features = FeatureFlagClient::new(store.clone());
        let text = Json::from("pro");
        let contexts: &[&[(&str, Value<'_>)]] = &[
            &[],
            &[("other", 1.into())],
            &[("plan", "pro".into()), ("user", 7.into())],
            &[("age", 40.into()), ("plan", (&text).into()), ("user", "7".into())],
            &[("age", "x".into()), ("plan", "pro".into())],
            &[("plan", "free".into()), ("age", 40.into())],
            &[("plan", 1.5.into()), ("user", 1.5.into())],
            &[("a0", 0.into()), ("a19", 19.into()), ("user", Value::Null)],
            &[("a0", 0.into()), ("a19", 7.into())],
        ];
        let (mut briefly, mut wholly) = (0, 0);
        for record in records() {
            block_on(store.put(&record, Precondition::Any.into())).unwrap();
            let flag = features.get("F");
            let ready = flag.ready(&features.record("F").unwrap());
            for context in contexts {
                let Some(brief) = ready.as_ref().and_then(|ready| flag.explain_briefly(ready, *context)) else {
                    wholly += 1;
                    continue;
                };
                briefly += 1;
                let brief = Outcome::of_brief(brief);
                let whole = flag.explain(*context, |evaluation, record| {
                    Outcome::of("F", evaluation, record, context, store.table()).unwrap()
                });
                assert!(brief.reads_as(&whole), "{brief:?} {whole:?} {context:?} {record:?}");
                assert!(matches!(whole.given, Given::Switch) && !whole.is_passing, "{whole:?} {record:?}");
            }
        }
        assert!(briefly > 200 && wholly > 200, "{briefly} {wholly}");
    }
}
