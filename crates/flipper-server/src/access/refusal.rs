use std::net::IpAddr;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

use super::role::Role;
use super::tokens::Invalid;
use crate::ofrep;
use crate::problem::{Problem, Reason};

/// Why a request is refused before it reaches a route.
#[derive(Debug)]
pub(super) enum Refusal {
    NoToken,
    NoScheme,
    /// The scheme of `Authorization`, when it is not `Bearer`.
    Scheme(String),
    Token(Invalid),
    /// A header that is there twice, or contradicts another.
    Header(String),
    /// Not this machine's, or unknown.
    Address(Option<IpAddr>),
    /// By the header that a proxy adds.
    Proxied(&'static str),
    Host,
    Origin(String),
    Role(Role),
    RateLimit(Duration),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::NoToken | Self::NoScheme | Self::Scheme(_) | Self::Token(_) => StatusCode::UNAUTHORIZED,
            Self::Header(_) => StatusCode::BAD_REQUEST,
            Self::Address(_) | Self::Proxied(_) | Self::Host | Self::Origin(_) | Self::Role(_) => StatusCode::FORBIDDEN,
            Self::RateLimit(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    pub(super) fn is_unauthorized(&self) -> bool {
        self.status() == StatusCode::UNAUTHORIZED
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NoToken | Self::NoScheme | Self::Scheme(_) | Self::Token(_) => "unauthorized",
            Self::Header(_) => "invalid_header",
            Self::Address(_) | Self::Proxied(_) | Self::Host | Self::Origin(_) | Self::Role(_) => "forbidden",
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
            Self::NoScheme => "`Authorization` has no scheme: write `Bearer` before the token".to_owned(),
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
            Self::Address(Some(address)) => {
                format!("without tokens only callers on this machine are answered, and this one is at {}", address.to_canonical())
            }
            Self::Address(None) => {
                "without tokens only callers on this machine are answered, and the address of this one is unknown: pass it on by \
                 `into_make_service_with_connect_info`, or answer everyone by `AccessControl::open_to_everyone`"
                    .to_owned()
            }
            Self::Proxied(header) => format!(
                "without tokens only callers on this machine are answered, and by `{header}` a proxy sent this for another; \
                 `flipper serve` knows callers by --tokens, or --proxy-header and --proxy-from"
            ),
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
        let mut response = ofrep::refusal(path, status, &details)
            .unwrap_or_else(|| Problem::new(status, self.code(), self.title(), details.clone()).into_response());
        response.extensions_mut().insert(Reason(details.into()));
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            Self::RateLimit(wait) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(*wait)));
            }
            Self::NoToken | Self::NoScheme | Self::Scheme(_) => {
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
