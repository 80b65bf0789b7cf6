use std::collections::HashMap;

use flipper::__openfeature::{Failure, Standard, reason};
use flipper::context::Attributes;
use flipper::evaluation::{Chosen, Evaluation, Reason};
use flipper::json::Json;
use flipper::store::Health;
use flipper::targeting::Variants;
use flipper::{FeatureFlagClient, FlagRecord};
use open_feature::provider::ResolutionDetails;
use open_feature::{
    EvaluationError, EvaluationErrorCode, EvaluationReason, EvaluationResult, FlagMetadata, FlagMetadataValue,
};

use crate::provider::error;

pub(crate) struct Resolved<'a> {
    name: &'a str,
    evaluation: &'a Evaluation,
    /// An override may have no flag.
    pub(crate) record: Option<&'a FlagRecord>,
    reason: EvaluationReason,
}

impl<'a> Resolved<'a> {
    pub(crate) fn of(
        features: &FeatureFlagClient,
        name: &'a str,
        evaluation: &'a Evaluation,
        record: Option<&'a FlagRecord>,
        context: &(impl Attributes + ?Sized),
    ) -> EvaluationResult<Self> {
        if record.is_some_and(|record| record.segment().is_some()) {
            return Err(not_found(features, name));
        }
        let reason = match reason(evaluation, record, context) {
            Ok(Standard::Disabled) => Ok(EvaluationReason::Disabled),
            Ok(Standard::Default) => Ok(EvaluationReason::Default),
            Ok(Standard::Static) => Ok(EvaluationReason::Static),
            Ok(Standard::TargetingMatch) => Ok(EvaluationReason::TargetingMatch),
            Ok(Standard::Split) => Ok(EvaluationReason::Split),
            Ok(Standard::Other) => Ok(EvaluationReason::Other(evaluation.reason.code().to_ascii_uppercase())),
            Err(Failure::NotFound) => return Err(not_found(features, name)),
            Err(Failure::Unreadable) => Err(EvaluationErrorCode::ParseError),
            Err(Failure::InvalidContext) => Err(EvaluationErrorCode::InvalidContext),
            Err(Failure::TargetingKeyMissing) => Err(EvaluationErrorCode::TargetingKeyMissing),
        };
        let reason = reason.map_err(|code| error(code, format!("flag {name:?}: {}", evaluation.reason)))?;
        Ok(Self { name, evaluation, record, reason })
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.evaluation.is_enabled
    }

    /// The variant that the context gets.
    pub(crate) fn chosen(&self) -> Option<&'a Chosen> {
        self.evaluation.variant.as_ref()
    }

    /// The flag's variants, unless a test says on or off instead.
    pub(crate) fn variants(&self) -> Option<&'a Variants> {
        self.record.filter(|_| self.evaluation.reason != Reason::Overridden)?.variants()
    }

    /// Why the context gets no variant, so that the caller's default applies.
    pub(crate) fn no_variant(&self, variants: &Variants) -> EvaluationError {
        if !self.is_enabled() {
            return self.off();
        }
        let message = format!("flag {:?}: the context has no {:?} to choose a variant by", self.name, variants.by);
        error(EvaluationErrorCode::TargetingKeyMissing, message)
    }

    /// Why the flag has no value, so that the caller's default applies.
    pub(crate) fn off(&self) -> EvaluationError {
        let message = format!("flag {:?} is off: {}", self.name, self.evaluation.reason);
        error(EvaluationErrorCode::General("FLAG_OFF".into()), message)
    }

    pub(crate) fn details<T>(self, value: T, variant: Option<&Chosen>) -> ResolutionDetails<T> {
        let switch = if self.is_enabled() { "on" } else { "off" };
        ResolutionDetails {
            value,
            variant: Some(variant.map_or(switch, Chosen::name).to_owned()),
            flag_metadata: self.metadata(),
            reason: Some(self.reason),
        }
    }

    /// `None` where the reason says all: the SDK copies each entry several times.
    fn metadata(&self) -> Option<FlagMetadata> {
        let Evaluation { reason, not_given, bucket, .. } = self.evaluation;
        let data = self.record.and_then(|record| record.client_data().as_object()).filter(|data| !data.is_empty());
        let is_plain = matches!(reason, Reason::Enabled | Reason::Disabled) && not_given.is_empty() && bucket.is_none();
        if is_plain && data.is_none() {
            return None;
        }
        let data = data.into_iter().flat_map(|data| data.iter());
        let mut data = data.filter_map(|(key, value)| Some((key.to_owned(), plain(value)?))).peekable();
        if is_plain && data.peek().is_none() {
            return None;
        }
        let mut metadata = FlagMetadata { values: HashMap::with_capacity(5) };
        metadata.values.extend(data);
        if let Some(created) = self.record.and_then(FlagRecord::created_date) {
            metadata.add_value("flipper.created_date", created);
        }
        // After the client data, so that its keys cannot replace these.
        metadata.add_value("flipper.reason", reason.to_string());
        metadata.add_value("flipper.reason_code", reason.code());
        if !not_given.is_empty() {
            metadata.add_value("flipper.not_given", not_given.join(", "));
        }
        if let Some(bucket) = bucket {
            metadata.add_value("flipper.bucket_score", bucket.score);
        }
        Some(metadata)
    }
}

/// As [`Resolved::details`], of a flag without anything that looks at the context.
pub(crate) fn of_plain(is_on: bool) -> ResolutionDetails<bool> {
    let (variant, reason) = match is_on {
        true => ("on", EvaluationReason::Static),
        false => ("off", EvaluationReason::Disabled),
    };
    ResolutionDetails { value: is_on, variant: Some(variant.to_owned()), flag_metadata: None, reason: Some(reason) }
}

fn not_found(features: &FeatureFlagClient, name: &str) -> EvaluationError {
    let status = features.status();
    match status.health {
        Health::Stale { reason, .. } if status.last_sync.is_none() => {
            error(EvaluationErrorCode::ProviderNotReady, format!("the store's flags are not in memory yet: {reason}"))
        }
        _ => error(EvaluationErrorCode::FlagNotFound, format!("there is no flag {name:?}")),
    }
}

fn plain(value: &Json) -> Option<FlagMetadataValue> {
    match value {
        Json::Bool(value) => Some(FlagMetadataValue::Bool(*value)),
        Json::String(value) => Some(FlagMetadataValue::String(value.clone())),
        Json::LoneSurrogates(value) => Some(FlagMetadataValue::String(value.as_str().to_owned())),
        Json::Number(number) => {
            number.as_i64().map(FlagMetadataValue::Int).or_else(|| number.as_f64().map(FlagMetadataValue::Float))
        }
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}
