use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

use super::role::Role;
use super::tokens::Invalid;
use crate::problem::Problem;

/// Why a request is refused before it reaches a route.
#[derive(Debug)]
pub(super) enum Refusal {
    NoToken,
    /// The scheme of `Authorization`, when it is not `Bearer`.
    Scheme(String),
    Token(Invalid),
    /// A header that is there twice, or contradicts another.
    Header(String),
    Host,
    Origin(String),
    Role(Role),
    RateLimit(Duration),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::NoToken | Self::Scheme(_) | Self::Token(_) => StatusCode::UNAUTHORIZED,
            Self::Header(_) => StatusCode::BAD_REQUEST,
            Self::Host | Self::Origin(_) | Self::Role(_) => StatusCode::FORBIDDEN,
            Self::RateLimit(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    pub(super) fn is_unauthorized(&self) -> bool {
        self.status() == StatusCode::UNAUTHORIZED
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NoToken | Self::Scheme(_) | Self::Token(_) => "unauthorized",
            Self::Header(_) => "invalid_header",
            Self::Host | Self::Origin(_) | Self::Role(_) => "forbidden",
            Self::RateLimit(_) => "rate_limited",
        }
    }

    fn title(&self) -> &'static str {
        match self.code() {
            "unauthorized" => "You are not known here",
            "invalid_header" => "A header cannot be used",
            "forbidden" => "You may not do this",
            _ => "Too many requests",
        }
    }

    fn details(&self) -> String {
        match self {
            Self::NoToken => "there is no token; send `Authorization: Bearer flp_...`".to_owned(),
            Self::Scheme(scheme) => format!(
                "`Authorization` came with the scheme {scheme}, and this server takes Bearer; does the client read a ~/.netrc?"
            ),
            Self::Token(Invalid::Foreign) => {
                "what came is not a token of this server: those begin with flp_".to_owned()
            }
            Self::Token(Invalid::Typo) => {
                "the token is misspelled or cut off: its check digits do not match".to_owned()
            }
            Self::Token(Invalid::Unknown) => "this server has no such token".to_owned(),
            Self::Token(Invalid::Expired(token)) => {
                let at = token.expires.map(|at| humantime::format_rfc3339_seconds(at).to_string()).unwrap_or_default();
                format!("token {token} expired at {at}")
            }
            Self::Token(Invalid::Revoked(token)) => format!("token {token} is revoked"),
            Self::Header(details) => details.clone(),
            Self::Host => {
                "without tokens only requests to localhost are answered, and this one has another name in `Host`"
                    .to_owned()
            }
            Self::Origin(origin) => {
                format!("a page of {origin} sent this request; `flipper serve --cors-origin` names the allowed ones")
            }
            Self::Role(needed) => format!("this needs the role {needed}"),
            Self::RateLimit(wait) => format!("too many requests; the next is answered in {} s", whole_seconds(*wait)),
        }
    }

    /// In OFREP's form under `/ofrep/`, else as `application/problem+json`.
    pub(super) fn response(&self, path: &str) -> Response {
        let (status, details) = (self.status(), self.details());
        let mut response = match is_ofrep(path) {
            true => ofrep(path, status, &details),
            false => Problem::new(status, self.code(), self.title(), details).into_response(),
        };
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            Self::RateLimit(wait) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(*wait)));
            }
            Self::NoToken | Self::Scheme(_) => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"flipper\""));
            }
            Self::Token(_) => {
                let value = "Bearer realm=\"flipper\", error=\"invalid_token\"";
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(value));
            }
            _ => {}
        }
        response
    }
}

/// OFREP has whole seconds only; clients read dates differently.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// As `is_ofrep` of the routes: clients repeat the slash of a base URL that ends with one.
fn is_ofrep(path: &str) -> bool {
    let rest = path.trim_start_matches('/').strip_prefix("ofrep");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Without a key, or details, some clients lose the code.
fn ofrep(path: &str, status: StatusCode, details: &str) -> Response {
    let key = path.split_once("/evaluate/flags/").map_or("", |(_, key)| key);
    let key = percent_encoding::percent_decode_str(key).decode_utf8_lossy();
    let body = serde_json::json!({"key": key, "errorCode": "GENERAL", "errorDetails": details});
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
