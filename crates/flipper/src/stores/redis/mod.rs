//! Flags in Redis, shared with programs that use the same base key, also by the Python library `flipper-client`.
//!
//! ```no_run
//! use flipper::{FeatureFlagClient, RedisFeatureFlagStore};
//!
//! # async fn example() -> flipper::Result<()> {
//! let store = RedisFeatureFlagStore::from_url("redis://127.0.0.1/0?base_key=features")?;
//! let features = FeatureFlagClient::remote(store);
//!
//! features.create("MY_FEATURE").or_get().await?;
//! features.enable("MY_FEATURE").await?;
//! # Ok(()) }
//! ```
//!
//! # What is stored
//!
//! A flag is a string, its JSON ([`FlagRecord`]), at the key `base_key/NAME`, without expiry; other text is a
//! [`Corrupt`](crate::ErrorKind::Corrupt) flag. Deeper keys, names that are not UTF-8, and, with a warning, keys of other types are
//! skipped.
//!
//! The history is a stream, at `.features.history` for the base key `features`: an entry has `name`, `verb`, `actor`, `reason`, `source`,
//! `before` and `after`, as far as there is one. A script writes a flag and its entry. What other programs write shows as an entry that begins
//! with another state than the one before it left. There is no history in a cluster, where a script has the keys of one slot, or with
//! `?history=off`.
//!
//! # Clusters
//!
//! The driver repeats a command when a node's connection breaks. A write that was already done then is a `Conflict`.
//!
//! # What it needs of the server
//!
//! Redis 5 or newer, or a compatible server, and a user with `GET MGET SET DEL TYPE EVAL EVALSHA SCAN` on `base_key/*`, and `XADD XDEL XRANGE
//! XREVRANGE` on the history. For pushes also
//! `CLIENT|TRACKING` and RESP3 (Redis 6), or `CONFIG|GET PSUBSCRIBE` and keyspace notifications `K$gxe`; else the store is polled.

mod bulk;
mod client;
mod cluster;
mod errors;
mod event_sender;
mod foreign;
mod history;
mod inspect;
mod keys;
mod link;
mod list;
mod notifications;
mod place;
mod polling;
mod scan;
mod scripts;
mod shown;
mod state;
mod stream;
mod tracking;
mod url;
mod watch;
mod writing;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::{Cmd, RedisResult, Value};

use self::history::History;
use self::link::Link;
use self::scripts::{DELETE, PUT, Script, Write};
use self::writing::Writing;
use crate::error::{Error, ErrorKind, Result};
use crate::identity::Identity;
use crate::inspection::Check;
use crate::record::{FlagRecord, validate_name};
use crate::state::{
    Capabilities, HistoryLimits, HistoryPage, HistoryQuery, Precondition, Stored, Version, Watch, WriteOptions,
};
use crate::store::{FeatureFlagStore, FlagStream};
use crate::stores::base_key::{BaseKey, history_key, is_deeper, is_ours, taken};
use crate::warn_once::WarnOnce;

pub use self::client::RedisClient;

/// Keeps flags in Redis: a single server, a cluster, or the primary that Sentinels name. Clones share a connection.
///
/// Connections live on a thread of this crate: the store can be a `static`, works under any executor, and outlives any runtime.
///
/// ```no_run
/// use flipper::RedisFeatureFlagStore;
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// // The driver's own client, with whatever settings it has …
/// let store = RedisFeatureFlagStore::new(redis::Client::open("rediss://user:secret@redis.example/3")?);
/// // … for one server, a cluster (RESP3 is what lets it push changes), or Sentinels.
/// let cluster = redis::cluster::ClusterClient::builder(["redis://a.example", "redis://b.example"])
///     .use_protocol(redis::ProtocolVersion::RESP3)
///     .build()?;
/// let store = RedisFeatureFlagStore::new(cluster).base_key("shop/features");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RedisFeatureFlagStore {
    link: Arc<Link>,
    keys: Arc<BaseKey>,
    timeout: Duration,
    silence: Duration,
    poll_every: Duration,
    warned: WarnOnce,
    writing: Arc<Writing>,
    history_limits: Option<HistoryLimits>,
}

impl fmt::Display for RedisFeatureFlagStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redis({})", self.keys.base())
    }
}

impl fmt::Debug for RedisFeatureFlagStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisFeatureFlagStore")
            .field("client", self.link.client())
            .field("base_key", &self.keys.base())
            .field("timeout", &self.timeout)
            .field("silence", &self.silence)
            .field("poll_every", &self.poll_every)
            .finish()
    }
}

