use std::sync::Arc;

use flipper::__openfeature::{Failure, Standard, reason};
use flipper::evaluation::{Chosen, Evaluation, Reason};
use flipper::json::Json;
use flipper::store::Health;
use flipper::targeting::Variants;
use flipper::{FlagRecord, Scope};
use open_feature::provider::ResolutionDetails;
use open_feature::{
    EvaluationError, EvaluationErrorCode, EvaluationReason, EvaluationResult, FlagMetadata, FlagMetadataValue,
};

use crate::provider::error;

pub(crate) struct Resolved {
    pub(crate) enabled: bool,
    /// The variant that the context gets.
    pub(crate) chosen: Option<Chosen>,
    record: Option<Arc<FlagRecord>>,
    pub(crate) explanation: String,
    reason: EvaluationReason,
    metadata: FlagMetadata,
}

impl Resolved {
    /// The flag's variants, unless a test says on or off instead.
    pub(crate) fn variants(&self) -> Option<&Variants> {
        self.record.as_deref()?.variants()
    }

    pub(crate) fn without_variant(self) -> Self {
        Self { chosen: None, ..self }
    }

    /// Why the context gets no variant, so that the caller's default applies.
    pub(crate) fn no_variant(&self, name: &str, variants: &Variants) -> EvaluationError {
        if self.enabled {
            let message = format!("flag {name:?}: the context has no {:?} to choose a variant by", variants.by);
            return error(EvaluationErrorCode::TargetingKeyMissing, message);
        }
        let message = format!("flag {name:?} is off: {}", self.explanation);
        error(EvaluationErrorCode::General("FLAG_OFF".into()), message)
    }

    pub(crate) fn details<T>(self, value: T) -> ResolutionDetails<T> {
        let switch = || if self.enabled { "on" } else { "off" };
        ResolutionDetails {
            value,
            variant: Some(self.chosen.as_ref().map_or_else(switch, Chosen::name).to_owned()),
            reason: Some(self.reason),
            flag_metadata: Some(self.metadata),
        }
    }
}

pub(crate) fn resolve(scope: &Scope, name: &str) -> EvaluationResult<Resolved> {
    let evaluation = scope.evaluate(name);
    let explanation = evaluation.reason.to_string();
    let record = scope.record(name).ok();
    if record.as_ref().is_some_and(|record| record.segment().is_some()) {
        return Err(not_found(scope, name));
    }
    let reason = match reason(&evaluation, record.as_deref(), scope.context()) {
        Ok(Standard::Disabled) => Ok(EvaluationReason::Disabled),
        Ok(Standard::Default) => Ok(EvaluationReason::Default),
        Ok(Standard::Static) => Ok(EvaluationReason::Static),
        Ok(Standard::TargetingMatch) => Ok(EvaluationReason::TargetingMatch),
        Ok(Standard::Split) => Ok(EvaluationReason::Split),
        Ok(Standard::Other) => Ok(EvaluationReason::Other(evaluation.reason.code().to_ascii_uppercase())),
        Err(Failure::NotFound) => return Err(not_found(scope, name)),
        Err(Failure::Unreadable) => Err(EvaluationErrorCode::ParseError),
        Err(Failure::InvalidContext) => Err(EvaluationErrorCode::InvalidContext),
        Err(Failure::TargetingKeyMissing) => Err(EvaluationErrorCode::TargetingKeyMissing),
    };
    let reason = reason.map_err(|code| error(code, format!("flag {name:?}: {explanation}")))?;
    let metadata = metadata(scope, name, &evaluation, &explanation);
    let record = record.filter(|_| evaluation.reason != Reason::Overridden);
    Ok(Resolved { enabled: evaluation.is_enabled, chosen: evaluation.variant, record, explanation, reason, metadata })
}

fn not_found(scope: &Scope, name: &str) -> EvaluationError {
    let status = scope.client().status();
    match status.health {
        Health::Stale { reason, .. } if status.last_sync.is_none() => {
            error(EvaluationErrorCode::ProviderNotReady, format!("the store's flags are not in memory yet: {reason}"))
        }
        _ => error(EvaluationErrorCode::FlagNotFound, format!("there is no flag {name:?}")),
    }
}

fn metadata(scope: &Scope, name: &str, evaluation: &Evaluation, explanation: &str) -> FlagMetadata {
    let mut metadata = FlagMetadata::default();
    // An override may have no flag.
    if let Ok(record) = scope.record(name) {
        for (key, value) in record.client_data().as_object().into_iter().flat_map(|data| data.iter()) {
            if let Some(value) = plain(value) {
                metadata.add_value(key, value);
            }
        }
        if let Some(created) = record.created_date() {
            metadata.add_value("flipper.created_date", created);
        }
    }
    // After the client data, so that its keys cannot replace these.
    metadata.add_value("flipper.reason", explanation);
    metadata.add_value("flipper.reason_code", evaluation.reason.code());
    if !evaluation.not_given.is_empty() {
        metadata.add_value("flipper.not_given", evaluation.not_given.join(", "));
    }
    if let Some(bucket) = &evaluation.bucket {
        metadata.add_value("flipper.bucket_score", bucket.score);
    }
    metadata
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
