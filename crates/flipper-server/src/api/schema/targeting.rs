use utoipa::{IntoParams, ToSchema};

use super::{Stale, Status};

/// A rule. It answers `on`, `off`, a share of callers (`{"share": 0.25, "by": "user_id"}`) or a variant (`{"variant": "red"}`).
#[derive(ToSchema)]
pub(crate) struct StoredRule {
    /// For people.
    #[schema(required = false, nullable = false)]
    name: Option<String>,
    /// Whom it is about; without it everybody.
    #[schema(required = false, nullable = false, value_type = When)]
    when: Option<()>,
    #[schema(value_type = Value)]
    serve: (),
}

/// A rule whose `when` may also be text: `plan = pro and (email ends with "@corp.com" or in segment beta)`.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleInput {
    #[schema(required = false)]
    name: Option<String>,
    #[schema(required = false)]
    when: Option<WhenInput>,
    #[schema(value_type = Value)]
    serve: (),
}

/// One of `{"all": […]}`, `{"any": […]}`, `{"not": …}`, `{"segment": NAME}` and `{"attribute": …, "operator": …, "value": …}`.
#[derive(ToSchema)]
#[schema(value_type = Object)]
pub(crate) struct When(());

/// Stored or as text.
#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum WhenInput {
    Text(String),
    Stored(When),
}

/// The values of a flag; their weights add up to 100,000.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Variants {
    /// The attribute that distinguishes callers.
    by: String,
    /// The variant of a flag that is off; without it callers get their default.
    #[schema(required = false, nullable = false)]
    off: Option<String>,
    values: Vec<VariantValue>,
}

#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VariantValue {
    name: String,
    /// In 0.001 %.
    #[schema(minimum = 0, maximum = 100_000)]
    weight: u32,
    /// Of one type with the others; without it the name.
    #[schema(required = false, value_type = Value)]
    value: Option<()>,
    /// Its buckets, from the first up to the second number. Without them they follow those of the variant before.
    #[schema(required = false, nullable = false)]
    buckets: Option<Vec<Vec<u32>>>,
}

/// Another flag that must be on, or have the variant.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prerequisite {
    flag: String,
    #[schema(required = false)]
    variant: Option<String>,
}

/// Times are Unix times in seconds.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Schedule {
    /// Off before it.
    #[schema(required = false)]
    enable_at: Option<i64>,
    /// Off from it on.
    #[schema(required = false)]
    disable_at: Option<i64>,
    /// A rollout in steps, instead of the bucketer.
    #[schema(required = false)]
    steps: Option<Vec<Step>>,
    /// The attribute by which the steps choose callers.
    #[schema(required = false)]
    by: Option<String>,
}

#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    at: i64,
    /// From 0 to 1.
    share: f64,
}

/// Callers that rules name together. An unreadable one has only `name`, `version` and `unreadable`.
#[derive(ToSchema)]
pub(crate) struct Segment {
    name: String,
    /// Its `ETag`.
    version: String,
    /// Why the stored segment cannot be read.
    #[schema(required = false)]
    unreadable: Option<String>,
    #[schema(required = false, value_type = When)]
    when: Option<()>,
    /// Unix time in seconds.
    #[schema(required = false)]
    created_date: Option<i64>,
    /// While the store cannot be followed: then this is the last known state.
    #[schema(required = false, nullable = false)]
    stale: Option<Stale>,
}

#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SegmentInput {
    when: WhenInput,
}

#[derive(ToSchema)]
pub(crate) struct SegmentPage {
    segments: Vec<Segment>,
    /// The `after` of the next page.
    next: Option<String>,
    status: Status,
}

/// The name of a segment.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct SegmentPath {
    /// The segment's name, percent-encoded.
    #[param(min_length = 1)]
    name: String,
}
