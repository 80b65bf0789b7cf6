//! How a Consul store is made.

use std::path::PathBuf;
use std::time::Duration;

use super::ConsulFeatureFlagStore;
use super::bare::Bare;
use super::client::ConsulClient;
use super::keys::Keys;
use crate::background;
use crate::error::{Error, ErrorKind, Result};
use crate::status::Health;
use crate::store::{FeatureFlagStore, LocalFeatureFlagStore};
use crate::wrappers::MirroredFeatureFlagStore;

/// Consul would wait for ten minutes; a connection that died without a word is found out so much sooner.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Four queries a minute while nothing changes, and an agent that is gone without a word is found out in 23 s.
const WAIT: Duration = Duration::from_secs(15);
const START_WITHIN: Duration = Duration::from_secs(10);

/// Makes a [`ConsulFeatureFlagStore`] with other than the default settings.
#[derive(Debug)]
pub struct ConsulBuilder {
    client: ConsulClient,
    base_key: String,
    snapshot_file: Option<PathBuf>,
    start_stale: bool,
    start_within: Duration,
    wait: Duration,
}

impl ConsulBuilder {
    pub(super) fn new(client: ConsulClient) -> Self {
        Self {
            client,
            base_key: "features".to_owned(),
            snapshot_file: None,
            start_stale: false,
            start_within: START_WITHIN,
            wait: WAIT,
        }
    }

    /// The settings of a URL as [`ConsulFeatureFlagStore::connect`] takes it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for another URL, or an environment that makes no sense.
    pub fn from_url(url: &str) -> Result<Self> {
        super::url::parse(url)
    }

    /// The key that the flags lie under, `features` unless said: no `/` at its beginning or end.
    #[must_use]
    pub fn base_key(mut self, base_key: impl Into<String>) -> Self {
        self.base_key = base_key.into();
        self
    }

    /// Keeps the last known flags in this file too, so that a process which starts while Consul is down has them: as
    /// [`MirrorBuilder::snapshot_file`](crate::MirrorBuilder::snapshot_file).
    #[must_use]
    pub fn snapshot_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.snapshot_file = Some(path.into());
        self
    }

    /// Lets [`connect`](Self::connect) return at once, with no flags or those of the snapshot file, and `Stale`;
    /// [`ready`](LocalFeatureFlagStore::ready) then waits for Consul's.
    #[must_use]
    pub fn start_stale(mut self) -> Self {
        self.start_stale = true;
        self
    }

    /// How long [`connect`](Self::connect) tries to reach Consul; 10 s unless said.
    #[must_use]
    pub fn start_within(mut self, limit: Duration) -> Self {
        self.start_within = limit;
        self
    }

    /// How long Consul holds back its answer while nothing changes; 15 s unless said, and 60 s at the most. Consul adds up to a
    /// sixteenth. Half the time means twice the requests, and that a silent loss of the connection is noticed in half the time: when
    /// the answer is overdue by [`ConsulClientBuilder::timeout`](crate::ConsulClientBuilder::timeout).
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait.clamp(Duration::from_millis(10), LONGEST_WAIT);
        self
    }

    /// The store, when all its flags are here; or those of the snapshot file, when Consul cannot be reached.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a base key that is none, `Unavailable` if Consul cannot be reached in time, `Unauthorized` if the token
    /// may not read the base key. With [`start_stale`](Self::start_stale) only the first.
    pub async fn connect(self) -> Result<ConsulFeatureFlagStore> {
        let (wait_for_flags, limit) = (!self.start_stale, self.start_within);
        let store = self.start()?;
        if wait_for_flags {
            match background::within(limit, store.ready()).await {
                Ok(ready) => ready?,
                Err(_) => {
                    let status = store.status();
                    // Those of the snapshot file, or those that came just now, are flags.
                    if let (Health::Stale { reason, .. }, None) = (status.health, status.last_sync) {
                        let message = format!("the flags of the store did not arrive in time: {reason}");
                        return Err(Error::new(ErrorKind::Unavailable).with_message(message).with_store(&store));
                    }
                }
            }
        }
        Ok(store)
    }

    /// The store without its memory: each call is a request, and nothing is followed but by its
    /// [`watch`](crate::FeatureFlagStore::watch). For programs that ask for a flag or two and go, and for moving many flags.
    /// Of the settings those for memory do not count.
    ///
    /// ```no_run
    /// use flipper::{ConsulBuilder, FeatureFlagClient};
    ///
    /// # async fn example() -> flipper::Result<()> {
    /// let features = FeatureFlagClient::remote(ConsulBuilder::from_url("consul://127.0.0.1:8500/features")?.remote()?);
    /// features.enable("MY_FEATURE").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a base key that is none.
    pub fn remote(self) -> Result<impl FeatureFlagStore + Clone> {
        self.bare()
    }

    fn bare(self) -> Result<Bare> {
        Ok(Bare::new(self.client, Keys::new(&self.base_key)?, self.wait))
    }

    /// The store, which starts to follow Consul at once.
    pub(crate) fn start(mut self) -> Result<ConsulFeatureFlagStore> {
        let snapshot_file = self.snapshot_file.take();
        let bare = self.bare()?;
        let mut mirror = MirroredFeatureFlagStore::builder(bare.clone());
        if let Some(file) = snapshot_file {
            mirror = mirror.snapshot_file(file);
        }
        Ok(ConsulFeatureFlagStore { mirror: mirror.build(), bare })
    }
}
