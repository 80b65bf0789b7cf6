use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use flipper::__thrift as convert;
use flipper::__thrift_history as history;
use flipper::client::Remote;
use flipper::events::Verb;
use flipper::store::{Precondition, Stored, WriteOptions};
use flipper::targeting::segment_of;
use flipper::{Error, ErrorKind, FeatureFlagClient, FlagRecord, Result};
use flipper_thrift_protocol::feature_flag_store::{
    ErrorCode, FeatureFlagStoreItem, FeatureFlagStoreMeta, FeatureFlagStoreSyncHandler, FlagPage, FlagState,
    FlagVersion, HistoryPage, JSON, ServerDescription, WatchResult, WritePrecondition,
};
use thrift::{ApplicationError, ApplicationErrorKind};

use crate::service::{Client, Service};

/// Of one page of `ReadFlags` and `History`; bytes are approximate.
const PAGE_FLAGS: usize = 10_000;
const PAGE_BYTES: usize = 4 << 20;

const LONGEST_WAIT: Duration = Duration::from_secs(60);

pub(crate) struct Call<'a> {
    service: &'a Service,
    client: &'a Client,
    deadline: Instant,
}

impl<'a> Call<'a> {
    pub(crate) fn new(service: &'a Service, client: &'a Client, is_numbered: bool, began: Instant) -> Self {
        Self { service, client, deadline: began + service.limit(is_numbered) }
    }
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

fn log(error: &Error) {
    if error.kind() == ErrorKind::Unavailable {
        tracing::warn!(%error, "store is unavailable");
    }
}

fn reply<T>(result: Result<T>) -> thrift::Result<T> {
    result.map_err(|error| {
        log(&error);
        thrift::Error::from(convert::to_exception(&error))
    })
}

/// Clients of the Python library's calls support one code: with another, Ruby's, and Python's with enums, stop in the middle of a response.
/// An exception without a code is NOT_FOUND in C++, Go and Perl.
fn python_reply<T>(result: Result<T>) -> thrift::Result<T> {
    result.map_err(|error| {
        log(&error);
        let exception = convert::to_exception(&error);
        if exception.code == Some(ErrorCode::NOT_FOUND) {
            return exception.into();
        }
        ApplicationError::new(ApplicationErrorKind::InternalError, exception.message.unwrap_or_default()).into()
    })
}

impl FeatureFlagStoreSyncHandler for Call<'_> {
    fn handle_create(
        &self,
        feature_name: Option<String>,
        is_enabled: Option<bool>,
        client_data: Option<JSON>,
    ) -> thrift::Result<FeatureFlagStoreItem> {
        python_reply((|| {
            let name = given(feature_name, "feature_name")?;
            let mut record = self.features().new_record(&name)?;
            record.set_enabled(is_enabled.unwrap_or_default());
            record.set_client_data(convert::client_data(client_data.as_deref())?);
            record.validate()?;
            self.wait(self.features().put(&record, Precondition::Any))?;
            Ok(convert::to_item(&name, &record))
        })())
    }

    fn handle_get(&self, feature_name: Option<String>) -> thrift::Result<FeatureFlagStoreItem> {
        python_reply((|| {
            let name = given(feature_name, "feature_name")?;
            let stored = self.service.get_known(&name, self.deadline)?.ok_or_else(|| not_found(&name))?;
            Ok(convert::to_item(&name, stored.readable()?))
        })())
    }

    fn handle_set(&self, feature_name: Option<String>, is_enabled: Option<bool>) -> thrift::Result<()> {
        python_reply((|| {
            let name = given(feature_name, "feature_name")?;
            let is_enabled = given(is_enabled, "is_enabled")?;
            self.wait(self.set(&name, is_enabled))
        })())
    }

    fn handle_delete(&self, feature_name: Option<String>) -> thrift::Result<()> {
        python_reply((|| {
            let name = given(feature_name, "feature_name")?;
            self.wait(self.features().delete(&name, Precondition::Any)).map(drop)
        })())
    }

    fn handle_list(&self, limit: Option<i64>, offset: Option<i64>) -> thrift::Result<Vec<FeatureFlagStoreItem>> {
        python_reply((|| {
            // Clients in Java and C++ cannot omit it, and send 0.
            let limit = count(limit.filter(|limit| *limit != 0), "limit", usize::MAX)?;
            let offset = count(offset, "offset", 0)?;
            let flags = self.service.list_known(self.deadline)?;
            // An unreadable flag must not hide the others; Get returns its reason.
            let readable = flags.iter().filter_map(|stored| Some((&stored.name, stored.record.as_ref().ok()?)));
            let readable = readable.filter(|(_, record)| record.segment().is_none());
            Ok(readable.skip(offset).take(limit).map(|(name, record)| convert::to_item(name, record)).collect())
        })())
    }

    fn handle_set_meta(&self, feature_name: Option<String>, meta: Option<FeatureFlagStoreMeta>) -> thrift::Result<()> {
        python_reply((|| {
            let name = given(feature_name, "feature_name")?;
            let meta = given(meta, "meta")?;
            self.wait(self.features().update(&name, |record| convert::apply_meta(record, &meta)))
        })())
    }

