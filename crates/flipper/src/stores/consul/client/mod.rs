mod builder;
mod environment;
mod http;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

pub use self::builder::{ConsulClientBuilder, ConsulConsistency};
use self::http::Http;
pub(super) use self::http::{Answer, Request, is_refusal};
use crate::error::Result;

/// A client of a Consul agent. Clones share the connections.
///
/// ```
/// use flipper::ConsulClient;
///
/// # fn example() -> flipper::Result<()> {
/// // What Consul's own tools read: CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN, CONSUL_CACERT …
/// let client = ConsulClient::from_env()?;
/// // … or set here.
/// let client = ConsulClient::builder()
///     .address("https://consul.example:8501")
///     .token("b1gs33cr3t")
///     .ca_file("/etc/consul/ca.pem")
///     .datacenter("dc1")
///     .build()?;
/// # Ok(()) }
/// ```
///
/// Sends nothing before a store uses it. The token goes into a header, never into a URL, an error or a log.
#[derive(Clone)]
pub struct ConsulClient {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    http: Http,
    /// Of every request, without `?`.
    pub(super) query: String,
    pub(super) namespace: Option<String>,
    pub(super) partition: Option<String>,
    pub(super) consistency: ConsulConsistency,
    pub(super) timeout: Duration,
    pub(super) is_private: bool,
    /// A request failed: a blocking query may wait on a dead connection.
    pub(super) trouble: Notify,
}

impl ConsulClient {
    /// Starts with `http://127.0.0.1:8500` and no token.
    #[must_use]
    pub fn builder() -> ConsulClientBuilder {
        ConsulClientBuilder::new()
    }

    /// See [`ConsulClientBuilder::from_env`].
    ///
    /// # Errors
    ///
    /// `InvalidInput`, naming an unusable setting.
    pub fn from_env() -> Result<Self> {
        ConsulClientBuilder::from_env()?.build()
    }

    pub(super) fn address(&self) -> &str {
        self.inner.http.base()
    }

    pub(super) fn has_token(&self) -> bool {
        self.inner.http.has_token()
    }

    pub(super) async fn send(&self, request: Request) -> Result<Answer> {
        let limit = request.wait + self.inner.timeout;
        let answer = self.inner.http.send(request, limit).await;
        if answer.is_err() {
            self.inner.trouble.notify_waiters();
        }
        answer
    }
}

impl fmt::Debug for ConsulClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsulClient")
            .field("http", &self.inner.http)
            .field("namespace", &self.inner.namespace)
            .field("partition", &self.inner.partition)
            .field("consistency", &self.inner.consistency)
            .field("timeout", &self.inner.timeout)
            .finish_non_exhaustive()
    }
}
