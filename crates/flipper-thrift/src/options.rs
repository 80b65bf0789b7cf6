use std::time::Duration;

use flipper_thrift_protocol::Limits;

/// The limits of a server, and who may connect.
///
/// ```
/// use std::time::Duration;
///
/// let options = flipper_thrift::ServerOptions::new().max_connections(100).idle_timeout(Duration::from_secs(600));
/// ```
#[derive(Clone, Debug)]
pub struct ServerOptions {
    pub(crate) allow_remote: bool,
    pub(crate) max_connections: usize,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) message_timeout: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) call_timeout: Duration,
    pub(crate) answer_within: Duration,
    pub(crate) cached_reads: bool,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) keepalive: Duration,
    pub(crate) limits: Limits,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<crate::tls::TlsConfig>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            allow_remote: false,
            max_connections: 4096,
            idle_timeout: None,
            message_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(10),
            answer_within: Duration::from_millis(700),
            cached_reads: false,
            shutdown_timeout: Duration::from_secs(10),
            keepalive: Duration::from_secs(60),
            // A segment may list 100,000 callers by UUIDs.
            limits: Limits { message: 16 << 20, string: 8 << 20, container: 100_000 },
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

impl ServerOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Allows an address that other machines can reach; off by default. Without passwords and encryption, every program that reaches the
    /// port can read and change all flags.
    #[must_use]
    pub fn allow_remote(mut self, allow: bool) -> Self {
        self.allow_remote = allow;
        self
    }

    /// Encrypts all connections; the function returns what the next connection uses, so that certificates can be replaced. A configuration
    /// that verifies clients' certificates decides who may connect: the protocol has no passwords.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, config: impl Fn() -> std::sync::Arc<rustls::ServerConfig> + Send + Sync + 'static) -> Self {
        self.tls = Some(crate::tls::TlsConfig::new(config));
        self
    }

    /// The most open connections, each with a thread and a file descriptor; 4,096 by default. Further ones are closed at once and logged.
    #[must_use]
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Closes a connection that is idle this long. No limit by default: Python's client does not reconnect; TCP keepalive detects dead
    /// clients.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = Some(timeout);
        self
    }

    /// The longest time from a message's first byte to its last; 10 s by default.
    #[must_use]
    pub fn message_timeout(mut self, timeout: Duration) -> Self {
        self.message_timeout = timeout;
        self
    }

    /// How long a client may take to accept a response; 10 s by default.
    #[must_use]
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.write_timeout = timeout;
        self
    }

    /// How long the store may take for a call before the client gets an error; 10 s by default.
    #[must_use]
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// [`call_timeout`](Self::call_timeout) for clients that do not number their calls; 700 ms by default. Generated clients in Python,
    /// Ruby, Perl, PHP and C++ do not. After a read timeout they take the late response for that of their next call, and return wrong flags
    /// from then on. So the store has slightly less time, and a response that is still later closes the connection instead.
    ///
    /// It must be shorter than the clients' read timeouts; PHP's default of 750 ms is the shortest known.
    #[must_use]
    pub fn answer_within(mut self, timeout: Duration) -> Self {
        self.answer_within = timeout;
        self
    }

    /// Lets `Get`, `List`, `ReadKnownFlag` and `ReadKnownFlags` use the store's [`get_cached`](flipper::FeatureFlagStore::get_cached) and
    /// [`list`](flipper::FeatureFlagStore::list), and the other reads `get` and `stream`. Only for a store whose first two show each change
    /// before its watch reports it. Off by default.
    #[must_use]
    pub fn cached_reads(mut self, cached: bool) -> Self {
        self.cached_reads = cached;
        self
    }

    /// How long [`Server::shutdown`](crate::Server::shutdown) waits for pending calls; 10 s by default.
    #[must_use]
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = timeout;
        self
    }

    /// The idle time after which TCP probes the client; 60 s by default.
    #[must_use]
    pub fn keepalive(mut self, interval: Duration) -> Self {
        self.keepalive = interval;
        self
    }

    /// The most bytes of a client's message; 16 MiB by default.
    #[must_use]
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.limits.message = bytes;
        self
    }

    /// The most bytes of a string in it; 8 MiB by default: a segment may list 100,000 callers.
    #[must_use]
    pub fn max_string(mut self, bytes: usize) -> Self {
        self.limits.string = bytes;
        self
    }
}
