//! Flags in Consul's key-value store, shared with programs that use the same base key, also by the Python library `flipper-client`.
//!
//! ```no_run
//! use flipper::{ConsulFeatureFlagStore, FeatureFlagClient};
//!
//! # async fn example() -> flipper::Result<()> {
//! let store = ConsulFeatureFlagStore::from_url("consul://127.0.0.1:8500/features")?;
//! let features = FeatureFlagClient::new(store);
//! features.ready().await?;
//!
//! features.create("MY_FEATURE").or_get().await?;
//! features.enable("MY_FEATURE").await?;
//! assert!(features.is_enabled("MY_FEATURE"));
//! # Ok(()) }
//! ```
//!
//! # What is stored
//!
//! A flag is a key `base_key/NAME` with its JSON ([`FlagRecord`]); its version is the `ModifyIndex`. Another value is a
//! [`Corrupt`](crate::ErrorKind::Corrupt) flag. Deeper keys, and folders, are not flags.
//!
//! With many flags, each write also names its flag in a key beside the base key: `.features.changed` for `features`,
//! `shop/.features.changed` for `shop/features`.
//!
//! The history is a key for each write, `.features.history/HASH/ID` for the base key `features`, in the transaction of the write: JSON with
//! `name`, `at` (in milliseconds), `verb`, `actor`, `reason`, `source`, `before` and `after`, as far as there is one. `HASH` is that of the
//! flag's name, and the order is that of their indexes. What other programs write shows as an entry that begins with another state than
//! the one before it left. There is no history with `?history=off`.
//!
//! [The guide](crate::_guide::stores) says how changes arrive, and what the token must allow.

mod agent;
mod client;
mod errors;
mod follow;
mod hints;
mod history;
mod inspect;
mod keys;
mod kv;
mod recent;
mod rows;
mod url;
mod writing;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::vec;

use async_trait::async_trait;
use futures_util::future::join_all;

pub use self::client::{ConsulClient, ConsulClientBuilder, ConsulConsistency};
use self::hints::Hints;
use self::history::Pruned;
use self::kv::{Entry, Read};
use self::recent::Recent;
use self::rows::{Row, Rows};
use self::writing::Write;
use crate::error::{Error, ErrorKind, Result};
use crate::identity::Identity;
use crate::inspection::Check;
use crate::record::{FlagRecord, validate_name};
use crate::state::{
    Capabilities, HistoryLimits, HistoryPage, HistoryQuery, Precondition, Stored, Version, Watch, WriteOptions,
};
use crate::store::{FeatureFlagStore, FlagStream, give_up, pages};
use crate::stores::base_key::{BaseKey, is_deeper, is_ours, taken};
use crate::stores::feed::feed_by_task;
use crate::warn_once::WarnOnce;

/// Consul allows ten minutes; a shorter wait detects a dead connection sooner.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const SHORTEST_WAIT: Duration = Duration::from_millis(10);
/// Four queries a minute without changes; a silent loss of the agent is noticed in 23 s.
const WAIT: Duration = Duration::from_secs(15);
/// Consul's default limit for a value.
const LARGEST: usize = 512 * 1024;
const AT_ONCE: usize = 16;
const PAGE: usize = 500;

/// Keeps flags in Consul. Clones share connections.
///
/// Connections live on a thread of this crate: the store can be a `static`, works under any executor, and outlives any runtime.
///
/// ```no_run
/// use flipper::{ConsulClient, ConsulFeatureFlagStore, FeatureFlagClient, MirroredFeatureFlagStore};
///
/// # async fn example() -> flipper::Result<()> {
/// let client = ConsulClient::builder()
///     .address("https://consul.example:8501")
///     .token_file("/run/secrets/consul-token")
///     .ca_file("/etc/consul/ca.pem")
///     .build()?;
/// let store = ConsulFeatureFlagStore::new(client).base_key("shop/features")?;
/// // For a process that must start while Consul is down:
/// let store = MirroredFeatureFlagStore::builder(store).snapshot_file("/var/lib/shop/flags.snapshot").build();
/// let features = FeatureFlagClient::new(store);
/// features.ready().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ConsulFeatureFlagStore {
    client: ConsulClient,
    keys: Arc<BaseKey>,
    hints: Arc<Hints>,
    wait: Duration,
    /// The token may list only what is under the base key.
    narrow: Arc<AtomicBool>,
    warned: WarnOnce,
    history_limits: Option<HistoryLimits>,
    recent: Arc<Recent>,
    pruned: Arc<Pruned>,
}

impl ConsulFeatureFlagStore {
    /// A store on this client's agent. Sends nothing yet.
    #[must_use]
    pub fn new(client: ConsulClient) -> Self {
        Self {
            client,
            keys: Arc::default(),
            hints: Arc::default(),
            wait: WAIT,
            narrow: Arc::default(),
            warned: WarnOnce::default(),
            history_limits: Some(history::default_limits()),
            recent: Arc::default(),
            pruned: Arc::default(),
        }
    }

