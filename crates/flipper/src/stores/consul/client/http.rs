use std::fmt;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, StatusCode, Uri};

use crate::background;
use crate::error::{Error, Result};
use crate::stores::http_client::address::Address;
use crate::stores::http_client::connector::Connector;
use crate::stores::http_client::pool::Pool;
use crate::stores::http_client::renewal::Token;
use crate::stores::http_client::tls::Tls;

const TOKEN: HeaderName = HeaderName::from_static("x-consul-token");
const INDEX: &str = "x-consul-index";

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// From `/v1` on, with its query.
    pub(crate) path: String,
    pub(crate) body: Bytes,
    pub(crate) wait: Duration,
    pub(crate) limit: usize,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn new(method: Method, path: String, body: impl Into<Bytes>, limit: usize) -> Self {
        Self { method, path, body: body.into(), wait: Duration::ZERO, limit }
    }
}

impl Answer {
    pub(crate) fn index(&self) -> Option<u64> {
        self.header(INDEX)?.parse().ok()
    }

    /// For how long the server has not heard from the leader; `None` without a leader.
    pub(crate) fn lag(&self) -> Option<Duration> {
        if self.header("x-consul-knownleader") == Some("false") {
            return None;
        }
        let lag = self.header("x-consul-lastcontact").and_then(|lag| lag.parse().ok()).unwrap_or(0);
        Some(Duration::from_millis(lag))
    }

    /// Consul left out what the token may not read; before 1.11 it never reports that.
    pub(crate) fn is_filtered(&self) -> bool {
        self.header("x-consul-results-filtered-by-acls") == Some("true")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Older agents use another status when they forward another server's refusal.
    fn is_refused(&self) -> bool {
        match self.status {
            StatusCode::OK | StatusCode::NOT_FOUND => false,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => true,
            _ => is_refusal(&String::from_utf8_lossy(&self.body)),
        }
    }
}

pub(crate) fn is_refusal(text: &str) -> bool {
    text.contains("Permission denied") || text.contains("ACL not found")
}

pub(super) struct Http {
    pool: Pool,
    base: String,
    path: String,
    headers: HeaderMap,
    token: Token,
}

impl Http {
    pub(super) fn new(address: &Address, settings: Tls, token: Token, auth: Option<HeaderValue>) -> Result<Self> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, address.host()?);
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("flipper/", env!("CARGO_PKG_VERSION"))));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.extend(auth.map(|auth| (AUTHORIZATION, auth)));
        let pool = Pool::new(Connector::new(address, settings)?);
        Ok(Self { pool, base: address.base(), path: address.path().to_owned(), headers, token })
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    pub(super) fn has_token(&self) -> bool {
        self.token.current().is_some()
    }

    /// `limit` includes connecting and a second attempt.
    pub(super) async fn send(&self, request: Request, limit: Duration) -> Result<Answer> {
        let answered = background::within(limit, async {
            let token = self.token.current();
            let answer = self.exchange(&request, token.clone()).await?;
            if answer.is_refused()
                && let Some(renewed) = self.token.instead_of(token.as_ref())
            {
                return self.exchange(&request, Some(renewed)).await;
            }
            Ok(answer)
        });
        answered
            .await
            .unwrap_or_else(|error| Err(Error::unavailable("store did not answer in time").with_source(error)))
    }

    async fn exchange(&self, request: &Request, token: Option<HeaderValue>) -> Result<Answer> {
        let (head, body) = self.pool.send(self.prepare(request, token)?, request.limit).await?;
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    fn prepare(&self, request: &Request, token: Option<HeaderValue>) -> Result<hyper::Request<Full<Bytes>>> {
        let uri = Uri::try_from(format!("{}{}", self.path, request.path))
            .map_err(|error| Error::invalid_input("the key makes no URL that HTTP can carry").with_source(error))?;
        let mut prepared = hyper::Request::new(Full::new(request.body.clone()));
        *prepared.method_mut() = request.method.clone();
        *prepared.uri_mut() = uri;
        *prepared.headers_mut() = self.headers.clone();
        prepared.headers_mut().extend(token.map(|token| (TOKEN, token)));
        Ok(prepared)
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}
