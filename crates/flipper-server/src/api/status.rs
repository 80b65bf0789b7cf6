use std::time::{SystemTime, UNIX_EPOCH};

use axum::response::Response;
use flipper::json::{Json, Object};
use http::StatusCode;

use super::head::Head;
use super::{output, schema};
use crate::access::Role;
use crate::problem::Problem;

/// The server, and whether its flags are those of its store.
#[utoipa::path(
    get,
    path = "/api/v1/status",
    tag = "changes",
    responses(
        (status = 200, description = "The state of the server", body = schema::ServerStatus),
        (status = 400, response = schema::BadRequest),
        (status = 403, response = schema::Forbidden),
    )
)]
pub(crate) async fn get(head: Head) -> Result<Response, Problem> {
    let Head { app, caller, .. } = &head;
    caller.must_have(Role::Read)?;
    head.query(&[])?;
    let hub = app.changes.follow(&app.store);
    let (store, lost, confirmed_ms_ago) = hub.describe();
    let clock_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis());
    let text = |text: Option<String>| text.map_or(Json::Null, Json::from);
    let object: Object = [
        ("server", Json::from(hub.id.as_str())),
        ("store", text(store)),
        ("lost", text(lost)),
        ("confirmed_ms_ago", confirmed_ms_ago.into()),
        ("version", env!("CARGO_PKG_VERSION").into()),
        ("clock_ms", clock_ms.into()),
        ("circles", app.circles.of(app.store.table(), caller).into()),
    ]
    .into_iter()
    .collect();
    Ok(output::of_store(app, output::json(StatusCode::OK, object)))
}
