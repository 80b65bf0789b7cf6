//! Around every request: its id, a line in the log, the caller's trace, a limit of time, and an answer even if the code panics.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::CONNECTION;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version};

use crate::access::Access;
use crate::app::App;
use crate::ofrep;
use crate::problem::{Problem, Reason};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
const LONGEST_ID: usize = 128;

pub(crate) async fn around(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = given_id(request.headers()).unwrap_or_else(new_id);
    let trace = trace_of(request.headers()).map(str::to_owned).unwrap_or_default();
    let version = request.version();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let limit = match path.ends_with("/api/v1/import") {
        true => app.limits.import_time,
        false => app.limits.request_time,
    };
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind();
    let mut response = match tokio::time::timeout(limit, answered).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            tracing::error!(%method, path, "the code that answers this request panicked");
            let (status, detail) =
                (StatusCode::INTERNAL_SERVER_ERROR, "the server failed while it answered; its log says more");
            ofrep::refusal(&path, status, detail)
                .unwrap_or_else(|| Problem::new(status, "internal", "The server failed", detail).into_response())
        }
        Err(_) => {
            ofrep::refusal(&path, StatusCode::SERVICE_UNAVAILABLE, "the answer took too long").unwrap_or_else(|| {
                Problem::overloaded("the answer took too long; a write may have happened")
                    .hint("read the flag, then try again")
                    .into_response()
            })
        }
    };
    let status = response.status();
    app.counts.request(status);
    let took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    let shown = id.to_str().unwrap_or_default();
    let caller = response.extensions().get::<Access>().map(tracing::field::display);
    let reason = response.extensions().get::<Reason>().map_or("", |reason| &*reason.0);
    macro_rules! log {
        ($level:ident) => {
            tracing::$level!(
                target: "flipper_server::access",
                caller, %method, path, status = status.as_u16(), reason, took_us, id = shown, trace
            )
        };
    }
    if app.access_log {
        log!(info);
    } else {
        log!(debug);
    }
    response.headers_mut().insert(REQUEST_ID, id);
    if app.is_draining() && version < Version::HTTP_2 {
        // Else the client's next request could meet the end of the connection.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A reader of the log must be able to trust its lines.
fn given_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let id = headers.get(REQUEST_ID)?;
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte);
    ((1..=LONGEST_ID).contains(&id.len()) && id.as_bytes().iter().all(is_plain)).then(|| id.clone())
}

fn new_id() -> HeaderValue {
    HeaderValue::from_str(&format!("{:016x}", fastrand::u64(..))).unwrap_or_else(|_| HeaderValue::from_static("-"))
}

/// The trace and the span of the caller (W3C Trace Context).
fn trace_of(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(TRACE_PARENT).iter();
    let text = given.next()?.to_str().ok()?;
    let parts: Vec<_> = text.split('-').collect();
    let [version, trace, span, flags, more @ ..] = &parts[..] else { return None };
    let is_hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let is_valid = is_hex(version, 2)
        && *version != "ff"
        && is_hex(trace, 32)
        && is_hex(span, 16)
        && is_hex(flags, 2)
        && (more.is_empty() || *version != "00")
        && [trace, span].iter().all(|id| id.bytes().any(|byte| byte != b'0'));
    (given.next().is_none() && is_valid).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &HeaderName, value: &str) -> HeaderMap {
        [(name.clone(), HeaderValue::from_str(value).unwrap())].into_iter().collect()
    }

    #[test]
    fn traces() {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(trace_of(&headers(&TRACE_PARENT, trace)), Some(trace));
        let newer = trace.replacen("00", "01", 1) + "-more";
        assert!(trace_of(&headers(&TRACE_PARENT, &newer)).is_some());
        for wrong in [
            "",
            "00",
            &trace.to_uppercase(),
            &trace.replacen("00", "ff", 1),
            &format!("{trace}-more"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            assert_eq!(trace_of(&headers(&TRACE_PARENT, wrong)), None, "{wrong}");
        }
    }

    #[test]
    fn ids_of_callers_are_kept_if_they_are_harmless() {
        assert!(given_id(&headers(&REQUEST_ID, "a-1_B.2:c/=")).is_some());
        for wrong in ["", "a b", "a\"b", "\u{e9}", &"x".repeat(129)] {
            assert!(given_id(&headers(&REQUEST_ID, wrong)).is_none(), "{wrong}");
        }
        assert_eq!(new_id().len(), 16);
    }
}
