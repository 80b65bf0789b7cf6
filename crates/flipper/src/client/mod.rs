//! The client: flags by name.

mod connect;
mod create;
mod flag;
mod history;
mod links;
mod read;
mod targeting;
mod variant_flag;
mod warnings;
mod write;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use self::connect::connect;
pub use self::create::Create;
pub use self::flag::FeatureFlag;
pub use self::history::History;
pub use self::read::Checks;
pub use self::variant_flag::VariantFlag;
use crate::clock::{Clock, RandomSource, SystemClock, ThreadRandom};
use crate::evaluation::Environment;
use crate::events::{Subscriber, Subscribers, Subscription};
use crate::guard::Guarded;
use crate::state::Updates;
use crate::store::{FeatureFlagStore, LocalFeatureFlagStore};
use crate::table::FlagTable;
use crate::turns::Turns;
use crate::wrappers::MirroredFeatureFlagStore;

const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Feature flags by name. Checks read memory; writes go through the store. Cheap to clone; clones share flags and subscribers.
///
/// ```
/// use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
///
/// features.create("MY_FEATURE").await?;
/// assert!(!features.is_enabled("MY_FEATURE"));
///
/// features.enable("MY_FEATURE").await?;
/// assert!(features.is_enabled("MY_FEATURE"));
/// # Ok::<(), flipper::Error>(()) }).unwrap();
/// ```
///
/// The type parameter, [`Local`] or [`Remote`], says where checks are answered. A remote client has none, since each would be a request,
/// but [`fetch`](Self::fetch) and [`fetch_enabled`](Self::fetch_enabled).
pub struct FeatureFlagClient<M = Local> {
    core: Arc<Core>,
    mode: M,
    writer: history::Writer,
}

/// Checks are answered from this process's memory.
#[derive(Clone)]
pub struct Local {
    table: Arc<FlagTable>,
    store: Arc<dyn LocalFeatureFlagStore>,
}

/// Every read is a call of the store.
#[derive(Clone, Copy, Debug)]
pub struct Remote(());

struct Core {
    store: Arc<dyn FeatureFlagStore>,
    /// If the store holds its flags in memory.
    table: Option<Arc<FlagTable>>,
    subscribers: Arc<Subscribers>,
    environment: Environment,
    write_timeout: Duration,
    strict: bool,
    /// `None` if only this process has the flags: a write takes no time, and a turn would be longer.
    turns: Option<Turns>,
}

impl FeatureFlagClient<Local> {
    /// A client of any store, with all its flags in memory.
    ///
    /// A store that does not hold its flags in this process is wrapped in a [`MirroredFeatureFlagStore`]; wrap it yourself to set a
    /// snapshot file. Flags arrive in the background, those of the file at once; [`ready`](Self::ready) waits for them.
    #[must_use]
    pub fn new(store: impl FeatureFlagStore) -> Self {
        Self::builder().build(store)
    }
}

impl FeatureFlagClient<Remote> {
    /// A client that reads through the store.
    ///
    /// ```
    /// # use flipper::{Error, FeatureFlagClient, FeatureFlagStore, context};
    /// # async fn example(store: impl FeatureFlagStore) -> Result<(), Error> {
    /// let features = FeatureFlagClient::remote(store);
    /// features.create("MY_FEATURE").enabled(true).await?;
    /// assert!(features.fetch_enabled("MY_FEATURE", &context! { user_id: 7 }).await?);
    /// # Ok(()) }
    /// ```
    ///
    /// It has no checks; this does not compile:
    ///
    /// ```compile_fail
    /// # use flipper::{FeatureFlagClient, FeatureFlagStore};
    /// # fn example(store: impl FeatureFlagStore) {
    /// FeatureFlagClient::remote(store).is_enabled("MY_FEATURE");
    /// # }
    /// ```
    #[must_use]
    pub fn remote(store: impl FeatureFlagStore) -> Self {
        ClientBuilder::default().build_remote(store)
    }
}

impl FeatureFlagClient {
    /// A client with non-default settings.
    #[must_use]
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }
}

