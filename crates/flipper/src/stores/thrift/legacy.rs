//! The store's methods by the Python library's calls. A flag may change between the check and the write: no call does both.

use flipper_thrift_protocol::feature_flag_store::{ErrorCode, FlipperException, TFeatureFlagStoreSyncClient};

use super::connection::CallError;
use super::{ThriftRpcFeatureFlagStore, convert};
use crate::error::{Error, ErrorKind, Result};
use crate::record::FlagRecord;
use crate::state::{Precondition, Stored, Version, Watch};
use crate::store::FeatureFlagStore;

impl ThriftRpcFeatureFlagStore {
    async fn legacy<T: Send + 'static>(
        &self,
        reads: bool,
        run: impl FnMut(&mut dyn TFeatureFlagStoreSyncClient) -> thrift::Result<T> + Send + 'static,
    ) -> Result<T> {
        self.shared.pool.call(reads, run).await.map_err(|error| match error {
            CallError::Failed(error) => error,
            CallError::UnknownMethod => Error::new(ErrorKind::Unsupported)
                .with_message("server does not know a method that the Python library's service has")
                .with_store(self),
        })
    }

    pub(super) async fn legacy_get(&self, name: &str) -> Result<Option<Stored>> {
        let asked = name.to_owned();
        let item = self.legacy(true, move |client| match client.get(Some(asked.clone())) {
            Ok(item) => Ok(Some(item)),
            Err(thrift::Error::User(error)) if is_not_found(&*error) => Ok(None),
            Err(error) => Err(error),
        });
        let item = item.await?;
        Ok(item.map(|item| convert::stored_from_item(name, &item)))
    }

    pub(super) async fn legacy_list(&self) -> Result<Vec<Stored>> {
        let items = self.legacy(true, |client| client.list(None, Some(0))).await?;
        let stored = |item: &_| convert::stored_from_item(convert::name(item), item);
        let mut flags: Vec<_> = items.iter().map(stored).collect();
        flags.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        flags.dedup_by(|a, b| a.name == b.name);
        Ok(flags)
    }

    pub(super) async fn legacy_put(&self, record: &FlagRecord, when: Precondition) -> Result<Version> {
        let name = record.name();
        let meta = convert::to_meta(record);
        let written = convert::from_item(&convert::to_item(name, record))?;
        if written.meta() != record.meta() || !record.unknown().is_empty() {
            return Err(Error::new(ErrorKind::Unsupported)
                .with_message("server knows only the calls of the Python library, which cannot keep all of this flag")
                .with_store(self)
                .with_flag(name));
        }
        let exists = self.legacy_check(name, &when).await?.is_some();
        let (enabled, asked) = (record.is_enabled(), name.to_owned());
        let data = meta.client_data.clone();
        let write = move |client: &mut dyn TFeatureFlagStoreSyncClient| {
            if exists {
                client.set(Some(asked.clone()), Some(enabled))?;
            } else {
                client.create(Some(asked.clone()), Some(enabled), data.clone())?;
            }
            client.set_meta(Some(asked.clone()), Some(meta.clone()))
        };
        self.legacy(false, write).await.map_err(|error| match error.kind() {
            ErrorKind::FlagNotFound => self.conflict(name),
            _ => error.with_flag(name),
        })?;
        Ok(convert::content_version(&written))
    }

    pub(super) async fn legacy_delete(&self, name: &str, when: Precondition) -> Result<Version> {
        if self.legacy_check(name, &when).await?.is_some() {
            let asked = name.to_owned();
            let delete = move |client: &mut dyn TFeatureFlagStoreSyncClient| match client.delete(Some(asked.clone())) {
                Err(thrift::Error::User(error)) if is_not_found(&*error) => Ok(()),
                result => result,
            };
            self.legacy(false, delete).await.map_err(|error| error.with_flag(name))?;
        }
        Ok(Version::opaque([]))
    }

    async fn legacy_check(&self, name: &str, when: &Precondition) -> Result<Option<Stored>> {
        let stored = self.legacy_get(name).await?;
        let holds = when.holds(stored.as_ref().map(|stored| &stored.version));
        if holds { Ok(stored) } else { Err(self.conflict(name)) }
    }

    pub(super) fn legacy_watch(&self) -> Watch<'_> {
        crate::store::watch_by_polling(self as &dyn FeatureFlagStore, std::time::Duration::from_secs(1))
    }
}

fn is_not_found(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    let exception = error.downcast_ref::<FlipperException>();
    exception.is_some_and(|exception| exception.code == Some(ErrorCode::NOT_FOUND))
}
