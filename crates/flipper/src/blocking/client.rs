use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::{StreamExt, TryStreamExt};
use serde::Serialize;

use super::wait::{wait, wait_until};
use super::{Changes, Create, FeatureFlag};
use crate::bucketing::Bucketer;
use crate::client::{self, Checks, Local, Remote};
use crate::conditions::Condition;
use crate::context::Attributes;
use crate::error::{Error, Result};
use crate::json::Object;
use crate::record::FlagRecord;
use crate::state::{Cause, Entry, Precondition, Version, WriteOptions};
use crate::store::FeatureFlagStore;
use crate::targeting::{Prerequisite, Rule, Schedule, Variants, When};

/// A [`FeatureFlagClient`](crate::FeatureFlagClient) whose calls block. It dereferences to that client, which has all that is not `async`.
///
/// ```
/// use flipper::blocking::FeatureFlagClient;
/// use flipper::{MemoryFeatureFlagStore, context};
///
/// let features = FeatureFlagClient::new(|| async { MemoryFeatureFlagStore::new() })?;
///
/// features.create("MY_FEATURE").enabled(true).wait()?;
/// assert!(features.is_enabled_with("MY_FEATURE", &context! { user_id: 7 }));
/// # Ok::<(), flipper::Error>(())
/// ```
///
/// Cheap to clone; clones share flags and subscribers. `From` converts an async client, whose store must work without the runtime it was
/// made in, if that runtime's only thread makes blocking calls. This crate's do.
///
/// # Errors
///
/// Those of the `async` methods of the same names, and `Unsupported` on flipper's own thread.
pub struct FeatureFlagClient<M = Local> {
    client: client::FeatureFlagClient<M>,
}

/// A client for the store that a URL names, once its flags are in memory; see [`flipper::connect`](crate::connect).
///
/// # Errors
///
/// As [`flipper::connect`](crate::connect), and `Unsupported` on flipper's own thread.
pub fn connect(url: &str) -> Result<FeatureFlagClient> {
    wait(client::connect(url)).map(FeatureFlagClient::from)
}

impl FeatureFlagClient {
    /// A client of the store that the closure makes. The closure runs where tokio's timers and sockets work.
    pub fn new<F>(make: impl FnOnce() -> F) -> Result<Self>
    where
        F: Future<Output: FeatureFlagStore>,
    {
        Self::try_new(|| async { Ok(make().await) })
    }

    /// As [`new`](Self::new), if the closure can fail.
    ///
    /// # Errors
    ///
    /// The closure's error.
    pub fn try_new<F, S: FeatureFlagStore>(make: impl FnOnce() -> F) -> Result<Self>
    where
        F: Future<Output = Result<S>>,
    {
        wait(async { make().await }).map(|store| client::FeatureFlagClient::new(store).into())
    }
}

impl FeatureFlagClient<Remote> {
    /// A client that reads through the store.
    pub fn remote<F>(make: impl FnOnce() -> F) -> Result<Self>
    where
        F: Future<Output: FeatureFlagStore>,
    {
        wait(async { Ok(make().await) }).map(|store| client::FeatureFlagClient::remote(store).into())
    }
}

impl<M: Checks> FeatureFlagClient<M> {
    /// Handles of all flags, ordered by name.
    #[must_use]
    pub fn list(&self) -> Vec<FeatureFlag<M>> {
        self.client.list().into_iter().map(FeatureFlag::from).collect()
    }

    /// Waits, without a limit, until the store's flags are first in memory.
    ///
    /// # Errors
    ///
    /// If they can no longer arrive.
    pub fn ready(&self) -> Result<()> {
        wait(self.client.ready())
    }

    /// As [`ready`](Self::ready), for at most this time.
    ///
    /// # Errors
    ///
    /// If they can no longer arrive, or `Unavailable` after this time; the store keeps trying.
    pub fn ready_timeout(&self, timeout: Duration) -> Result<()> {
        // Beyond the clock's range there is no deadline.
        wait_until(Instant::now().checked_add(timeout), self.client.ready())?
            .unwrap_or_else(|| Err(Error::unavailable(format!("the store's flags did not come within {timeout:?}"))))
    }

