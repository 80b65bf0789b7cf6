use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hyper::header::{HOST, HeaderMap, HeaderValue, USER_AGENT};

use super::{HttpFeatureFlagStore, Shared};
use crate::error::{Error, Result};
use crate::lock::Mutex;
use crate::stores::http_client::address::Address;
use crate::stores::http_client::connector::Connector;
use crate::stores::http_client::pool::Pool;
use crate::stores::http_client::renewal::Token;
use crate::stores::http_client::tls::Tls;
use crate::stores::kinds::HTTP;
use crate::stores::url_parts::{Parts, set};

const FORM: &str = "an HTTP store's URL is `http://[TOKEN@]HOST[:PORT][/PATH]` or `https://…`";
const TOKEN: &str = "FLIPPER_TOKEN";
const TIMEOUT: Duration = Duration::from_secs(10);
/// A year; much more would overflow the clock.
const MOST_MILLISECONDS: u64 = 31_536_000_000;

/// Builds a [`HttpFeatureFlagStore`].
#[derive(Clone)]
pub struct HttpStoreBuilder {
    address: String,
    token: Option<String>,
    token_file: Option<PathBuf>,
    plain: bool,
    timeout: Duration,
    tls: Tls,
}

impl HttpStoreBuilder {
    pub(super) fn new(address: String) -> Self {
        Self { address, token: None, token_file: None, plain: false, timeout: TIMEOUT, tls: Tls::default() }
    }

    pub(super) fn from_url(url: &str) -> Result<Self> {
        Self::from_url_with(url, || std::env::var(TOKEN).ok().filter(|token| !token.is_empty()))
    }

    fn from_url_with(url: &str, environment: impl FnOnce() -> Option<String>) -> Result<Self> {
        let mut parts = Parts::parse(url, HTTP.schemes, FORM)?;
        if !parts.has_host() || parts.authority.contains(',') {
            return Err(Error::invalid_input(FORM));
        }
        let address = format!("{}://{}{}", parts.scheme, parts.authority, parts.path);
        // A token is the whole login, or its password.
        let token = parts.password.take().or(parts.user.take()).or_else(environment);
        let mut builder = set(Self::new(address), token, Self::token);
        let parameters = &mut parts.parameters;
        let (cert, key) = (parameters.take("cert"), parameters.take("key"));
        builder = set(builder, parameters.take("ca"), Self::ca_file);
        builder.tls.client_cert = cert.map(PathBuf::from);
        builder.tls.client_key = key.map(PathBuf::from);
        builder = set(builder, parameters.take_one_of("plain", &[("true", true), ("false", false)])?, Self::plain);
        let time = parameters.take_number("timeout_ms", MOST_MILLISECONDS)?.map(Duration::from_millis);
        builder = set(builder, time, Self::timeout);
        parts.parameters.refuse_rest(HTTP.parameters)?;
        Ok(builder)
    }

    /// The token, which goes into a header, never into a URL, an error or a log.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// A file with the token, instead of [`token`](Self::token). Read by [`build`](Self::build), and when it changes or is refused.
    #[must_use]
    pub fn token_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.token_file = Some(file.into());
        self
    }

    /// Whether the token may go to another host without TLS; not by default.
    #[must_use]
    pub fn plain(mut self, plain: bool) -> Self {
        self.plain = plain;
        self
    }

    /// How long a request may take, connecting included; 10 s by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The trusted authorities in PEM; by default those of the system. Read again when the file changes.
    #[must_use]
    pub fn ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.tls.ca_file = Some(file.into());
        self
    }

    /// The client's certificate with its intermediates, and its key, in PEM. Read again when a file changes.
    #[must_use]
    pub fn client_cert(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.tls.client_cert = Some(certificate.into());
        self.tls.client_key = Some(key.into());
        self
    }

    /// Reads the files now; sends nothing.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for an unusable address, token or file, and if the token would go to another host without TLS.
    pub fn build(self) -> Result<HttpFeatureFlagStore> {
        let is_http = ["http://", "https://"].iter().any(|scheme| self.address.starts_with(scheme));
        if !is_http || self.address.contains('@') {
            return Err(Error::invalid_input(FORM));
        }
        // The other one's errors say what an address of Consul is.
        let address = Address::parse(&self.address, None, false).map_err(|_| Error::invalid_input(FORM))?;
        if !matches!(address, Address::Tcp { tls: true, .. }) && self.tls.is_set() {
            return Err(Error::invalid_input("certificates are for `https://`, and the store's URL is `http://`"));
        }
        let has_token = self.token.is_some() || self.token_file.is_some();
        if has_token && !self.plain && !address.is_private() {
            return Err(Error::invalid_input(format!(
                "the token would go to {} in the clear: write `https://`, or allow it by `plain=true`",
                address.base()
            )));
        }
        let mut headers = HeaderMap::new();
        headers.insert(HOST, address.host()?);
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("flipper/", env!("CARGO_PKG_VERSION"))));
        let shared = Shared {
            pool: Pool::new(Connector::new(&address, self.tls)?),
            base: address.base(),
            path: address.path().to_owned(),
            headers,
            token: Token::new(self.token_file, self.token, "Bearer ")?,
            timeout: self.timeout,
            is_followed: AtomicBool::default(),
            followed: Mutex::default(),
            has_history: AtomicBool::default(),
        };
        Ok(HttpFeatureFlagStore { shared: Arc::new(shared) })
    }
}

