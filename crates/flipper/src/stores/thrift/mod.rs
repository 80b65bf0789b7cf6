//! Flags behind a Thrift service: `flipper-thrift`'s server, or your own in any language.
//!
//! ```no_run
//! use flipper::{FeatureFlagClient, ThriftRpcFeatureFlagStore};
//!
//! # async fn run() -> flipper::Result<()> {
//! let store = ThriftRpcFeatureFlagStore::from_url("thrift://flags.internal:9090?transport=framed&protocol=compact")?;
//! let features = FeatureFlagClient::remote(store);
//! features.create("MY_FEATURE").await?;
//! # Ok(()) }
//! ```
//!
//! The service is that of the Python library, plus our own calls such as `ReadFlag`, `CompareAndSet` and `Watch`, with which no write is
//! lost, a flag is stored whole, and changes are reported at once. If `ReadFlag` is an "unknown method", the store uses only the Python
//! library's calls for a minute.
//!
//! `CompareAndSet` sends who writes, why and what, and `History` reads it. [`capabilities`](crate::FeatureFlagStore::capabilities) has the
//! history once the server has answered `Watch`, `Describe` or `History`.
//!
//! `get` and `list` read the store behind the server; `get_cached` (used by `fetch_enabled`) and watches read the server's memory.

mod connection;
pub mod convert;
pub mod history;
mod inspect;
mod legacy;
mod pool;
mod tcp;
#[cfg(feature = "thrift-tls")]
mod tls;
mod url;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use flipper_thrift_protocol::feature_flag_store::{FlagState, TFeatureFlagStoreSyncClient};
use flipper_thrift_protocol::{Protocol, Transport, Wire};
use futures_util::TryStreamExt;

use self::connection::{BackOff, CallError};
use self::pool::Pool;
use crate::error::{Error, ErrorKind, Result};
use crate::feed::history::nanoseconds;
use crate::identity::Identity;
use crate::inspection::Check;
use crate::lock::Mutex;
use crate::record::{FlagRecord, validate_name};
use crate::state::{Capabilities, HistoryPage, HistoryQuery, Stored, Version, Watch, WriteOptions};
use crate::store::{FeatureFlagStore, FlagStream, pages};

const ASK_AGAIN: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Target {
    host: String,
    port: u16,
    wire: Wire,
    connect_timeout: Duration,
    timeout: Duration,
    max_connections: usize,
    #[cfg(feature = "thrift-tls")]
    tls: Option<tls::TlsFiles>,
    back_off: BackOff,
}

impl Target {
    fn address(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    fn identity(&self) -> Identity {
        Identity::new(format!("thrift://{}", self.address()))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ThriftRpc({})", self.address())
    }
}

/// Flags behind a Thrift service. Clones share connections. [`fetch_enabled`](crate::FeatureFlagClient::fetch_enabled) is a call. No async
/// runtime is needed.
///
/// With only the Python library's calls, writes can be lost, changes are polled, and a flag with deny conditions or unknown fields cannot
/// be written; see [the guide](crate::_guide::thrift).
#[derive(Clone)]
pub struct ThriftRpcFeatureFlagStore {
    shared: Arc<Shared>,
}

struct Shared {
    pool: Pool,
    legacy_until: Mutex<Option<Instant>>,
    /// For an older server of ours: `ReadFlag` serves for `ReadKnownFlag`.
    reads_one_way: AtomicBool,
    /// A mirror must learn from each read whether the store itself answered.
    is_followed: AtomicBool,
    /// As the server last said.
    has_history: Arc<AtomicBool>,
}

impl ThriftRpcFeatureFlagStore {
    /// The store at this host and port, buffered and binary: the Python library's default wire format. Sends nothing yet.
    ///
    /// ```
    /// use flipper::ThriftRpcFeatureFlagStore;
    ///
    /// let store = ThriftRpcFeatureFlagStore::new("localhost", 9090).framed().compact().max_connections(2);
    /// assert_eq!(store.to_string(), "ThriftRpc(localhost:9090)");
    /// ```
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self::at(Target {
            host: host.into(),
            port,
            wire: Wire::default(),
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(10),
            max_connections: 8,
            #[cfg(feature = "thrift-tls")]
            tls: None,
            back_off: BackOff::default(),
        })
    }

    /// The store at `thrift://HOST:PORT`, by default port 9090. Sends nothing yet. Options follow a `?`, joined by `&`:
    ///
    /// | option | values |
    /// |---|---|
    /// | `transport` | `buffered` (default), `framed` |
    /// | `protocol` | `binary` (default), `compact` |
    /// | `connect_timeout_ms`, `timeout_ms`, `max_connections` | as the methods of these names |
    /// | `ca`, `cert`, `key` | of `thrifts://` (feature `thrift-tls`), which uses TLS: files as PEM. `ca` replaces the system's authorities, the other two are the client's certificate and its key |
    ///
    /// ```
    /// let store = flipper::ThriftRpcFeatureFlagStore::from_url("thrift://[::1]?transport=framed&protocol=compact")?;
    /// assert_eq!(store.to_string(), "ThriftRpc([::1]:9090)");
    /// # Ok::<(), flipper::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidInput` for another URL; the message contains only names of its options.
    pub fn from_url(url: &str) -> Result<Self> {
        url::parse(url)
    }

