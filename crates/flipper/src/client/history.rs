//! Who writes, and what was written.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use futures_util::stream::{self, Stream, TryStreamExt};

use super::{Core, FeatureFlagClient};
use crate::error::{Error, ErrorKind, Result};
use crate::events::Verb;
use crate::record::exchange::named;
use crate::state::{
    Cause, Entry, EntryId, FlagState, HistoryPage, HistoryQuery, Portion, Precondition, Recent, WriteOptions, bytes_of,
};
use crate::store::FeatureFlagStore;

static PROGRAM: LazyLock<Arc<Cause>> = LazyLock::new(Arc::default);

/// Entries of a history, the newest first, read in pages. An error ends it.
pub type History = Pin<Box<dyn Stream<Item = Result<Entry>> + Send>>;

/// `None`: from this program, by no actor in particular. An error is that of each write.
pub(super) type Writer = Result<Option<Arc<Cause>>, Arc<Error>>;

impl<M: Clone> FeatureFlagClient<M> {
    /// This client, with writes by this actor: 1 to 255 bytes without control characters. Else each write is `InvalidInput`.
    ///
    /// ```
    /// # use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};
    /// # futures_executor::block_on(async {
    /// let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    /// let alice = features.as_actor("alice");
    /// alice.create("CHECKOUT").await?;
    /// alice.because("incident 42").enable("CHECKOUT").await?;
    /// # Ok::<(), flipper::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn as_actor(&self, actor: impl AsRef<str>) -> Self {
        self.written(|cause| cause.with_actor(actor))
    }

    /// This client, with writes for this reason: 1 byte to 4 KiB. Else each write is `InvalidInput`.
    #[must_use]
    pub fn because(&self, reason: impl AsRef<str>) -> Self {
        self.written(|cause| cause.with_reason(reason))
    }

    /// This client, with writes from this source instead of `program`: 1 to 64 bytes without control characters. Else each write is
    /// `InvalidInput`.
    #[must_use]
    pub fn with_source(&self, source: impl AsRef<str>) -> Self {
        self.written(|cause| cause.with_source(source))
    }

    /// This client, with writes of this cause, which [`as_actor`](Self::as_actor), [`because`](Self::because) and
    /// [`with_source`](Self::with_source) set in part.
    #[must_use]
    pub fn with_cause(&self, cause: impl Into<Arc<Cause>>) -> Self {
        Self { core: self.core.clone(), mode: self.mode.clone(), writer: Ok(Some(cause.into())) }
    }

    fn written(&self, change: impl FnOnce(Cause) -> Result<Cause>) -> Self {
        let writer = match &self.writer {
            // The first error stays.
            Err(error) => Err(error.clone()),
            Ok(cause) => change(cause.as_deref().cloned().unwrap_or_default())
                .map(|cause| Some(Arc::new(cause)))
                .map_err(Arc::new),
        };
        Self { core: self.core.clone(), mode: self.mode.clone(), writer }
    }
}

impl<M> FeatureFlagClient<M> {
    pub(super) fn cause(&self) -> Result<Arc<Cause>> {
        match &self.writer {
            Ok(cause) => Ok(cause.as_ref().unwrap_or(&PROGRAM).clone()),
            Err(error) => Err(error.copy()),
        }
    }

    /// The changes of this flag, the newest first, by any writer that the store saw; also those before the flag was destroyed.
    ///
    /// # Errors
    ///
    /// As an item: `Unsupported` if the store keeps no history, and the store's.
    #[must_use]
    pub fn history(&self, name: &str) -> History {
        self.entries(HistoryQuery::of(name))
    }

    /// The changes of all flags, the newest first, whose time is not before this one. What another program changed last, where the store does
    /// not see that, is in the [history of that flag](Self::history).
    ///
    /// # Errors
    ///
    /// As [`history`](Self::history).
    #[must_use]
    pub fn history_of_all(&self, since: impl Into<Option<SystemTime>>) -> History {
        self.entries(HistoryQuery::all().since(since.into()))
    }

    /// The entries that this query asks for, page after page, each with at most its limit. A store that does not see other programs' writes
    /// has entries with a gap between them; it is an entry without a cause here. Of one flag it is also one in front, if the flag has changed
    /// since. The store does not know the id of such an entry: [`HistoryQuery::before`] does not take it.
    ///
    /// # Errors
    ///
    /// As [`history`](Self::history).
    #[must_use]
    pub fn entries(&self, query: HistoryQuery) -> History {
        self.read(query, None)
    }

    /// [`entries`](Self::entries) in pages that begin small and grow while the entries are, instead of the query's limit: for a server, which
    /// answers many callers at once.
    #[doc(hidden)]
    #[must_use]
    pub fn __entries_by_size(&self, query: HistoryQuery) -> History {
        let portion = Portion::first(query.limit);
        self.read(query, Some(portion))
    }

