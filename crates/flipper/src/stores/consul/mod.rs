//! Flags in Consul's key-value store, shared with every program that uses the same base key, those that use the Python library
//! `flipper-client` included.
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
//! A flag is a key `base_key/NAME` with the JSON of [`FlagRecord`]. Keys that lie deeper, and folders, are not flags; a value
//! that is no flag's JSON is a flag that is [`Corrupt`](crate::ErrorKind::Corrupt). A version is Consul's `ModifyIndex`.
//!
//! Beside the base key lies one more key: of `features` it is `.features.changed`, of `shop/features`
//! `shop/.features.changed`. Where there are many flags, writers say there which ones they have changed, in the transaction that
//! changes them.
//!
//! # How it works
//!
//! Each call is a request, and a watch waits for changes by a blocking query of the base key. From some 120 flags on, when its answer
//! has more than 40 KiB, a second query waits for the key beside it, so that a change which this library made is seen as soon with
//! 10,000 flags as with one: to list them all takes Consul 80 ms. While nothing changes each is asked four times a minute.
//!
//! A server that has just started answers from an older state until its log is applied. So reads are confirmed by the leader
//! (`?consistent`), and so is the list of all flags after anything that may have been a restart: until then the status is `Stale`.
//!
//! # What the token must allow
//!
//! `key_prefix "features/" { policy = "read" }`, or `write` for those who change flags; and the same for `key
//! ".features.changed"`, without which everything works but for the speed with many flags.

mod agent;
mod client;
mod date;
mod errors;
mod follow;
mod hints;
mod inspect;
mod keys;
mod kv;
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
use self::keys::Keys;
use self::kv::{Entry, Read};
use self::rows::{Row, Rows};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::Identity;
use crate::inspection::Check;
use crate::record::{FlagRecord, validate_name};
use crate::state::{Capabilities, Precondition, Stored, Version, Watch};
use crate::store::{FeatureFlagStore, FlagStream, give_up, pages};
use crate::stores::deeper::{is_deeper, is_ours, taken};
use crate::stores::feed::feed;
use crate::warn_once::WarnOnce;

/// Consul would wait for ten minutes; a connection that died without a word is found out so much sooner.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const SHORTEST_WAIT: Duration = Duration::from_millis(10);
/// Four queries a minute while nothing changes, and an agent that is gone without a word is found out in 23 s.
const WAIT: Duration = Duration::from_secs(15);
/// Consul's limit for a value, unless the agent was told another.
const LARGEST: usize = 512 * 1024;
/// How many flags `put_all` has under way at once.
const AT_ONCE: usize = 16;
/// How many flags of a stream are read at once.
const PAGE: usize = 500;

/// Keeps flags in Consul. Clones share connections, and what they know of own writes.
///
/// Connections are made and kept on a thread of this crate: the store can be a `static`, works under any executor, and outlives
/// the runtime that it was first used in.
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
    keys: Arc<Keys>,
    hints: Arc<Hints>,
    /// How long Consul may hold back an answer when nothing changes.
    wait: Duration,
    /// Whether the token may list nothing but what is under the base key.
    narrow: Arc<AtomicBool>,
    warned: WarnOnce,
}

impl ConsulFeatureFlagStore {
    /// A store on the agent of this client. Nothing is sent yet.
    #[must_use]
    pub fn new(client: ConsulClient) -> Self {
        Self {
            client,
            keys: Arc::default(),
            hints: Arc::default(),
            wait: WAIT,
            narrow: Arc::default(),
            warned: WarnOnce::default(),
        }
    }

    /// The store that a URL names: `consul://HOST[:PORT][/BASE/KEY]`, with the parameters `dc`,
    /// `ns`, `partition`, `tls=true` or `false`, `consistency=stale` or `consistent`, and `wait=30s` ([`wait`](Self::wait)). Port
    /// 8500 and base key `features` by default. Nothing is sent yet.
    ///
    /// The token and what else the URL does not say are those of the environment, as for
    /// [`ConsulClient::from_env`]: a URL is no place for a secret. TLS is spoken where the environment asks for it, by
    /// `CONSUL_HTTP_ADDR` with `https://` too, unless the URL says `tls=false`; and without TLS no token goes to another host,
    /// unless the URL says so.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for another URL, or an environment that makes no sense.
    pub fn from_url(url: &str) -> Result<Self> {
        url::parse(url)
    }

    /// The key that the flags lie under, `features` by default: no `/` at its beginning or end.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a key that Consul would read as another one.
    pub fn base_key(mut self, base_key: impl AsRef<str>) -> Result<Self> {
        self.keys = Arc::new(Keys::new(base_key.as_ref())?);
        Ok(self)
    }

