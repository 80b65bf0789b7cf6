//! Flags in Consul's key-value store, shared with every program that uses the same base key, those that use the Python library
//! `flipper-client` included.
//!
//! ```no_run
//! use flipper::{ConsulFeatureFlagStore, FeatureFlagClient};
//!
//! # async fn example() -> flipper::Result<()> {
//! let store = ConsulFeatureFlagStore::connect("consul://127.0.0.1:8500/features").await?;
//! let features = FeatureFlagClient::new(store);
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
//! All flags are in memory. A blocking query waits for the next change under the base key. From some 120 flags on, when its answer
//! has more than 40 KiB, a second one waits for the key beside it, so that a change which this library made is seen as soon with
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
mod bare;
mod builder;
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

use async_trait::async_trait;

use self::bare::Bare;
pub use self::builder::ConsulBuilder;
pub use self::client::{ConsulClient, ConsulClientBuilder, ConsulConsistency};
use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::inspection::Check;
use crate::many::FlagStream;
use crate::record::FlagRecord;
use crate::status::Status;
use crate::store::{FeatureFlagStore, LocalFeatureFlagStore, Precondition, Stored, Version, Watch};
use crate::table::FlagTable;
use crate::wrappers::MirroredFeatureFlagStore;

/// Keeps flags in Consul, and all of them in memory too: checks are reads of memory, and a change that anybody makes is here
/// as soon as Consul has it. Clones share all.
///
/// Connections are made and kept on a thread of this crate: the store can be a `static`, works under any executor, and outlives
/// the runtime that it was first used in. An outage leaves the last known flags; the store comes back by itself, and
/// [`status`](LocalFeatureFlagStore::status) says since when it is away and why.
///
/// ```no_run
/// use flipper::{ConsulConsistency, ConsulClient, ConsulFeatureFlagStore, FeatureFlagClient};
///
/// # async fn example() -> flipper::Result<()> {
/// let client = ConsulClient::builder()
///     .address("https://consul.example:8501")
///     .token_file("/run/secrets/consul-token")
///     .ca_file("/etc/consul/ca.pem")
///     .build()?;
/// let store = ConsulFeatureFlagStore::builder(client)
///     .base_key("shop/features")
///     .snapshot_file("/var/lib/shop/flags.snapshot")
///     .connect()
///     .await?;
/// let features = FeatureFlagClient::new(store);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ConsulFeatureFlagStore {
    mirror: MirroredFeatureFlagStore<Bare>,
    bare: Bare,
}

impl ConsulFeatureFlagStore {
    /// The store that a URL names, when all its flags are here: `consul://HOST[:PORT][/BASE/KEY]`, with the parameters `dc`,
    /// `ns`, `partition`, `tls=true` or `false`, `consistency=stale` or `consistent`, and `wait=30s` ([`ConsulBuilder::wait`]). Port
    /// 8500 and base key `features` unless said.
    ///
    /// The token and what else the URL does not say are those of the environment, as for
    /// [`ConsulClient::from_env`]: a URL is no place for a secret. TLS is spoken where the environment asks for it, by
    /// `CONSUL_HTTP_ADDR` with `https://` too, unless the URL says `tls=false`; and without TLS no token goes to another host,
    /// unless the URL says so.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for another URL, and as [`ConsulBuilder::connect`].
    pub async fn connect(url: &str) -> Result<Self> {
        url::parse(url)?.connect().await
    }

    /// For more settings than a URL has.
    #[must_use]
    pub fn builder(client: ConsulClient) -> ConsulBuilder {
        ConsulBuilder::new(client)
    }

    /// The store of a URL, without waiting for anything.
    pub(crate) fn start(url: &str) -> Result<Self> {
        url::parse(url)?.start()
    }

    /// The mirror inside is nothing that callers know of.
    fn named(&self, error: Error) -> Error {
        error.with_store(self)
    }
}

impl fmt::Display for ConsulFeatureFlagStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bare.fmt(f)
    }
}

impl fmt::Debug for ConsulFeatureFlagStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ConsulFeatureFlagStore").field(&self.bare).finish()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl FeatureFlagStore for ConsulFeatureFlagStore {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        self.mirror.get(name).await
    }

    async fn put(&self, record: &FlagRecord, when: Precondition) -> Result<Version> {
        self.mirror.put(record, when).await.map_err(|error| self.named(error))
    }

    async fn delete(&self, name: &str, when: Precondition) -> Result<Version> {
        self.mirror.delete(name, when).await.map_err(|error| self.named(error))
    }

    async fn list(&self) -> Result<Vec<Stored>> {
        self.mirror.list().await
    }

    fn watch(&self) -> Watch<'_> {
        self.mirror.watch()
    }

    async fn get_cached(&self, name: &str) -> Result<Option<Stored>> {
        self.mirror.get_cached(name).await
    }

    fn is_shared_with_python(&self) -> bool {
        true
    }

    async fn put_all(&self, records: &[FlagRecord], when: Precondition) -> Vec<Result<Version>> {
        let written = self.mirror.put_all(records, when).await;
        written.into_iter().map(|written| written.map_err(|error| self.named(error))).collect()
    }

    fn stream(&self) -> FlagStream<'_> {
        self.mirror.stream()
    }

    fn identity(&self) -> Identity {
        self.mirror.identity()
    }

    async fn inspect(&self) -> Vec<Check> {
        self.mirror.inspect().await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl LocalFeatureFlagStore for ConsulFeatureFlagStore {
    fn table(&self) -> &Arc<FlagTable> {
        self.mirror.table()
    }

    fn status(&self) -> Status {
        self.mirror.status()
    }

    async fn ready(&self) -> Result<()> {
        self.mirror.ready().await.map_err(|error| self.named(error))
    }

    async fn close(&self) -> Result<()> {
        self.mirror.close().await
    }
}
