//! Requests over hyper, in place of the driver's own client, which would bring a second TLS provider.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::http::request::Parts as RequestParts;
use hyper::http::response::Parts;
use hyper::{Request, Response};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpResponseBody,
    HttpService,
};
use rustls::RootCertStore;
use rustls::crypto::ring;

use crate::error::{Error, Result};

const CONNECT: Duration = Duration::from_secs(3);
/// Below what servers and load balancers allow.
const IDLE: Duration = Duration::from_secs(20);
/// Requests at once.
pub(super) const AT_ONCE: usize = 32;

/// Also serves the driver's requests for credentials. Its requests must be sent from the flipper thread, which has the connections.
#[derive(Clone, Debug)]
pub(super) struct Http(Client<HttpsConnector<TcpConnector>, HttpRequestBody>);

/// Why there is no answer.
pub(super) struct Failed {
    pub(super) error: Error,
    /// The server cannot have seen it.
    pub(super) unsent: bool,
}

impl Http {
    /// With the system's authorities.
    pub(super) fn new() -> Result<Self> {
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::invalid_input("TLS cannot be set up").with_source(error))?;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let mut tcp = TcpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        let https = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(config).https_or_http();
        let https = https.enable_http1().wrap_connector(tcp);
        // A server that hangs is asked again and again on new connections: no more are kept than requests are made at once.
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(AT_ONCE)
            .build(https);
        Ok(Self(client))
    }

    /// Without a body of more than `most` bytes.
    pub(super) async fn exchange(&self, request: HttpRequest, most: usize) -> Result<(Parts, Option<Bytes>), Failed> {
        let answer = self.0.request(request).await.map_err(|error| Failed {
            unsent: error.is_connect(),
            error: Error::unavailable("server cannot be reached").with_source(Reason::of(error)),
        })?;
        let (head, body) = answer.into_parts();
        match Limited::new(body, most).collect().await {
            Ok(body) => Ok((head, Some(body.to_bytes()))),
            Err(error) if error.is::<LengthLimitError>() => Ok((head, None)),
            Err(error) => Err(Failed {
                error: Error::unavailable("the server's answer broke off").with_source(error),
                unsent: false,
            }),
        }
    }
}

/// Without the first level, which says no more than "client error".
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Reason(String);

impl Reason {
    fn of(error: impl StdError) -> Self {
        let mut text = String::new();
        let mut cause = error.source();
        while let Some(error) = cause {
            let next = error.to_string();
            if !text.contains(&next) {
                text = if text.is_empty() { next } else { format!("{text}: {next}") };
            }
            cause = error.source();
        }
        Self(if text.is_empty() { error.to_string() } else { text })
    }
}

#[async_trait]
impl HttpService for Http {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (head, body): (RequestParts, HttpRequestBody) = request.into_parts();
        let answer = self.0.request(Request::from_parts(head, body)).await.map_err(|error| {
            let kind = if error.is_connect() { HttpErrorKind::Connect } else { HttpErrorKind::Request };
            HttpError::new(kind, Reason::of(error))
        })?;
        let (head, body) = answer.into_parts();
        let body = body.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error));
        Ok(Response::from_parts(head, HttpResponseBody::new(body)))
    }
}

impl HttpConnector for Http {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}
