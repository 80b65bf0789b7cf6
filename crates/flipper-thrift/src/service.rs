//! The calls, over a store.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use flipper::__thrift as convert;
use flipper::{Error, ErrorKind, FeatureFlagStore, FlagRecord, Precondition, Result, Stored};
use flipper_thrift_protocol::feature_flag_store::{
    FeatureFlagStoreItem, FeatureFlagStoreMeta, FeatureFlagStoreSyncHandler, FlagPage, FlagState, FlagVersion, JSON,
    WatchResult, WritePrecondition,
};
use tokio::runtime::{EnterGuard, Handle};

use crate::hub::Hub;

/// The most flags, and about the most bytes, of one page of `ReadFlags`.
const PAGE_FLAGS: usize = 10_000;
const PAGE_BYTES: usize = 4 << 20;

/// The longest that `Watch` waits.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

pub(crate) struct Service {
    store: Arc<dyn FeatureFlagStore>,
    runtime: Handle,
    call_timeout: Duration,
    hub: Arc<Hub>,
    followed: OnceLock<()>,
}

impl Service {
    pub(crate) fn new(store: Arc<dyn FeatureFlagStore>, runtime: Handle, call_timeout: Duration) -> Self {
        Self { store, runtime, call_timeout, hub: Arc::default(), followed: OnceLock::new() }
    }

