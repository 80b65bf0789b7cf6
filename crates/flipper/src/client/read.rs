#[cfg(feature = "testing")]
use std::any::Any;
use std::sync::Arc;

use super::{FeatureFlag, FeatureFlagClient, Local};
use crate::context::Attributes;
use crate::error::{Error, Result};
use crate::evaluation::{Environment, Evaluation, Exact, NO_ATTRIBUTES, NoLinks, Plan, Reason};
use crate::json::Json;
#[cfg(feature = "testing")]
use crate::overrides;
use crate::record::FlagRecord;
use crate::state::{Status, Stored};
use crate::table::{Answer, Changes, Entry, FlagTable, Slot, SlotRef, State};
use crate::targeting::Targeting;

/// Where checks are answered; only [`Local`] has them.
#[diagnostic::on_unimplemented(
    message = "this client has no flags in memory to check",
    label = "checks need flags in memory, and this client reads through its store each time",
    note = "pass the store to `FeatureFlagClient::new`, which holds its flags in memory",
    note = "or ask the store: `features.fetch_enabled(name, &context).await?`"
)]
pub trait Checks: sealed::Sealed {}

impl Checks for Local {}

mod sealed {
    use super::Local;

    pub trait Sealed: Clone {
        fn local(&self) -> &Local;
    }

    impl Sealed for Local {
        #[inline]
        fn local(&self) -> &Local {
            self
        }
    }
}

impl<M> FeatureFlagClient<M> {
    /// Whether the flag is enabled, without regard to conditions; `false` if it is missing or unreadable.
    #[inline]
    pub fn is_enabled(&self, name: &str) -> bool
    where
        M: Checks,
    {
        self.is_enabled_or(name, false)
    }

    /// As [`is_enabled`](Self::is_enabled), with another default than `false`.
    #[inline]
    pub fn is_enabled_or(&self, name: &str, default: bool) -> bool
    where
        M: Checks,
    {
        if let Some(answer) = self.overridden(name) {
            return answer;
        }
        self.table().slot(name).map_or(default, |slot| self.check(slot.get(), default, || name))
    }

    /// Whether the flag is enabled for these attributes; else as [`is_enabled`](Self::is_enabled).
    ///
    /// **A condition on an attribute that the context lacks is skipped**, unless flags are read [strictly](super::ClientBuilder::strict):
    /// pass all that the conditions name.
    ///
    /// ```
    /// # use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};
    /// # let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    /// use flipper::context;
    ///
    /// if features.is_enabled_with("NEW_CHECKOUT", &context! { user_id: 7, plan: "pro" }) {
    ///     // …
    /// }
    /// ```
    #[inline]
    pub fn is_enabled_with(&self, name: &str, context: &(impl Attributes + ?Sized)) -> bool
    where
        M: Checks,
    {
        if let Some(answer) = self.overridden(name) {
            return answer;
        }
        self.table().slot(name).is_some_and(|slot| self.check_with(name, slot, context, false))
    }

    /// The check, where `false` would say too little.
    #[doc(hidden)]
    #[inline]
    pub fn check_exactly(&self, name: &str, context: &(impl Attributes + ?Sized)) -> Exact
    where
        M: Checks,
    {
        if let Some(answer) = self.overridden(name) {
            return if answer { Exact::On } else { Exact::Off };
        }
        let Some(slot) = self.table().slot(name) else { return Exact::Missing };
        let answer = if context.is_empty() { slot.answer_without_context() } else { slot.answer_with_context() };
        match answer {
            Answer::ABSENT => Exact::Missing,
            Answer::OFF => Exact::Off,
            Answer::ON => Exact::On,
            _ => match slot.entry().as_ref().map(|entry| &entry.state) {
                Some(State::Present { plan, .. }) => plan.exact(name, context, &self.core.environment),
                Some(State::Absent | State::Corrupt(_)) | None => Exact::Missing,
            },
        }
    }

