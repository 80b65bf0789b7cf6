use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::UNIX_EPOCH;

use serde::Serialize;

use super::write::object;
use super::{FeatureFlag, FeatureFlagClient};
use crate::error::{Error, ErrorKind, Result};
use crate::events::{Verb, WriteEvent};
use crate::json::{Json, Object};
use crate::record::{FlagRecord, validate_new_name};
use crate::state::{Precondition, WriteOptions};

/// A flag that is created when this is awaited; made by [`FeatureFlagClient::create`].
///
/// ```
/// # use flipper::{ErrorKind, FeatureFlagClient, MemoryFeatureFlagStore};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
/// use serde_json::json;
///
/// let flag = features.create("MY_FEATURE").enabled(true).client_data(json!({ "owner": "horses" })).await?;
/// assert!(flag.is_enabled());
///
/// let error = features.create("MY_FEATURE").await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::FlagExists);
///
/// features.create("MY_FEATURE").or_get().await?;
/// assert!(features.is_enabled("MY_FEATURE"), "kept as it was");
/// # Ok::<(), flipper::Error>(()) }).unwrap();
/// ```
///
/// [`into_future`](IntoFuture::into_future) returns the future, as for `tokio::spawn`.
///
/// # Errors
///
/// `FlagExists`, `InvalidName`, `InvalidInput` for client data that is no object or over 256 KiB, `Vetoed`, and the store's.
#[must_use = "nothing is created until this is awaited"]
pub struct Create<M> {
    client: FeatureFlagClient<M>,
    name: String,
    enabled: bool,
    strict: bool,
    client_data: Option<Result<Object>>,
    existing: Existing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    Refuse,
    Keep,
    Replace,
}

impl<M> Create<M> {
    pub(super) fn new(client: FeatureFlagClient<M>, name: String) -> Self {
        Self { client, name, enabled: false, strict: false, client_data: None, existing: Existing::Refuse }
    }

    /// Whether the flag is enabled; `false` by default.
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Your own data: anything that serialises to a JSON object.
    pub fn client_data(mut self, data: impl Serialize) -> Self {
        self.client_data = Some(object(&data));
        self
    }

    /// Whether the flag is [strict](FlagRecord::is_strict); `false` by default.
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// Keeps an existing flag: for start-up code that must not undo foreign changes.
    pub fn or_get(mut self) -> Self {
        self.existing = Existing::Keep;
        self
    }

    /// Overwrites an existing flag, conditions, bucketer and client data included.
    pub fn replace(mut self) -> Self {
        self.existing = Existing::Replace;
        self
    }
}

impl<M: Clone + Send + Sync + 'static> IntoFuture for Create<M> {
    type Output = Result<FeatureFlag<M>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<M: Clone + Send + Sync + 'static> Create<M> {
    async fn run(self) -> Result<FeatureFlag<M>> {
        let Self { client, name, enabled, strict, client_data, existing } = self;
        let core = client.core.clone();
        let place = |error: Error| error.with_flag(&name).with_store(&core.store);
        let cause = client.cause()?;
        let mut record = client.new_record(&name)?;
        let client_data = client_data.transpose().map_err(place)?;
        record.set_enabled(enabled);
        record.set_strict(strict);
        record.set_client_data(client_data.clone().unwrap_or_default());
        record.validate().map_err(place)?;

        let handle = || client.get(name.as_str());
        let event =
            WriteEvent::new(&name, Verb::Create { is_enabled: enabled, client_data: client_data.map(Json::Object) });
        // A write that will not happen must not be announced; without subscribers the put reports `FlagExists`.
        if existing != Existing::Replace && !core.subscribers.is_empty() && client.there(&name).await? {
            return if existing == Existing::Keep {
                Ok(handle())
            } else {
                Err(place(Error::new(ErrorKind::FlagExists)))
            };
        }
        core.subscribers.pre(&event)?;
        let when = if existing == Existing::Replace { Precondition::Any } else { Precondition::Absent };
        let options = WriteOptions::from(when).with_verb(event.verb().name()).with_cause(cause);
        match core.store.put(&record, options).await {
            Ok(_) => {
                core.subscribers.post(&event);
                Ok(handle())
            }
            Err(error) if error.kind() == ErrorKind::Conflict => match existing {
                Existing::Keep => Ok(handle()),
                Existing::Refuse | Existing::Replace => {
                    Err(place(Error::new(ErrorKind::FlagExists).with_source(error)))
                }
            },
            Err(error) => Err(place(error)),
        }
    }
}

impl<M> FeatureFlagClient<M> {
    /// The record of a new, disabled flag, for [`put`](Self::put).
    ///
    /// # Errors
    ///
    /// `InvalidName`.
    pub fn new_record(&self, name: &str) -> Result<FlagRecord> {
        validate_new_name(name)?;
        let since = self.core.environment.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(FlagRecord::new(name, i64::try_from(since.as_secs()).unwrap_or(i64::MAX)))
    }

    async fn there(&self, name: &str) -> Result<bool> {
        Ok(self.core.table.as_ref().is_some_and(|table| table.get(name).is_some())
            || self.core.store.get(name).await?.is_some())
    }
}

impl<M> fmt::Debug for Create<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Create").field("name", &self.name).finish_non_exhaustive()
    }
}
