//! The store under test: calls with a time limit, own flags, concurrent writers.

use std::collections::HashMap;
use std::fmt::Display;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::{Arc, Barrier};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::{self, Either};
use futures_util::stream::{StreamExt, TryStreamExt};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::background;
use crate::error::{ErrorKind, Result};
use crate::json::Object;
use crate::record::FlagRecord;
use crate::state::{Entry, HistoryPage, HistoryQuery, Precondition, Stored, Version, Watch, WatchEvent};
use crate::store::FeatureFlagStore;
use crate::targeting::{Test, When, stored_name};

/// The limit of one call, and of the time until a watch emits a change.
pub const CALL_LIMIT: Duration = Duration::from_secs(10);

pub(super) fn overlong() -> String {
    "x".repeat(4097)
}

/// No flag can be created with them. Some are traps where names become paths, keys or patterns.
pub(super) const FOREIGN_NAMES: [&str; 9] =
    ["", "/", "a/b", "../escaped", "/etc/passwd", "a\nb", "\0", "a\u{7f}", "\u{85}"];

/// Stored beside the flags, under a name that no new flag can have.
pub(super) fn segment(label: &str) -> FlagRecord {
    let mut segment = FlagRecord::new(stored_name(&name(label)), 1_600_000_000);
    segment.set_segment(Some(When::check("plan", Test::Exists)));
    segment
}

pub(super) struct Subject<S: ?Sized = dyn FeatureFlagStore>(pub(super) Arc<S>);

// Deriving would require `S: Clone`.
impl<S: ?Sized> Clone for Subject<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: FeatureFlagStore + ?Sized> Subject<S> {
    pub(super) async fn close(&self) {
        let close = within(format!("`close` of {}", self.0), self.0.close()).await;
        close.unwrap_or_else(|error| panic!("`close` failed: {error:?}"));
    }

    pub(super) async fn get(&self, name: &str) -> Option<Stored> {
        let got = self.answer("get", name, self.0.get(name)).await;
        let got = got.unwrap_or_else(|error| panic!("`get` of {name:?} failed: {error:?}"));
        if let Some(stored) = &got {
            assert_eq!(stored.name, name, "`get` of {name:?} returned a flag of another name");
        }
        got
    }

    pub(super) async fn existing(&self, name: &str) -> Stored {
        self.get(name).await.unwrap_or_else(|| panic!("`get` of {name:?} is `None`, but the flag was put"))
    }

    pub(super) async fn expect(&self, record: &FlagRecord, version: &Version) {
        let stored = self.existing(record.name()).await;
        assert_same(&stored, record, "`get`");
        assert_eq!(&stored.version, version, "`get` of {:?} returned another version than the write", record.name());
    }

    pub(super) async fn expect_missing(&self, name: &str) {
        let got = self.get(name).await;
        assert!(got.is_none(), "{name:?} should not exist, but `get` returned {got:?}");
    }

    pub(super) async fn put(&self, record: &FlagRecord, when: Precondition) -> Version {
        let name = record.name();
        let put = self.try_put(record, when.clone()).await;
        put.unwrap_or_else(|error| panic!("`put` of {name:?} with {when:?} failed: {error:?}"))
    }

    pub(super) async fn try_put(&self, record: &FlagRecord, when: Precondition) -> Result<Version> {
        self.answer("put", record.name(), self.0.put(record, when.into())).await
    }

    pub(super) async fn put_conflicts(&self, record: &FlagRecord, when: Precondition) {
        let put = self.try_put(record, when.clone()).await;
        assert_kind(put, ErrorKind::Conflict, format_args!("`put` of {:?} with {when:?}", record.name()));
    }

    pub(super) async fn delete(&self, name: &str, when: Precondition) -> Version {
        let delete = self.try_delete(name, when.clone()).await;
        delete.unwrap_or_else(|error| panic!("`delete` of {name:?} with {when:?} failed: {error:?}"))
    }

    pub(super) async fn try_delete(&self, name: &str, when: Precondition) -> Result<Version> {
        self.answer("delete", name, self.0.delete(name, when.into())).await
    }

    pub(super) async fn delete_conflicts(&self, name: &str, when: Precondition) {
        let delete = self.try_delete(name, when.clone()).await;
        assert_kind(delete, ErrorKind::Conflict, format_args!("`delete` of {name:?} with {when:?}"));
    }

