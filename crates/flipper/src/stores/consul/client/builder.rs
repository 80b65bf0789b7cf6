use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::Notify;

use super::http::Http;
use super::{ConsulClient, Inner};
use crate::error::{Error, Result};
use crate::stores::http_client::address::{self, Address};
use crate::stores::http_client::renewal::{Token, secret};
use crate::stores::http_client::tls::Tls;

const TIMEOUT: Duration = Duration::from_secs(5);

/// How current the answers of Consul's servers must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsulConsistency {
    /// The leader answers; during an election, a former leader may.
    #[default]
    Default,
    /// The leader answers after confirming that it is the leader.
    Consistent,
    /// Changes are followed through any server, even without a leader. Writes and direct reads go to the leader.
    Stale,
}

/// Builds a [`ConsulClient`].
#[derive(Clone)]
pub struct ConsulClientBuilder {
    address: String,
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

    /// From the variables of Consul's own tools: `CONSUL_HTTP_ADDR`, `CONSUL_HTTP_TOKEN`, `CONSUL_HTTP_TOKEN_FILE`, `CONSUL_HTTP_AUTH`,
    /// `CONSUL_HTTP_SSL`, `CONSUL_HTTP_SSL_VERIFY`, `CONSUL_CACERT`, `CONSUL_CAPATH`, `CONSUL_CLIENT_CERT`, `CONSUL_CLIENT_KEY`,
    /// `CONSUL_TLS_SERVER_NAME`, `CONSUL_NAMESPACE`, `CONSUL_PARTITION`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if one is not UTF-8, or no truth value where one is required.
    pub fn from_env() -> Result<Self> {
        Self::from_variables(|name| std::env::var_os(name))
    }

    pub(crate) fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        super::environment::read(variable)
    }

    /// `HOST:PORT`, `http://…`, `https://…` or `unix:///PATH`; by default `127.0.0.1:8500`. Without a scheme, TLS settings such as
    /// [`ca_file`](Self::ca_file) ask for TLS.
    #[must_use]
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.address = address.into();
        self
    }

    /// `true` uses TLS even without `https://`. `false` overrides the TLS settings (but not the address), and allows sending a token to
    /// another host in the clear.
    #[must_use]
    pub fn tls(mut self, tls: bool) -> Self {
        self.ssl = Some(tls);
        self
    }

    /// The new host gets TLS too if the environment's address asks for it.
    pub(crate) fn host(mut self, authority: String) -> Self {
        if address::is_https(&self.address) {
            self.ssl = Some(true);
        }
        self.address = authority;
        self
    }

    /// Whatever the address and the environment ask for.
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

    /// A file with the ACL token, instead of [`token`](Self::token). Read by [`build`](Self::build), and when it changes or is refused.
    #[must_use]
    pub fn token_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.token_file = Some(file.into());
        self
    }

    /// `USER:PASSWORD` for a proxy (HTTP basic authentication).
    #[must_use]
    pub fn basic_auth(mut self, auth: impl Into<String>) -> Self {
        self.auth = Some(auth.into());
        self
    }

    /// The datacenter; by default that of the agent.
    #[must_use]
    pub fn datacenter(mut self, datacenter: impl Into<String>) -> Self {
        self.datacenter = Some(datacenter.into());
        self
    }

    /// For Consul Enterprise.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// For Consul Enterprise.
    #[must_use]
    pub fn partition(mut self, partition: impl Into<String>) -> Self {
        self.partition = Some(partition.into());
        self
    }

    /// How current answers must be; by default [`ConsulConsistency::Default`].
    #[must_use]
    pub fn consistency(mut self, consistency: ConsulConsistency) -> Self {
        self.consistency = consistency;
        self
    }

    /// How long a request may take, connecting included; 5 s by default. A wait for changes may take this much longer.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The trusted authorities in PEM; by default those of the system.
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

    /// The client's certificate and its intermediates in PEM; needs [`client_key`](Self::client_key) too.
    #[must_use]
    pub fn client_cert(mut self, certificate: impl Into<PathBuf>) -> Self {
        self.tls.client_cert = Some(certificate.into());
        self
    }

    /// The key of the client's certificate in PEM.
    #[must_use]
    pub fn client_key(mut self, key: impl Into<PathBuf>) -> Self {
        self.tls.client_key = Some(key.into());
        self
    }

    /// The name in the server's certificate; by default the address's host.
    #[must_use]
    pub fn tls_server_name(mut self, name: impl Into<String>) -> Self {
        self.tls.server_name = Some(name.into());
        self
    }

    /// Whether to verify the server's certificate; on by default. Else an attacker on the network can read the token.
    #[must_use]
    pub fn tls_verify(mut self, verify: bool) -> Self {
        self.tls.no_verify = !verify;
        self
    }

    /// Reads the files now, and again when they are renewed; sends nothing.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for an unusable address, token or file, and if a secret would go to another host without TLS, unless
    /// [`tls(false)`](Self::tls).
    pub fn build(self) -> Result<ConsulClient> {
        let address = Address::parse(&self.address, self.ssl, self.tls.is_set())?;
        let has_secret = self.token.is_some() || self.token_file.is_some() || self.auth.is_some();
        if has_secret && !address.is_private() && self.ssl != Some(false) {
            return Err(Error::invalid_input(format!(
                "the Consul token would go to {} in the clear: ask for TLS by `https://` or `tls=true`, or allow this by `tls=false`",
                address.base()
            )));
        }
        let token = Token::new(self.token_file, self.token, "")?;
        let auth = self.auth.map(|auth| secret(&format!("Basic {}", STANDARD.encode(auth)), "basic authentication"));
        let parameters = [("dc", &self.datacenter), ("ns", &self.namespace), ("partition", &self.partition)];
        let parameters = parameters.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let query = parameters.map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
        Ok(ConsulClient {
            inner: Arc::new(Inner {
                http: Http::new(&address, self.tls, token, auth.transpose()?)?,
                query: query.collect::<Vec<_>>().join("&"),
                namespace: self.namespace,
                partition: self.partition,
                consistency: self.consistency,
                timeout: self.timeout,
                is_private: address.is_private(),
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
