#![expect(clippy::unwrap_used, reason = "a test, though not in a test function")]

use std::collections::BTreeMap;
use std::fmt;
use std::future::{pending, ready};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use flipper::history::{HistoryPage, HistoryQuery};
use flipper::store::{
    Capabilities, FlagStream, FlagTable, LocalFeatureFlagStore, Precondition, Stored, Version, Watch, WatchEvent,
    WriteOptions, validate_name, watch_by_polling,
};
use flipper::{Error, ErrorKind, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore, Result};
use futures_util::{Stream, StreamExt, stream};

use super::Fault as F;

#[derive(Debug)]
pub(crate) struct Faulty {
    pub(crate) fault: F,
    pub(crate) right: MemoryFeatureFlagStore,
    /// The number of writes to each flag since its creation.
    ages: Mutex<BTreeMap<String, u64>>,
    pub(crate) before: Mutex<Vec<Stored>>,
    pub(crate) once: AtomicBool,
    pub(crate) stale_table: Arc<FlagTable>,
}

impl Faulty {
    pub(crate) fn new(fault: F) -> Self {
        Self {
            fault,
            right: MemoryFeatureFlagStore::new(),
            ages: Mutex::default(),
            before: Mutex::default(),
            once: AtomicBool::new(false),
            stale_table: Arc::default(),
        }
    }

    pub(crate) fn kept(fault: F) -> (Self, MemoryFeatureFlagStore) {
        let store = Self::new(fault);
        let kept = store.right.clone();
        (store, kept)
    }

    /// Opens another store on the kept flags.
    pub(crate) fn reopen(fault: F) -> impl AsyncFn(&MemoryFeatureFlagStore) -> Self + Send + 'static {
        async move |kept: &MemoryFeatureFlagStore| {
            let mut store = Self::new(fault);
            match fault {
                F::NeverSaves => {}
                F::VersionsStartOver => {
                    for flag in kept.table().list() {
                        store.right.put(&flag.record.unwrap(), Precondition::Any.into()).await.unwrap();
                    }
                }
                _ => store.right = kept.clone(),
            }
            store
        }
    }

    fn current(&self, name: &str) -> Option<Stored> {
        self.right.table().get(name)
    }

    pub(crate) fn plant(&self, name: &str, value: &[u8]) {
        self.right.table().apply(Stored::from_json(name, Version::ordered(0), value));
    }

    fn remember(&self) {
        *self.before.lock().unwrap() = self.right.table().list();
    }

    /// A flag as the fault shows it.
    fn shown(&self, mut stored: Stored) -> Stored {
        stored.version = match self.fault {
            F::VersionIsConstant => Version::opaque(b"1"),
            F::VersionCountsPerLife => {
                Version::ordered(self.ages.lock().unwrap().get(&stored.name).copied().unwrap_or(0))
            }
            _ => stored.version,
        };
        let Ok(record) = &stored.record else { return stored };
        let text = record.to_json();
        match self.fault {
            F::GetLosesUnknownFields => {
                let mut known = FlagRecord::new(record.name(), record.created_date().unwrap_or(0));
                known.set_enabled(record.is_enabled());
                known.set_client_data(record.client_data().as_object().cloned().unwrap_or_default());
                stored.record = Ok(Arc::new(known));
                stored
            }
            F::LargeRecordsAreCut if text.len() > 65_536 => {
                Stored::from_json(stored.name, stored.version, &text.as_bytes()[..65_536])
            }
            _ => stored,
        }
    }

    /// Translates a condition on a version as shown into one on the real version.
    fn real_condition(&self, name: &str, when: Precondition) -> Result<Precondition> {
        let current = self.current(name);
        match (self.fault, &when, current) {
            (F::VersionIsConstant | F::VersionCountsPerLife, Precondition::Unchanged(version), Some(current)) => {
                let real = current.version.clone();
                let same = self.shown(current).version == *version;
                if same { Ok(Precondition::Unchanged(real)) } else { Err(Error::new(ErrorKind::Conflict)) }
            }
            _ => Ok(when),
        }
    }

    fn options(&self, given: WriteOptions, when: Precondition) -> WriteOptions {
        let mut options = if self.fault == F::HistoryForgetsWhy { when.clone().into() } else { given };
        options.when = when;
        options
    }

    /// Lets other writers run in the middle of what should be one step.
    async fn give_way(&self) {
        tokio::task::yield_now().await;
        std::thread::sleep(Duration::from_millis(1));
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Faulty({:?})", self.fault)
    }
}

