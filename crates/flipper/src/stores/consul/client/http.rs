//! Requests, and what is answered.

use std::fmt;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, StatusCode, Uri};

use super::address::Address;
use super::connector::Connector;
use super::pool::Pool;
use super::tls::Tls;
use crate::background;
use crate::error::{Error, ErrorKind, Result};

const TOKEN: HeaderName = HeaderName::from_static("x-consul-token");
const INDEX: &str = "x-consul-index";

/// What is asked of the agent.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// From `/v1` on, with its query.
    pub(crate) path: String,
    pub(crate) body: Bytes,
    /// How long the agent may take for it on purpose.
    pub(crate) wait: Duration,
    /// An answer with more bytes is an error.
    pub(crate) limit: usize,
}

/// What it answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// `X-Consul-Index`.
    pub(crate) index: Option<u64>,
    pub(crate) body: Bytes,
}

pub(super) struct Http {
    pool: Pool,
    base: String,
    /// What every path begins with.
    path: String,
    /// Those of every request.
    headers: HeaderMap,
}

impl Http {
    pub(super) fn new(
        address: &Address,
        settings: &Tls,
        token: Option<HeaderValue>,
        auth: Option<HeaderValue>,
    ) -> Result<Self> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, address.host()?);
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("flipper/", env!("CARGO_PKG_VERSION"))));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.extend(token.map(|token| (TOKEN, token)));
        headers.extend(auth.map(|auth| (AUTHORIZATION, auth)));
        let pool = Pool::new(Connector::new(address, settings)?);
        Ok(Self { pool, base: address.base(), path: address.path().to_owned(), headers })
    }

    /// `limit`: for all of it.
    pub(super) async fn send(&self, request: Request, limit: Duration) -> Result<Answer> {
        let most = request.limit;
        let prepared = self.prepare(request)?;
        let answered = background::within(limit, async {
            let (head, body) = self.pool.send(prepared, most).await?;
            let index = head.headers.get(INDEX).and_then(|index| index.to_str().ok()?.parse().ok());
            Ok(Answer { status: head.status, index, body })
        });
        answered.await.unwrap_or_else(|error| {
            Err(Error::new(ErrorKind::Unavailable).with_message("store did not answer in time").with_source(error))
        })
    }

    fn prepare(&self, request: Request) -> Result<hyper::Request<Full<Bytes>>> {
        let uri = Uri::try_from(format!("{}{}", self.path, request.path))
            .map_err(|error| Error::invalid_input("the key makes no URL that HTTP can carry").with_source(error))?;
        let mut prepared = hyper::Request::new(Full::new(request.body));
        *prepared.method_mut() = request.method;
        *prepared.uri_mut() = uri;
        *prepared.headers_mut() = self.headers.clone();
        Ok(prepared)
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}