    /// For a thread that answers calls: stores whose driver looks for a runtime find one.
    pub(crate) fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Waits for the store, on this thread, but not for ever.
    fn wait<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        let mut future = pin!(future);
        // What is in memory is there at once, and needs no timer.
        if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return result;
        }
        let limited = async { tokio::time::timeout(self.call_timeout, future).await };
        self.runtime.block_on(limited).unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Unavailable).with_message("store did not answer in time").with_store(&self.store))
        })
    }

    fn get(&self, name: &str) -> Result<Option<Stored>> {
        self.wait(self.store.get(name))
    }

    /// Reads the flag and writes what `change` makes of it, until nobody wrote in between or the time is over.
    fn change(
        &self,
        name: &str,
        missing: impl Fn() -> Result<FlagRecord>,
        change: impl Fn(&mut FlagRecord) -> Result<()>,
    ) -> Result<()> {
        let deadline = Instant::now() + self.call_timeout;
        let mut pause = FIRST_PAUSE;
        loop {
            let (mut record, when) = match self.get(name)? {
                Some(stored) => (FlagRecord::clone(readable(&stored)?), Precondition::Unchanged(stored.version)),
                None => (missing()?, Precondition::Absent),
            };
            convert::set_name(&mut record, name);
            change(&mut record)?;
            convert::check(&record)?;
            match self.wait(self.store.put(&record, when)) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Conflict && Instant::now() < deadline => {
                    // Which of the writers waits longer is left to chance, or they would meet again.
                    std::thread::sleep(pause.mul_f64(fastrand::f64()));
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn readable(stored: &Stored) -> Result<&Arc<FlagRecord>> {
    stored.record.as_ref().map_err(|corrupt| Error::from(corrupt.clone()).with_flag(&stored.name))
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    i64::try_from(now).unwrap_or(i64::MAX)
}

fn given<T>(argument: Option<T>, name: &str) -> Result<T> {
    argument.ok_or_else(|| invalid(format!("{name} is missing")))
}

fn count(argument: Option<i64>, name: &str, default: usize) -> Result<usize> {
    match argument {
        None => Ok(default),
        Some(number) => usize::try_from(number).map_err(|_| invalid(format!("{name} is negative"))),
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput).with_message(message)
}

fn not_found(name: &str) -> Error {
    Error::new(ErrorKind::FlagNotFound).with_flag(name)
}

fn reply<T>(result: Result<T>) -> thrift::Result<T> {
    result.map_err(|error| {
        if error.kind() == ErrorKind::Unavailable {
            tracing::warn!(%error, "store is unavailable");
        }
        thrift::Error::from(convert::to_exception(&error))
    })
}

impl FeatureFlagStoreSyncHandler for Service {
    fn handle_create(
        &self,
        feature_name: Option<String>,
        is_enabled: Option<bool>,
        client_data: Option<JSON>,
    ) -> thrift::Result<FeatureFlagStoreItem> {
        reply((|| {
            let name = given(feature_name, "feature_name")?;
            let mut record = FlagRecord::new(&*name, now());
            record.set_enabled(is_enabled.unwrap_or_default());
            record.set_client_data(convert::client_data(client_data.as_deref())?);
            convert::check(&record)?;
            self.wait(self.store.put(&record, Precondition::Any))?;
            Ok(convert::to_item(&name, &record))
        })())
    }

    fn handle_get(&self, feature_name: Option<String>) -> thrift::Result<FeatureFlagStoreItem> {
        reply((|| {
            let name = given(feature_name, "feature_name")?;
            let stored = self.get(&name)?.ok_or_else(|| not_found(&name))?;
            Ok(convert::to_item(&name, readable(&stored)?))
        })())
    }

    fn handle_set(&self, feature_name: Option<String>, is_enabled: Option<bool>) -> thrift::Result<()> {
        reply((|| {
            let name = given(feature_name, "feature_name")?;
            let is_enabled = given(is_enabled, "is_enabled")?;
            self.change(
                &name,
                || Ok(FlagRecord::new(&*name, now())),
                |record| {
                    record.set_enabled(is_enabled);
                    Ok(())
                },
            )
        })())
    }

    fn handle_delete(&self, feature_name: Option<String>) -> thrift::Result<()> {
        reply((|| {
            let name = given(feature_name, "feature_name")?;
            self.wait(self.store.delete(&name, Precondition::Any))?;
            Ok(())
        })())
    }

    fn handle_list(&self, limit: Option<i64>, offset: Option<i64>) -> thrift::Result<Vec<FeatureFlagStoreItem>> {
        reply((|| {
            let limit = count(limit, "limit", usize::MAX)?;
            let offset = count(offset, "offset", 0)?;
            let flags = self.wait(self.store.list())?;
            // One flag that cannot be read must not keep a client from all others; Get says what is wrong with it.
            let readable = flags.iter().filter_map(|stored| Some((&stored.name, stored.record.as_ref().ok()?)));
            Ok(readable.skip(offset).take(limit).map(|(name, record)| convert::to_item(name, record)).collect())
        })())
    }

    fn handle_set_meta(&self, feature_name: Option<String>, meta: Option<FeatureFlagStoreMeta>) -> thrift::Result<()> {
        reply((|| {
            let name = given(feature_name, "feature_name")?;
            let meta = given(meta, "meta")?;
            self.change(&name, || Err(not_found(&name)), |record| convert::apply_meta(record, &meta))
        })())
    }

    fn handle_set_client_data(&self, feature_name: Option<String>, client_data: Option<JSON>) -> thrift::Result<()> {
        reply((|| {
            let name = given(feature_name, "feature_name")?;
            let data = convert::client_data(client_data.as_deref())?;
            self.change(&name, || Err(not_found(&name)), |record| record.merge_client_data(&data))
        })())
    }

    fn handle_read_flag(&self, feature_name: Option<String>) -> thrift::Result<FlagState> {
        reply((|| {
            let name = given(feature_name, "feature_name")?;
            let stored = self.get(&name)?;
            Ok(stored.as_ref().map_or_else(|| convert::absent_state(name, None), convert::to_state))
        })())
    }

    fn handle_read_flags(&self, after: Option<String>, limit: Option<i64>) -> thrift::Result<FlagPage> {
        reply((|| {
            let limit = count(limit, "limit", PAGE_FLAGS)?.clamp(1, PAGE_FLAGS);
            let flags = self.wait(self.store.list())?;
            let start = after.map_or(0, |after| flags.partition_point(|flag| *flag.name <= *after));
            let mut page = Vec::new();
            let mut bytes = 0;
            for stored in &flags[start..] {
                if page.len() == limit || bytes > PAGE_BYTES {
                    break;
                }
                let state = convert::to_state(stored);
                bytes += state.record.as_ref().map_or(0, String::len);
                page.push(state);
            }
            let more = page.len() < flags.len() - start;
            Ok(FlagPage { flags: Some(page), more: Some(more) })
        })())
    }

    fn handle_compare_and_set(
        &self,
        feature_name: Option<String>,
        precondition: Option<WritePrecondition>,
        record: Option<JSON>,
    ) -> thrift::Result<FlagVersion> {
        reply((|| {
            let name = given(feature_name, "feature_name")?;
            let when = precondition.as_ref().map_or(Ok(Precondition::Any), convert::from_precondition)?;
            let version = match record {
                None => self.wait(self.store.delete(&name, when))?,
                Some(text) => {
                    let record = FlagRecord::from_json(text).map_err(|error| {
                        invalid(format!(
                            "record cannot be read: {}",
                            convert::to_exception(&error).message.unwrap_or_default()
                        ))
                    })?;
                    if record.name() != name {
                        return Err(invalid("record is of another flag than feature_name".to_owned()));
                    }
                    convert::check_name(&record)?;
                    self.wait(self.store.put(&record, when))?
                }
            };
            Ok(convert::to_version(&version))
        })())
    }

    fn handle_watch(&self, cursor: Option<String>, timeout_ms: Option<i64>) -> thrift::Result<WatchResult> {
        self.followed.get_or_init(|| {
            let (store, hub) = (self.store.clone(), self.hub.clone());
            self.runtime.spawn(async move { hub.follow(&*store).await });
        });
        let timeout = Duration::from_millis(u64::try_from(timeout_ms.unwrap_or_default()).unwrap_or_default());
        reply(match cursor {
            // The first call only waits until the store is followed.
            None => self.hub.watch(None, self.call_timeout),
            Some(cursor) => self.hub.watch(Some(&cursor), timeout.min(LONGEST_WAIT)),
        })
    }
}