    /// The store at `consul://HOST[:PORT][/BASE/KEY]`, by default port 8500 and base key `features`, with the parameters `dc`, `ns`,
    /// `partition`, `tls=true` or `false`, `consistency=stale` or `consistent`, `wait=30s` ([`wait`](Self::wait)), `history=off`,
    /// `history_entries=NUMBER` and `history_days=NUMBER`. Sends
    /// nothing yet.
    ///
    /// Other settings come from the environment, as for [`ConsulClient::from_env`]; a URL must not contain the token. Without TLS no token
    /// goes to another host, unless the URL has `tls=false`, which overrides the environment.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for another URL, or an invalid environment.
    pub fn from_url(url: &str) -> Result<Self> {
        url::parse(url)
    }

    /// The key above the flags, by default `features`; without `/` at its ends.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a key that Consul would read as another one.
    pub fn base_key(mut self, base_key: impl AsRef<str>) -> Result<Self> {
        keys::check_base(base_key.as_ref())?;
        self.keys = Arc::new(BaseKey::new(base_key.as_ref()));
        self.recent = Arc::default();
        self.pruned = Arc::default();
        Ok(self)
    }

    /// How much history is kept; by default some 1,000 entries, of 90 days. Consul holds all keys in memory, and a page of the history of all
    /// flags reads all of it.
    #[must_use]
    pub fn history_limits(mut self, limits: HistoryLimits) -> Self {
        self.history_limits = Some(limits);
        self
    }

    /// Keeps no history, as for a token with rights on the flags alone. The URL's `?history=off` does the same.
    #[must_use]
    pub fn without_history(mut self) -> Self {
        self.history_limits = None;
        self
    }

    /// How long Consul holds back its answer to a watch while nothing changes, and up to a sixteenth more; 15 s by default, at most 60 s. A
    /// silent loss of the connection is noticed [`timeout`](ConsulClientBuilder::timeout) later. Half the time means twice the requests.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait.clamp(SHORTEST_WAIT, LONGEST_WAIT);
        self
    }

    /// Without its slash: a recursive delete of `features` does not wake a query on `features/`, whose index even goes back.
    fn followed(&self) -> &str {
        if self.narrow.load(Ordering::Relaxed) { self.keys.prefix() } else { self.keys.base() }
    }

    async fn followed_now(&self) -> Result<Rows> {
        match self.whole(self.followed()).await {
            // With `enable_key_list_policy`, a token for `features/` may not list `features`.
            Err(error) if error.kind() == ErrorKind::Unauthorized && !self.narrow.load(Ordering::Relaxed) => {
                let rows = self.whole(self.keys.prefix()).await?;
                self.narrow.store(true, Ordering::Relaxed);
                Ok(rows)
            }
            listed => listed,
        }
    }

    /// Confirmed. Consul leaves out what the token may not read, before 1.11 silently; but it refuses a read of the base key.
    async fn whole(&self, prefix: &str) -> Result<Rows> {
        let mut rows = Rows::of(self, self.client.list(prefix, Read::Confirmed).await?).await?;
        self.may_read(self.keys.prefix()).await?;
        // Without the slash the list has foreign keys, which the token need not allow.
        if rows.filtered && prefix != self.keys.prefix() {
            rows.filtered = self.client.list(self.keys.prefix(), Read::Confirmed).await?.filtered;
        }
        if rows.filtered {
            let message = "the Consul token may not read all of the flags, and which ones are left out is not known";
            return Err(Error::new(ErrorKind::Unauthorized).with_message(message));
        }
        Ok(rows)
    }

    /// Consul refuses a read of one key, but not a list.
    async fn may_read(&self, key: &str) -> Result<()> {
        self.client.get(key, Read::Leader).await.map(|_| ())
    }

    /// `None` for a folder, and for another base key's flag.
    fn stored(name: &str, entry: &Entry) -> Option<Stored> {
        Some(Stored::from_json(name, Version::ordered(entry.index), &entry.value)).filter(is_ours)
    }

    async fn is_taken(&self, name: &str, key: &str) -> Result<bool> {
        if !is_deeper(name) {
            return Ok(false);
        }
        let found =
            self.client.get(key, Read::Confirmed).await.map_err(|error| error.with_store(self).with_flag(name))?;
        Ok(found.entry.is_some_and(|entry| Self::stored(name, &entry).is_none()))
    }

    /// 0 for a missing flag.
    fn expected_index(&self, name: &str, when: &Precondition) -> Result<Option<u64>> {
        match when {
            Precondition::Any => Ok(None),
            Precondition::Absent => Ok(Some(0)),
            // Another store's version matches no flag here; 0 would mean a missing flag.
            Precondition::Unchanged(version) => match version.as_ordered() {
                None | Some(0) => Err(self.conflict(name)),
                known => Ok(known),
            },
        }
    }

    fn conflict(&self, name: &str) -> Error {
        Error::new(ErrorKind::Conflict).with_store(self).with_flag(name)
    }

    async fn absent(&self, name: &str) -> Result<Version> {
        let named = |error: Error| error.with_store(self).with_flag(name);
        let found = self.client.get(&self.keys.of(name), Read::Confirmed).await.map_err(named)?;
        let flag = found.entry.and_then(|entry| Self::stored(name, &entry));
        match flag {
            Some(_) => Err(self.conflict(name)),
            None => self.version_of_absence(found.index).await.map_err(named),
        }
    }

    /// `index`: of the answer that there is no such key.
    async fn version_of_absence(&self, index: Option<u64>) -> Result<Version> {
        let index = match index {
            Some(index) => index,
            None => self.client.get(self.keys.prefix(), Read::Confirmed).await?.index.unwrap_or(0),
        };
        Ok(Version::ordered(index))
    }

    /// Consul's web interface and other programs make such keys.
    fn warn_of_folder(&self, key: &str) {
        if key.ends_with('/') && self.warned.is_due(key) {
            tracing::warn!(store = %self, key, "a key under the base key is a folder, and no flag: it is skipped");
        }
    }
}

