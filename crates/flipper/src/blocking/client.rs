//! The client, with calls that wait.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::wait::{wait, wait_until};
use super::{Changes, Create, FeatureFlag};
use crate::bucketing::Bucketer;
use crate::client::{self, Checks, Local, Remote};
use crate::conditions::Condition;
use crate::context::Attributes;
use crate::error::{Error, ErrorKind, Result};
use crate::json::Object;
use crate::record::FlagRecord;
use crate::state::{Precondition, Version};
use crate::store::FeatureFlagStore;

/// A [`FeatureFlagClient`](crate::FeatureFlagClient) whose calls wait, instead of being awaited. Checks, and all else that is no
/// `async` function there, are those of that client, to which this one dereferences.
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
/// Cheap to clone; clones share flags and subscribers. Made of a client by `From` too; then a store of your own must not need
/// the runtime that it was made in, if calls are to be made on that runtime's only thread. The stores of this crate need none.
pub struct FeatureFlagClient<M = Local> {
    client: client::FeatureFlagClient<M>,
}

/// A client for the store that a URL names, when its flags are in memory; see [`flipper::connect`](crate::connect).
///
/// # Errors
///
/// As [`flipper::connect`](crate::connect), and `Unsupported` on flipper's own thread.
pub fn connect(url: &str) -> Result<FeatureFlagClient> {
    wait(client::connect(url)).map(FeatureFlagClient::from)
}

impl FeatureFlagClient {
    /// A client of the store that the closure makes, in a place that has tokio's timers and sockets.
    ///
    /// # Errors
    ///
    /// `Unsupported` on flipper's own thread.
    pub fn new<F>(make: impl FnOnce() -> F) -> Result<Self>
    where
        F: Future<Output: FeatureFlagStore>,
    {
        Self::try_new(|| async { Ok(make().await) })
    }

    /// The same for a store whose making can fail.
    ///
    /// # Errors
    ///
    /// The closure's, and `Unsupported` on flipper's own thread.
    pub fn try_new<F, S: FeatureFlagStore>(make: impl FnOnce() -> F) -> Result<Self>
    where
        F: Future<Output = Result<S>>,
    {
        wait(async { make().await }).map(|store| client::FeatureFlagClient::new(store).into())
    }
}

impl FeatureFlagClient<Remote> {
    /// A client that reads through the store each time; see
    /// [`FeatureFlagClient::remote`](crate::FeatureFlagClient::remote).
    ///
    /// # Errors
    ///
    /// `Unsupported` on flipper's own thread.
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

    /// Waits until the store's flags are in memory for the first time, for as long as that takes.
    ///
    /// # Errors
    ///
    /// If that cannot happen any more.
    pub fn ready(&self) -> Result<()> {
        wait(self.client.ready())
    }

    /// Waits until the store's flags are in memory for the first time, but not for longer than this.
    ///
    /// # Errors
    ///
    /// If that cannot happen any more, and `Unavailable` when the time is over; the store goes on trying.
    pub fn ready_timeout(&self, timeout: Duration) -> Result<()> {
        // A time beyond what the clock can tell is as good as none.
        wait_until(Instant::now().checked_add(timeout), self.client.ready())?.unwrap_or_else(|| {
            Err(Error::new(ErrorKind::Unavailable)
                .with_message(format!("the store's flags did not come within {timeout:?}")))
        })
    }

    /// Ends the store's background work; see [`FeatureFlagClient::close`](crate::FeatureFlagClient::close).
    ///
    /// # Errors
    ///
    /// If something could not be released in good order.
    pub fn close(&self) -> Result<()> {
        wait(self.client.close())
    }

    /// Every change from now on, whoever makes it: an iterator that waits for the next one.
    pub fn changes(&self) -> Changes {
        Changes::new(self.client.changes())
    }
}

impl<M: Clone> FeatureFlagClient<M> {
    /// A handle for the flag of this name. The flag need not exist, and nothing is created.
    #[must_use]
    pub fn get(&self, name: impl Into<String>) -> FeatureFlag<M> {
        self.client.get(name).into()
    }
}

impl<M> FeatureFlagClient<M> {
    /// The flag as the store has it, or `None`.
    ///
    /// # Errors
    ///
    /// What the store says, and `Corrupt` if the stored flag cannot be read.
    pub fn fetch(&self, name: &str) -> Result<Option<Arc<FlagRecord>>> {
        wait(self.client.fetch(name))
    }

