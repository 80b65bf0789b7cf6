use axum::BoxError;
use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use flipper::json::Json;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::context::MAX_BODY;
use super::error::{Code, entry, error};
use super::json;
use super::outcome::{Given, Outcome};
use crate::etag;
use crate::server::waking::next_frame;

pub(super) const STALE: HeaderName = HeaderName::from_static("flipper-stale");

/// The first members of a flag's answer. The order of members never changes: a client takes another order for a change.
pub(super) fn begin(key: &str, value: &Json, out: &mut String) {
    begin_without_value(key, out);
    if json::is_value(value) {
        out.push_str(",\"value\":");
        json::value(value, out);
    }
}

/// A client then returns the caller's default; some with an error, as for any answer that says so.
fn begin_without_value(key: &str, out: &mut String) {
    out.push_str("{\"key\":");
    json::string(key, out);
}

/// The whole answer of the flag itself; those of its client data are apart.
pub(super) fn own(key: &str, outcome: &Outcome, is_stale: bool, out: &mut String) {
    match &outcome.given {
        Given::Switch => begin(key, &Json::Bool(outcome.enabled), out),
        Given::Default => begin_without_value(key, out),
        Given::Error(details) => return entry(key, Code::TargetingKeyMissing, details, out),
        Given::Variant(chosen) => {
            begin(key, chosen.value(), out);
            out.push_str(",\"variant\":");
            json::string(chosen.name(), out);
            return end_after_variant(outcome, is_stale, out);
        }
    }
    end(outcome, is_stale, out);
}

/// The other members, always all of them, since clients fail on a missing one.
pub(super) fn end(outcome: &Outcome, is_stale: bool, out: &mut String) {
    out.push_str(if outcome.enabled { ",\"variant\":\"on\"" } else { ",\"variant\":\"off\"" });
    end_after_variant(outcome, is_stale, out);
}

fn end_after_variant(outcome: &Outcome, is_stale: bool, out: &mut String) {
    out.push_str(",\"reason\":\"");
    out.push_str(outcome.reason);
    out.push_str("\",\"metadata\":{\"flipper.reason_code\":\"");
    out.push_str(outcome.reason_code);
    out.push_str(if is_stale { "\",\"flipper.stale\":true}}" } else { "\"}}" });
}

/// 200 with this JSON, or 304. `tag`: none if time or chance decided.
pub(super) fn respond(asked: &HeaderMap, body: String, tag: Option<String>, is_stale: bool) -> Response {
    let is_known = tag.as_ref().is_some_and(|tag| etag::matches(asked, tag));
    let mut response = Response::new(if is_known { Body::empty() } else { Body::from(body) });
    let headers = response.headers_mut();
    headers.insert(
        CACHE_CONTROL,
        // A cache may keep what it asks for again each time.
        HeaderValue::from_static(if tag.is_some() { "private, no-cache" } else { "no-store" }),
    );
    if let Some(tag) = tag.and_then(etag::header) {
        headers.insert(ETAG, tag);
    }
    if is_stale {
        headers.insert(STALE, HeaderValue::from_static("true"));
    }
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}

/// A request's body of any content type; some clients send none.
pub(super) async fn read(body: Body, key: Option<&str>) -> Result<Bytes, Response> {
    match try_read(Limited::new(body, MAX_BODY)).await {
        Ok(body) => Ok(body),
        Err(failure) => {
            let too_large = failure.downcast_ref::<LengthLimitError>().is_some();
            let (code, details) = if too_large {
                (Code::InvalidContext, format!("the body is larger than the {MAX_BODY} bytes allowed"))
            } else {
                (Code::ParseError, "the body did not arrive completely".to_owned())
            };
            Err(error(StatusCode::BAD_REQUEST, key, code, &details))
        }
    }
}

async fn try_read(mut body: Limited<Body>) -> Result<Bytes, BoxError> {
    // Nearly all come in one frame.
    let Some(first) = next_frame(&mut body).await.transpose()? else { return Ok(Bytes::new()) };
    let first = first.into_data().unwrap_or_default();
    if body.is_end_stream() {
        return Ok(first);
    }
    let rest = body.collect().await?.to_bytes();
    Ok([first, rest].concat().into())
}