#[async_trait]
impl FeatureFlagStore for Faulty {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        match self.fault {
            F::GetHangs => pending().await,
            F::GetErrorsOnMissing if self.current(name).is_none() => Err(Error::new(ErrorKind::FlagNotFound)),
            F::GetErrorsOnForeignName => validate_name(name).map(|()| self.current(name)),
            F::CorruptIsHidden => Ok(self.current(name).filter(|stored| stored.record.is_ok())),
            F::GetLags => Ok(self.before.lock().unwrap().iter().find(|stored| stored.name == name).cloned()),
            F::NamesIgnoreCase => {
                Ok(self.current(&name.to_lowercase()).map(|stored| Stored { name: name.into(), ..stored }))
            }
            _ => Ok(self.right.get(name).await?.map(|stored| self.shown(stored))),
        }
    }

    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
        let name = record.name();
        let current = self.current(name);
        let mut record = record.clone();
        let mut when = self.real_condition(name, options.when.clone())?;
        self.remember();
        match self.fault {
            F::PutAnyCreatesOnly if when == Precondition::Any => when = Precondition::Absent,
            F::PutIgnoresAbsent if when == Precondition::Absent => when = Precondition::Any,
            F::CorruptIsAbsent if current.as_ref().is_some_and(|stored| stored.record.is_err()) => {
                when = Precondition::Any;
            }
            F::PutIgnoresUnchanged => when = Precondition::Any,
            F::PutOfTheSameConflicts
                if current.as_ref().is_some_and(|stored| stored.record.as_deref() == Ok(&record)) =>
            {
                return Err(Error::new(ErrorKind::Conflict));
            }
            F::PutChecksThenWrites => {
                if !when.holds(current.map(|stored| stored.version).as_ref()) {
                    return Err(Error::new(ErrorKind::Conflict));
                }
                self.give_way().await;
                when = Precondition::Any;
            }
            F::PutDeletesFirst if current.is_some() => {
                self.right.delete(name, when.into()).await?;
                self.give_way().await;
                when = Precondition::Any;
            }
            F::PutIgnoresInvalidNames if validate_name(name).is_err() => return Ok(Version::ordered(1)),
            F::PutTouchesOthers => {
                for other in self.right.table().list().into_iter().filter(|other| other.name != name) {
                    self.right.put(&other.record.unwrap(), Precondition::Any.into()).await?;
                }
            }
            F::NamesIgnoreCase => {
                let lower = record.to_json().replace(name, &name.to_lowercase());
                record = FlagRecord::from_json(lower)?;
            }
            F::DeleteLeavesATombstone
                if when == Precondition::Absent && self.ages.lock().unwrap().contains_key(name) =>
            {
                return Err(Error::new(ErrorKind::Conflict));
            }
            _ => {}
        }
        let version = self.right.put(&record, self.options(options, when)).await?;
        *self.ages.lock().unwrap().entry(name.to_owned()).or_default() += 1;
        if self.fault == F::PutReturnsAnotherVersion {
            return Ok(Version::ordered(version.as_ordered().unwrap() + 1));
        }
        Ok(self.current(name).map_or(version, |stored| self.shown(stored).version))
    }

    async fn delete(&self, name: &str, options: WriteOptions) -> Result<Version> {
        let current = self.current(name);
        let mut when = self.real_condition(name, options.when.clone())?;
        self.remember();
        match self.fault {
            F::DeleteDoesNothing => return Ok(Version::ordered(0)),
            F::DeleteErrorsOnMissing if current.is_none() => return Err(Error::new(ErrorKind::FlagNotFound)),
            F::CorruptCannotBeDeleted if current.as_ref().is_some_and(|stored| stored.record.is_err()) => {
                return Err(Error::new(ErrorKind::Corrupt));
            }
            F::DeleteIgnoresUnchanged if matches!(when, Precondition::Unchanged(_)) => when = Precondition::Any,
            F::DeleteIgnoresAbsent if when == Precondition::Absent => when = Precondition::Any,
            F::DeleteChecksThenWrites => {
                if !when.holds(current.map(|stored| stored.version).as_ref()) {
                    return Err(Error::new(ErrorKind::Conflict));
                }
                self.give_way().await;
                when = Precondition::Any;
            }
            F::DeleteHitsLongerNames => {
                for other in self.right.table().list().into_iter().filter(|other| other.name.starts_with(name)) {
                    self.right.delete(&other.name, Precondition::Any.into()).await?;
                }
                when = Precondition::Any;
            }
            F::DeleteErrorsOnForeignName => validate_name(name)?,
            F::DroppedDeleteComesLate => {
                let (right, name) = (self.right.clone(), name.to_owned());
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_micros(200));
                    futures_executor::block_on(right.delete(&name, Precondition::Any.into()))
                });
                self.give_way().await;
            }
            _ => {}
        }
        if self.fault != F::DeleteLeavesATombstone {
            self.ages.lock().unwrap().remove(name);
        }
        self.right.delete(name, self.options(options, when)).await
    }

    async fn list(&self) -> Result<Vec<Stored>> {
        let mut all = self.right.list().await?.into_iter().map(|stored| self.shown(stored)).collect::<Vec<_>>();
        match self.fault {
            F::ListErrorsOnEmpty if all.is_empty() => return Err(Error::new(ErrorKind::FlagNotFound)),
            F::CorruptFailsTheList if all.iter().any(|stored| stored.record.is_err()) => {
                return Err(Error::new(ErrorKind::Corrupt));
            }
            F::ListHidesSlashes => all.retain(|stored| !stored.name.contains('/')),
            F::ListIsReversed => all.reverse(),
            F::ListHasOneTwice => all.extend(all.last().cloned()),
            F::ListLags => all = self.before.lock().unwrap().clone(),
            F::ListHasOnePage => all.truncate(1_000),
            _ => {}
        }
        Ok(all)
    }

    fn watch(&self) -> Watch<'_> {
        let watch = watch_by_polling(&self.right, Duration::from_millis(5));
        match self.fault {
            F::WatchBeginsWithoutReset => Box::pin(watch.skip(1)),
            F::WatchIsSilentOfPuts => without(watch, |event| matches!(event, WatchEvent::Changed { .. })),
            F::WatchIsSilentOfDeletes => without(watch, |event| matches!(event, WatchEvent::Removed { .. })),
            F::WatchBeginsLate => {
                // Loses the writes between the list and the first poll.
                let reset = WatchEvent::Reset { flags: self.right.table().list(), read_at: None, valid_for: None };
                Box::pin(stream::iter([reset]).chain(watch.skip(1)))
            }
            F::WatchListsThenWaits => {
                let listed = async {
                    let flags = self.right.table().list();
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    let reset = WatchEvent::Reset { flags, read_at: None, valid_for: None };
                    stream::iter([reset]).chain(watch.skip(1))
                };
                Box::pin(stream::once(listed).flatten())
            }
            F::WatchRemovesBeforeChanges => Box::pin(watch.flat_map(|event| {
                let removed = match &event {
                    WatchEvent::Changed { flag, .. } => {
                        Some(WatchEvent::Removed { name: flag.name.clone(), version: None, read_at: None })
                    }
                    _ => None,
                };
                stream::iter(removed.into_iter().chain([event]))
            })),
            F::WatchIsOneBehind => {
                let behind = |held: &mut Option<WatchEvent>, event| {
                    let is_change = matches!(event, WatchEvent::Changed { .. } | WatchEvent::Removed { .. });
                    ready(Some(if is_change { held.replace(event) } else { Some(event) }))
                };
                Box::pin(watch.scan(None, behind).filter_map(ready))
            }
            F::WatchIsShared if self.once.swap(true, Ordering::Relaxed) => {
                Box::pin(watch.take(1).chain(stream::pending()))
            }
            F::WatchEnds => Box::pin(watch.take(6)),
            _ => watch,
        }
    }

    async fn get_cached(&self, name: &str) -> Result<Option<Stored>> {
        if self.fault == F::GetCachedHasNothing { Ok(None) } else { self.get(name).await }
    }

    async fn history(&self, query: &HistoryQuery) -> Result<HistoryPage> {
        let mut query = query.clone();
        match self.fault {
            F::HistoryOfOneHasAll => query.name = None,
            F::HistoryRepeatsPages => query.before = None,
            F::HistoryIgnoresSince => query.since = None,
            _ => {}
        }
        let mut page = self.right.history(&query).await?;
        match self.fault {
            F::HistoryLosesDeletes => page.entries.retain(|entry| entry.after.is_some()),
            F::HistoryIsReordered => page.entries.reverse(),
            _ => {}
        }
        Ok(page)
    }

    async fn put_all(&self, records: &[FlagRecord], options: WriteOptions) -> Vec<Result<Version>> {
        let mut results: Vec<Result<Version>> = Vec::new();
        for record in records {
            if self.fault == F::PutAllStopsAtAnError && results.iter().any(Result::is_err) {
                results.push(Err(Error::new(ErrorKind::Conflict)));
            } else {
                results.push(self.put(record, options.clone()).await);
            }
            if self.fault == F::HistoryOfAllIsOneEntry {
                // The others bypass the history.
                for record in &records[1..] {
                    let (name, record) = (record.name().to_owned(), Ok(Arc::new(record.clone())));
                    self.right.table().apply(Stored { name, version: Version::ordered(1), record });
                    results.push(Ok(Version::ordered(1)));
                }
                break;
            }
        }
        match self.fault {
            F::PutAllIsReversed => results.reverse(),
            F::TableForgetsPutAll => self.right.table().reset(Vec::new()),
            _ => {}
        }
        results
    }

    fn stream(&self) -> FlagStream<'_> {
        let mut flags = self.right.table().list();
        match self.fault {
            F::StreamHasOnePage => flags.truncate(1_000),
            F::StreamHasOneTwice => flags.extend(flags.last().cloned()),
            F::CorruptEndsTheStream => {
                flags.truncate(flags.iter().position(|stored| stored.record.is_err()).unwrap_or(flags.len()));
            }
            _ => {}
        }
        Box::pin(stream::iter(flags.into_iter().map(|stored| Ok(self.shown(stored)))))
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.right.capabilities();
        capabilities.history &= self.fault != F::HistoryIsHidden;
        capabilities
    }

    async fn close(&self) -> Result<()> {
        match self.fault {
            F::CloseForgetsFlags => self.right.table().reset(Vec::new()),
            F::CloseTakesWrites => return Ok(()),
            F::CloseTwiceFails if self.once.swap(true, Ordering::Relaxed) => {
                return Err(Error::new(ErrorKind::Unavailable));
            }
            _ => {}
        }
        self.right.close().await
    }
}

fn without<'a>(
    watch: Watch<'a>,
    unwanted: fn(&WatchEvent) -> bool,
) -> Pin<Box<dyn Stream<Item = WatchEvent> + Send + 'a>> {
    Box::pin(watch.filter(move |event| ready(!unwanted(event))))
}
