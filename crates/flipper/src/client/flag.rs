use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::Serialize;

use super::{Checks, FeatureFlagClient, History, Local};
use crate::bucketing::Bucketer;
use crate::conditions::Condition;
use crate::context::Attributes;
use crate::error::Result;
use crate::evaluation::{Brief, Evaluation, Ready};
use crate::json::Json;
use crate::record::FlagRecord;
use crate::table::{SlotHandle, SlotRef};

/// A flag, bound to its name; made by [`FeatureFlagClient::get`]. It has the client's methods without the name.
///
/// The flag need not exist: the handle finds it once it does, also after it was destroyed. Then a check is one atomic load.
///
/// ```
/// # use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
/// let flag = features.get("MY_FEATURE");
/// assert!(!flag.is_enabled());
///
/// features.create("MY_FEATURE").await?;
/// flag.enable().await?;
/// assert!(flag.is_enabled());
/// # Ok::<(), flipper::Error>(()) }).unwrap();
/// ```
///
/// # Errors
///
/// Those of the client's methods, such as [`FeatureFlagClient::enable`].
#[derive(Clone)]
pub struct FeatureFlag<M = Local> {
    client: FeatureFlagClient<M>,
    name: Arc<str>,
    slot: OnceLock<SlotHandle>,
    default: bool,
}

impl<M> FeatureFlag<M> {
    pub(crate) fn new(client: FeatureFlagClient<M>, name: String) -> Self {
        Self { client, name: name.into(), slot: OnceLock::new(), default: false }
    }

    pub(crate) fn of_slot(client: FeatureFlagClient<M>, slot: SlotRef<'_>) -> Self {
        Self { client, name: slot.name().into(), slot: OnceLock::from(slot.to_handle()), default: false }
    }

    /// Sets the answer for a flag that is missing or unreadable; `false` by default.
    ///
    /// ```
    /// # use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};
    /// let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    /// let flag = features.get("OLD_SEARCH").with_default(true);
    /// assert!(flag.is_enabled());
    /// ```
    #[must_use]
    pub fn with_default(mut self, default: bool) -> Self {
        self.default = default;
        self
    }