impl RedisFeatureFlagStore {
    /// Takes a `Client`, `ClusterClient` or `SentinelClient` of the crate `redis`. Sends nothing yet.
    #[must_use]
    pub fn new(client: impl Into<RedisClient>) -> Self {
        Self {
            link: Arc::new(Link::new(client.into())),
            keys: Arc::default(),
            timeout: Duration::from_secs(2),
            silence: Duration::from_secs(5),
            poll_every: Duration::from_secs(1),
            warned: WarnOnce::default(),
            writing: Arc::default(),
            history_limits: Some(HistoryLimits::default()),
        }
    }

    /// A store at this URL. Sends nothing yet.
    ///
    /// | URL | |
    /// |---|---|
    /// | `redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE]` | a server; a node of a cluster stands for the cluster |
    /// | `redis-cluster://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]…]` | a cluster, by some of its nodes |
    /// | `redis-sentinel://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]…]/MASTER[/DATABASE]` | the primary that these Sentinels name |
    /// | `redis+unix://[USER[:PASSWORD]@]/PATH[?db=DATABASE]`, `unix://…` | a server's Unix socket |
    ///
    /// `rediss`, `rediss-cluster` and `rediss-sentinel` use TLS; `?ca=FILE` replaces the system's authorities, `?cert=FILE&key=FILE` is a
    /// client certificate, all in PEM and read at each connection. `valkey` and `valkeys` are `redis` and `rediss`. All take
    /// `?base_key=KEY`, `?history=off`, `?history_entries=NUMBER`, `?history_days=NUMBER` and `?protocol=resp2`, Sentinels
    /// `?sentinel_username=USER&sentinel_password=PASSWORD`. Percent-encode `@ : / ? # %` in each part.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for another URL, or an unreadable file. The message contains no user and no password.
    pub fn from_url(url: &str) -> Result<Self> {
        let url::Parsed { place, base_key, history } = url::parse(url)?;
        let mut store = Self::new(RedisClient::at(place).map_err(errors::from_driver)?);
        store.history_limits = history;
        Ok(match base_key {
            Some(base_key) => store.base_key(base_key),
            None => store,
        })
    }

    /// The [`identity`](FeatureFlagStore::identity) of the store at this URL, without secrets. Reads no file.
    ///
    /// # Errors
    ///
    /// `InvalidInput` as [`from_url`](Self::from_url).
    pub fn identity_of(url: &str) -> Result<Identity> {
        let url::Parsed { place, base_key, .. } = url::parse(url)?;
        Ok(identity(&place.shown(), &base_key.map_or_else(BaseKey::default, |key| BaseKey::new(&key))))
    }

    /// The key above the flags, by default `features`.
    #[must_use]
    pub fn base_key(mut self, base_key: impl AsRef<str>) -> Self {
        self.keys = Arc::new(BaseKey::new(base_key.as_ref()));
        self
    }

    /// How long a command may take, connecting included; 2 s by default. A `list` may take as long per thousand keys.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long `watch` waits for an answer on a connection; 5 s by default.
    #[must_use]
    pub fn silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    /// How often `watch` lists the flags if the server pushes nothing; 1 s by default. A tenth as often with keyspace notifications: they
    /// do not report `FLUSHDB`.
    #[must_use]
    pub fn poll_every(mut self, every: Duration) -> Self {
        self.poll_every = every;
        self
    }

    /// How much history is kept; by default some 10,000 entries, of 90 days.
    #[must_use]
    pub fn history_limits(mut self, limits: HistoryLimits) -> Self {
        self.history_limits = Some(limits);
        self
    }

    /// Keeps no history, as for a user with rights on the flags alone. The URL's `?history=off` does the same.
    #[must_use]
    pub fn without_history(mut self) -> Self {
        self.history_limits = None;
        self
    }

    /// `None` in a cluster, where a script has the keys of one slot.
    async fn kept_history(&self) -> RedisResult<Option<History>> {
        let Some(limits) = self.history_limits else { return Ok(None) };
        // Only a connection shows whether the server is part of a cluster.
        self.link.connection(self.timeout).await?;
        let is_kept = !self.link.client().is_cluster();
        Ok(is_kept.then(|| History::new(history_key(self.keys.base()), limits)))
    }

