//! `application/problem+json` (RFC 9457): every error of the API.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use flipper::json::{Json, Object};
use flipper::{Error, ErrorKind};
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Why a request was refused, for the log; an extension of the response.
#[derive(Clone)]
pub(crate) struct Reason(pub(crate) Cow<'static, str>);

/// In seconds.
const RETRY: u16 = 1;

/// Its code is that of an [`ErrorKind`], or one of its own.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    /// Boxed: results are small.
    rest: Box<Rest>,
}

#[derive(Clone, Debug)]
struct Rest {
    title: &'static str,
    detail: String,
    hint: Option<String>,
    fields: Object,
    allow: Option<&'static str>,
    retry_after: Option<u16>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        let (detail, fields) = (detail.into(), Object::new());
        let rest = Box::new(Rest { title, detail, hint: None, fields, allow: None, retry_after: None });
        Self { status, code, rest }
    }

    /// What to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.rest.hint = Some(hint.into());
        self
    }

    pub(crate) fn with(mut self, field: &'static str, value: impl Into<Json>) -> Self {
        self.rest.fields.insert(field, value);
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u16) -> Self {
        self.rest.retry_after = Some(seconds);
        self
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", "The request cannot be read", detail)
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::from(Error::new(ErrorKind::InvalidInput).with_message(detail))
    }

    pub(crate) fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "no_such_path", "There is nothing here", "this server has no such path")
            .hint("GET /api/v1/openapi.json lists all paths")
    }

    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        let detail = format!("this path takes {allow}");
        let mut problem = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "The path does not take this method",
            detail,
        );
        problem.rest.allow = Some(allow);
        problem
    }

    pub(crate) fn too_large(most: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "The body is too large",
            format!("the body has more than the {most} bytes that this path takes"),
        )
        .hint("send it in parts")
    }

    pub(crate) fn timeout(what: &str) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", "The request came too slowly", what)
    }

    pub(crate) fn overloaded(detail: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "The server is at a limit", detail).retry_after(RETRY)
    }

    /// Of an operation after others that took too long.
    pub(crate) fn not_tried() -> Self {
        Self::overloaded("the operations before this one took too long, and it was not tried")
            .hint("send the rest again")
    }

    /// There are no flags yet.
    pub(crate) fn not_ready(reason: &str) -> Self {
        Self::from(Error::new(ErrorKind::Unavailable).with_message(format!("there are no flags yet: {reason}")))
    }

    pub(crate) fn precondition_failed(name: &str) -> Self {
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "precondition_failed",
            "The flag has changed",
            format!("flag {name:?} is not in the version that the request names"),
        )
        .hint("read the flag again, and repeat the change with its new ETag")
    }

    pub(crate) fn to_object(&self) -> Object {
        let mut object: Object = [
            ("type", Json::from(format!("urn:flipper:problem:{}", self.code))),
            ("title", self.rest.title.into()),
            ("status", u32::from(self.status.as_u16()).into()),
            ("detail", self.rest.detail.as_str().into()),
            ("code", self.code.into()),
        ]
        .into_iter()
        .collect();
        if let Some(hint) = &self.rest.hint {
            object.insert("hint", hint.as_str());
        }
        object.extend(self.rest.fields.iter().map(|(name, value)| (name, value.clone())));
        object
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, title, hint) = match error.kind() {
            ErrorKind::FlagNotFound => {
                (StatusCode::NOT_FOUND, "There is no such flag", "POST /api/v1/flags creates it")
            }
            ErrorKind::FlagExists => {
                (StatusCode::CONFLICT, "There is such a flag already", "PATCH changes it, PUT replaces it")
            }
            ErrorKind::InvalidName => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "A flag cannot have this name",
                "a new name has 1 to 255 bytes, without `/` and control characters",
            ),
            ErrorKind::InvalidInput => {
                (StatusCode::UNPROCESSABLE_ENTITY, "The request is not valid", "correct what the detail names")
            }
            ErrorKind::Corrupt => (
                StatusCode::CONFLICT,
                "The stored flag cannot be read",
                "repair it in the store, or replace it by PUT, or DELETE it",
            ),
            ErrorKind::Conflict => (
                StatusCode::CONFLICT,
                "Other writers changed the flag at the same time",
                "read the flag again, and repeat the change",
            ),
            ErrorKind::Vetoed => (StatusCode::FORBIDDEN, "The write was refused", "ask who runs this server"),
            ErrorKind::Unauthorized => (
                StatusCode::BAD_GATEWAY,
                "The store refuses this server",
                "check the credentials that the server has for its store",
            ),
            ErrorKind::Unsupported => {
                (StatusCode::NOT_IMPLEMENTED, "The store cannot do this", "ask who runs this server")
            }
            _ if error.nothing_written() => {
                (StatusCode::SERVICE_UNAVAILABLE, "The store is unavailable", "nothing was written: try again later")
            }
            _ => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The store is unavailable",
                "a write may have happened: read the flag, then try again",
            ),
        };
        let mut problem = Self::new(status, error.kind().code(), title, error.chain()).hint(hint);
        if let Some(flag) = error.flag() {
            problem = problem.with("flag", flag);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            problem = problem.retry_after(RETRY);
        }
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Json::from(self.to_object()).to_string().into_response();
        *response.status_mut() = self.status;
        response.extensions_mut().insert(Reason(self.code.into()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, MEDIA_TYPE);
        if let Some(allow) = self.rest.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(seconds) = self.rest.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}
