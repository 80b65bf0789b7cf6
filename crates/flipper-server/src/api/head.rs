//! What most handlers begin with: the server, the caller, and what the head of the request asks for.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::Response;
use flipper::FeatureFlagClient;
use flipper::json::{Json, Object};
use flipper::store::Stored;
use http::request::Parts;
use http::{HeaderMap, StatusCode, Uri};

use super::caller::Caller;
use super::cause;
use super::input::Query;
use super::output::{self, When};
use crate::access::Role;
use crate::app::App;
use crate::problem::Problem;

pub(crate) struct Head {
    pub(super) app: Arc<App>,
    pub(super) caller: Caller,
    pub(super) headers: HeaderMap,
    uri: Uri,
}

impl FromRequestParts<Arc<App>> for Head {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        let caller = Caller::from_request_parts(parts, app).await?;
        Ok(Self { app: app.clone(), caller, headers: parts.headers.clone(), uri: parts.uri.clone() })
    }
}

impl Head {
    pub(super) fn query(&self, known: &[&str]) -> Result<Query, Problem> {
        Query::of(&self.uri, known)
    }

    /// The client for writes of a caller that may write.
    pub(super) fn writer(&self) -> Result<FeatureFlagClient, Problem> {
        self.caller.must_have(Role::Write)?;
        cause::writer(&self.app, &self.caller, &self.headers)
    }

    /// The same for one flag, and the condition of its change.
    pub(super) fn writer_of(&self, name: &str) -> Result<(FeatureFlagClient, When), Problem> {
        self.caller.must(Role::Write, name)?;
        Ok((self.writer()?, self.condition()?))
    }

    fn condition(&self) -> Result<When, Problem> {
        self.query(&[])?;
        match When::of(&self.headers)? {
            When::Always if self.app.require_if_match => Err(Problem::new(
                StatusCode::PRECONDITION_REQUIRED,
                "precondition_required",
                "The request needs a precondition",
                "this server takes changes of a flag only with If-Match, or If-None-Match: *",
            )
            .hint("GET the flag, and send its ETag as If-Match")),
            when => Ok(when),
        }
    }

    /// What is in memory, with its version. While it is stale it is never 304.
    pub(super) fn answer(&self, stored: &Stored, mut shown: Object) -> Response {
        let response = match output::stale(&self.app.store.status()) {
            None => output::tagged(&self.headers, &output::tag(&stored.version), || Json::from(shown).to_string()),
            Some(stale) => {
                shown.insert("stale", stale);
                output::passing(&stored.version, shown)
            }
        };
        output::from_memory(&self.app, response)
    }
}
