//! Requests over a pool of connections.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, StatusCode};
use hyper_rustls::{DefaultServerNameResolver, FixedServerNameResolver, HttpsConnector, ResolveServerName};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::ServerName;

use super::address::Address;
use super::connector::UnixConnector;
use super::tls::{self, Tls};
use crate::background;
use crate::error::{Error, ErrorKind, Result};

const TOKEN: HeaderName = HeaderName::from_static("x-consul-token");
const INDEX: &str = "x-consul-index";
/// Idle connections are kept so long; an agent keeps them for longer.
const IDLE: Duration = Duration::from_secs(90);
/// How long a host may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(3);

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
    token: Option<HeaderValue>,
    auth: Option<HeaderValue>,
}

enum Pool {
    Tcp(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
    Unix(Client<UnixConnector, Full<Bytes>>),
}

impl Http {
    pub(super) fn new(
        address: &Address,
        settings: &Tls,
        token: Option<HeaderValue>,
        auth: Option<HeaderValue>,
    ) -> Result<Self> {
        let mut client = Client::builder(TokioExecutor::new());
        client.pool_idle_timeout(IDLE).pool_timer(TokioTimer::new());
        let pool = match address {
            Address::Unix(path) => Pool::Unix(client.build(UnixConnector(Arc::new(path.clone())))),
            Address::Tcp { tls: secure, .. } => {
                let mut tcp = HttpConnector::new();
                tcp.enforce_http(false);
                tcp.set_nodelay(true);
                tcp.set_connect_timeout(Some(CONNECT));
                tcp.set_keepalive(Some(Duration::from_secs(30)));
                let names: Arc<dyn ResolveServerName + Send + Sync> = match &settings.server_name {
                    Some(name) => {
                        Arc::new(FixedServerNameResolver::new(ServerName::try_from(name.clone()).map_err(|error| {
                            Error::invalid_input("TLS server name is no host name").with_source(error)
                        })?))
                    }
                    None => Arc::new(DefaultServerNameResolver::default()),
                };
                // Without TLS its settings play no part.
                let config = if *secure { settings.config()? } else { tls::unused()? };
                Pool::Tcp(client.build(HttpsConnector::new(tcp, config, *secure, names)))
            }
        };
        Ok(Self { pool, base: address.base(), token, auth })
    }

    /// `limit`: for all of it. The connection runs on the flipper thread.
    pub(super) async fn send(&self, request: Request, limit: Duration) -> Result<Answer> {
        let most = request.limit;
        let prepared = self.prepare(request)?;
        let answered = background::within(limit, async {
            let response = self.request(prepared).await.map_err(unreachable)?;
            let (head, body) = response.into_parts();
            let index = head.headers.get(INDEX).and_then(|index| index.to_str().ok()?.parse().ok());
            let body = read(body, most).await?;
            Ok(Answer { status: head.status, index, body })
        });
        answered.await.unwrap_or_else(|error| {
            Err(Error::new(ErrorKind::Unavailable).with_message("store did not answer in time").with_source(error))
        })
    }

    fn prepare(&self, request: Request) -> Result<hyper::Request<Full<Bytes>>> {
        let mut prepared =
            hyper::Request::builder().method(request.method).uri(format!("{}{}", self.base, request.path));
        if let Some(token) = &self.token {
            prepared = prepared.header(TOKEN, token);
        }
        if let Some(auth) = &self.auth {
            prepared = prepared.header(AUTHORIZATION, auth);
        }
        let agent = concat!("flipper/", env!("CARGO_PKG_VERSION"));
        prepared = prepared.header(USER_AGENT, agent).header(CONTENT_TYPE, "application/json");
        prepared
            .body(Full::new(request.body))
            .map_err(|error| Error::invalid_input("the key makes no URL that HTTP can carry").with_source(error))
    }

    fn request(&self, request: hyper::Request<Full<Bytes>>) -> ResponseFuture {
        match &self.pool {
            Pool::Tcp(client) => client.request(request),
            Pool::Unix(client) => client.request(request),
        }
    }
}

async fn read(body: Incoming, limit: usize) -> Result<Bytes> {
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Error::new(ErrorKind::Unavailable)
            .with_message(format!("the answer of the Consul agent has more than {limit} bytes"))),
        Err(error) => Err(Error::new(ErrorKind::Unavailable).with_source(error)),
    }
}

fn unreachable(error: hyper_util::client::legacy::Error) -> Error {
    Error::new(ErrorKind::Unavailable).with_source(error)
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}