    /// How long Consul holds back its answer to a watch while nothing changes; 15 s by default, and 60 s at the most. Consul adds up to a
    /// sixteenth. Half the time means twice the requests, and that a silent loss of the connection is noticed in half the time: when
    /// the answer is overdue by [`ConsulClientBuilder::timeout`].
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait.clamp(SHORTEST_WAIT, LONGEST_WAIT);
        self
    }

    /// What is followed: the base key without its slash. Whoever deletes all that begins with that deletes the flags, and wakes
    /// nobody who waits for what begins with the base key and a slash: the index that such a query sees even goes back.
    fn followed(&self) -> &str {
        if self.narrow.load(Ordering::Relaxed) { self.keys.prefix() } else { self.keys.base() }
    }

    /// All that is followed, confirmed.
    async fn followed_now(&self) -> Result<Rows> {
        match self.whole(self.followed()).await {
            // Where `enable_key_list_policy` is set, a token for `features/` may not list what begins with `features`.
            Err(error) if error.kind() == ErrorKind::Unauthorized && !self.narrow.load(Ordering::Relaxed) => {
                let rows = self.whole(self.keys.prefix()).await?;
                self.narrow.store(true, Ordering::Relaxed);
                Ok(rows)
            }
            listed => listed,
        }
    }

    /// All keys under the prefix, confirmed. Consul leaves out what the token may not read: without a word before 1.11, so that it is
    /// asked for the base key too, which is refused to a token that may read single flags only.
    async fn whole(&self, prefix: &str) -> Result<Rows> {
        let mut rows = Rows::of(self, self.client.list(prefix, Read::Confirmed).await?).await?;
        self.may_read(self.keys.prefix()).await?;
        // Without the slash the list has keys of others, which the token need not allow.
        if rows.filtered && prefix != self.keys.prefix() {
            rows.filtered = self.client.list(self.keys.prefix(), Read::Confirmed).await?.filtered;
        }
        if rows.filtered {
            let message = "the Consul token may not read all of the flags, and which ones are left out is not known";
            return Err(Error::new(ErrorKind::Unauthorized).with_message(message));
        }
        Ok(rows)
    }

    /// An error if not: a single key that may not be read is refused, other than a prefix.
    async fn may_read(&self, key: &str) -> Result<()> {
        self.client.get(key, Read::Leader).await.map(|_| ())
    }

    /// `None` for a folder, and for another base key's flag.
    fn stored(name: &str, entry: &Entry) -> Option<Stored> {
        Some(Stored::from_json(name, Version::ordered(entry.index), &entry.value)).filter(is_ours)
    }

    /// Whether the key holds something that is no flag of this base key.
    async fn is_taken(&self, name: &str, key: &str) -> Result<bool> {
        if !is_deeper(name) {
            return Ok(false);
        }
        let found =
            self.client.get(key, Read::Confirmed).await.map_err(|error| error.with_store(self).with_flag(name))?;
        Ok(found.entry.is_some_and(|entry| Self::stored(name, &entry).is_none()))
    }

    fn conflict(&self, name: &str) -> Error {
        Error::new(ErrorKind::Conflict).with_store(self).with_flag(name)
    }

    /// The version of the absence of a flag, if it is absent.
    async fn absent(&self, name: &str) -> Result<Version> {
        let named = |error: Error| error.with_store(self).with_flag(name);
        let found = self.client.get(&self.keys.of(name), Read::Confirmed).await.map_err(named)?;
        let flag = found.entry.and_then(|entry| Self::stored(name, &entry));
        match (flag, found.index) {
            (Some(_), _) => Err(self.conflict(name)),
            (None, Some(index)) => Ok(Version::ordered(index)),
            (None, None) => {
                let folder = self.client.get(self.keys.prefix(), Read::Confirmed).await.map_err(named)?;
                Ok(Version::ordered(folder.index.unwrap_or(0)))
            }
        }
    }

    /// Consul's web interface makes such keys, and other programs too.
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
        Ok(found.entry.and_then(|entry| Self::stored(name, &entry)))
    }

    async fn put(&self, record: &FlagRecord, when: Precondition) -> Result<Version> {
        let name = record.name();
        validate_name(name)?;
        let value = record.to_json();
        if value.len() > LARGEST {
            let message = format!("a flag may have {LARGEST} bytes in Consul, and this one has {}", value.len());
            return Err(Error::invalid_input(message).with_store(self).with_flag(name));
        }
        let index = match when {
            Precondition::Any => None,
            Precondition::Absent => Some(0),
            // Another store's version holds for no flag of this one, and 0 is that of none.
            Precondition::Unchanged(version) => match version.as_ordered() {
                None | Some(0) => return Err(self.conflict(name)),
                known => known,
            },
        };
        let key = self.keys.of(name);
        if self.is_taken(name, &key).await? {
            return Err(taken(name).with_store(self));
        }
        writing::put(self, name, &key, value.into_bytes(), index).await
    }

    async fn delete(&self, name: &str, when: Precondition) -> Result<Version> {
        let index = match when {
            Precondition::Any => None,
            Precondition::Absent => return self.absent(name).await,
            Precondition::Unchanged(version) => match version.as_ordered() {
                None | Some(0) => return Err(self.conflict(name)),
                known => known,
            },
        };
        let key = self.keys.of(name);
        match self.is_taken(name, &key).await? {
            false => writing::delete(self, name, &key, index).await,
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
        feed(store.to_string(), move |events, lost| follow::follow(store.clone(), events, lost))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_push().with_ordered_versions().shared_with_python()
    }

    fn identity(&self) -> Identity {
        let address = self.client.address();
        let host = address.split_once("://").map_or(address, |(_, host)| host);
        let query = self.client.query();
        let mark = if query.is_empty() { "" } else { "?" };
        Identity::new(format!("consul://{host}/{}{mark}{query}", self.keys.base()))
    }

    async fn inspect(&self) -> Vec<Check> {
        inspect::inspect(self).await
    }

    async fn put_all(&self, records: &[FlagRecord], when: Precondition) -> Vec<Result<Version>> {
        let mut results = Vec::with_capacity(records.len());
        for batch in records.chunks(AT_ONCE) {
            // Consul's leader takes what comes together in one round of its log.
            results.extend(join_all(batch.iter().map(|record| self.put(record, when.clone()))).await);
            if give_up(&mut results, records) {
                break;
            }
        }
        results
    }

    fn stream(&self) -> FlagStream<'_> {
        // One answer has them all; their values are read little by little.
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
