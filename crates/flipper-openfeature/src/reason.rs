use flipper::context::Attributes;
use flipper::evaluation::{Evaluation, Reason};
use flipper::json::Json;
use flipper::store::Health;
use flipper::{Condition, Context, Scope};
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
    let reason = match &evaluation.reason {
        Reason::NoSuchFlag => return Err(not_found(scope, name)),
        Reason::Corrupt => Err(EvaluationErrorCode::ParseError),
        // Not an attribute of the context: the variable is the percentage, which should be a number.
        Reason::TypeMismatch { variable, .. } if !has(scope.context(), variable) => {
            Err(EvaluationErrorCode::ParseError)
        }
        Reason::TypeMismatch { .. } => Err(EvaluationErrorCode::InvalidContext),
        Reason::NoBucketAttribute { .. } if !evaluation.is_enabled => Err(EvaluationErrorCode::TargetingKeyMissing),
        Reason::Disabled => Ok(EvaluationReason::Disabled),
        // All conditions were skipped.
        Reason::Enabled | Reason::ConditionsMet if is_untargeted(scope, name, &evaluation) => {
            Ok(EvaluationReason::Default)
        }
        Reason::Enabled => Ok(EvaluationReason::Static),
        Reason::ConditionsMet
        | Reason::ConditionFailed { .. }
        | Reason::NotGiven { .. }
        | Reason::Denied { .. }
        | Reason::CustomBucketer { .. } => Ok(EvaluationReason::TargetingMatch),
        Reason::Bucket { .. } | Reason::Random { .. } | Reason::NoBucketAttribute { .. } => Ok(EvaluationReason::Split),
        // OpenFeature has no such reason.
        other => Ok(EvaluationReason::Other(other.code().to_ascii_uppercase())),
    };
    let reason = reason.map_err(|code| error(code, format!("flag {name:?}: {explanation}")))?;
    let metadata = metadata(scope, name, &evaluation, &explanation);
    Ok(Resolved { enabled: evaluation.is_enabled, explanation, reason, metadata })
}

/// Whether the flag has conditions, all on attributes that the context lacks.
fn is_untargeted(scope: &Scope, name: &str, evaluation: &Evaluation) -> bool {
    let Ok(record) = scope.record(name) else { return false };
    let conditions = record.conditions().iter().chain(record.deny_conditions());
    let mut variables = conditions.flat_map(Condition::checks).map(|(variable, ..)| variable).peekable();
    variables.peek().is_some() && variables.all(|variable| evaluation.not_given.iter().any(|name| name == variable))
}

fn has(context: &Context, attribute: &str) -> bool {
    (0..context.len()).any(|index| context.attribute(index).0 == attribute)
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
