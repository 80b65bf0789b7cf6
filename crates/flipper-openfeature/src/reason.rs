use flipper::__openfeature::{Failure, Standard, reason};
use flipper::Scope;
use flipper::evaluation::Evaluation;
use flipper::json::Json;
use flipper::store::Health;
use open_feature::provider::ResolutionDetails;
use open_feature::{EvaluationErrorCode, EvaluationReason, EvaluationResult, FlagMetadata, FlagMetadataValue};

use crate::provider::error;

pub(crate) struct Resolved {
    pub(crate) enabled: bool,
    pub(crate) explanation: String,
    reason: EvaluationReason,
    metadata: FlagMetadata,
}

impl Resolved {
    pub(crate) fn details<T>(self, value: T) -> ResolutionDetails<T> {
        ResolutionDetails {
            value,
            variant: Some(if self.enabled { "on" } else { "off" }.to_owned()),
            reason: Some(self.reason),
            flag_metadata: Some(self.metadata),
        }
    }
}

pub(crate) fn resolve(scope: &Scope, name: &str) -> EvaluationResult<Resolved> {
    let evaluation = scope.evaluate(name);
    let explanation = evaluation.reason.to_string();
    let record = scope.record(name).ok();
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
    Ok(Resolved { enabled: evaluation.is_enabled, explanation, reason, metadata })
}

fn not_found(scope: &Scope, name: &str) -> open_feature::EvaluationError {
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
