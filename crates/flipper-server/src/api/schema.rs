//! The shapes of the API's document. A test compares their fields with those that the code reads and writes.

#![allow(dead_code, reason = "only the document is made from them")]

mod targeting;

use utoipa::openapi::{ContentBuilder, Ref, Response, ResponseBuilder};
use utoipa::{IntoParams, ToSchema};

pub(crate) use self::targeting::{
    Prerequisite, RuleInput, Schedule, Segment, SegmentInput, SegmentPage, SegmentPath, StoredRule, Variants,
};

/// The name of a flag.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct NamePath {
    /// The flag's name, percent-encoded; a `/` in it is `%2F` or stands as it is.
    #[param(min_length = 1)]
    name: String,
}

/// What the flag has to be for the request to be done.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct Conditions {
    /// `ETag`s of the flag, one of which it must have now.
    #[param(rename = "If-Match", required = false)]
    if_match: Option<String>,
}

/// What the history has of a write.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct Reason {
    /// Why, percent-encoded: 1 byte to 4 KiB of UTF-8.
    #[param(rename = "Flipper-Reason", required = false)]
    reason: Option<String>,
    /// From where, percent-encoded, instead of `api`: 1 to 64 bytes without control characters.
    #[param(rename = "Flipper-Source", required = false)]
    source: Option<String>,
    /// Who, percent-encoded: 1 to 255 bytes without control characters. Counts only on a server that does not know its callers.
    #[param(rename = "Flipper-Actor", required = false)]
    actor: Option<String>,
}

/// Of the writes of stores over this server.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct Verb {
    /// What the writes do, such as `enable`; without it, or if it is unknown, the history has what they did.
    #[param(rename = "Flipper-Verb", required = false)]
    verb: Option<String>,
}

/// A flag. An unreadable one has only `name`, `version` and `unreadable`.
#[derive(ToSchema)]
pub(crate) struct Flag {
    pub(crate) name: String,
    /// Which of the flag's states this is; its `ETag`.
    version: String,
    /// Why the stored flag cannot be read.
    #[schema(required = false)]
    unreadable: Option<String>,
    #[schema(required = false)]
    enabled: Option<bool>,
    #[schema(required = false, value_type = Option<Object>)]
    client_data: Option<()>,
    /// All must hold. Each has checks by the name of a variable.
    #[schema(required = false)]
    conditions: Option<Vec<StoredCondition>>,
    /// None may hold.
    #[schema(required = false)]
    deny_conditions: Option<Vec<StoredCondition>>,
    /// A condition on an attribute that a check lacks does not hold.
    #[schema(required = false)]
    strict: Option<bool>,
    #[schema(required = false)]
    bucketer: Option<Bucketer>,
    /// In order: the first whose `when` holds decides.
    #[schema(required = false)]
    rules: Option<Vec<StoredRule>>,
    /// The values that callers get; null for a flag that is only on or off.
    #[schema(required = false)]
    variants: Option<Variants>,
    /// Flags that must be on.
    #[schema(required = false)]
    prerequisites: Option<Vec<Prerequisite>>,
    /// When the enabled flag is on.
    #[schema(required = false)]
    schedule: Option<Schedule>,
    /// Unix time in seconds.
    #[schema(required = false)]
    created_date: Option<i64>,
    /// While the store cannot be followed: then this is the last known state.
    #[schema(required = false, nullable = false)]
    stale: Option<Stale>,
}

/// Since when, and why.
#[derive(ToSchema)]
pub(crate) struct Stale {
    /// Unix time in seconds.
    since: u64,
    reason: String,
}

/// The checks of a condition, by variable.
#[derive(ToSchema)]
#[schema(value_type = Object)]
pub(crate) struct StoredCondition(std::collections::BTreeMap<String, Vec<Check>>);

/// One check of a condition.
#[derive(ToSchema)]
pub(crate) struct Check {
    variable: String,
    /// `=`, `!=`, `>`, `>=`, `<`, `<=`, `in`, `not in`.
    operator: Option<String>,
    #[schema(value_type = Value)]
    value: (),
}

/// Any JSON.
#[derive(ToSchema)]
#[schema(value_type = Value)]
pub(crate) struct Any(());

/// Which share of the callers gets the feature; its other fields depend on the type.
#[derive(ToSchema)]
pub(crate) struct Bucketer {
    /// `NoOpBucketer`, `PercentageBucketer`, `ConsistentHashPercentageBucketer`, `SaltedPercentageBucketer`, or one of your own.
    r#type: String,
}

#[derive(ToSchema)]
pub(crate) struct FlagPage {
    flags: Vec<Flag>,
    /// The `after` of the next page.
    next: Option<String>,
    status: Status,
}