impl fmt::Debug for HttpStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No token, and no address, which may have one by mistake.
        f.debug_struct("HttpStoreBuilder")
            .field("timeout", &self.timeout)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<HttpFeatureFlagStore> {
        HttpStoreBuilder::from_url_with(url, || None)?.build()
    }

    fn token(url: &str) -> Option<String> {
        let store = HttpStoreBuilder::from_url_with(url, || Some("environment".to_owned())).unwrap().build().unwrap();
        let current = store.shared.token.current()?;
        assert!(!format!("{store} {store:?}").contains(current.to_str().unwrap().trim_start_matches("Bearer ")));
        Some(current.to_str().unwrap().to_owned())
    }

    #[test]
    fn what_a_url_says() {
        let store = parse("http://127.0.0.1:8080/team/?timeout_ms=5").unwrap();
        assert_eq!(store.to_string(), "Http(http://127.0.0.1:8080/team)");
        assert_eq!((&*store.shared.path, store.shared.timeout), ("/team", Duration::from_millis(5)));
        assert!(parse("http://[::1]").unwrap().shared.token.current().is_none());
        assert_eq!(token("http://s3cr3t@localhost").as_deref(), Some("Bearer s3cr3t"));
        assert_eq!(token("https://user:s3%40cr3t@h").as_deref(), Some("Bearer s3@cr3t"));
        assert_eq!(token("https://h").as_deref(), Some("Bearer environment"));
        assert_eq!(token("http://s3cr3t@h?plain=true").as_deref(), Some("Bearer s3cr3t"));
    }

    #[test]
    fn what_is_no_url_of_a_store() {
        for (url, why) in [
            ("ftp://h", "URL is `http://"),
            ("http://", "URL is `http://"),
            ("http:h", "URL is `http://"),
            ("http://a,b", "URL is `http://"),
            ("http://h:99999", "URL is `http://"),
            ("http://s3cr3t@h", "in the clear"),
            ("http://s3cr3t@10.0.0.1:1/a", "in the clear"),
            ("http://s3%0Acr3t@localhost", "characters that no HTTP header can have"),
            ("http://localhost?ca=/x", "certificates are for"),
            ("https://h?cert=/x", "given together"),
            ("https://h?ca=/not/there", "cannot be used"),
            ("http://h?timeout_ms=0", "no number in range"),
            ("http://h?plain=yes", "is one of"),
            ("http://h?speed=9", "no parameter `speed`"),
            ("http://h/a@b", "an `@` behind the host"),
        ] {
            let error = parse(url).map(|_| ()).unwrap_err();
            assert!(error.chain().contains(why), "{url}: {}", error.chain());
            assert!(!error.chain().contains("cr3t") && !error.chain().contains("Consul"), "{}", error.chain());
        }
        let error = HttpFeatureFlagStore::builder("https://s3cr3t@h").build().unwrap_err();
        assert!(!error.chain().contains("s3cr3t"));
    }
}
