//! `/ofrep/v1`: OpenFeature's remote evaluation protocol, version 0.3.
//!
//! What real clients do decides where the protocol leaves a choice; `docs/ofrep.md` has what their users must know.

mod answer;
mod bulk;
mod context;
mod cors;
mod error;
mod flags;
mod json;
mod options;
mod outcome;
mod passing;
mod path;
mod single;
mod stream;
mod texts;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use flipper::store::Health;
use http::header::{ALLOW, RETRY_AFTER};
use http::{HeaderValue, Method, StatusCode};

use self::bulk::Bulk;
use self::flags::FlagList;
use self::path::Target;
use self::stream::Streams;
use crate::access::Access;
use crate::app::App;
use crate::request::{Answer, Around};

pub(crate) use self::cors::cors;
pub(crate) use self::error::refusal;
pub(crate) use self::error::{Code, error};
pub(crate) use self::options::Options;
pub(crate) use self::path::{is_ofrep, is_stream};

/// Since the first flags mostly arrive within milliseconds, while a web page that got an error would not ask again.
const FIRST_FLAGS: Duration = Duration::from_secs(1);

/// Answers all paths of OFREP.
#[derive(Clone)]
pub(crate) struct Entry {
    around: Around,
    ofrep: Arc<Ofrep>,
}

struct Ofrep {
    app: Arc<App>,
    flags: FlagList,
    bulk: Bulk,
    streams: Streams,
}

impl Entry {
    pub(crate) fn new(app: Arc<App>, around: Around) -> Self {
        let (flags, bulk, streams) = (FlagList::default(), Bulk::default(), Streams::default());
        Self { around, ofrep: Arc::new(Ofrep { app, flags, bulk, streams }) }
    }

    /// All paths under `/ofrep`, also after the slash of a base URL that ends with one.
    ///
    /// They are services, not handlers: a handler's route takes as long as an evaluation.
    pub(crate) fn routes(&self) -> Router {
        // Without a parameter, which would be decoded for nothing.
        let bulk = "/ofrep/v1/evaluate/flags";
        let paths = ["/ofrep", "/ofrep/", bulk, "/ofrep/{*rest}", "//ofrep/{*rest}"];
        let service = self.around.service(self.ofrep.clone());
        paths.iter().fold(Router::new(), |router, path| router.route_service(path, service.clone()))
    }

    /// As the routes, without the search for one.
    pub(crate) async fn answer(&self, peer: IpAddr, request: &mut Request) -> Response {
        self.around.answer(&self.ofrep, Some(peer), request).await
    }
}

impl Answer for Arc<Ofrep> {
    async fn answer(self, request: &mut Request, access: Option<&Access>) -> Response {
        <&Self as Answer>::answer(&self, request, access).await
    }
}

impl Answer for &Arc<Ofrep> {
    async fn answer(self, request: &mut Request, access: Option<&Access>) -> Response {
        let body = std::mem::take(request.body_mut());
        let (headers, is_post) = (request.headers(), request.method() == Method::POST);
        let is_get = request.method() == Method::GET;
        match (path::target(request.uri().path()), access) {
            (Target::Single(key), Some(access)) if is_post => single::answer(self, access, &key, headers, body).await,
            (Target::Bulk, Some(access)) if is_post => bulk::answer(self, access, headers, body).await,
            // No layer has said what the caller may do.
            (Target::Single(_) | Target::Bulk, None) if is_post => {
                error(StatusCode::FORBIDDEN, None, Code::General, "this server does not know what its callers may do")
            }
            (Target::Stream, _) if is_get => stream::answer(self),
            (Target::Single(key), _) => not_allowed(Some(&key), "POST"),
            (Target::Bulk, _) => not_allowed(None, "POST"),
            (Target::Stream, _) => not_allowed(None, "GET"),
            (Target::Unknown, _) => error(
                StatusCode::NOT_FOUND,
                None,
                Code::General,
                "OFREP has no such path; evaluations are POST /ofrep/v1/evaluate/flags/{key} and POST /ofrep/v1/evaluate/flags",
            ),
        }
    }
}

fn not_allowed(key: Option<&str>, method: &'static str) -> Response {
    let details = format!("this path takes {method} only");
    let mut response = error(StatusCode::METHOD_NOT_ALLOWED, key, Code::General, &details);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(method));
    response
}

impl Ofrep {
    /// Whether the flags are stale. Until the first ones are in memory it waits a moment, then answers 503.
    async fn is_stale(&self, key: Option<&str>) -> Result<bool, Response> {
        let status = self.app.store.status();
        let Health::Stale { .. } = status.health else { return Ok(false) };
        if status.last_sync.is_some() {
            return Ok(true);
        }
        let why = match tokio::time::timeout(FIRST_FLAGS, self.app.store.ready()).await {
            Ok(Ok(())) => return Ok(!self.app.store.status().is_live()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the store has not answered yet".to_owned(),
        };
        tracing::warn!(reason = why, "an evaluation was refused: the store's flags are not in memory yet");
        let details = "the store's flags are not in memory yet";
        let mut response = error(StatusCode::SERVICE_UNAVAILABLE, key, Code::ProviderNotReady, details);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        Err(response)
    }
}
