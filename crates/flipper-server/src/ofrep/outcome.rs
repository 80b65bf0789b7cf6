use flipper::__openfeature::{self as openfeature, Failure, Standard};
use flipper::bucketing::AnyPercentage;
use flipper::context::Value;
use flipper::evaluation::{Evaluation, Reason};
use flipper::{Bucketer, FlagRecord};

use super::error::Code;

/// What a context gets from a flag.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) enabled: bool,
    /// One that all clients can read.
    pub(super) reason: &'static str,
    /// Flipper's own.
    pub(super) reason_code: &'static str,
    /// Whether time or chance decides, so that the answer may change without a change of the flag.
    pub(super) is_passing: bool,
}

impl Outcome {
    pub(super) const DISABLED: Self =
        Self { enabled: false, reason: "DISABLED", reason_code: Reason::Disabled.code(), is_passing: false };
    pub(super) const ENABLED: Self =
        Self { enabled: true, reason: "STATIC", reason_code: Reason::Enabled.code(), is_passing: false };

    /// Or the error, with details that name no attribute which the caller could not know or need not send: web pages ask too.
    pub(super) fn of(
        name: &str,
        evaluation: &Evaluation,
        record: Option<&FlagRecord>,
        context: &[(&str, Value<'_>)],
    ) -> Result<Self, (Code, String)> {
        let reason = match openfeature::reason(evaluation, record, context) {
            Ok(Standard::Static) => "STATIC",
            Ok(Standard::TargetingMatch) => "TARGETING_MATCH",
            Ok(Standard::Split) => "SPLIT",
            Ok(Standard::Disabled) => "DISABLED",
            // OFREP has no other, and a client fails on them.
            Ok(Standard::Default | Standard::Other) => "UNKNOWN",
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
            reason,
            reason_code: evaluation.reason.code(),
            is_passing: is_passing(&evaluation.reason, record),
        })
    }
}

fn is_passing(reason: &Reason, record: Option<&FlagRecord>) -> bool {
    match reason {
        Reason::Random { percentage } => (*percentage > 0.0 && *percentage < 1.0) || has_ramp(record),
        Reason::Bucket { .. } | Reason::NoBucketAttribute { .. } => has_ramp(record),
        // It may look at the clock.
        Reason::CustomBucketer { .. } => true,
        _ => false,
    }
}

fn has_ramp(record: Option<&FlagRecord>) -> bool {
    let percentage = match record.map(FlagRecord::bucketer) {
        Some(Bucketer::Percentage(bucketer)) => bucketer.percentage(),
        Some(Bucketer::ConsistentHash(bucketer)) => bucketer.percentage(),
        Some(Bucketer::Salted(bucketer)) => bucketer.percentage(),
        _ => return false,
    };
    matches!(percentage, AnyPercentage::Ramp(_))
}
