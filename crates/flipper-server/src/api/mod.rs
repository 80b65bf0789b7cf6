//! `/api/v1`: flags as JSON.

mod bulk;
mod caller;
mod cause;
mod document;
mod edit;
mod evaluate;
mod exchange;
mod flags;
mod head;
mod history;
mod input;
mod name;
mod output;
mod records;
pub(crate) mod schema;
mod segments;
mod status;
mod targeting;
mod write;

use std::sync::Arc;

use axum::Router;
use axum::routing::{MethodRouter, get, post};

pub(crate) use self::caller::Caller;
pub(crate) use self::input::Query;
#[cfg(feature = "page")]
pub(crate) use self::name::Name;
pub(crate) use self::output::of_store;
#[cfg(feature = "page")]
pub(crate) use self::output::tag;
use crate::app::App;
use crate::changes;
use crate::problem::Problem;

pub(crate) fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/api/v1/flags", only("GET, HEAD, POST", get(flags::list).post(flags::create)))
        .route(
            "/api/v1/flags/{*name}",
            only(
                "GET, HEAD, PUT, PATCH, DELETE",
                get(flags::get).put(flags::replace).patch(flags::change).delete(flags::destroy),
            ),
        )
        .route("/api/v1/segments", only("GET, HEAD", get(segments::list)))
        .route(
            "/api/v1/segments/{*name}",
            only("GET, HEAD, PUT, DELETE", get(segments::get).put(segments::replace).delete(segments::destroy)),
        )
        .route("/api/v1/evaluate/{*name}", only("POST", post(evaluate::evaluate)))
        .route("/api/v1/bulk", only("POST", post(bulk::bulk)))
        .route("/api/v1/export", only("GET, HEAD", get(exchange::export)))
        .route("/api/v1/import", only("POST", post(exchange::import)))
        .route("/api/v1/records", only("GET, HEAD, POST", get(records::list).post(records::apply)))
        .route("/api/v1/history", only("GET, HEAD", get(history::list)))
        .route("/api/v1/restore", only("POST", post(history::restore)))
        .route("/api/v1/changes", only("GET, HEAD", get(changes::changes)))
        .route("/api/v1/status", only("GET, HEAD", get(status::get)))
        .route("/api/v1/openapi.json", only("GET, HEAD", get(document::get)))
        .with_state(app)
}

fn only(methods: &'static str, route: MethodRouter<Arc<App>>) -> MethodRouter<Arc<App>> {
    route.fallback(async move || Problem::method_not_allowed(methods))
}

/// Unix time in seconds.
pub(crate) fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}