    /// Ends the store's background work.
    pub fn close(&self) -> Result<()> {
        wait(self.client.close())
    }

    /// Every change from now on: an iterator that waits for the next one.
    pub fn changes(&self) -> Changes {
        Changes::new(self.client.changes())
    }
}

impl<M: Clone> FeatureFlagClient<M> {
    /// This client, with writes by this actor; see [`as_actor`](crate::FeatureFlagClient::as_actor).
    #[must_use]
    pub fn as_actor(&self, actor: impl AsRef<str>) -> Self {
        self.client.as_actor(actor).into()
    }

    /// This client, with writes for this reason; see [`because`](crate::FeatureFlagClient::because).
    #[must_use]
    pub fn because(&self, reason: impl AsRef<str>) -> Self {
        self.client.because(reason).into()
    }

    /// This client, with writes from this source; see [`with_source`](crate::FeatureFlagClient::with_source).
    #[must_use]
    pub fn with_source(&self, source: impl AsRef<str>) -> Self {
        self.client.with_source(source).into()
    }

    /// This client, with writes of this cause; see [`with_cause`](crate::FeatureFlagClient::with_cause).
    #[must_use]
    pub fn with_cause(&self, cause: impl Into<Arc<Cause>>) -> Self {
        self.client.with_cause(cause).into()
    }

    /// A handle for the flag of this name, which need not exist.
    #[must_use]
    pub fn get(&self, name: impl Into<String>) -> FeatureFlag<M> {
        self.client.get(name).into()
    }
}

impl<M> FeatureFlagClient<M> {
    /// The flag as the store has it.
    pub fn fetch(&self, name: &str) -> Result<Option<Arc<FlagRecord>>> {
        wait(self.client.fetch(name))
    }

    /// The newest changes of this flag, up to a number.
    pub fn history(&self, name: &str, most: usize) -> Result<Vec<Entry>> {
        wait(self.client.history(name).take(most).try_collect())
    }

    /// The newest changes of all flags whose time is not before this one, up to a number.
    pub fn history_of_all(&self, since: impl Into<Option<SystemTime>>, most: usize) -> Result<Vec<Entry>> {
        wait(self.client.history_of_all(since).take(most).try_collect())
    }

    /// The check through the store, or a cache before it; `false` if the flag is missing.
    pub fn fetch_enabled(&self, name: &str, context: &(impl Attributes + ?Sized)) -> Result<bool> {
        wait(self.client.fetch_enabled(name, context))
    }
}