    /// Sends each message with its length (`TFramedTransport`).
    #[must_use]
    pub fn framed(self) -> Self {
        self.transport(Transport::Framed)
    }

    /// Uses the compact protocol (`TCompactProtocol`).
    #[must_use]
    pub fn compact(self) -> Self {
        self.protocol(Protocol::Compact)
    }

    /// How long connecting may take; 3 s by default.
    #[must_use]
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        self.with(|target| target.connect_timeout = timeout)
    }

    /// How long a call may take, connecting included; 10 s by default.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with(|target| target.timeout = timeout)
    }

    /// How many connections, each with a thread, calls may use at once; 8 by default. A watch has its own.
    #[must_use]
    pub fn max_connections(self, connections: usize) -> Self {
        self.with(|target| target.max_connections = connections.max(1))
    }

    fn transport(self, transport: Transport) -> Self {
        self.with(|target| target.wire.transport = transport)
    }

    fn protocol(self, protocol: Protocol) -> Self {
        self.with(|target| target.wire.protocol = protocol)
    }

    fn at(target: Target) -> Self {
        let shared = Shared {
            pool: Pool::new(Arc::new(target)),
            legacy_until: Mutex::default(),
            reads_one_way: AtomicBool::default(),
            is_followed: AtomicBool::default(),
            has_history: Arc::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    fn with(self, change: impl FnOnce(&mut Target)) -> Self {
        let Target { ref host, port, wire, connect_timeout, timeout, max_connections, .. } = **self.target();
        let mut target = Target {
            host: host.clone(),
            port,
            wire,
            connect_timeout,
            timeout,
            max_connections,
            #[cfg(feature = "thrift-tls")]
            tls: self.target().tls.clone(),
            back_off: BackOff::default(),
        };
        change(&mut target);
        Self::at(target)
    }

    /// `None` if the server does not have the call.
    async fn extended<T: Send + 'static>(
        &self,
        reads: bool,
        run: impl FnMut(&mut dyn TFeatureFlagStoreSyncClient) -> thrift::Result<T> + Send + 'static,
    ) -> Result<Option<T>> {
        if self.is_legacy() {
            return Ok(None);
        }
        match self.shared.pool.call(reads, run).await {
            Ok(value) => Ok(Some(value)),
            Err(CallError::Failed(error)) => Err(error),
            Err(CallError::UnknownMethod) => {
                self.set_legacy();
                Ok(None)
            }
        }
    }

    fn is_legacy(&self) -> bool {
        let until = self.shared.legacy_until.lock();
        until.is_some_and(|until| Instant::now() < until)
    }

    fn set_legacy(&self) {
        tracing::warn!(
            store = %self,
            "server knows only the calls of the Python library: writes of several clients at once can be lost, and changes are polled"
        );
        let mut until = self.shared.legacy_until.lock();
        *until = Some(Instant::now() + ASK_AGAIN);
    }

    /// For stores without a mirror, while the server's store is unreachable.
    async fn read_server_memory(&self, name: &str) -> Option<Stored> {
        let followed_or_old = [&self.shared.is_followed, &self.shared.reads_one_way];
        if self.is_legacy() || followed_or_old.into_iter().any(|it| it.load(Ordering::Relaxed)) {
            return None;
        }
        self.get_cached(name).await.ok().flatten()
    }

    async fn compare_and_set(
        &self,
        name: String,
        options: &WriteOptions,
        record: Option<String>,
    ) -> Result<Option<Version>> {
        let mut precondition = convert::to_precondition(&options.when);
        precondition.cause = history::to_cause(options);
        let flag = name.clone();
        let set = move |client: &mut dyn TFeatureFlagStoreSyncClient| {
            client.compare_and_set(Some(name.clone()), Some(precondition.clone()), record.clone())
        };
        let version = self.extended(false, set).await.map_err(|error| error.with_flag(flag))?;
        // It equals no other: a conflict, not a lost write.
        Ok(version.map(|version| convert::from_version(&version).unwrap_or_else(|| Version::opaque([]))))
    }

    fn conflict(&self, name: &str) -> Error {
        Error::new(ErrorKind::Conflict).with_store(self).with_flag(name)
    }

    fn target(&self) -> &Arc<Target> {
        self.shared.pool.target()
    }
}

impl fmt::Display for ThriftRpcFeatureFlagStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.target().fmt(f)
    }
}

impl fmt::Debug for ThriftRpcFeatureFlagStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThriftRpcFeatureFlagStore").field("target", self.target()).finish_non_exhaustive()
    }
}

