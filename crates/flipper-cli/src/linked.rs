use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use flipper::__words::needs_of;
use flipper::evaluation::Evaluation;
use flipper::store::Precondition;
use flipper::{Context, Error, FeatureFlagClient, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore};

use crate::failure::{Done, Failure};
use crate::records::named;
use crate::store::Store;

/// A check asks no more flags than this.
const MOST: usize = 1_000;

/// The flags and segments on which a flag's answer depends, by their stored names.
#[derive(Default)]
pub(crate) struct Links(HashMap<String, Arc<FlagRecord>>);

impl Links {
    pub(crate) async fn read(store: &Store, record: &FlagRecord) -> Done<Self> {
        let mut found = Self::default();
        let mut wanted: VecDeque<String> = needs_of(record).into();
        while let Some(name) = wanted.pop_front() {
            if found.0.contains_key(&name) || found.0.len() >= MOST {
                continue;
            }
            let stored = store.inner.get(&name).await.map_err(|error| store.failure(&error))?;
            // An unreadable one is as if it were missing.
            if let Some(record) = stored.and_then(|stored| stored.record.ok()) {
                wanted.extend(needs_of(&record));
                found.0.insert(name, record);
            }
        }
        Ok(found)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&FlagRecord> {
        self.0.get(name).map(|record| &**record)
    }

    /// Checks a record as a program does that has these flags.
    pub(crate) async fn evaluate(&self, name: &str, record: &FlagRecord, context: &Context) -> Done<Evaluation> {
        let store = MemoryFeatureFlagStore::new();
        let failed = |error: Error| Failure::of(&error, "memory");
        for (name, record) in &self.0 {
            store.put(&named(record, name), Precondition::Any.into()).await.map_err(failed)?;
        }
        store.put(&named(record, name), Precondition::Any.into()).await.map_err(failed)?;
        Ok(FeatureFlagClient::new(store).evaluate(name, context))
    }
}