    /// The check through the store; a cache in front of it may answer. `false` if the flag does not exist.
    ///
    /// # Errors
    ///
    /// What the store says, and `Corrupt` if the stored flag cannot be read.
    pub fn fetch_enabled(&self, name: &str, context: &(impl Attributes + ?Sized)) -> Result<bool> {
        wait(self.client.fetch_enabled(name, context))
    }
}

impl<M: Clone + Send + Sync + Unpin + 'static> FeatureFlagClient<M> {
    /// Creates a flag, disabled unless [`enabled(true)`](Create::enabled) is said, when [`wait`](Create::wait) is called.
    pub fn create(&self, name: impl Into<String>) -> Create<M> {
        Create::new(self.client.create(name))
    }

    /// Enables the flag.
    ///
    /// # Errors
    ///
    /// As [`FeatureFlagClient::enable`](crate::FeatureFlagClient::enable); so have all writes.
    pub fn enable(&self, name: &str) -> Result<()> {
        wait(self.client.enable(name))
    }

    /// Disables the flag.
    ///
    /// # Errors
    ///
    /// As [`enable`](Self::enable).
    pub fn disable(&self, name: &str) -> Result<()> {
        wait(self.client.disable(name))
    }

    /// Enables the flag if it is disabled, and disables it if it is enabled; gives what it is now.
    ///
    /// # Errors
    ///
    /// As [`enable`](Self::enable).
    pub fn toggle(&self, name: &str) -> Result<bool> {
        wait(self.client.toggle(name))
    }

    /// Destroys the flag, also one that cannot be read.
    ///
    /// # Errors
    ///
    /// As [`enable`](Self::enable).
    pub fn destroy(&self, name: &str) -> Result<()> {
        wait(self.client.destroy(name))
    }

    /// Merges the top-level keys of `data` into the flag's client data; a value that is there is replaced.
    ///
    /// # Errors
    ///
    /// As [`FeatureFlagClient::set_client_data`](crate::FeatureFlagClient::set_client_data).
    pub fn set_client_data(&self, name: &str, data: impl Serialize) -> Result<()> {
        wait(self.client.set_client_data(name, data))
    }

    /// As [`set_client_data`](Self::set_client_data), with data that may hold what serde cannot.
    ///
    /// # Errors
    ///
    /// As [`set_client_data`](Self::set_client_data).
    pub fn merge_client_data(&self, name: &str, data: &Object) -> Result<()> {
        wait(self.client.merge_client_data(name, data))
    }

    /// Adds a condition; all conditions of a flag must hold.
    ///
    /// # Errors
    ///
    /// As [`enable`](Self::enable).
    pub fn add_condition(&self, name: &str, condition: Condition) -> Result<()> {
        wait(self.client.add_condition(name, condition))
    }

    /// Replaces all conditions.
    ///
    /// # Errors
    ///
    /// As [`enable`](Self::enable).
    pub fn set_conditions(&self, name: &str, conditions: impl IntoIterator<Item = Condition>) -> Result<()> {
        wait(self.client.set_conditions(name, conditions))
    }

    /// Sets the bucketer, which decides for which share of the checks or users the flag is on.
    ///
    /// # Errors
    ///
    /// As [`enable`](Self::enable).
    pub fn set_bucketer(&self, name: &str, bucketer: impl Into<Bucketer>) -> Result<()> {
        wait(self.client.set_bucketer(name, bucketer))
    }

    /// Changes several things of a flag in one atomic write; see
    /// [`FeatureFlagClient::update`](crate::FeatureFlagClient::update).
    ///
    /// # Errors
    ///
    /// As [`enable`](Self::enable), and the closure's.
    pub fn update(&self, name: &str, change: impl FnMut(&mut FlagRecord) -> Result<()> + Send) -> Result<()> {
        wait(self.client.update(name, change))
    }

    /// Writes a record as it is, if the precondition holds; see [`FeatureFlagClient::put`](crate::FeatureFlagClient::put).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn put(&self, record: &FlagRecord, when: Precondition) -> Result<Version> {
        wait(self.client.put(record, when))
    }

    /// Deletes the flag if the precondition holds; see [`FeatureFlagClient::delete`](crate::FeatureFlagClient::delete).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn delete(&self, name: &str, when: Precondition) -> Result<Version> {
        wait(self.client.delete(name, when))
    }
}

/// Every check and read, and what takes a client of the other kind: `override_flags!`, `flags!`, layers.
// Not for brevity alone: two hand-kept lists of methods would drift apart.
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
