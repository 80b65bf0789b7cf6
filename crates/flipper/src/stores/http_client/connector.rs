use std::error::Error as StdError;
use std::future::poll_fn;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Uri;
use hyper_rustls::{DefaultServerNameResolver, FixedServerNameResolver, HttpsConnector, ResolveServerName};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::UnixStream;
use tower_service::Service;

use super::address::Address;
use super::connection::Connection;
use super::renewal::Stamp;
use super::tls::{self, Tls};
use crate::error::{Error, Result};
use crate::lock::Mutex;

const CONNECT: Duration = Duration::from_secs(3);

/// Beside each new connection.
const LOOK: Duration = Duration::from_secs(1);

pub(crate) enum Connector {
    Tcp(Box<Tcp>),
    Unix(PathBuf),
}

pub(crate) struct Tcp {
    uri: Uri,
    secure: bool,
    settings: Tls,
    names: Arc<dyn ResolveServerName + Send + Sync>,
    current: Mutex<Current>,
}

struct Current {
    connector: HttpsConnector<HttpConnector>,
    stamps: Vec<Stamp>,
    looked: Instant,
}

impl Connector {
    pub(crate) fn new(address: &Address, settings: Tls) -> Result<Self> {
        let (secure, uri) = match address {
            Address::Unix(path) => return Ok(Self::Unix(path.clone())),
            Address::Tcp { tls, .. } => (*tls, address.uri()?),
        };
        let names: Arc<dyn ResolveServerName + Send + Sync> = match &settings.server_name {
            Some(name) => Arc::new(FixedServerNameResolver::new(
                ServerName::try_from(name.clone())
                    .map_err(|error| Error::invalid_input("TLS server name is no host name").with_source(error))?,
            )),
            None => Arc::new(DefaultServerNameResolver::default()),
        };
        let stamps = if secure { settings.stamps() } else { Vec::new() };
        let connector = connector(secure, &settings, names.clone())?;
        let current = Mutex::new(Current { connector, stamps, looked: Instant::now() });
        Ok(Self::Tcp(Box::new(Tcp { uri, secure, settings, names, current })))
    }

    /// Older connections do not use the new certificates.
    pub(crate) fn is_renewed(&self) -> bool {
        matches!(self, Self::Tcp(tcp) if tcp.secure && tcp.look(LOOK).1)
    }

    pub(crate) async fn connect(&self) -> Result<Connection> {
        match self {
            Self::Tcp(tcp) => {
                let mut connector = tcp.look(Duration::ZERO).0;
                poll_fn(|context| connector.poll_ready(context)).await.map_err(unreachable)?;
                Connection::over(connector.call(tcp.uri.clone()).await.map_err(unreachable)?).await
            }
            Self::Unix(path) => {
                Connection::over(TokioIo::new(UnixStream::connect(path).await.map_err(unreachable)?)).await
            }
        }
    }
}

impl Tcp {
    /// Also returns whether it was just made from renewed files. Checks them if the last check is `every` ago.
    fn look(&self, every: Duration) -> (HttpsConnector<HttpConnector>, bool) {
        let mut current = self.current.lock();
        let mut renewed = false;
        if self.secure && current.looked.elapsed() >= every {
            current.looked = Instant::now();
            let stamps = self.settings.stamps();
            if stamps != current.stamps {
                current.stamps = stamps;
                match connector(self.secure, &self.settings, self.names.clone()) {
                    Ok(connector) => (current.connector, renewed) = (connector, true),
                    // A certificate and its key are renewed one after the other.
                    Err(error) => tracing::warn!(%error, "the last certificates are kept"),
                }
            }
        }
        (current.connector.clone(), renewed)
    }
}

fn connector(
    secure: bool,
    settings: &Tls,
    names: Arc<dyn ResolveServerName + Send + Sync>,
) -> Result<HttpsConnector<HttpConnector>> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    tcp.set_keepalive(Some(Duration::from_secs(30)));
    // The type needs a TLS configuration even without TLS.
    let config = if secure { settings.config()? } else { tls::unused()? };
    Ok(HttpsConnector::new(tcp, config, secure, names))
}

fn unreachable(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
    Error::unavailable("server cannot be reached").with_source(error)
}
