use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};

use super::json;
use super::path::{self, Target};

/// OpenFeature's error codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    FlagNotFound,
    ParseError,
    TargetingKeyMissing,
    InvalidContext,
    ProviderNotReady,
    General,
}

impl Code {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::FlagNotFound => "FLAG_NOT_FOUND",
            Self::ParseError => "PARSE_ERROR",
            Self::TargetingKeyMissing => "TARGETING_KEY_MISSING",
            Self::InvalidContext => "INVALID_CONTEXT",
            Self::ProviderNotReady => "PROVIDER_NOT_READY",
            Self::General => "GENERAL",
        }
    }

    /// A 400 also for a flag that is unreadable: with a 500 clients lose the code.
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::FlagNotFound => StatusCode::NOT_FOUND,
            Self::ProviderNotReady => StatusCode::SERVICE_UNAVAILABLE,
            Self::ParseError | Self::TargetingKeyMissing | Self::InvalidContext | Self::General => {
                StatusCode::BAD_REQUEST
            }
        }
    }
}

/// An error as OFREP's clients read it, for every layer that answers under `/ofrep`. All members are always there: without `errorDetails`
/// or `key` some clients lose the code. `key`: of a single evaluation.
pub(crate) fn error(status: StatusCode, key: Option<&str>, code: Code, details: &str) -> Response {
    let mut body = String::with_capacity(96 + details.len());
    entry(key.unwrap_or_default(), code, details, &mut body);
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, body).into_response()
}

/// The refusal of another layer, if the path is OFREP's. `Retry-After`, if any, is whole seconds: clients read dates differently.
pub(crate) fn refusal(path: &str, status: StatusCode, details: &str) -> Option<Response> {
    let key = match path::target(path) {
        Target::Single(key) => Some(key),
        Target::Bulk | Target::Stream | Target::Unknown => None,
    };
    path::is_ofrep(path).then(|| error(status, key.as_deref(), Code::General, details))
}

/// The error of one flag, also among others.
pub(super) fn entry(key: &str, code: Code, details: &str, out: &mut String) {
    out.push_str("{\"key\":");
    json::string(key, out);
    out.push_str(",\"errorCode\":\"");
    out.push_str(code.as_str());
    out.push_str("\",\"errorDetails\":");
    json::string(details, out);
    out.push('}');
}

#[cfg(test)]
mod tests {
    use axum::body::HttpBody;

    use super::*;

    #[test]
    fn refusals_of_other_layers_have_its_form() {
        let response = refusal("//ofrep/v1/evaluate/flags/a%20b", StatusCode::UNAUTHORIZED, "no token").unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let mut body = String::new();
        entry("a b", Code::General, "no token", &mut body);
        assert_eq!(response.body().size_hint().exact(), Some(body.len() as u64));
        assert!(refusal("/api/v1/flags", StatusCode::UNAUTHORIZED, "no token").is_none());
    }
}
