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