/// How current the flags are.
#[derive(ToSchema)]
pub(crate) struct Status {
    /// `live`, or `stale` while the store cannot be followed: then the flags are the last known ones.
    health: String,
    /// Unix time in seconds.
    #[schema(required = false)]
    stale_since: Option<u64>,
    #[schema(required = false)]
    reason: Option<String>,
}

/// A server of flags.
#[derive(ToSchema)]
pub(crate) struct ServerStatus {
    /// Of this start of the server.
    server: String,
    store: Option<String>,
    /// Why the flags are in doubt.
    lost: Option<String>,
    confirmed_ms_ago: u64,
    version: String,
    /// Unix time in milliseconds.
    clock_ms: u64,
    /// Flags that need each other in a circle, and are off: `A → B → A`.
    circles: Vec<String>,
}

#[derive(ToSchema)]
pub(crate) struct HistoryPage {
    /// The newest first.
    entries: Vec<HistoryEntry>,
    /// The `before` of the next page.
    next: Option<String>,
}

/// One change of one flag.
#[derive(ToSchema)]
pub(crate) struct HistoryEntry {
    id: String,
    name: String,
    /// RFC 3339, by the clock of the store or its writer. Clocks go back: the order of the entries is their place.
    at: String,
    actor: Option<String>,
    /// What was done: `create`, `enable`, `set_conditions` and so on.
    verb: String,
    reason: Option<String>,
    /// From where: `api`, `page`, `command`, `program`, or `outside` if not by Flipper.
    source: String,
    /// The fields of the stored flag that differ, as they were; null if there was no flag.
    #[schema(value_type = Option<Object>)]
    before: Option<()>,
    /// As they are since; null if the flag is gone.
    #[schema(value_type = Option<Object>)]
    after: Option<()>,
}

/// Which change to undo.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Restore {
    name: String,
    /// Of the entry.
    id: String,
}

#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum Restored {
    Flag(Box<Flag>),
    Segment(Segment),
}

/// A condition, stored or as text: `plan in pro, team`.
#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum ConditionInput {
    Text(String),
    Stored(StoredCondition),
}

/// Fields of a flag.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Edit {
    #[schema(required = false, nullable = false)]
    enabled: Option<bool>,
    #[schema(required = false, nullable = false, value_type = Object)]
    client_data: Option<()>,
    #[schema(required = false, nullable = false)]
    conditions: Option<Vec<ConditionInput>>,
    #[schema(required = false, nullable = false)]
    deny_conditions: Option<Vec<ConditionInput>>,
    #[schema(required = false, nullable = false)]
    strict: Option<bool>,
    #[schema(required = false)]
    bucketer: Option<Bucketer>,
    #[schema(required = false, nullable = false)]
    rules: Option<Vec<RuleInput>>,
    /// Null for none. A variant that grows takes callers only from those that shrink.
    #[schema(required = false)]
    variants: Option<Variants>,
    #[schema(required = false, nullable = false)]
    prerequisites: Option<Vec<Prerequisite>>,
    /// Null for none. New times must not have passed.
    #[schema(required = false)]
    schedule: Option<Schedule>,
}

/// A new flag, disabled unless it is enabled.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewFlag {
    /// 1 to 255 bytes, without `/` and control characters.
    #[schema(min_length = 1, max_length = 255)]
    name: String,
    #[schema(required = false, nullable = false)]
    enabled: Option<bool>,
    #[schema(required = false, nullable = false, value_type = Object)]
    client_data: Option<()>,
    #[schema(required = false, nullable = false)]
    conditions: Option<Vec<ConditionInput>>,
    #[schema(required = false, nullable = false)]
    deny_conditions: Option<Vec<ConditionInput>>,
    #[schema(required = false, nullable = false)]
    strict: Option<bool>,
    #[schema(required = false)]
    bucketer: Option<Bucketer>,
    #[schema(required = false, nullable = false)]
    rules: Option<Vec<RuleInput>>,
    /// Null for none. A variant that grows takes callers only from those that shrink.
    #[schema(required = false)]
    variants: Option<Variants>,
    #[schema(required = false, nullable = false)]
    prerequisites: Option<Vec<Prerequisite>>,
    /// Null for none. New times must not have passed.
    #[schema(required = false)]
    schedule: Option<Schedule>,
}

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