    /// The check, with the reason for its answer.
    ///
    /// ```
    /// # use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};
    /// # use flipper::evaluation::Reason;
    /// # let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    /// use flipper::context;
    ///
    /// let evaluation = features.evaluate("NEW_CHECKOUT", &context! { user_id: 7 });
    /// assert!(!evaluation.is_enabled);
    /// assert_eq!(evaluation.reason, Reason::NoSuchFlag);
    /// ```
    pub fn evaluate(&self, name: &str, context: &(impl Attributes + ?Sized)) -> Evaluation
    where
        M: Checks,
    {
        self.evaluate_or(name, context, false)
    }

    /// The check with its reason, without scores, and the flag that it read, for `read`: a clone of the flag's `Arc` would slow down other
    /// threads that check it. A flag that has nothing but a state and a date comes without its name, which would take an allocation.
    #[doc(hidden)]
    pub fn explain<T>(
        &self,
        name: &str,
        context: &(impl Attributes + ?Sized),
        read: impl FnOnce(&Evaluation, Option<&FlagRecord>) -> T,
    ) -> T
    where
        M: Checks,
    {
        self.explain_slot(name, self.table().slot(name), context, read)
    }

    /// Whether a flag is on that has nothing but a state and a date, so that no caller needs to be read. `None`: another flag, or none; or a
    /// test sets it.
    #[doc(hidden)]
    #[inline]
    pub fn plain_state(&self, name: &str) -> Option<bool>
    where
        M: Checks,
    {
        if self.overridden(name).is_some() {
            return None;
        }
        match self.table().slot(name)?.entry().as_deref()?.state {
            State::Present { ref record, .. } => record.plain_state(),
            State::Absent | State::Corrupt(_) => None,
        }
    }

    /// As [`explain`](Self::explain), with scores and attributes that are not given.
    #[doc(hidden)]
    pub fn evaluate_in_place<T>(
        &self,
        name: &str,
        context: &(impl Attributes + ?Sized),
        read: impl FnOnce(&Evaluation, Option<&FlagRecord>) -> T,
    ) -> T
    where
        M: Checks,
    {
        let evaluate = |plan: &Plan| plan.evaluate(name, context, &self.core.environment);
        self.read_slot(name, self.table().slot(name), evaluate, read)
    }

    pub(crate) fn explain_slot<T>(
        &self,
        name: &str,
        slot: Option<SlotRef<'_>>,
        context: &(impl Attributes + ?Sized),
        read: impl FnOnce(&Evaluation, Option<&FlagRecord>) -> T,
    ) -> T {
        self.read_slot(name, slot, |plan| plan.explain(name, context, &self.core.environment), read)
    }

    fn read_slot<T>(
        &self,
        name: &str,
        slot: Option<SlotRef<'_>>,
        evaluate: impl FnOnce(&Plan) -> Evaluation,
        read: impl FnOnce(&Evaluation, Option<&FlagRecord>) -> T,
    ) -> T {
        let entry = slot.map(|slot| slot.get().entry());
        let state = entry.as_ref().and_then(|entry| entry.as_deref()).map(|entry| &entry.state);
        let evaluation = match (self.overridden(name), state) {
            (Some(answer), _) => Evaluation::of(answer, Reason::Overridden),
            (None, Some(State::Present { plan, .. })) => evaluate(plan),
            (None, Some(State::Corrupt(_))) => Evaluation::of(false, Reason::Corrupt),
            (None, Some(State::Absent) | None) => Evaluation::of(false, Reason::NoSuchFlag),
        };
        match state {
            Some(State::Present { record, .. }) => record.read(|record| read(&evaluation, Some(record))),
            _ => read(&evaluation, None),
        }
    }

    pub(crate) fn evaluate_or(&self, name: &str, context: &(impl Attributes + ?Sized), default: bool) -> Evaluation
    where
        M: Checks,
    {
        if let Some(answer) = self.overridden(name) {
            return Evaluation::of(answer, Reason::Overridden);
        }
        let entry = self.table().slot(name).map(|slot| slot.entry());
        let entry = entry.as_ref().and_then(|entry| entry.as_deref());
        Entry::evaluate(entry, name, context, &self.core.environment, default)
    }

