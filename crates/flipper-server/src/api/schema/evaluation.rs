use utoipa::ToSchema;

use super::Stale;

#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EvaluationRequest {
    /// The attributes of the caller.
    #[schema(required = false, nullable = false, value_type = Object)]
    context: Option<()>,
}

#[derive(ToSchema)]
pub(crate) struct Evaluation {
    name: String,
    enabled: bool,
    /// Which rule decided.
    rule: String,
    /// The same in words.
    reason: String,
    variant: Option<Chosen>,
    bucket: Option<Bucket>,
    /// Attributes that conditions, or the bucketer that decided, use and the context lacks.
    not_given: Vec<String>,
    /// Not null while the store cannot be followed: then the flag's last known state has answered.
    stale: Option<Stale>,
}

/// The variant that the caller gets.
#[derive(ToSchema)]
pub(crate) struct Chosen {
    name: String,
    #[schema(value_type = Value)]
    value: (),
}

/// The caller's place in a bucketer that hashes.
#[derive(ToSchema)]
pub(crate) struct Bucket {
    score: Option<f64>,
    #[schema(value_type = Value)]
    percentage: (),
    is_shared: bool,
}
