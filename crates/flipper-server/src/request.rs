//! Around every request: who may send it, its id, a line in the log, the caller's trace, a limit of time, and an answer even if the code panics.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::Route;
use futures_util::FutureExt;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use hyper::body::Body as _;
use tower::layer::layer_fn;
use tower::{Service, ServiceExt, service_fn};

use crate::access::{Access, AccessControl};
use crate::app::App;
use crate::hex;
use crate::ofrep;
use crate::problem::{Problem, Reason};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
const LONGEST_ID: usize = 128;
const LOG: &str = "flipper_server::access";

/// One layer for all of this: each takes as long as an evaluation.
#[derive(Clone)]
pub(crate) struct Around(Arc<(Arc<App>, Option<AccessControl>)>);

impl Around {
    /// `access`: who may send requests; `None` for everyone.
    pub(crate) fn new(app: Arc<App>, access: Option<AccessControl>) -> Self {
        Self(Arc::new((app, access)))
    }

    pub(crate) fn routes(&self, routes: Router) -> Router {
        let around = self.clone();
        routes.layer(layer_fn(move |route: Route| around.service(route)))
    }

    pub(crate) fn service<A: Answer + Clone + Sync + 'static>(
        &self,
        inner: A,
    ) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync + use<A>
    {
        let around = self.clone();
        service_fn(move |mut request: Request| {
            let (around, inner) = (around.clone(), inner.clone());
            async move {
                let peer = peer(request.extensions());
                Ok(around.answer(inner, peer, &mut request).await)
            }
        })
    }

    /// `peer`: whose connection it is, if that is known.
    pub(crate) async fn answer(&self, inner: impl Answer, peer: Option<IpAddr>, request: &mut Request) -> Response {
        answer(&self.0.0, self.0.1.as_ref(), inner, peer, request).await
    }
}

/// Whose connection a request has come by, if that is known.
pub(crate) fn peer(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get().map(|ConnectInfo(peer): &ConnectInfo<SocketAddr>| peer.ip())
}

/// What answers a request that may be sent.
pub(crate) trait Answer: Send {
    /// `access`: what the caller may do; `None` for a request that anyone may send. Takes of the request what it needs: the futures around it
    /// have no copies of it, and are small.
    fn answer(self, request: &mut Request, access: Option<&Access>) -> impl Future<Output = Response> + Send;
}

/// Its handlers find the access in the extensions.
impl Answer for Route {
    async fn answer(self, request: &mut Request, access: Option<&Access>) -> Response {
        let mut taken = std::mem::take(request);
        // The log has them.
        (*request.method_mut(), *request.uri_mut()) = (taken.method().clone(), taken.uri().clone());
        if let Some(access) = access {
            taken.extensions_mut().insert(access.clone());
        }
        let Ok(response) = self.oneshot(taken).await;
        response
    }
}

async fn answer(
    app: &App,
    control: Option<&AccessControl>,
    inner: impl Answer,
    peer: Option<IpAddr>,
    request: &mut Request,
) -> Response {
    let id = given_id(request.headers()).unwrap_or_else(new_id);
    let is_logged = app.access_log || tracing::enabled!(target: LOG, tracing::Level::DEBUG);
    let began = is_logged.then(Instant::now);
    let trace = if is_logged { trace_of(request.headers()).map(str::to_owned) } else { None };
    let version = request.version();
    let limit = match request.uri().path().ends_with("/api/v1/import") {
        true => app.limits.import_time,
        false => app.limits.request_time,
    };
    let answered = {
        let answered = AssertUnwindSafe(async {
            let access = match control.map(|control| control.guard(request, peer)).transpose() {
                Ok(access) => access.flatten(),
                Err(refused) => return (*refused, None),
            };
            (inner.answer(request, access.as_ref()).await, access)
        });
        within(limit, answered.catch_unwind()).await
    };
    let (method, path) = (request.method(), request.uri().path());
    let (mut response, access) = match answered {
        Some(Ok(answered)) => answered,
        Some(Err(_)) => {
            tracing::error!(%method, path, "the code that answers this request panicked");
            let (status, detail) =
                (StatusCode::INTERNAL_SERVER_ERROR, "the server failed while it answered; its log says more");
            let response = ofrep::refusal(path, status, detail)
                .unwrap_or_else(|| Problem::new(status, "internal", "The server failed", detail).into_response());
            (response, None)
        }
        None => {
            let response = ofrep::refusal(path, StatusCode::SERVICE_UNAVAILABLE, "the answer took too long");
            let response = response.unwrap_or_else(|| {
                Problem::overloaded("the answer took too long; a write may have happened")
                    .hint("read the flag, then try again")
                    .into_response()
            });
            (response, None)
        }
    };
    let status = response.status();
    app.counts.request(status);
    // The values are read only if the line is logged.
    macro_rules! log {
        ($level:ident) => {
            tracing::$level!(
                target: LOG,
                caller = access.as_ref().map(tracing::field::display),
                %method,
                path,
                status = status.as_u16(),
                reason = response.extensions().get::<Reason>().map_or("", |reason| &*reason.0),
                took_us = began.map(|began| u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)),
                id = id.to_str().unwrap_or_default(),
                trace = trace.as_deref().unwrap_or_default()
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
    if *method == Method::HEAD {
        empty(&mut response);
    }
    match (access, response.headers().get(CONTENT_TYPE)) {
        (Some(access), Some(content)) if content == "text/event-stream" => response.map(|stream| access.limit(stream)),
        _ => response,
    }
}

/// Most are ready at once, and need no timer.
async fn within<T>(limit: Duration, answered: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        answered = answered => Some(answered),
        () = async { tokio::time::sleep(limit).await } => None,
    }
}

/// The router does so for handlers only, and hyper over HTTP/1 only.
fn empty(response: &mut Response) {
    let body = std::mem::take(response.body_mut());
    if let Some(length) = body.size_hint().exact() {
        response.headers_mut().entry(CONTENT_LENGTH).or_insert(length.into());
    }
}

/// A reader of the log must be able to trust its lines.
fn given_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let id = headers.get(REQUEST_ID)?;
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte);
    ((1..=LONGEST_ID).contains(&id.len()) && id.as_bytes().iter().all(is_plain)).then(|| id.clone())
}

fn new_id() -> HeaderValue {
    HeaderValue::from_bytes(&hex::digits(fastrand::u64(..))).unwrap_or_else(|_| HeaderValue::from_static("-"))
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
    use std::future::{pending, poll_fn, ready};
    use std::task::Poll;

    use super::*;

    fn headers(name: &HeaderName, value: &str) -> HeaderMap {
        [(name.clone(), HeaderValue::from_str(value).unwrap())].into_iter().collect()
    }

    /// Without a runtime, in which a timer panics.
    #[test]
    fn an_answer_that_is_ready_needs_no_timer() {
        assert_eq!(within(Duration::ZERO, ready(7)).now_or_never(), Some(Some(7)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_ready_is_not_asked_twice_at_once() {
        let mut polls = 0;
        let counted = poll_fn(|_| {
            polls += 1;
            Poll::<()>::Pending
        });
        assert_eq!(within(Duration::from_secs(1), counted).now_or_never(), None);
        assert_eq!(polls, 1);
        assert_eq!(within(Duration::from_secs(1), pending::<()>()).await, None);
        let late = tokio::time::sleep(Duration::from_millis(500));
        assert_eq!(within(Duration::from_secs(1), late).await, Some(()));
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