/// A write of a flag.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Operation {
    op: OperationKind,
    name: String,
    /// The version that the flag must have.
    #[schema(required = false, nullable = false)]
    if_version: Option<String>,
    #[schema(required = false, nullable = false)]
    enabled: Option<bool>,
    #[schema(required = false, nullable = false, value_type = Object)]
    client_data: Option<()>,
    #[schema(required = false, nullable = false)]
    conditions: Option<Vec<ConditionInput>>,
    #[schema(required = false, nullable = false)]
    deny_conditions: Option<Vec<ConditionInput>>,
    #[schema(required = false, nullable = false)]
    strict: Option<bool>,
    #[schema(required = false)]
    bucketer: Option<Bucketer>,
    #[schema(required = false, nullable = false)]
    rules: Option<Vec<RuleInput>>,
    /// Null for none. A variant that grows takes callers only from those that shrink.
    #[schema(required = false)]
    variants: Option<Variants>,
    #[schema(required = false, nullable = false)]
    prerequisites: Option<Vec<Prerequisite>>,
    /// Null for none. New times must not have passed.
    #[schema(required = false)]
    schedule: Option<Schedule>,
}

#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OperationKind {
    Create,
    Change,
    Replace,
    Destroy,
}

#[derive(ToSchema)]
pub(crate) struct Results {
    results: Vec<OperationResult>,
}

#[derive(ToSchema)]
pub(crate) struct OperationResult {
    name: String,
    /// As the status of a request with this operation alone.
    status: u16,
    #[schema(required = false)]
    version: Option<String>,
    #[schema(required = false, nullable = false)]
    error: Option<Problem>,
}

#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ImportMode {
    Merge,
    Replace,
}

/// A flag as it is stored.
#[derive(ToSchema)]
pub(crate) struct Record {
    feature_name: String,
    is_enabled: bool,
    #[schema(value_type = Object)]
    meta: (),
}

#[derive(ToSchema)]
pub(crate) struct Imported {
    dry_run: bool,
    created: u64,
    changed: u64,
    destroyed: u64,
    unchanged: u64,
    failed: Vec<Failed>,
}

#[derive(ToSchema)]
pub(crate) struct Failed {
    name: String,
    error: Problem,
}

/// One of `get`, `known`, `history`, `put` and `delete`.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordOperation {
    #[schema(required = false, nullable = false)]
    get: Option<String>,
    #[schema(required = false, nullable = false)]
    known: Option<String>,
    /// `name`, `since_ns` (since 1970), `before` (an entry's id) and `limit`, all optional.
    #[schema(required = false, nullable = false, value_type = Object)]
    history: Option<()>,
    /// The text of a record.
    #[schema(required = false, nullable = false)]
    put: Option<String>,
    #[schema(required = false, nullable = false)]
    delete: Option<String>,
    #[schema(required = false, value_type = Value)]
    when: Option<()>,
}

#[derive(ToSchema)]
pub(crate) struct RecordResult {
    #[schema(required = false)]
    name: Option<String>,
    /// `o` and a number, `t` and text, `x` and hexadecimal digits, or `=`: the record's text.
    #[schema(required = false)]
    version: Option<String>,
    #[schema(required = false)]
    record: Option<String>,
    #[schema(required = false)]
    unreadable: Option<String>,
    #[schema(required = false)]
    absent: Option<bool>,
    /// Of a history, to the byte.
    #[schema(required = false, value_type = Option<Vec<Object>>)]
    entries: Option<()>,
    /// The `before` of the next page.
    #[schema(required = false)]
    next: Option<String>,
    #[schema(required = false, value_type = Object)]
    error: Option<()>,
}

/// What went wrong (RFC 9457).
#[derive(ToSchema)]
pub(crate) struct Problem {
    r#type: String,
    title: String,
    status: u16,
    detail: String,
    /// Stable, for programs.
    code: String,
    /// What to do next.
    #[schema(required = false)]
    hint: Option<String>,
}

macro_rules! problems {
    ($($name:ident: $description:literal;)+) => {$(
        #[doc = $description]
        pub(crate) struct $name;

        impl<'r> utoipa::ToResponse<'r> for $name {
            fn response() -> (&'r str, utoipa::openapi::RefOr<Response>) {
                let schema = Ref::from_schema_name("Problem");
                let content = ContentBuilder::new().schema(Some(schema)).build();
                let response =
                    ResponseBuilder::new().description($description).content("application/problem+json", content).build();
                (stringify!($name), response.into())
            }
        }
    )+};
}

problems! {
    BadRequest: "The request cannot be read";
    Forbidden: "The token lacks a role, or is not for the flag";
    NotFound: "There is no such flag";
    Conflict: "The flag exists, cannot be read, or is changed by others";
    PreconditionFailed: "The flag is in another version";
    TooLarge: "The body is too large";
    UnsupportedMediaType: "The body is not JSON";
    Invalid: "A field or a name is not valid";
    PreconditionRequired: "This server wants `If-Match`";
    Unsupported: "The store keeps no history";
    Unavailable: "The store is unavailable, or there are no flags yet; `Retry-After` says when to try again";
}
