//! Flags in Redis, shared with every program that uses the same server and base key, those that use the Python library
//! `flipper-client` included.
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
//! A flag is a string, the JSON of [`FlagRecord`], at the key `base_key/NAME`, without expiry. Keys that lie deeper, keys of
//! other types, and names that are not UTF-8 are not flags: they are skipped, and the types warned about. A string that is not
//! a flag's JSON is a flag that is [`Corrupt`](crate::ErrorKind::Corrupt).
//!
//! # What `watch` tells
//!
//! A change is read when the server pushes its key, and told as `Changed` or `Removed` with the time of that read; one that
//! comes while this store, or a clone of it, writes the same flag is told as a `Hint`. `Following` says which way is in use.
//!
//! # Clusters
//!
//! The driver sends a command again when a node's connection breaks. A write that was done before the break then meets its
//! own result, and is a `Conflict`.
//!
//! # What it needs of the server
//!
//! Redis 5 or newer, or what speaks like it, and a user who may do on `base_key/*`: `GET MGET SET DEL TYPE EVAL EVALSHA SCAN`,
//! and for changes to be pushed `CLIENT|TRACKING` and RESP3 (Redis 6) or `CONFIG|GET PSUBSCRIBE` and keyspace notifications of
//! the classes `K$gxe`; otherwise the store is polled.

mod bulk;
mod client;
mod cluster;
mod errors;
mod foreign;
mod inspect;
mod keys;
mod kind;
mod link;
mod list;
mod notifications;
mod outlet;
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
use redis::{RedisResult, Value};

use self::keys::Keys;
use self::link::Link;
use self::scripts::{DELETE, PUT, Script};
use self::writing::Writing;
use crate::error::{Error, ErrorKind, Result};
use crate::identity::Identity;
use crate::inspection::Check;
use crate::record::{FlagRecord, validate_name};
use crate::state::{Capabilities, Precondition, Stored, Version, Watch};
use crate::store::{FeatureFlagStore, FlagStream};
use crate::stores::deeper::{is_deeper, is_ours, taken};
use crate::warn_once::WarnOnce;

pub use self::client::RedisClient;

const BASE_KEY: &str = "features";