impl<M: Clone> FeatureFlagClient<M> {
    /// A handle for the flag of this name, which need not exist.
    #[must_use]
    pub fn get(&self, name: impl Into<String>) -> FeatureFlag<M> {
        FeatureFlag::new(self.clone(), name.into())
    }

    /// Calls a subscriber before and after each write of this client and its clones, until the guard is dropped; [`changes`](Self::changes)
    /// has foreign ones too.
    pub fn subscribe(&self, subscriber: impl Subscriber) -> Subscription {
        self.core.subscribers.add(Arc::new(subscriber))
    }
}

/// Makes a [`FeatureFlagClient`] with non-default settings.
///
/// ```
/// use std::time::Duration;
/// use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};
///
/// let features = FeatureFlagClient::builder()
///     .write_timeout(Duration::from_secs(2))
///     .build(MemoryFeatureFlagStore::new());
/// ```
#[derive(Debug)]
pub struct ClientBuilder {
    clock: Arc<dyn Clock>,
    random: Arc<dyn RandomSource>,
    write_timeout: Duration,
    strict: bool,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        let (clock, random) = (Arc::new(SystemClock), Arc::new(ThreadRandom));
        Self { clock, random, write_timeout: WRITE_TIMEOUT, strict: false }
    }
}

impl ClientBuilder {
    /// The clock for creation dates and ramps. The system's is the default, and the substitute if this one panics.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(Guarded(clock));
        self
    }

    /// The random numbers for percentages; defaults as [`clock`](Self::clock).
    #[must_use]
    pub fn random(mut self, random: impl RandomSource) -> Self {
        self.random = Arc::new(Guarded(random));
        self
    }

    /// How long a write is tried while others change the flag, before it is a `Conflict`; 10 s by default.
    #[must_use]
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.write_timeout = timeout;
        self
    }

    /// Reads all flags as [strict](crate::FlagRecord::is_strict) ones, for all clients of the same flags in memory.
    ///
    /// ```
    /// use flipper::{Condition, FeatureFlagClient, MemoryFeatureFlagStore, context};
    ///
    /// # futures_executor::block_on(async {
    /// let features = FeatureFlagClient::builder().strict(true).build(MemoryFeatureFlagStore::new());
    /// features.create("PRO").enabled(true).await?;
    /// features.add_condition("PRO", Condition::new().eq("plan", "pro")).await?;
    /// assert!(!features.is_enabled_with("PRO", &context! { user_id: 7 }), "the context has no plan");
    /// # Ok::<(), flipper::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// The client, with checks from memory; see [`FeatureFlagClient::new`].
    #[must_use]
    pub fn build(self, store: impl FeatureFlagStore) -> FeatureFlagClient<Local> {
        let store = store.local().unwrap_or_else(|| Arc::new(MirroredFeatureFlagStore::new(store)));
        let mode = Local { table: store.table().clone(), store: store.clone() };
        if self.strict {
            mode.table.read_strictly();
        }
        mode.table.report_turns(&self.clock);
        let turns = (store.status().updates != Updates::Local).then(Turns::default);
        FeatureFlagClient { core: Arc::new(self.core(store, Some(mode.table.clone()), turns)), mode, writer: Ok(None) }
    }

    /// The client; see [`FeatureFlagClient::remote`].
    #[must_use]
    pub fn build_remote(self, store: impl FeatureFlagStore) -> FeatureFlagClient<Remote> {
        FeatureFlagClient {
            core: Arc::new(self.core(Arc::new(store), None, Some(Turns::default()))),
            mode: Remote(()),
            writer: Ok(None),
        }
    }

    fn core(self, store: Arc<dyn FeatureFlagStore>, table: Option<Arc<FlagTable>>, turns: Option<Turns>) -> Core {
        let Self { clock, random, write_timeout, strict } = self;
        let environment = Environment { clock, random };
        Core { store, table, subscribers: Arc::default(), environment, write_timeout, strict, turns }
    }
}

impl<M: Clone> Clone for FeatureFlagClient<M> {
    fn clone(&self) -> Self {
        Self { core: self.core.clone(), mode: self.mode.clone(), writer: self.writer.clone() }
    }
}

impl<M> fmt::Debug for FeatureFlagClient<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeatureFlagClient").field("store", &self.core.store.to_string()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Local")
    }
}
