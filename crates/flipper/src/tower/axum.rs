use std::convert::Infallible;
use std::fmt;

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use crate::scope::Scope;

/// The scope that a [`ScopeLayer`](super::ScopeLayer) made (feature `axum`).
impl<S: Sync> FromRequestParts<S> for Scope {
    type Rejection = NoScope;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, NoScope> {
        parts.extensions.get().cloned().ok_or(NoScope(()))
    }
}

/// The scope, if there is a [`ScopeLayer`](super::ScopeLayer) (feature `axum`).
impl<S: Sync> OptionalFromRequestParts<S> for Scope {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get().cloned())
    }
}

/// The rejection of a [`Scope`](crate::Scope) argument without a [`ScopeLayer`](super::ScopeLayer) around the handler; the response is 500.
#[derive(Clone, Copy, Debug)]
pub struct NoScope(());

impl fmt::Display for NoScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request has no scope: add a `flipper::tower::ScopeLayer` around the handler")
    }
}

impl std::error::Error for NoScope {}

impl IntoResponse for NoScope {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}
