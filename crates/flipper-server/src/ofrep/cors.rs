//! For web pages of other origins. The outermost layer: an answer without these headers, of whatever layer, is a failed request for a page,
//! and preflights are neither authenticated nor limited.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::is_ofrep;
use crate::app::App;

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST");
const ASKED: HeaderValue = HeaderValue::from_static("content-type, if-none-match, authorization, x-api-key");
// Without the first a client never asks conditionally; without the second it does not wait.
const ANSWERED: HeaderValue = HeaderValue::from_static("ETag, Retry-After, Flipper-Stale");
// In seconds. Browsers ask again anyway before each conditional request.
const MAX_AGE: HeaderValue = HeaderValue::from_static("3600");

/// Around all other layers.
pub(crate) fn cors(app: &Arc<App>, router: Router) -> Router {
    if app.ofrep.cors_origins.is_empty() {
        return router;
    }
    router.layer(from_fn_with_state(app.clone(), answer))
}

async fn answer(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if !is_ofrep(request.uri().path()) {
        return next.run(request).await;
    }
    let origin = request.headers().get(ORIGIN);
    let origin = origin.filter(|origin| app.ofrep.cors_origins.contains(origin)).cloned();
    let is_preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_preflight { preflight() } else { next.run(request).await };
    allow(origin, is_preflight, response.headers_mut());
    response
}

fn preflight() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn allow(origin: Option<HeaderValue>, is_preflight: bool, headers: &mut HeaderMap) {
    headers.append(VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin else { return };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, ANSWERED);
    if is_preflight {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, ASKED);
        headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    }
}
