//! The settings of a client.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::Notify;

use super::address::{self, Address};
use super::http::Http;
use super::renewal::{Token, secret};
use super::tls::Tls;
use super::{ConsulClient, Inner};
use crate::error::{Error, Result};

const TIMEOUT: Duration = Duration::from_secs(5);

/// How current what Consul's servers answer must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsulConsistency {
    /// The leader answers. In the moment of an election an old one may.
    #[default]
    Default,
    /// The leader answers, and makes sure first that it is the leader.
    Consistent,
    /// Changes are followed through any server, and so while there is no leader; writes, and reads of one's own, go to the
    /// leader all the same.
    Stale,
}

/// Makes a [`ConsulClient`].
#[derive(Clone)]
pub struct ConsulClientBuilder {
    address: String,
    /// Whether TLS is spoken; `None` where nobody has said.
    ssl: Option<bool>,
    token: Option<String>,
    token_file: Option<PathBuf>,
    auth: Option<String>,
    datacenter: Option<String>,
    namespace: Option<String>,
    partition: Option<String>,
    consistency: ConsulConsistency,
    timeout: Duration,
    tls: Tls,
}

impl ConsulClientBuilder {
    pub(super) fn new() -> Self {
        Self {
            address: "127.0.0.1:8500".to_owned(),
            ssl: None,
            token: None,
            token_file: None,
            auth: None,
            datacenter: None,
            namespace: None,
            partition: None,
            consistency: ConsulConsistency::Default,
            timeout: TIMEOUT,
            tls: Tls::default(),
        }
    }

    /// The settings that Consul's own tools read from the environment, each with the meaning that it has there:
    /// `CONSUL_HTTP_ADDR`, `CONSUL_HTTP_TOKEN`, `CONSUL_HTTP_TOKEN_FILE`, `CONSUL_HTTP_AUTH`, `CONSUL_HTTP_SSL`,
    /// `CONSUL_HTTP_SSL_VERIFY`, `CONSUL_CACERT`, `CONSUL_CAPATH`, `CONSUL_CLIENT_CERT`, `CONSUL_CLIENT_KEY`,
    /// `CONSUL_TLS_SERVER_NAME`, `CONSUL_NAMESPACE`, `CONSUL_PARTITION`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if one is not UTF-8, or is no truth value where one is wanted.
    pub fn from_env() -> Result<Self> {
        Self::from_variables(|name| std::env::var_os(name))
    }

