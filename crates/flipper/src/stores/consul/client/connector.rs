//! Where connections come from.

use std::error::Error as StdError;
use std::future::poll_fn;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use hyper_rustls::{DefaultServerNameResolver, FixedServerNameResolver, HttpsConnector, ResolveServerName};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::UnixStream;
use tower_service::Service;

use super::address::Address;
use super::connection::Connection;
use super::tls::{self, Tls};
use crate::error::{Error, ErrorKind, Result};

/// How long a host may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(3);

pub(super) enum Connector {
    Tcp(HttpsConnector<HttpConnector>, Uri),
    Unix(PathBuf),
}

impl Connector {
    pub(super) fn new(address: &Address, settings: &Tls) -> Result<Self> {
        let (secure, uri) = match address {
            Address::Unix(path) => return Ok(Self::Unix(path.clone())),
            Address::Tcp { tls, .. } => (*tls, address.uri()?),
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        let names: Arc<dyn ResolveServerName + Send + Sync> = match &settings.server_name {
            Some(name) => Arc::new(FixedServerNameResolver::new(
                ServerName::try_from(name.clone())
                    .map_err(|error| Error::invalid_input("TLS server name is no host name").with_source(error))?,
            )),
            None => Arc::new(DefaultServerNameResolver::default()),
        };
        // Without TLS its settings play no part.
        let config = if secure { settings.config()? } else { tls::unused()? };
        Ok(Self::Tcp(HttpsConnector::new(tcp, config, secure, names), uri))
    }

    pub(super) async fn connect(&self) -> Result<Connection> {
        match self {
            Self::Tcp(connector, uri) => {
                let mut connector = connector.clone();
                poll_fn(|context| connector.poll_ready(context)).await.map_err(unreachable)?;
                Connection::over(connector.call(uri.clone()).await.map_err(unreachable)?).await
            }
            Self::Unix(path) => {
                Connection::over(TokioIo::new(UnixStream::connect(path).await.map_err(unreachable)?)).await
            }
        }
    }
}

fn unreachable(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Unavailable).with_message("server cannot be reached").with_source(error)
}