#[async_trait]
impl FeatureFlagStore for ThriftRpcFeatureFlagStore {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        if validate_name(name).is_err() {
            return Ok(None);
        }
        let asked = name.to_owned();
        let read =
            move |client: &mut dyn TFeatureFlagStoreSyncClient| of_flag(&asked, client.read_flag(Some(asked.clone()))?);
        match self.extended(true, read).await {
            Ok(Some(state)) => Ok(convert::from_state(state)),
            Ok(None) => self.legacy_get(name).await,
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                self.read_server_memory(name).await.map(Some).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    async fn get_cached(&self, name: &str) -> Result<Option<Stored>> {
        if self.is_legacy() || self.shared.reads_one_way.load(Ordering::Relaxed) || validate_name(name).is_err() {
            return self.get(name).await;
        }
        let asked = name.to_owned();
        let read = move |client: &mut dyn TFeatureFlagStoreSyncClient| {
            of_flag(&asked, client.read_known_flag(Some(asked.clone()))?)
        };
        match self.shared.pool.call(true, read).await {
            Ok(state) => Ok(convert::from_state(state)),
            Err(CallError::Failed(error)) => Err(error),
            Err(CallError::UnknownMethod) => {
                self.shared.reads_one_way.store(true, Ordering::Relaxed);
                self.get(name).await
            }
        }
    }

    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
        validate_name(record.name()).map_err(|error| error.with_store(self))?;
        let (name, text) = (record.name().to_owned(), record.to_json());
        match self.compare_and_set(name, &options, Some(text)).await? {
            Some(version) => Ok(version),
            None => self.legacy_put(record, options.when).await,
        }
    }

    async fn delete(&self, name: &str, options: WriteOptions) -> Result<Version> {
        match self.compare_and_set(name.to_owned(), &options, None).await? {
            Some(version) => Ok(version),
            None => self.legacy_delete(name, options.when).await,
        }
    }

    async fn list(&self) -> Result<Vec<Stored>> {
        self.stream().try_collect().await
    }

    fn watch(&self) -> Watch<'_> {
        self.shared.is_followed.store(true, Ordering::Relaxed);
        watch::watch(self)
    }

    fn capabilities(&self) -> Capabilities {
        let capabilities = Capabilities::default().with_push().shared_with_python();
        if self.shared.has_history.load(Ordering::Relaxed) { capabilities.with_history() } else { capabilities }
    }

    async fn history(&self, query: &HistoryQuery) -> Result<HistoryPage> {
        let (name, before) = (query.name.clone(), query.before.as_ref().map(|id| id.as_str().to_owned()));
        let (since, limit) = (query.since.map(nanoseconds), i64::try_from(query.limit).ok());
        let read = move |client: &mut dyn TFeatureFlagStoreSyncClient| {
            client.history(name.clone(), since, before.clone(), limit)
        };
        let has_history = |has: bool| self.shared.has_history.store(has, Ordering::Relaxed);
        let unsupported = |error: Error| {
            has_history(false);
            error.with_store(self)
        };
        match self.shared.pool.call(true, read).await {
            Ok(page) => {
                has_history(true);
                history::from_page(page).map_err(|error| error.with_store(self))
            }
            Err(CallError::Failed(error)) if error.kind() == ErrorKind::Unsupported => Err(unsupported(error)),
            Err(CallError::Failed(error)) => Err(error),
            Err(CallError::UnknownMethod) => {
                let error = Error::new(ErrorKind::Unsupported);
                Err(unsupported(error.with_message("the server keeps no history")))
            }
        }
    }

    fn identity(&self) -> Identity {
        self.target().identity()
    }

    async fn inspect(&self) -> Vec<Check> {
        inspect::inspect(self).await
    }

    fn stream(&self) -> FlagStream<'_> {
        pages(None, move |after: Option<String>| async move {
            let begins = after.is_none();
            let page = self.extended(true, move |client| client.read_flags(after.clone(), None)).await?;
            let Some(page) = page else {
                if begins {
                    return Ok((self.legacy_list().await?, None));
                }
                let message = "the server no longer has the call that its flags were being read by";
                return Err(Error::unavailable(message).with_store(self));
            };
            let flags: Vec<_> = page.flags.unwrap_or_default().into_iter().filter_map(convert::from_state).collect();
            let next = flags.last().filter(|_| page.more.unwrap_or_default()).map(|flag| Some(flag.name.clone()));
            Ok((flags, next))
        })
    }
}

/// An error ends the connection.
fn of_flag(name: &str, state: FlagState) -> thrift::Result<FlagState> {
    match &state.feature_name {
        Some(answered) if answered == name => Ok(state),
        _ => Err(thrift::ProtocolError::new(
            thrift::ProtocolErrorKind::InvalidData,
            format!("{name:?} was asked for, and another flag came"),
        )
        .into()),
    }
}
