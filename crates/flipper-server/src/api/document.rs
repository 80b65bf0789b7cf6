//! `/api/v1/openapi.json`, made from the code of the routes.

use std::sync::LazyLock;

use axum::response::Response;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use utoipa::OpenApi;

use super::{bulk, evaluate, exchange, flags, history, output, records, schema, segments, status};
use crate::changes;

#[derive(OpenApi)]
#[openapi(
    info(title = "Flipper", description = "Feature flags: read, evaluate, change and follow them."),
    paths(
        flags::list,
        flags::create,
        flags::get,
        flags::replace,
        flags::change,
        flags::destroy,
        segments::list,
        segments::get,
        segments::replace,
        segments::destroy,
        evaluate::evaluate,
        bulk::bulk,
        exchange::export,
        exchange::import,
        history::list,
        history::restore,
        records::list,
        records::apply,
        changes::changes,
        status::get,
    ),
    components(
        schemas(schema::Problem, schema::ImportMode),
        responses(
            schema::BadRequest,
            schema::Forbidden,
            schema::NotFound,
            schema::Conflict,
            schema::PreconditionFailed,
            schema::TooLarge,
            schema::UnsupportedMediaType,
            schema::Invalid,
            schema::PreconditionRequired,
            schema::Unavailable,
            schema::Unsupported,
        )
    ),
    tags(
        (name = "flags", description = "Flags by name"),
        (name = "segments", description = "Callers that rules name together"),
        (name = "evaluation", description = "What a check answers"),
        (name = "exchange", description = "Many flags as text"),
        (name = "history", description = "Who changed what, when and why"),
        (name = "changes", description = "Changes as they happen"),
        (name = "exact", description = "For stores over this server"),
    )
)]
struct Document;

pub(super) fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

static TEXT: LazyLock<Bytes> = LazyLock::new(|| document().to_json().unwrap_or_default().into());

pub(super) async fn get() -> Response {
    let mut response = Response::new(TEXT.clone().into());
    response.headers_mut().insert(CONTENT_TYPE, output::JSON);
    response
}