    /// Whether the flag exists, even if it is unreadable.
    #[must_use]
    pub fn exists(&self, name: &str) -> bool
    where
        M: Checks,
    {
        self.table().slot(name).is_some_and(|slot| slot.exists())
    }

    /// All metadata: `client_data`, `created_date`, `conditions`, `bucketer`, and foreign fields.
    ///
    /// # Errors
    ///
    /// `FlagNotFound`, or `Corrupt` if the flag is unreadable.
    pub fn meta(&self, name: &str) -> Result<Json>
    where
        M: Checks,
    {
        Ok(self.record(name)?.meta())
    }

    /// The data that `create` and `set_client_data` stored.
    ///
    /// # Errors
    ///
    /// As [`meta`](Self::meta).
    pub fn client_data(&self, name: &str) -> Result<Json>
    where
        M: Checks,
    {
        Ok(self.record(name)?.client_data().clone())
    }

    /// The whole flag, from memory.
    ///
    /// # Errors
    ///
    /// As [`meta`](Self::meta).
    pub fn record(&self, name: &str) -> Result<Arc<FlagRecord>>
    where
        M: Checks,
    {
        self.readable(name, self.table().get(name))
    }

    pub(crate) fn readable(&self, name: &str, stored: Option<Stored>) -> Result<Arc<FlagRecord>> {
        match stored {
            Some(stored) => stored.readable().cloned().map_err(|error| error.with_store(&self.core.store)),
            None => Err(self.not_found(name)),
        }
    }

    /// Handles of all flags, ordered by name, without [segments](Self::segments).
    ///
    /// ```
    /// # use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};
    /// # let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    /// for flag in features.list() {
    ///     println!("{} {}", flag.name(), flag.is_enabled());
    /// }
    /// let second_page = features.list().into_iter().skip(50).take(50);
    /// ```
    #[must_use]
    pub fn list(&self) -> Vec<FeatureFlag<M>>
    where
        M: Checks,
    {
        let mut slots: Vec<_> = self.table().slots().filter(|slot| slot.exists() && !slot.is_segment()).collect();
        slots.sort_unstable_by(|a, b| a.name().cmp(b.name()));
        slots.into_iter().map(|slot| FeatureFlag::of_slot(self.clone(), slot)).collect()
    }

    /// How current the flags in memory are, and which are unreadable.
    #[must_use]
    pub fn status(&self) -> Status
    where
        M: Checks,
    {
        self.mode.local().store.status()
    }

    /// Waits until the store's flags are first in memory. Those of a snapshot file count; they may be [stale](Self::status).
    ///
    /// **It may wait for ever**: an unreachable store is tried again. Set a limit, such as `tokio::time::timeout`, to start without flags;
    /// until they arrive checks return their defaults.
    ///
    /// # Errors
    ///
    /// If they can no longer arrive.
    pub async fn ready(&self) -> Result<()>
    where
        M: Checks,
    {
        self.mode.local().store.ready().await
    }

    /// Ends the store's background work, releases connections and files. Checks go on; writes are `Unavailable`.
    ///
    /// # Errors
    ///
    /// If something could not be released cleanly.
    pub async fn close(&self) -> Result<()> {
        self.core.store.close().await
    }

    /// Every change from now on, by any writer; own writes alone go to [`subscribe`](Self::subscribe).
    pub fn changes(&self) -> Changes
    where
        M: Checks,
    {
        self.mode.local().table.changes()
    }

    /// The flag as the store has it, or `None`.
    ///
    /// # Errors
    ///
    /// The store's, and `Corrupt` if the flag is unreadable.
    pub async fn fetch(&self, name: &str) -> Result<Option<Arc<FlagRecord>>> {
        let stored = self.core.store.get(name).await?;
        stored.map(|stored| self.readable(name, Some(stored))).transpose()
    }

    /// The check through the store, or a cache before it; `false` if the flag is missing.
    ///
    /// # Errors
    ///
    /// As [`fetch`](Self::fetch).
    pub async fn fetch_enabled(&self, name: &str, context: &(impl Attributes + ?Sized)) -> Result<bool> {
        self.fetch_enabled_or(name, context, false).await
    }