    fn handle_set_client_data(&self, feature_name: Option<String>, client_data: Option<JSON>) -> thrift::Result<()> {
        python_reply((|| {
            let name = given(feature_name, "feature_name")?;
            let data = convert::client_data(client_data.as_deref())?;
            self.wait(self.features().merge_client_data(&name, &data))
        })())
    }

    fn handle_read_flag(&self, feature_name: Option<String>) -> thrift::Result<FlagState> {
        reply(self.read_flag(feature_name, Service::get))
    }

    fn handle_read_known_flag(&self, feature_name: Option<String>) -> thrift::Result<FlagState> {
        reply(self.read_flag(feature_name, Service::get_known))
    }

    fn handle_read_flags(&self, after: Option<String>, limit: Option<i64>) -> thrift::Result<FlagPage> {
        reply(self.read_flags(after, limit, Service::list))
    }

    fn handle_read_known_flags(&self, after: Option<String>, limit: Option<i64>) -> thrift::Result<FlagPage> {
        reply(self.read_flags(after, limit, Service::list_known))
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
            let mut options = WriteOptions::from(when);
            let cause = precondition.and_then(|precondition| precondition.cause);
            // The verb of a newer client may be unknown: then the history has what the write did.
            let verb = cause.as_ref().and_then(|cause| cause.verb.as_deref());
            options.verb = verb.and_then(Verb::name_of);
            options.cause = history::from_cause(cause, self.client.actor.as_deref())?;
            let version = match record {
                None => self.wait(self.features().delete_as(&name, options))?,
                Some(text) => {
                    let record = FlagRecord::from_json(text).map_err(|error| {
                        let reason = convert::to_exception(&error).message.unwrap_or_default();
                        invalid(format!("record cannot be read: {reason}"))
                    })?;
                    if record.name() != name {
                        return Err(invalid("record is of another flag than feature_name".to_owned()));
                    }
                    self.wait(self.features().put_as(&record, options))?
                }
            };
            Ok(convert::to_version(&version))
        })())
    }

    fn handle_watch(&self, cursor: Option<String>, timeout_ms: Option<i64>) -> thrift::Result<WatchResult> {
        let hub = self.service.follow();
        let timeout = Duration::from_millis(u64::try_from(timeout_ms.unwrap_or_default()).unwrap_or_default());
        let watched = match cursor {
            // The first call waits only until the store is followed.
            None => hub.watch(None, self.deadline.saturating_duration_since(Instant::now())),
            Some(cursor) => hub.watch(Some(&cursor), timeout.min(LONGEST_WAIT)),
        };
        reply(watched.map(|result| WatchResult { history: Some(self.service.has_history()), ..result }))
    }

    fn handle_describe(&self) -> thrift::Result<ServerDescription> {
        let hub = self.service.follow();
        let (store, lost, confirmed_ms_ago) = hub.describe();
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis());
        Ok(ServerDescription {
            server: Some(hub.id.clone()),
            store,
            lost,
            confirmed_ms_ago: i64::try_from(confirmed_ms_ago).ok(),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            clock_ms: i64::try_from(clock).ok(),
            history: Some(self.service.has_history()),
        })
    }

    fn handle_history(
        &self,
        feature_name: Option<String>,
        since_ns: Option<i64>,
        before: Option<String>,
        limit: Option<i64>,
    ) -> thrift::Result<HistoryPage> {
        reply((|| {
            let query = history::to_query(feature_name, since_ns, before, limit)?;
            self.service.history(&query, PAGE_BYTES, self.deadline).map(history::to_page)
        })())
    }
}

impl Call<'_> {
    fn features(&self) -> &FeatureFlagClient<Remote> {
        &self.client.features
    }

    fn wait<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        self.service.wait(self.deadline, future)
    }

    async fn set(&self, name: &str, is_enabled: bool) -> Result<()> {
        // A program with the Python library that reads the store itself would find a segment on for everybody.
        if segment_of(name).is_some() && self.features().fetch(name).await?.is_some_and(|flag| flag.segment().is_some())
        {
            return Err(invalid("a segment is neither on nor off".to_owned()));
        }
        loop {
            let result = match is_enabled {
                true => self.features().enable(name).await,
                false => self.features().disable(name).await,
            };
            match result {
                Err(error) if error.kind() == ErrorKind::FlagNotFound => {}
                result => return result,
            }
            match self.features().create(name).enabled(is_enabled).await {
                // Another writer created it.
                Err(error) if error.kind() == ErrorKind::FlagExists => {}
                result => return result.map(drop),
            }
        }
    }

    fn read_flag(
        &self,
        feature_name: Option<String>,
        read: impl Fn(&Service, &str, Instant) -> Result<Option<Stored>>,
    ) -> Result<FlagState> {
        let name = given(feature_name, "feature_name")?;
        let stored = read(self.service, &name, self.deadline)?;
        Ok(stored.as_ref().map_or_else(|| convert::absent_state(name, None), convert::to_state))
    }

    fn read_flags(
        &self,
        after: Option<String>,
        limit: Option<i64>,
        list: impl Fn(&Service, Instant) -> Result<Vec<Stored>>,
    ) -> Result<FlagPage> {
        let limit = count(limit.filter(|limit| *limit != 0), "limit", PAGE_FLAGS)?.min(PAGE_FLAGS);
        let flags = list(self.service, self.deadline)?;
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
    }
}
