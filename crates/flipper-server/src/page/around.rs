//! Around each request of the page: its session, errors as pages, headers that limit what a page may do, and compression.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State as Shared};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flipper::json::Json;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY,
    VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

use super::assets::{gzip, takes_gzip};
use super::{State, layout, link, session};
use crate::access::Session;

const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
     frame-ancestors 'none'; base-uri 'none'",
);
const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
/// Of a problem, in bytes.
const LARGEST: usize = 1 << 20;
/// Smaller answers fit into one packet anyway.
const WORTH: usize = 1024;

pub(super) fn around(state: &Arc<State>, routes: Router) -> Router {
    routes.layer(from_fn_with_state(state.clone(), answer))
}

async fn answer(Shared(state): Shared<Arc<State>>, mut request: Request, next: Next) -> Response {
    let takes_gzip = takes_gzip(request.headers());
    if let Some(access) = session::cookie(request.headers(), request.uri()).and_then(|id| state.sessions.find(id)) {
        request.extensions_mut().insert(Session(access));
    }
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let mut response = next.run(request).await;
    if is(&response, "application/problem+json") {
        response = match response.status() == StatusCode::UNAUTHORIZED && state.app.access.has_tokens() {
            true => to_login(&method, &uri),
            false => explained(response).await,
        };
    }
    limit(response.headers_mut());
    if takes_gzip && is(&response, "text/html") { compressed(response).await } else { response }
}

fn is(response: &Response, media_type: &str) -> bool {
    let given = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    given.starts_with(media_type.as_bytes())
}

/// Back to this place after the login; what a form wanted has to be sent again.
fn to_login(method: &Method, uri: &Uri) -> Response {
    let place = uri.path_and_query().map(|place| place.as_str()).filter(|_| *method == Method::GET);
    let next = place.and_then(link::own).unwrap_or(link::LIST);
    let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
    let mut response = StatusCode::SEE_OTHER.into_response();
    response
        .headers_mut()
        .extend(HeaderValue::try_from(format!("{}?next={next}", link::LOGIN)).ok().map(|to| (LOCATION, to)));
    response
}

/// A problem as a page.
async fn explained(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let bytes = to_bytes(body, LARGEST).await.unwrap_or_default();
    let problem = std::str::from_utf8(&bytes).ok().and_then(|text| Json::parse(text).ok()).unwrap_or_default();
    let text = |field: &str| problem.get(field).and_then(Json::as_str).unwrap_or_default().to_owned();
    let page = layout::error(&text("title"), &text("detail"), &text("hint"));
    parts.headers.insert(CONTENT_TYPE, layout::HTML);
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(page.into_string()))
}

fn limit(headers: &mut HeaderMap) {
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // Without a referrer at all browsers would send forms with the origin `null`.
    headers.insert(REFERRER_POLICY, SAME_ORIGIN);
    headers.insert(OPENER, SAME_ORIGIN);
    headers.insert(RESOURCE, SAME_ORIGIN);
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

async fn compressed(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(mut bytes) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    parts.headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if bytes.len() >= WORTH {
        bytes = gzip(&bytes, Compression::new(5));
        parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        parts.headers.remove(CONTENT_LENGTH);
    }
    Response::from_parts(parts, Body::from(bytes))
}