    async fn write(&self, script: &Script, name: &str, options: &WriteOptions, value: Option<&str>) -> Result<()> {
        let key = self.keys.of(name);
        if is_deeper(name) {
            let there = self.link.request(&Cmd::get(&key), true, self.timeout).await;
            if let Ok(Value::BulkString(value)) = there
                && flag(name, &value).is_none()
            {
                return Err(taken(name).with_store(self));
            }
        }
        let history = self.kept_history().await.map_err(|error| self.error(error).with_flag(name))?;
        let write = Write { name, key: &key, value, options, history: history.as_ref() };
        let _writing = self.writing.begin(name);
        match script.run(&self.link, &write, self.timeout).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::new(ErrorKind::Conflict).with_store(self).with_flag(name)),
            Err(error) => Err(self.error(error).with_flag(name)),
        }
    }

    fn error(&self, error: redis::RedisError) -> Error {
        let error = errors::from_driver(error).with_store(self);
        // In a cluster the driver repeats a write; the answer is that of the last attempt.
        let unknown = error.kind() == ErrorKind::Unavailable && self.link.client().is_cluster();
        if unknown { error.with_nothing_written(false) } else { error }
    }

    fn stored(&self, name: &str, answer: RedisResult<Value>) -> RedisResult<Option<Stored>> {
        match answer {
            Ok(Value::BulkString(value)) => Ok(flag(name, &value)),
            Ok(Value::Nil) => Ok(None),
            Ok(other) => redis::from_redis_value::<Option<Vec<u8>>>(other)
                .map(|value| value.and_then(|value| flag(name, &value)))
                .map_err(Into::into),
            Err(error) if errors::is_wrong_type(&error) => {
                self.warn_of_type(name, "another type");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn warn_of_type(&self, name: &str, found: &str) {
        if self.warned.is_due(name) {
            tracing::warn!(store = %self, name, "a key under the base key holds {found}, not a string: it is no flag and skipped");
        }
    }
}

fn identity(shown: &str, keys: &BaseKey) -> Identity {
    Identity::new(format!("{shown}base_key={}", shown::encoded(keys.base())))
}

/// `None` for another base key's flag.
fn flag(name: impl Into<String>, value: &[u8]) -> Option<Stored> {
    Some(Stored::from_json(name, scripts::version(value), value)).filter(is_ours)
}

#[async_trait]
impl FeatureFlagStore for RedisFeatureFlagStore {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        let answer = self.link.request(&Cmd::get(self.keys.of(name)), true, self.timeout).await;
        self.stored(name, answer).map_err(|error| self.error(error).with_flag(name))
    }

    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
        validate_name(record.name())?;
        let value = record.to_json();
        self.write(&PUT, record.name(), &options, Some(&value)).await?;
        Ok(scripts::version(value.as_bytes()))
    }

    async fn delete(&self, name: &str, options: WriteOptions) -> Result<Version> {
        let when = &options.when;
        match self.write(&DELETE, name, &options, None).await {
            // To this store, another base key's flag is absent.
            Err(error) if error.kind() == ErrorKind::InvalidName && !matches!(when, Precondition::Unchanged(_)) => {}
            Err(error) if error.kind() == ErrorKind::InvalidName => {
                return Err(Error::new(ErrorKind::Conflict).with_store(self).with_flag(name));
            }
            // So is what is no flag.
            Err(error) if error.kind() == ErrorKind::Corrupt && !matches!(when, Precondition::Unchanged(_)) => {
                self.warn_of_type(name, "another type");
            }
            other => other?,
        }
        Ok(Version::opaque([]))
    }

    async fn list(&self) -> Result<Vec<Stored>> {
        list::list(self).await.map_err(|error| self.error(error))
    }

    fn watch(&self) -> Watch<'_> {
        watch::watch(self)
    }

    fn capabilities(&self) -> Capabilities {
        let capabilities = Capabilities::default().with_push().shared_with_python();
        let has_history = self.history_limits.is_some() && !self.link.client().is_cluster();
        if has_history { capabilities.with_history() } else { capabilities }
    }

    async fn put_all(&self, records: &[FlagRecord], options: WriteOptions) -> Vec<Result<Version>> {
        bulk::put_all(self, records, &options).await
    }

    async fn history(&self, query: &HistoryQuery) -> Result<HistoryPage> {
        history::page(self, query).await.map_err(|error| error.with_store(self))
    }

    fn stream(&self) -> FlagStream<'_> {
        stream::stream(self)
    }

    fn identity(&self) -> Identity {
        identity(self.link.client().shown(), &self.keys)
    }

    async fn inspect(&self) -> Vec<Check> {
        inspect::inspect(self).await
    }
}