/// Keeps flags in Redis: a single server, a cluster, or what Sentinels name as the primary. Clones share a connection.
///
/// Connections are made when they are first needed, and anew when they are lost, on a thread of this crate: the store can
/// be a `static`, works under any executor, and outlives the runtime that it was first used in. Every command ends within
/// [`timeout`](Self::timeout).
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
    keys: Arc<Keys>,
    timeout: Duration,
    silence: Duration,
    poll_every: Duration,
    warned: WarnOnce,
    writing: Arc<Writing>,
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
    /// A store on the servers of this client of the crate `redis`: a `Client`, `ClusterClient` or `SentinelClient`. Nothing is
    /// sent yet.
    #[must_use]
    pub fn new(client: impl Into<RedisClient>) -> Self {
        Self {
            link: Arc::new(Link::new(client.into())),
            keys: Arc::new(Keys::new(BASE_KEY)),
            timeout: Duration::from_secs(2),
            silence: Duration::from_secs(5),
            poll_every: Duration::from_secs(1),
            warned: WarnOnce::default(),
            writing: Arc::default(),
        }
    }

    /// A store at this URL. Nothing is sent yet.
    ///
    /// | URL | |
    /// |---|---|
    /// | `redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE]` | a server; a node of a cluster stands for the cluster |
    /// | `redis-cluster://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]…]` | a cluster, by some of its nodes |
    /// | `redis-sentinel://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]…]/MASTER[/DATABASE]` | the primary that these Sentinels name |
    /// | `redis+unix://[USER[:PASSWORD]@]/PATH[?db=DATABASE]`, `unix://…` | a server's Unix socket |
    ///
    /// With `rediss`, `rediss-cluster` and `rediss-sentinel` connections use TLS; `?ca=FILE` names whom to trust instead of the
    /// system's authorities, `?cert=FILE&key=FILE` a client certificate, all in PEM and read at each connection. `valkey` and
    /// `valkeys` are `redis` and `rediss`. For all: `?base_key=KEY`, `?protocol=resp2`; for Sentinels that want a
    /// password `?sentinel_username=USER&sentinel_password=PASSWORD`. Parts are percent-encoded where they hold `@ : / ? # %`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for another URL, and for a file that cannot be read. The message holds no user and no password.
    pub fn from_url(url: &str) -> Result<Self> {
        let (place, base_key) = url::parse(url)?;
        let store = Self::new(RedisClient::at(place).map_err(errors::from_driver)?);
        Ok(match base_key {
            Some(base_key) => store.base_key(base_key),
            None => store,
        })
    }

    /// What [`identity`](FeatureFlagStore::identity) the store at this URL has, for messages that must show no secret. No file is
    /// read.
    ///
    /// # Errors
    ///
    /// `InvalidInput` as [`from_url`](Self::from_url).
    pub fn identity_of(url: &str) -> Result<Identity> {
        let (place, base_key) = url::parse(url)?;
        Ok(identity(&place.shown(), base_key.as_deref().unwrap_or(BASE_KEY)))
    }

    /// The key that the flags lie under, `features` unless said.
    #[must_use]
    pub fn base_key(mut self, base_key: impl AsRef<str>) -> Self {
        self.keys = Arc::new(Keys::new(base_key.as_ref()));
        self
    }

    /// How long a command may take, connecting included; 2 s unless said. A `list` may take as long for each thousand keys.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// After how long without an answer `watch` takes a connection for lost; 5 s unless said.
    #[must_use]
    pub fn silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    /// How often `watch` lists the flags where the server pushes nothing, 1 s unless said; a tenth as often where it has keyspace
    /// notifications, which do not tell of `FLUSHDB`.
    #[must_use]
    pub fn poll_every(mut self, every: Duration) -> Self {
        self.poll_every = every;
        self
    }

    async fn write(&self, script: &Script, name: &str, when: &Precondition, value: Option<&str>) -> Result<()> {
        let key = self.keys.of(name);
        if is_deeper(name) {
            let there = self.link.request(redis::cmd("GET").arg(&key), true, self.timeout).await;
            if let Ok(Value::BulkString(value)) = there
                && flag(name, &value).is_none()
            {
                return Err(taken(name).with_store(self));
            }
        }
        let _writing = self.writing.begin(name);
        match script.run(&self.link, &key, when, value, self.timeout).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::new(ErrorKind::Conflict).with_store(self).with_flag(name)),
            Err(error) => Err(self.error(error).with_flag(name)),
        }
    }

    fn error(&self, error: redis::RedisError) -> Error {
        let error = errors::from_driver(error).with_store(self);
        // In a cluster the driver sends a write again, and the answer is that of the last time.
        let unknown = error.kind() == ErrorKind::Unavailable && self.link.client().is_cluster();
        if unknown { error.with_nothing_written(false) } else { error }
    }

    /// A flag from the answer of `GET`.
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

fn identity(shown: &str, base_key: &str) -> Identity {
    Identity::new(format!("{shown}base_key={}", shown::encoded(base_key)))
}

/// `None` for another base key's.
fn flag(name: impl Into<String>, value: &[u8]) -> Option<Stored> {
    Some(Stored::from_json(name, scripts::version(value), value)).filter(is_ours)
}

#[async_trait]
impl FeatureFlagStore for RedisFeatureFlagStore {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        let answer = self.link.request(redis::cmd("GET").arg(self.keys.of(name)), true, self.timeout).await;
        self.stored(name, answer).map_err(|error| self.error(error).with_flag(name))
    }

    async fn put(&self, record: &FlagRecord, when: Precondition) -> Result<Version> {
        validate_name(record.name())?;
        let value = record.to_json();
        self.write(&PUT, record.name(), &when, Some(&value)).await?;
        Ok(scripts::version(value.as_bytes()))
    }

    async fn delete(&self, name: &str, when: Precondition) -> Result<Version> {
        match self.write(&DELETE, name, &when, None).await {
            // What is not this store's is absent.
            Err(error) if error.kind() == ErrorKind::InvalidName && !matches!(when, Precondition::Unchanged(_)) => {}
            Err(error) if error.kind() == ErrorKind::InvalidName => {
                return Err(Error::new(ErrorKind::Conflict).with_store(self).with_flag(name));
            }
            // Not a flag, so there is no such flag.
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
        Capabilities::default().with_push().shared_with_python()
    }

    async fn put_all(&self, records: &[FlagRecord], when: Precondition) -> Vec<Result<Version>> {
        bulk::put_all(self, records, &when).await
    }

    fn stream(&self) -> FlagStream<'_> {
        stream::stream(self)
    }

    fn identity(&self) -> Identity {
        identity(self.link.client().shown(), self.keys.base())
    }

    async fn inspect(&self) -> Vec<Check> {
        inspect::inspect(self).await
    }
}
