//! The shapes of the API's document. A test compares their fields with those that the code reads and writes.

#![allow(dead_code, reason = "only the document is made from them")]

mod evaluation;
mod exact;
mod flag;
mod history;
mod many;
mod targeting;

use std::collections::BTreeMap;

use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoParams, IntoResponses, ToSchema};

pub(crate) use self::evaluation::{Evaluation, EvaluationRequest};
pub(crate) use self::exact::{RecordOperation, RecordResult};
pub(crate) use self::flag::{Bucketer, ConditionInput, Edit, Flag, FlagPage, NewFlag};
pub(crate) use self::history::{HistoryPage, Restore, Restored};
pub(crate) use self::many::{ImportMode, Imported, Operation, Record, Results};
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

/// Since when, and why.
#[derive(ToSchema)]
pub(crate) struct Stale {
    /// Unix time in seconds.
    since: u64,
    reason: String,
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
    /// Flags that need each other in a circle, and are off, and segments that name each other in one, and hold for no caller: `A → B → A`.
    /// At most 100 of those among the flags that the token may read.
    circles: Vec<String>,
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
            fn response() -> (&'r str, RefOr<Response>) {
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

macro_rules! groups {
    ($($(#[$doc:meta])* $name:ident: $($status:literal $problem:ident),+;)+) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                [$(($status.to_owned(), Ref::from_response_name(stringify!($problem)).into())),+].into()
            }
        }
    )+};
}

groups! {
    /// Of every request for flags.
    Refused: "400" BadRequest, "403" Forbidden, "503" Unavailable;
    /// Of a request with a body.
    BadBody: "413" TooLarge, "415" UnsupportedMediaType, "422" Invalid;
    /// Of a change of one flag, under a condition.
    BadCondition: "404" NotFound, "409" Conflict, "412" PreconditionFailed, "422" Invalid, "428" PreconditionRequired;
}