    pub(super) async fn list(&self) -> Vec<Stored> {
        let listed = within(format!("`list` of {}", self.0), self.0.list()).await;
        listed.unwrap_or_else(|error| panic!("`list` failed: {error:?}"))
    }

    /// The list's flags with these names, in order: other tests may use the store.
    pub(super) async fn list_of(&self, names: &[impl AsRef<str>]) -> Vec<Stored> {
        let mut listed = self.list().await;
        listed.retain(|stored| names.iter().any(|name| name.as_ref() == stored.name));
        listed
    }

    pub(super) async fn stream(&self) -> Vec<Stored> {
        let streamed = within(format!("`stream` of {}", self.0), self.0.stream().try_collect()).await;
        streamed.unwrap_or_else(|error| panic!("`stream` failed: {error:?}"))
    }

    pub(super) async fn put_all(&self, records: &[FlagRecord], when: Precondition) -> Vec<Result<Version>> {
        // Unlimited: it is as many calls as flags.
        let results = self.0.put_all(records, when.into()).await;
        assert_eq!(results.len(), records.len(), "`put_all` must return one result for each flag");
        results
    }

    pub(super) async fn history(&self, query: &HistoryQuery) -> HistoryPage {
        let page = within(format!("`history` of {}", self.0), self.0.history(query)).await;
        let page = page.unwrap_or_else(|error| panic!("`history` failed: {error:?}"));
        let many = page.entries.len();
        assert!(many <= query.limit, "`history` returned {many} entries, more than the limit {}", query.limit);
        page
    }

    /// All entries of a flag, the newest first.
    pub(super) async fn history_of(&self, name: &str) -> Vec<Entry> {
        self.all_pages(HistoryQuery::of(name)).await
    }

    pub(super) async fn all_pages(&self, mut query: HistoryQuery) -> Vec<Entry> {
        let mut entries = Vec::new();
        loop {
            let page = self.history(&query).await;
            entries.extend(page.entries);
            let Some(next) = page.next else { return entries };
            assert_ne!(query.before.as_ref(), Some(&next), "the page after {next} is the same page again");
            query.before = Some(next);
        }
    }

    pub(super) async fn follow(&self) -> Follow<'_, S> {
        let mut follow = Follow::new(self);
        // A store may begin with the first poll; from then on it must emit everything.
        match follow.next().await {
            first @ WatchEvent::Reset { .. } => follow.first = Some(first),
            other => panic!("the first event of `watch` must be `Reset`, not {other:?}"),
        }
        follow
    }

    async fn answer<T>(&self, call: &str, name: &str, future: impl Future<Output = T>) -> T {
        within(format!("`{call}` of {name:?} in {}", self.0), future).await
    }
}

pub(super) struct Follow<'a, S: ?Sized> {
    subject: &'a Subject<S>,
    watch: Watch<'a>,
    /// The first list, until it is read. It may lack a recent flag.
    pub(super) first: Option<WatchEvent>,
}

impl<'a, S: FeatureFlagStore + ?Sized> Follow<'a, S> {
    pub(super) fn new(subject: &'a Subject<S>) -> Self {
        Self { subject, watch: subject.0.watch(), first: None }
    }

    /// The next event, except `Serving`.
    pub(super) async fn next(&mut self) -> WatchEvent {
        if let Some(first) = self.first.take() {
            return first;
        }
        loop {
            let event = within("the next event of `watch`", self.watch.next()).await;
            match event.unwrap_or_else(|| panic!("`watch` ended; it must go on for as long as it is held")) {
                WatchEvent::Serving(_) => {}
                event => return event,
            }
        }
    }

    /// Reads events until one shows this flag, or its deletion.
    pub(super) async fn until(&mut self, name: &str, expected: Option<(&FlagRecord, &Version)>) {
        let matching = async {
            loop {
                let state = match self.next().await {
                    WatchEvent::Reset { flags, .. } => flags.into_iter().find(|flag| flag.name == name),
                    WatchEvent::Changed { flag, .. } if flag.name == name => Some(flag),
                    WatchEvent::Removed { name: removed, .. } if removed == name => None,
                    WatchEvent::Hint { name: hinted } if hinted == name => self.subject.get(name).await,
                    _ => continue,
                };
                let matches = match (&state, expected) {
                    (None, None) => true,
                    (Some(state), Some((record, version))) => {
                        state.version == *version && state.record.as_ref().is_ok_and(|state| **state == *record)
                    }
                    _ => false,
                };
                if matches {
                    return;
                }
            }
        };
        let what = if expected.is_some() { "is as it was put" } else { "is deleted" };
        within(format!("`watch` reporting that {name:?} {what}"), matching).await;
    }