    pub(crate) fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        super::environment::read(variable)
    }

    /// `HOST:PORT`, `http://…`, `https://…` or `unix:///PATH`; `127.0.0.1:8500` unless said. Without a scheme TLS is spoken if there
    /// are settings for it, such as [`ca_file`](Self::ca_file).
    #[must_use]
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.address = address.into();
        self
    }

    /// `true` speaks TLS also where the address does not say `https://`. `false` does not where only the TLS settings would ask
    /// for it, and allows a token in the clear to another host.
    #[must_use]
    pub fn tls(mut self, tls: bool) -> Self {
        self.ssl = Some(tls);
        self
    }

    /// Another host than that of the environment; TLS that the environment's address asks for holds for it too.
    pub(crate) fn host(mut self, authority: String) -> Self {
        if address::says_https(&self.address) {
            self.ssl = Some(true);
        }
        self.address = authority;
        self
    }

    /// No TLS, whatever the address and the environment say.
    pub(crate) fn plain(mut self) -> Self {
        if let Some((scheme, rest)) = self.address.split_once("://")
            && scheme.trim().eq_ignore_ascii_case("https")
        {
            self.address = rest.to_owned();
        }
        self.tls(false)
    }

    /// The ACL token.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// A file that holds the ACL token, which goes before [`token`](Self::token). It is read by [`build`](Self::build), and again when
    /// it has changed or the token is refused.
    #[must_use]
    pub fn token_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.token_file = Some(file.into());
        self
    }

    /// `USER:PASSWORD` for a proxy before Consul that asks for them (HTTP basic authentication).
    #[must_use]
    pub fn basic_auth(mut self, auth: impl Into<String>) -> Self {
        self.auth = Some(auth.into());
        self
    }

    /// The datacenter; that of the agent unless said.
    #[must_use]
    pub fn datacenter(mut self, datacenter: impl Into<String>) -> Self {
        self.datacenter = Some(datacenter.into());
        self
    }

    /// The namespace, for Consul Enterprise.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// The admin partition, for Consul Enterprise.
    #[must_use]
    pub fn partition(mut self, partition: impl Into<String>) -> Self {
        self.partition = Some(partition.into());
        self
    }

    /// How current answers must be; [`ConsulConsistency::Default`] unless said.
    #[must_use]
    pub fn consistency(mut self, consistency: ConsulConsistency) -> Self {
        self.consistency = consistency;
        self
    }

    /// How long a request may take, connecting included; 5 s unless said. A wait for changes takes so much longer than Consul
    /// lets it.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// A file of certificates, as PEM, of the authorities that may vouch for the server; those of the system unless said.
    #[must_use]
    pub fn ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.tls.ca_file = Some(file.into());
        self
    }

    /// A folder of such files.
    #[must_use]
    pub fn ca_path(mut self, folder: impl Into<PathBuf>) -> Self {
        self.tls.ca_path = Some(folder.into());
        self
    }

    /// The file of the client's own certificate, with those between it and the authority, as PEM; wants
    /// [`client_key`](Self::client_key) too.
    #[must_use]
    pub fn client_cert(mut self, certificate: impl Into<PathBuf>) -> Self {
        self.tls.client_cert = Some(certificate.into());
        self
    }

    /// The file of the key to the client's certificate, as PEM.
    #[must_use]
    pub fn client_key(mut self, key: impl Into<PathBuf>) -> Self {
        self.tls.client_key = Some(key.into());
        self
    }

    /// The name that the server's certificate must have; the address's host unless said.
    #[must_use]
    pub fn tls_server_name(mut self, name: impl Into<String>) -> Self {
        self.tls.server_name = Some(name.into());
        self
    }

    /// Whether the server's certificate is looked at; `true` unless said. Without it anybody on the way can read the token.
    #[must_use]
    pub fn tls_verify(mut self, verify: bool) -> Self {
        self.tls.no_verify = !verify;
        self
    }

    /// The client. Files are read now, and again when they are renewed; nothing is sent.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for an address, a token or a file that cannot be used, and where a token or password would go to another host
    /// without TLS, unless [`tls(false)`](Self::tls) allows it.
    pub fn build(self) -> Result<ConsulClient> {
        let address = Address::parse(&self.address, self.ssl, self.tls.is_set())?;
        let has_secret = self.token.is_some() || self.token_file.is_some() || self.auth.is_some();
        if has_secret && !address.is_private() && self.ssl != Some(false) {
            return Err(Error::invalid_input(format!(
                "the Consul token would go to {} in the clear: ask for TLS by `https://` or `tls=true`, or allow this by `tls=false`",
                address.base()
            )));
        }
        let token = Token::new(self.token_file, self.token)?;
        let auth = self.auth.map(|auth| secret(&format!("Basic {}", STANDARD.encode(auth)), "basic authentication"));
        let mut query = String::new();
        let parameters = [("dc", &self.datacenter), ("ns", &self.namespace), ("partition", &self.partition)];
        for (name, value) in parameters {
            if let Some(value) = value {
                query.push_str(&format!("{name}={}&", utf8_percent_encode(value, NON_ALPHANUMERIC)));
            }
        }
        Ok(ConsulClient {
            inner: Arc::new(Inner {
                http: Http::new(&address, self.tls, token, auth.transpose()?)?,
                query: query.trim_end_matches('&').to_owned(),
                namespace: self.namespace,
                partition: self.partition,
                consistency: self.consistency,
                timeout: self.timeout,
                private: address.is_private(),
                trouble: Notify::new(),
            }),
        })
    }
}

impl fmt::Debug for ConsulClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither token nor password.
        f.debug_struct("ConsulClientBuilder")
            .field("address", &Address::parse(&self.address, self.ssl, self.tls.is_set()).ok())
            .field("datacenter", &self.datacenter)
            .field("namespace", &self.namespace)
            .field("partition", &self.partition)
            .field("consistency", &self.consistency)
            .field("timeout", &self.timeout)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