    fn read(&self, query: HistoryQuery, portion: Option<Portion>) -> History {
        // A gap shows between two entries, also if one of them is left out.
        let (recent, query) = (Recent::new(query.since), query.since(None));
        let reading = Reading { core: self.core.clone(), query: Some(query), portion, recent, next: HashMap::new() };
        let pages = stream::try_unfold(reading, |mut reading| async move {
            let page = reading.page().await?;
            Ok::<_, Error>(page.map(|entries| (stream::iter(entries.into_iter().map(Ok)), reading)))
        });
        Box::pin(pages.try_flatten())
    }
}

struct Reading {
    core: Arc<Core>,
    query: Option<HistoryQuery>,
    /// Instead of the query's limit.
    portion: Option<Portion>,
    recent: Recent,
    /// By the flags' names, what the next newer entry begins with, and its time.
    next: HashMap<String, (FlagState, SystemTime)>,
}

impl Reading {
    async fn page(&mut self) -> Result<Option<Vec<Entry>>> {
        let Some(mut query) = self.query.take() else { return Ok(None) };
        if let Some(portion) = &self.portion {
            query.limit = portion.count();
        }
        let page = match &query {
            HistoryQuery { name: Some(name), before: None, .. } => self.first_page(name, &query).await?,
            _ => self.core.store.history(&query).await?,
        };
        if let Some(portion) = &mut self.portion {
            portion.grow(page.entries.iter().map(bytes_of).sum());
        }
        let mut entries = Vec::with_capacity(page.entries.len());
        for entry in page.entries {
            let next = self.next.insert(entry.name.clone(), (entry.before.clone(), entry.at));
            if let Some((state, at)) = next.filter(|(state, _)| *state != entry.after) {
                let id = EntryId::of_gap(&entry.id);
                entries.push(Entry::new(id, &entry.name, at, entry.after.clone(), state));
            }
            entries.push(entry);
        }
        entries.retain(|entry| self.recent.takes(entry.at));
        self.query = page.next.filter(|_| !self.recent.is_over()).map(|id| query.before(Some(id)));
        Ok(Some(entries))
    }

    /// With the flag as it is, if that is not what its newest entry has left.
    async fn first_page(&mut self, name: &str, query: &HistoryQuery) -> Result<HistoryPage> {
        let store = &self.core.store;
        let mut page = store.history(query).await?;
        // A flag that is being written may always be ahead of what was read.
        for _ in 0..3 {
            let current = store.get(name).await?.map(|stored| stored.record);
            let Some(newest) = page.entries.first().filter(|newest| newest.after != current) else { return Ok(page) };
            // Or it was written in between, and has an entry by now.
            let again = store.history(query).await?;
            if again.entries.first().is_some_and(|again| again.id == newest.id) {
                self.next.insert(name.to_owned(), (current, SystemTime::now()));
                return Ok(again);
            }
            page = again;
        }
        Ok(page)
    }
}

impl<M: Clone + Send + Sync + 'static> FeatureFlagClient<M> {
    /// Makes the flag what it was before this entry, if nothing has changed it since: created, destroyed or as it was set. This is a write
    /// as any other, with an entry of its own.
    ///
    /// # Errors
    ///
    /// `Conflict` if the flag was changed since, `InvalidInput` for an entry of another flag and where flags would need each other in a circle, `Corrupt` if it was unreadable before, `Vetoed`,
    /// and the store's.
    pub async fn restore(&self, name: &str, entry: &Entry) -> Result<()> {
        let core: &Core = &self.core;
        let place = |error: Error| error.with_flag(name).with_store(&core.store);
        if entry.name != name {
            return Err(Error::invalid_input(format!("the entry is of the flag {:?}", entry.name)).with_flag(name));
        }
        let before = match &entry.before {
            Some(Err(corrupt)) => return Err(place(corrupt.clone().into())),
            Some(Ok(record)) => Some(named(record, name)),
            None => None,
        };
        let current = core.store.get(name).await?;
        if current.as_ref().map(|stored| &stored.record) != entry.after.as_ref() {
            return Err(place(Error::new(ErrorKind::Conflict).with_message("the flag was changed since")));
        }
        // What it needed may be gone by now, and be missed; but nothing may turn in a circle.
        if let Some(record) = &before {
            self.must_end(record).await.map_err(place)?;
        }
        let when = current.map_or(Precondition::Absent, |stored| Precondition::Unchanged(stored.version));
        let options = WriteOptions::from(when).with_verb(Verb::Restore.name()).with_cause(self.cause()?);
        let written = async {
            match before {
                Some(record) => core.store.put(&record, options).await,
                None => core.store.delete(name, options).await,
            }
        };
        self.announce(name, Verb::Restore, written).await.map(drop)
    }
}