impl fmt::Display for ConsulFeatureFlagStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Consul({})", self.keys.base())
    }
}

impl fmt::Debug for ConsulFeatureFlagStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsulFeatureFlagStore")
            .field("client", &self.client)
            .field("base_key", &self.keys.base())
            .field("wait", &self.wait)
            .finish()
    }
}

#[async_trait]
impl FeatureFlagStore for ConsulFeatureFlagStore {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        let found = self.client.get(&self.keys.of(name), Read::Confirmed).await;
        let found = found.map_err(|error| error.with_store(self).with_flag(name))?;
        let Some(entry) = found.entry else { return Ok(None) };
        let flag = Self::stored(name, &entry);
        if flag.is_some() && self.history_limits.is_some() {
            self.recent.keep(name, entry.index, entry.value);
        }
        Ok(flag)
    }

    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
        let name = record.name();
        validate_name(name)?;
        let value = record.to_json();
        if value.len() > LARGEST {
            let message = format!("a flag may have {LARGEST} bytes in Consul, and this one has {}", value.len());
            return Err(Error::invalid_input(message).with_store(self).with_flag(name));
        }
        let index = self.expected_index(name, &options.when)?;
        let key = self.keys.of(name);
        if self.is_taken(name, &key).await? {
            return Err(taken(name).with_store(self));
        }
        writing::put(self, &Write { name, key: &key, index, options: &options }, value.into_bytes()).await
    }

    async fn delete(&self, name: &str, options: WriteOptions) -> Result<Version> {
        if matches!(options.when, Precondition::Absent) {
            return self.absent(name).await;
        }
        let index = self.expected_index(name, &options.when)?;
        let key = self.keys.of(name);
        match self.is_taken(name, &key).await? {
            false => writing::delete(self, &Write { name, key: &key, index, options: &options }).await,
            true if index.is_some() => Err(self.conflict(name)),
            true => Ok(Version::ordered(0)),
        }
    }

    async fn list(&self) -> Result<Vec<Stored>> {
        let listed = async {
            let mut rows = self.whole(self.keys.prefix()).await?;
            let all = std::mem::take(&mut rows.rows);
            rows.flags(all).await
        };
        let mut flags = listed.await.map_err(|error: Error| error.with_store(self))?;
        flags.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(flags)
    }

    fn watch(&self) -> Watch<'_> {
        let store = self.clone();
        feed_by_task(store.to_string(), move |events, lost| follow::follow(store.clone(), events, lost))
    }

    fn capabilities(&self) -> Capabilities {
        let capabilities = Capabilities::default().with_push().with_ordered_versions().shared_with_python();
        if self.history_limits.is_some() { capabilities.with_history() } else { capabilities }
    }

    async fn history(&self, query: &HistoryQuery) -> Result<HistoryPage> {
        history::page(self, query).await.map_err(|error| error.with_store(self))
    }

    fn identity(&self) -> Identity {
        let address = self.client.address();
        let host = address.split_once("://").map_or(address, |(_, host)| host);
        let query = &self.client.inner.query;
        let mark = if query.is_empty() { "" } else { "?" };
        Identity::new(format!("consul://{host}/{}{mark}{query}", self.keys.base()))
    }

    async fn inspect(&self) -> Vec<Check> {
        inspect::inspect(self).await
    }

    async fn put_all(&self, records: &[FlagRecord], options: WriteOptions) -> Vec<Result<Version>> {
        let mut results = Vec::with_capacity(records.len());
        for batch in records.chunks(AT_ONCE) {
            // Consul commits concurrent writes in one round of its log.
            results.extend(join_all(batch.iter().map(|record| self.put(record, options.clone()))).await);
            if give_up(&mut results, records) {
                break;
            }
        }
        results
    }

    fn stream(&self) -> FlagStream<'_> {
        pages(None, move |reading: Option<(Rows, vec::IntoIter<Row>)>| async move {
            let page = async {
                let (rows, mut left) = match reading {
                    Some(reading) => reading,
                    None => {
                        let mut rows = self.whole(self.keys.prefix()).await?;
                        let all = std::mem::take(&mut rows.rows).into_iter();
                        (rows, all)
                    }
                };
                let flags = rows.flags(left.by_ref().take(PAGE).collect()).await?;
                Ok((flags, (left.len() > 0).then_some(Some((rows, left)))))
            };
            page.await.map_err(|error: Error| error.with_store(self))
        })
    }
}