impl<M: Clone + Send + Sync + Unpin + 'static> FeatureFlagClient<M> {
    /// Creates a disabled flag when [`wait`](Create::wait) is called.
    pub fn create(&self, name: impl Into<String>) -> Create<M> {
        Create::new(self.client.create(name))
    }

    /// Enables the flag.
    pub fn enable(&self, name: &str) -> Result<()> {
        wait(self.client.enable(name))
    }

    /// Disables the flag.
    pub fn disable(&self, name: &str) -> Result<()> {
        wait(self.client.disable(name))
    }

    /// Flips the flag; returns the new state.
    pub fn toggle(&self, name: &str) -> Result<bool> {
        wait(self.client.toggle(name))
    }

    /// Destroys the flag, even an unreadable one.
    pub fn destroy(&self, name: &str) -> Result<()> {
        wait(self.client.destroy(name))
    }

    /// Merges the top-level keys of `data` into the client data.
    pub fn set_client_data(&self, name: &str, data: impl Serialize) -> Result<()> {
        wait(self.client.set_client_data(name, data))
    }

    /// As [`set_client_data`](Self::set_client_data), for data that serde cannot represent.
    pub fn merge_client_data(&self, name: &str, data: &Object) -> Result<()> {
        wait(self.client.merge_client_data(name, data))
    }

    /// Adds a condition.
    pub fn add_condition(&self, name: &str, condition: Condition) -> Result<()> {
        wait(self.client.add_condition(name, condition))
    }

    /// Replaces all conditions.
    pub fn set_conditions(&self, name: &str, conditions: impl IntoIterator<Item = Condition>) -> Result<()> {
        wait(self.client.set_conditions(name, conditions))
    }

    /// Sets the bucketer.
    pub fn set_bucketer(&self, name: &str, bucketer: impl Into<Bucketer>) -> Result<()> {
        wait(self.client.set_bucketer(name, bucketer))
    }

    /// Replaces the rules.
    pub fn set_rules(&self, name: &str, rules: impl IntoIterator<Item = Rule>) -> Result<()> {
        wait(self.client.set_rules(name, rules))
    }

    /// Adds a rule after the others.
    pub fn add_rule(&self, name: &str, rule: Rule) -> Result<()> {
        wait(self.client.add_rule(name, rule))
    }

    /// Sets the variants.
    pub fn set_variants(&self, name: &str, variants: impl Into<Option<Variants>> + Send) -> Result<()> {
        wait(self.client.set_variants(name, variants))
    }

    /// Sets the flags that must be on.
    pub fn set_prerequisites(&self, name: &str, flags: impl IntoIterator<Item = Prerequisite>) -> Result<()> {
        wait(self.client.set_prerequisites(name, flags))
    }

    /// Sets the schedule.
    pub fn set_schedule(&self, name: &str, schedule: impl Into<Option<Schedule>> + Send) -> Result<()> {
        wait(self.client.set_schedule(name, schedule))
    }

    /// Creates or replaces a segment.
    pub fn set_segment(&self, segment: &str, when: impl Into<When> + Send) -> Result<()> {
        wait(self.client.set_segment(segment, when))
    }

    /// Deletes a segment.
    pub fn delete_segment(&self, segment: &str) -> Result<()> {
        wait(self.client.delete_segment(segment))
    }

    /// Changes several properties in one atomic write.
    pub fn update(&self, name: &str, change: impl FnMut(&mut FlagRecord) -> Result<()> + Send) -> Result<()> {
        wait(self.client.update(name, change))
    }

    /// Writes a record as it is, under a precondition.
    pub fn put(&self, record: &FlagRecord, when: Precondition) -> Result<Version> {
        wait(self.client.put(record, when))
    }

    /// Writes a record as it is, with the verb and the cause of these options alone.
    pub fn put_as(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
        wait(self.client.put_as(record, options))
    }

    /// Writes many records, with a result for each.
    pub fn put_all(&self, records: &[FlagRecord], when: Precondition) -> Result<Vec<Result<Version>>> {
        wait(async { Ok(self.client.put_all(records, when).await) })
    }

    /// Writes many records, with the verb and the cause of these options alone.
    pub fn put_all_as(&self, records: &[FlagRecord], options: WriteOptions) -> Result<Vec<Result<Version>>> {
        wait(async { Ok(self.client.put_all_as(records, options).await) })
    }

    /// Makes the flag what it was before this entry, if nothing has changed it since.
    pub fn restore(&self, name: &str, entry: &Entry) -> Result<()> {
        wait(self.client.restore(name, entry))
    }

    /// Deletes the flag, under a precondition.
    pub fn delete(&self, name: &str, when: Precondition) -> Result<Version> {
        wait(self.client.delete(name, when))
    }

    /// Deletes the flag, with the verb and the cause of these options alone.
    pub fn delete_as(&self, name: &str, options: WriteOptions) -> Result<Version> {
        wait(self.client.delete_as(name, options))
    }
}

/// All checks and reads; and what `override_flags!`, `flags!` and layers take.
// A second list of methods would drift apart from the first.
impl<M> Deref for FeatureFlagClient<M> {
    type Target = client::FeatureFlagClient<M>;

    fn deref(&self) -> &Self::Target {
        &self.client
    }
}

impl<M> From<client::FeatureFlagClient<M>> for FeatureFlagClient<M> {
    fn from(client: client::FeatureFlagClient<M>) -> Self {
        Self { client }
    }
}

impl<M: Clone> Clone for FeatureFlagClient<M> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone() }
    }
}

impl<M> fmt::Debug for FeatureFlagClient<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("blocking::FeatureFlagClient").field(&self.client).finish()
    }
}
