//! `/api/v1/changes`: what changes, as server-sent events.

mod follower;
mod hub;
mod places;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use futures_util::stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use self::follower::Follower;
pub(crate) use self::hub::Changes;
pub(crate) use self::places::Follows;
use crate::access::Role;
use crate::api::{Caller, Query, schema};
use crate::app::App;
use crate::problem::Problem;

const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// nginx passes each event on at once, whatever its configuration says about buffers.
const ACCEL: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Of the name of a follower's program, in letters.
const PROGRAM: usize = 100;

/// For the first event, while the store is not followed yet.
const START: Duration = Duration::from_secs(5);

/// Changes, as server-sent events.
///
/// First `hello`, with the `server`, its clock and its `store`; then `changes`, at once after each change, and at least once a second. Each
/// has an `id`, from which a new request goes on: as `Last-Event-ID`, or as `cursor`. If it cannot, `reset` is true: all flags have to be
/// read. With `flags=true` they follow, in events `flags`. While `lost` is not null, the flags of the server are in doubt. The server ends a
/// stream after some minutes.
#[utoipa::path(
    get,
    path = "/api/v1/changes",
    tag = "changes",
    params(
        ("cursor" = Option<String>, Query, description = "The `id` of the last event that was received"),
        ("flags" = Option<bool>, Query, description = "Sends all flags after a reset"),
        ("Last-Event-ID" = Option<String>, Header, description = "As `cursor`"),
    ),
    responses(
        (status = 200, description = "Events", body = String, content_type = "text/event-stream"),
        schema::Refused,
    )
)]
pub(crate) async fn changes(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let came = Instant::now();
    caller.must_have(Role::Read)?;
    let query = Query::of(&uri, &["cursor", "flags"])?;
    let with_flags = query.bool("flags")?.unwrap_or_default();
    let given = headers.get(LAST_EVENT_ID).and_then(|cursor| cursor.to_str().ok()).or_else(|| query.get("cursor"));
    let cursor = given.filter(|cursor| !cursor.is_empty()).map(str::to_owned);
    let place = app.changes.place(app.limits.streams, follows(&caller, &headers))?;
    let hub = app.changes.follow(&app.store);
    let mut follower = Follower::new(hub, place, app.store.clone(), caller, cursor, came, with_flags);
    follower.start(START).await?;
    let events = stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok::<_, std::convert::Infallible>(event), follower))
    });
    Ok(crate::api::of_store(&app, stream_of(Body::from_stream(events))))
}

fn follows(caller: &Caller, headers: &HeaderMap) -> Follows {
    let program = headers.get(USER_AGENT).and_then(|program| program.to_str().ok()).unwrap_or_default();
    let program = program.chars().take(PROGRAM).collect();
    Follows { who: caller.to_string(), program, since: SystemTime::now() }
}

/// An answer with server-sent events.
pub(crate) fn stream_of(events: Body) -> Response {
    let mut response = Response::new(events);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, EVENTS);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ACCEL, HeaderValue::from_static("no"));
    response
}