    /// The flag's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn default_answer(&self) -> bool {
        self.default
    }

    pub(crate) fn client(&self) -> &FeatureFlagClient<M> {
        &self.client
    }

    #[cfg(feature = "tower")]
    pub(crate) fn has_conditions(&self) -> bool
    where
        M: Checks,
    {
        self.slot().is_some_and(|slot| slot.has_conditions())
    }

    #[inline]
    pub(super) fn slot(&self) -> Option<&SlotHandle>
    where
        M: Checks,
    {
        match self.slot.get() {
            Some(slot) => Some(slot),
            None => self.find_slot(),
        }
    }

    #[cold]
    fn find_slot(&self) -> Option<&SlotHandle>
    where
        M: Checks,
    {
        let slot = self.client.table().slot(&self.name)?;
        Some(self.slot.get_or_init(|| slot.to_handle()))
    }

    /// Whether the flag is enabled, without regard to conditions; else the [default](Self::with_default).
    #[inline]
    pub fn is_enabled(&self) -> bool
    where
        M: Checks,
    {
        self.is_enabled_or(self.default)
    }

    /// As [`is_enabled`](Self::is_enabled), with another default.
    #[inline]
    pub fn is_enabled_or(&self, default: bool) -> bool
    where
        M: Checks,
    {
        if let Some(answer) = self.client.overridden(&self.name) {
            return answer;
        }
        self.slot().map_or(default, |slot| self.client.check(slot, default, || &self.name))
    }

    /// Whether it is enabled for these attributes; see [`FeatureFlagClient::is_enabled_with`].
    #[inline]
    pub fn is_enabled_with(&self, context: &(impl Attributes + ?Sized)) -> bool
    where
        M: Checks,
    {
        if let Some(answer) = self.client.overridden(&self.name) {
            return answer;
        }
        let default = self.default;
        self.slot().map_or(default, |slot| self.client.check_with(&self.name, slot.as_ref(), context, default))
    }

    /// The check, with the reason for its answer.
    pub fn evaluate(&self, context: &(impl Attributes + ?Sized)) -> Evaluation
    where
        M: Checks,
    {
        self.client.evaluate_or(&self.name, context, self.default)
    }

    /// See [`FeatureFlagClient::explain`].
    #[doc(hidden)]
    pub fn explain<T>(
        &self,
        context: &(impl Attributes + ?Sized),
        read: impl FnOnce(&Evaluation, Option<&FlagRecord>) -> T,
    ) -> T
    where
        M: Checks,
    {
        self.client.explain_slot(&self.name, self.slot().map(SlotHandle::as_ref), context, read)
    }

    /// The flag as it is now, if it still is this record, not another that is equal.
    #[doc(hidden)]
    pub fn ready(&self, record: &Arc<FlagRecord>) -> Option<Ready>
    where
        M: Checks,
    {
        Ready::of(self.slot()?.entry().as_deref()?.plan_of(record)?)
    }

    /// As [`explain`](Self::explain) was then, at a third of its cost; `None` where it has to be asked. The attributes have different names.
    #[doc(hidden)]
    pub fn explain_briefly(&self, ready: &Ready, context: &(impl Attributes + ?Sized)) -> Option<Brief>
    where
        M: Checks,
    {
        if self.client.overridden(&self.name).is_some() { None } else { ready.brief(context) }
    }

    /// Whether the flag exists, even if it is unreadable.
    #[must_use]
    pub fn exists(&self) -> bool
    where
        M: Checks,
    {
        self.client.exists(&self.name)
    }

    /// All metadata.
    pub fn meta(&self) -> Result<Json>
    where
        M: Checks,
    {
        self.client.meta(&self.name)
    }

    /// The client data.
    pub fn client_data(&self) -> Result<Json>
    where
        M: Checks,
    {
        self.client.client_data(&self.name)
    }

    /// The whole flag, from memory.
    pub fn record(&self) -> Result<Arc<FlagRecord>>
    where
        M: Checks,
    {
        self.client.record(&self.name)
    }

    /// The flag as the store has it.
    pub async fn fetch(&self) -> Result<Option<Arc<FlagRecord>>> {
        self.client.fetch(&self.name).await
    }

    /// The changes of this flag, the newest first; see [`FeatureFlagClient::history`].
    #[must_use]
    pub fn history(&self) -> History {
        self.client.history(&self.name)
    }

    /// The check through the store.
    pub async fn fetch_enabled(&self, context: &(impl Attributes + ?Sized)) -> Result<bool> {
        self.client.fetch_enabled_or(&self.name, context, self.default).await
    }
}

impl<M: Clone + Send + Sync + 'static> FeatureFlag<M> {
    /// Enables the flag.
    pub async fn enable(&self) -> Result<()> {
        self.client.enable(&self.name).await
    }

    /// Disables the flag.
    pub async fn disable(&self) -> Result<()> {
        self.client.disable(&self.name).await
    }

    /// Flips the flag; returns the new state.
    pub async fn toggle(&self) -> Result<bool> {
        self.client.toggle(&self.name).await
    }

    /// Destroys the flag. The handle stays valid for a new flag of the name.
    pub async fn destroy(&self) -> Result<()> {
        self.client.destroy(&self.name).await
    }

    /// Merges top-level keys into the client data.
    pub async fn set_client_data(&self, data: impl Serialize) -> Result<()> {
        self.client.set_client_data(&self.name, data).await
    }

    /// Adds a condition.
    pub async fn add_condition(&self, condition: Condition) -> Result<()> {
        self.client.add_condition(&self.name, condition).await
    }

    /// Replaces all conditions.
    pub async fn set_conditions(&self, conditions: impl IntoIterator<Item = Condition>) -> Result<()> {
        self.client.set_conditions(&self.name, conditions).await
    }

    /// Sets the bucketer.
    pub async fn set_bucketer(&self, bucketer: impl Into<Bucketer>) -> Result<()> {
        self.client.set_bucketer(&self.name, bucketer).await
    }

    /// Changes several properties in one atomic write.
    pub async fn update(&self, change: impl FnMut(&mut FlagRecord) -> Result<()> + Send) -> Result<()> {
        self.client.update(&self.name, change).await
    }
}

impl<M> AsRef<str> for FeatureFlag<M> {
    fn as_ref(&self) -> &str {
        &self.name
    }
}

impl<M> fmt::Debug for FeatureFlag<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeatureFlag").field("name", &self.name).field("client", &self.client).finish()
    }
}