    /// As [`until`](Self::until), for all of these in any order.
    pub(super) async fn until_all(&mut self, expected: Vec<(FlagRecord, Version)>) {
        let mut left: HashMap<String, Version> =
            expected.into_iter().map(|(record, version)| (record.name().to_owned(), version)).collect();
        let deadline = Instant::now() + CALL_LIMIT;
        while !left.is_empty() {
            let time = deadline.saturating_duration_since(Instant::now());
            let event = match future::select(pin!(self.next()), pin!(background::sleep(time))).await {
                Either::Left((event, _)) => event,
                Either::Right(_) => panic!("`watch` never reported what was put while it began: {:?}", left.keys()),
            };
            let states = match event {
                WatchEvent::Reset { flags, .. } => flags,
                WatchEvent::Changed { flag, .. } => vec![flag],
                WatchEvent::Hint { name } => self.subject.get(&name).await.into_iter().collect(),
                _ => continue,
            };
            for flag in states {
                if left.get(&flag.name) == Some(&flag.version) {
                    left.remove(&flag.name);
                }
            }
        }
    }
}

pub(super) fn flag(label: &str) -> FlagRecord {
    FlagRecord::new(name(label), 1_700_000_000)
}

pub(super) fn name(label: &str) -> String {
    format!("{label}-{:016x}", fastrand::u64(..))
}

pub(super) fn with_data(record: &FlagRecord, key: &str, value: impl Into<crate::json::Json>) -> FlagRecord {
    let mut record = record.clone();
    let mut data = Object::new();
    data.insert(key, value);
    record.set_client_data(data);
    record
}

pub(super) fn assert_same(stored: &Stored, record: &FlagRecord, call: impl Display) {
    match &stored.record {
        Ok(read) => assert_eq!(read.to_json(), record.to_json(), "{call} returned another flag than was put"),
        Err(corrupt) => panic!("{call} of {:?} cannot read what was put: {corrupt}", stored.name),
    }
}

pub(super) fn assert_kind<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind, call: impl Display) {
    match result {
        Ok(value) => panic!("{call} must be a `{kind:?}`, but succeeded with {value:?}"),
        Err(error) => assert_eq!(error.kind(), kind, "{call} is another error: {error:?}"),
    }
}

pub(super) async fn within<T>(what: impl Display, future: impl Future<Output = T>) -> T {
    match future::select(pin!(future), pin!(background::sleep(CALL_LIMIT))).await {
        Either::Left((value, _)) => value,
        Either::Right(_) => panic!("{what} took longer than {CALL_LIMIT:?}"),
    }
}

/// Each on its own thread.
pub(super) async fn at_once<T, F>(tasks: impl IntoIterator<Item = F>) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    // For drivers that need the runtime they were made on; without one, this crate's own.
    let handle = Handle::try_current().ok().or_else(|| background::handle().ok().cloned());
    let handle = handle.unwrap_or_else(|| panic!("the thread cannot be started"));
    let tasks: Vec<F> = tasks.into_iter().collect();
    let start = Arc::new(Barrier::new(tasks.len()));
    let test = thread::current().name().unwrap_or("conformance").to_owned();
    let threads: Vec<_> = tasks
        .into_iter()
        .map(|task| {
            let (start, handle) = (start.clone(), handle.clone());
            let (send, receive) = oneshot::channel();
            let run = move || {
                start.wait();
                // Fails if another task has failed the test.
                let _ = send.send(handle.block_on(task));
            };
            let thread = thread::Builder::new().name(test.clone()).spawn(run);
            (thread.unwrap_or_else(|error| panic!("the thread cannot be started: {error}")), receive)
        })
        .collect();
    let mut results = Vec::with_capacity(threads.len());
    for (thread, receive) in threads {
        match (receive.await, thread) {
            (Ok(result), _) => results.push(result),
            (Err(_), thread) => match thread.join() {
                Err(panic) => resume_unwind(panic),
                Ok(()) => panic!("a task ended without a result"),
            },
        }
    }
    results
}

/// Polls a future at most this often, then drops it: `None` if it was not done.
pub(super) async fn polled<T>(times: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = times;
    future::poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match Pin::as_mut(&mut future).poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