    pub(crate) async fn fetch_enabled_or(
        &self,
        name: &str,
        context: &(impl Attributes + ?Sized),
        default: bool,
    ) -> Result<bool> {
        if let Some(answer) = self.overridden(name) {
            return Ok(answer);
        }
        let Some(stored) = self.core.store.get_cached(name).await? else { return Ok(default) };
        let record = stored.readable().map_err(|error| error.with_store(&self.core.store))?;
        if record.targeting().is_some_and(Targeting::has_links) {
            let table = self.with_links(stored).await?;
            let slot = table.slot(name);
            return Ok(slot.is_some_and(|slot| self.evaluate_slot(name, &slot, context, default)));
        }
        Ok(Plan::new(name, record, self.core.strict, &NoLinks).is_enabled(name, context, &self.core.environment))
    }

    pub(crate) fn local(&self) -> FeatureFlagClient
    where
        M: Checks,
    {
        FeatureFlagClient { core: self.core.clone(), mode: self.mode.local().clone(), writer: self.writer.clone() }
    }

    #[cfg(feature = "tower")]
    pub(crate) fn has_same_flags(&self, other: &Self) -> bool
    where
        M: Checks,
    {
        std::ptr::eq(self.table(), other.table())
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.core.environment
    }

    #[cfg(feature = "testing")]
    #[inline]
    pub(crate) fn overridden(&self, name: &str) -> Option<bool> {
        if overrides::is_anything_overridden() { overrides::overridden(self.flags_address(), name) } else { None }
    }

    #[cfg(not(feature = "testing"))]
    #[inline(always)]
    #[expect(clippy::unused_self, reason = "it is as if nothing were ever overridden")]
    pub(crate) fn overridden(&self, _name: &str) -> Option<bool> {
        None
    }

    /// Shared by all clients of these flags, and no others.
    #[cfg(feature = "testing")]
    pub(crate) fn flags(&self) -> Arc<dyn Any + Send + Sync> {
        match &self.core.table {
            Some(table) => table.clone(),
            None => self.core.clone(),
        }
    }

    #[cfg(feature = "testing")]
    pub(crate) fn flags_address(&self) -> usize {
        match &self.core.table {
            Some(table) => Arc::as_ptr(table).addr(),
            None => Arc::as_ptr(&self.core).addr(),
        }
    }

    #[inline]
    pub(crate) fn table(&self) -> &FlagTable
    where
        M: Checks,
    {
        &self.mode.local().table
    }

    /// A handle's name is read only where the flag is evaluated.
    #[inline]
    pub(crate) fn check<'a>(&self, slot: &Slot, default: bool, name: impl FnOnce() -> &'a str) -> bool {
        match slot.answer_without_context() {
            Answer::EVALUATE => self.evaluate_slot(name(), slot, &NO_ATTRIBUTES, default),
            answer => answer.is_on(default),
        }
    }

    #[inline]
    pub(crate) fn check_with(
        &self,
        name: &str,
        slot: SlotRef<'_>,
        context: &(impl Attributes + ?Sized),
        default: bool,
    ) -> bool {
        match slot.answer_with_context() {
            Answer::EVALUATE => self.ask_with(name, slot, context, default),
            answer => answer.is_on(default),
        }
    }

    #[inline]
    fn ask_with(&self, name: &str, slot: SlotRef<'_>, context: &(impl Attributes + ?Sized), default: bool) -> bool {
        match slot.sole().and_then(|sole| sole.answer(context)) {
            Some(answer) => answer,
            None => self.evaluate_slot(name, slot.get(), context, default),
        }
    }

    #[inline(never)]
    fn evaluate_slot(&self, name: &str, slot: &Slot, context: &(impl Attributes + ?Sized), default: bool) -> bool {
        match slot.entry().as_ref().map(|entry| &entry.state) {
            Some(State::Present { plan, .. }) => plan.is_enabled(name, context, &self.core.environment),
            Some(State::Absent | State::Corrupt(_)) | None => default,
        }
    }

    pub(super) fn not_found(&self, name: &str) -> Error {
        Error::not_found(name).with_store(&self.core.store)
    }
}
