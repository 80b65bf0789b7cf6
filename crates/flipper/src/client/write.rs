//! Writes: each reads the flag, changes it, and puts it if it is unchanged, until that succeeds.

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use serde::Serialize;

use super::warnings::{warn_of_conditions, warn_of_python};
use super::{Create, FeatureFlagClient};
use crate::background;
use crate::bucketing::{AnyPercentage, Bucketer};
use crate::conditions::Condition;
use crate::error::{Error, ErrorKind, Result};
use crate::events::{Verb, WriteEvent};
use crate::json::{Json, Object};
use crate::pause::Pause;
use crate::record::{FlagRecord, validate_name};
use crate::state::{Precondition, Stored, Version, WriteOptions};
use crate::store::FeatureFlagStore;
use crate::targeting::seconds;

/// After a conflict.
const PAUSE: Pause = Pause::new(Duration::from_millis(1), Duration::from_millis(100));

/// A turn that is longer is not waited for: code of the program may run in it, and wait for this very write.
const LONGEST_TURN: Duration = Duration::from_secs(5);

impl<M: Clone + Send + Sync + 'static> FeatureFlagClient<M> {
    /// Creates a flag, disabled without [`enabled(true)`](Create::enabled), once awaited. An existing one is `FlagExists`; see
    /// [`Create::or_get`] and [`Create::replace`].
    pub fn create(&self, name: impl Into<String>) -> Create<M> {
        Create::new(self.clone(), name.into())
    }

    /// Enables the flag, now: a [schedule](FlagRecord::schedule) that would keep it off is dropped.
    ///
    /// # Errors
    ///
    /// `FlagNotFound`, `Corrupt`, `Conflict` after the write timeout, `Vetoed`, and the store's; so for all writes.
    pub async fn enable(&self, name: &str) -> Result<()> {
        let now = self.now();
        self.change(name, |record| {
            record.switch(true, now);
            Ok(Verb::Enable)
        })
        .await
    }

    /// Disables the flag.
    pub async fn disable(&self, name: &str) -> Result<()> {
        self.change(name, |record| {
            record.set_enabled(false);
            Ok(Verb::Disable)
        })
        .await
    }

    /// Flips the flag; returns the new state.
    pub async fn toggle(&self, name: &str) -> Result<bool> {
        let mut enabled = false;
        let now = self.now();
        self.change(name, |record| {
            enabled = !record.is_on_at(now);
            record.switch(enabled, now);
            Ok(if enabled { Verb::Enable } else { Verb::Disable })
        })
        .await?;
        Ok(enabled)
    }

    /// Destroys the flag, even an unreadable one.
    pub async fn destroy(&self, name: &str) -> Result<()> {
        self.write(name, |_| Ok((Verb::Destroy, None))).await
    }

    /// Merges the top-level keys of `data` into the client data; existing values are replaced.
    ///
    /// ```
    /// # use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    /// use serde_json::json;
    ///
    /// features.create("MY_FEATURE").client_data(json!({ "owner": "horses" })).await?;
    /// features.set_client_data("MY_FEATURE", json!({ "ttl": 3600 })).await?;
    /// assert_eq!(features.client_data("MY_FEATURE")?.to_string(), r#"{"owner": "horses", "ttl": 3600}"#);
    /// # Ok::<(), flipper::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`enable`](Self::enable), and `InvalidInput` if `data` is no object, cannot be JSON, or makes the client data exceed 256 KiB.
    pub async fn set_client_data(&self, name: &str, data: impl Serialize) -> Result<()> {
        let object = object(&data).map_err(|error| error.with_flag(name))?;
        // So the future is `Send` even if `data` is not.
        drop(data);
        self.merge_client_data(name, &object).await
    }

    /// As [`set_client_data`](Self::set_client_data), for data that serde cannot represent: `NaN`, lone surrogates.
    pub async fn merge_client_data(&self, name: &str, data: &Object) -> Result<()> {
        self.change(name, |record| {
            record.merge_client_data(data)?;
            let merged = record.client_data().as_object().cloned().unwrap_or_default();
            Ok(Verb::SetClientData(merged))
        })
        .await
    }

    /// Adds a condition; all conditions of a flag must hold.
    pub async fn add_condition(&self, name: &str, condition: Condition) -> Result<()> {
        self.change(name, move |record| {
            record.add_condition(condition.clone());
            Ok(Verb::AddCondition(condition.clone()))
        })
        .await
    }

    /// Replaces all conditions.
    pub async fn set_conditions(&self, name: &str, conditions: impl IntoIterator<Item = Condition>) -> Result<()> {
        let conditions: Vec<_> = conditions.into_iter().collect();
        self.change(name, move |record| {
            record.set_conditions(conditions.clone());
            Ok(Verb::SetConditions(conditions.clone()))
        })
        .await
    }

    /// Sets the bucketer, which decides for which share of checks or users the flag is on.
    ///
    /// # Errors
    ///
    /// As [`enable`](Self::enable), and `InvalidInput` for a percentage outside 0 to 1.
    pub async fn set_bucketer(&self, name: &str, bucketer: impl Into<Bucketer>) -> Result<()> {
        let bucketer = bucketer.into();
        self.change(name, move |record| {
            record.set_bucketer(bucketer.clone());
            Ok(Verb::SetBucketer(bucketer.clone()))
        })
        .await
    }

    /// Changes several properties in one atomic write. The closure is called again if the flag changes in between. Its error ends the
    /// write; nothing is written.
    ///
    /// ```
    /// # use flipper::{FeatureFlagClient, MemoryFeatureFlagStore, Condition};
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    /// # features.create("MY_FEATURE").await?;
    /// features
    ///     .update("MY_FEATURE", |record| {
    ///         record.set_enabled(true);
    ///         record.set_conditions(vec![Condition::new().eq("plan", "pro")]);
    ///         Ok(())
    ///     })
    ///     .await?;
    /// # Ok::<(), flipper::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`enable`](Self::enable), and the closure's error.
    pub async fn update(&self, name: &str, mut change: impl FnMut(&mut FlagRecord) -> Result<()> + Send) -> Result<()> {
        self.change(name, move |record| {
            change(record)?;
            Ok(Verb::Update)
        })
        .await
    }

    /// Writes a record as it is, if the precondition holds: for servers. Only its name is checked. The [`Verb`] is `Update` with
    /// `Precondition::Unchanged`, else `Create`.
    ///
    /// # Errors
    ///
    /// `Conflict`, `InvalidName`, `Vetoed`, and the store's.
    pub async fn put(&self, record: &FlagRecord, when: Precondition) -> Result<Version> {
        validate_name(record.name())?;
        self.put_as(record, self.options_of_put(when)?).await
    }

    /// As [`put`](Self::put), with the verb and the cause of these options alone: for servers that pass on what their callers say.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put).
    pub async fn put_as(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
        let verb = verb_of_put(record, &options.when);
        validate_name(record.name())?;
        let core = &*self.core;
        self.announce(record.name(), verb, async {
            warn_of_python(&*core.store, record);
            let version = core.store.put(record, options).await?;
            self.warn_of_links(record).await;
            Ok(version)
        })
        .await
    }

    /// Many records, with a result for each, as [`put`](Self::put) and [`FeatureFlagStore::put_all`].
    ///
    /// # Errors
    ///
    /// Each as [`put`](Self::put).
    pub async fn put_all(&self, records: &[FlagRecord], when: Precondition) -> Vec<Result<Version>> {
        match self.options_of_put(when) {
            Ok(options) => self.put_all_as(records, options).await,
            Err(error) => records.iter().map(|record| Err(error.copy().with_flag(record.name()))).collect(),
        }
    }

    /// As [`put_all`](Self::put_all), with the verb and the cause of these options alone.
    ///
    /// # Errors
    ///
    /// Each as [`put`](Self::put).
    pub async fn put_all_as(&self, records: &[FlagRecord], options: WriteOptions) -> Vec<Result<Version>> {
        let core = &*self.core;
        let when = options.when.clone();
        let event = |record: &FlagRecord| WriteEvent::new(record.name(), verb_of_put(record, &when));
        let events: Vec<_> = records.iter().map(event).collect();
        let check = |event: &WriteEvent| validate_name(event.name()).and_then(|()| core.subscribers.pre(event));
        let refused: Vec<_> = events.iter().map(|event| check(event).err()).collect();
        let kept: Vec<_> =
            records.iter().zip(&refused).filter(|(_, refused)| refused.is_none()).map(|it| it.0.clone()).collect();
        kept.iter().for_each(|record| warn_of_python(&*core.store, record));
        let mut written = core.store.put_all(&kept, options).await.into_iter();
        let results = events.iter().zip(refused).map(|(event, refused)| {
            let name = event.name();
            if let Some(refused) = refused {
                return Err(refused);
            }
            let missing = || Err(Error::unavailable("the store returned no result"));
            let version = written.next().unwrap_or_else(missing);
            let version = version.map_err(|error| error.with_flag(name).with_store(&core.store))?;
            core.subscribers.post(event);
            Ok(version)
        });
        let results: Vec<_> = results.collect();
        for (record, _) in records.iter().zip(&results).filter(|(_, result)| result.is_ok()) {
            self.warn_of_links(record).await;
        }
        results
    }

    /// Deletes the flag, even an unreadable one, under a precondition.
    ///
    /// # Errors
    ///
    /// `FlagNotFound`, and those of [`put`](Self::put).
    pub async fn delete(&self, name: &str, when: Precondition) -> Result<Version> {
        self.delete_as(name, WriteOptions::from(when).with_verb(Verb::Destroy.name()).with_cause(self.cause()?)).await
    }

    /// As [`delete`](Self::delete), with the verb and the cause of these options alone.
    ///
    /// # Errors
    ///
    /// As [`delete`](Self::delete).
    pub async fn delete_as(&self, name: &str, options: WriteOptions) -> Result<Version> {
        self.announce(name, Verb::Destroy, self.core.store.delete(name, options)).await
    }

    /// The history has what it did.
    fn options_of_put(&self, when: Precondition) -> Result<WriteOptions> {
        Ok(WriteOptions::from(when).with_cause(self.cause()?))
    }

    pub(super) async fn announce(
        &self,
        name: &str,
        verb: Verb,
        write: impl Future<Output = Result<Version>>,
    ) -> Result<Version> {
        let core = &*self.core;
        let event = WriteEvent::new(name, verb);
        core.subscribers.pre(&event)?;
        let version = write.await.map_err(|error| error.with_flag(name).with_store(&core.store))?;
        core.subscribers.post(&event);
        Ok(version)
    }

    /// Seconds since 1970.
    pub(super) fn now(&self) -> i64 {
        seconds(self.core.environment.clock.now())
    }

    pub(super) async fn change(
        &self,
        name: &str,
        mut change: impl FnMut(&mut FlagRecord) -> Result<Verb> + Send,
    ) -> Result<()> {
        self.write(name, move |stored| {
            let before = stored.readable()?;
            let mut record = FlagRecord::clone(before);
            // The key is the flag's name; the one in the stored text may be another flag's.
            record.set_name(name);
            let verb = change(&mut record)?;
            record.validate_change(before)?;
            check_bucketer(before, &record)?;
            Ok((verb, Some(record)))
        })
        .await
    }

    /// `change` returns `None` to delete the flag. Tries until the write times out.
    pub(super) async fn write(
        &self,
        name: &str,
        mut change: impl FnMut(&Stored) -> Result<(Verb, Option<FlagRecord>)> + Send,
    ) -> Result<()> {
        let core = &*self.core;
        let place = |error: Error| error.with_flag(name).with_store(&core.store);
        validate_name(name)?;
        let cause = self.cause().map_err(place)?;
        let begin_timeout = || {
            let now = Instant::now();
            // Beyond the clock's range a day is enough.
            now.checked_add(core.write_timeout).unwrap_or(now + Duration::from_secs(86_400))
        };
        let mut deadline = begin_timeout();
        let mut pause = PAUSE;
        let mut announced = false;
        // Taken after the first call of the program's code, which may itself write the flag.
        let mut turn = None;
        // Memory usually suffices, and saves a call; if it is old, the put is a conflict.
        let mut known = self.known(name).await?;
        loop {
            let stored = match known.take() {
                Some(stored) => stored,
                None => core.store.get(name).await?.ok_or_else(|| self.not_found(name))?,
            };
            let (verb, record) = change(&stored).map_err(place)?;
            if let Some(record) = &record {
                self.check_links(record, stored.record.as_deref().ok()).await.map_err(place)?;
            }
            let event = WriteEvent::new(name, verb);
            if !std::mem::replace(&mut announced, true) {
                core.subscribers.pre(&event)?;
            }
            if let (None, Some(turns)) = (&turn, &core.turns) {
                let mut next = pin!(turns.take(name));
                turn = next.as_mut().now_or_never();
                if turn.is_none() {
                    turn = turns.wait(name, next, LONGEST_TURN).await;
                    if turn.is_some() {
                        // It was not tried yet, and by now another write has changed the flag.
                        deadline = begin_timeout();
                        known = self.known(name).await?;
                        continue;
                    }
                }
            }
            if let Some(record) = &record {
                warn_of_python(&*core.store, record);
                warn_of_conditions(&stored, record);
            }
            let mut unchanged = WriteOptions::from(Precondition::Unchanged(stored.version)).with_cause(cause.clone());
            // Of an update the history has what it did.
            unchanged.verb = Some(event.verb().name()).filter(|_| *event.verb() != Verb::Update);
            let written = match &record {
                Some(record) => core.store.put(record, unchanged).await,
                None => core.store.delete(name, unchanged).await,
            };
            match written {
                Ok(_) => {
                    drop(turn);
                    core.subscribers.post(&event);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Conflict => match pause.next_before(deadline) {
                    Some(pause) => background::sleep(pause).await,
                    None => return Err(place(error)),
                },
                Err(error) => return Err(place(error)),
            }
        }
    }

    async fn known(&self, name: &str) -> Result<Option<Stored>> {
        let known = match &self.core.table {
            Some(table) => table.get(name),
            None => self.core.store.get_cached(name).await?,
        };
        Ok(known.filter(|stored| stored.record.is_ok()))
    }
}

fn verb_of_put(record: &FlagRecord, when: &Precondition) -> Verb {
    match when {
        Precondition::Unchanged(_) => Verb::Update,
        Precondition::Absent | Precondition::Any => {
            Verb::Create { is_enabled: record.is_enabled(), client_data: Some(record.client_data().clone()) }
        }
    }
}

/// Refuses a new percentage outside 0 to 1. Foreign ones stay.
fn check_bucketer(before: &FlagRecord, after: &FlagRecord) -> Result<()> {
    let checked = after.bucketer().percentage().map_or(Ok(()), AnyPercentage::check);
    checked.or_else(|error| if before.bucketer() == after.bucketer() { Ok(()) } else { Err(error) })
}

pub(super) fn object(data: &impl Serialize) -> Result<Object> {
    match Json::from_serialize(data)? {
        Json::Object(object) => Ok(object),
        other => Err(Error::invalid_input(format!("client data must be an object, not {}", other.type_name()))),
    }
}
