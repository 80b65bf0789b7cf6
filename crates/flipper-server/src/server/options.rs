use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::tls::Acceptor;

/// How many connections, how large heads, and how long. What a request may take is in [`Limits`](crate::Limits).
///
/// ```
/// use std::time::Duration;
/// use flipper_server::HttpOptions;
///
/// let options = HttpOptions::default().max_connections(2000).header_time(Duration::from_secs(10));
/// ```
#[derive(Clone)]
pub struct HttpOptions {
    pub(super) max_connections: usize,
    pub(super) max_head: usize,
    pub(super) header_time: Duration,
    pub(super) idle_time: Duration,
    pub(super) write_time: Duration,
    pub(super) tls: Option<Arc<dyn Acceptor>>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            max_connections: 16_384,
            max_head: 32 * 1024,
            header_time: Duration::from_secs(30),
            idle_time: Duration::from_secs(75),
            write_time: Duration::from_secs(10),
            tls: None,
        }
    }
}

impl HttpOptions {
    /// Connections at once, over all listeners; 16,384 by default. Further ones wait.
    #[must_use]
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections.max(1);
        self
    }

    /// The largest head of a request, in bytes, at least 8 KiB; 32 KiB by default.
    #[must_use]
    pub fn max_head(mut self, bytes: usize) -> Self {
        self.max_head = bytes.max(8 * 1024);
        self
    }

    /// How long the head of a request may take from its first byte on, and a TLS handshake; 30 s by default.
    #[must_use]
    pub fn header_time(mut self, time: Duration) -> Self {
        self.header_time = time;
        self
    }

    /// How long a connection without a request is kept; 75 s by default. Proxies keep theirs for 60 s: if the server closed them first, some
    /// requests would fail.
    #[must_use]
    pub fn idle_time(mut self, time: Duration) -> Self {
        self.idle_time = time;
        self
    }

    /// How long a client may not read what it is sent, or one of the answers over HTTP/2; 10 s by default.
    #[must_use]
    pub fn write_time(mut self, time: Duration) -> Self {
        self.write_time = time;
        self
    }

    /// Encrypts connections; without it they are plain.
    #[must_use]
    pub fn tls(mut self, acceptor: Arc<dyn Acceptor>) -> Self {
        self.tls = Some(acceptor);
        self
    }
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions")
            .field("max_connections", &self.max_connections)
            .field("max_head", &self.max_head)
            .field("header_time", &self.header_time)
            .field("idle_time", &self.idle_time)
            .field("write_time", &self.write_time)
            .field("tls", &self.tls.is_some())
            .finish()
    }
}
