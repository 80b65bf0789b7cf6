//! A store on command: its versions are opaque, its calls fail or wait, and its watch emits what the test says.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use async_trait::async_trait;
use flipper::store::{Precondition, Stored, Version, Watch, WatchEvent, WriteOptions, validate_name};
use flipper::{Error, ErrorKind, FeatureFlagStore, FlagRecord, Result};
pub(crate) use flipper_testkit::wait_until;
use futures_util::stream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

#[derive(Clone, Debug)]
pub(crate) struct Scripted(Arc<Script>);

#[derive(Debug)]
pub(crate) struct Script {
    flags: Mutex<BTreeMap<String, FlagRecord>>,
    /// Every call fails with this.
    fails: Mutex<Option<ErrorKind>>,
    pub(crate) sends_hints: AtomicBool,
    pub(crate) gets: AtomicUsize,
    pub(crate) puts: AtomicUsize,
    pub(crate) lists: AtomicUsize,
    /// Before a write reaches the store, after it has, and after a read has been served.
    pub(crate) before_write: Gate,
    pub(crate) after_write: Gate,
    pub(crate) after_get: Gate,
    watches: Mutex<Vec<UnboundedSender<Step>>>,
    pub(crate) watching: AtomicUsize,
}

#[derive(Debug)]
enum Step {
    Emit(WatchEvent),
    Panic(&'static str),
    End,
}

/// Open until a test shuts it; `waiting` counts the calls that wait.
#[derive(Debug)]
pub(crate) struct Gate {
    shut: watch::Sender<bool>,
    pub(crate) waiting: AtomicUsize,
}

impl Gate {
    fn new() -> Self {
        Self { shut: watch::Sender::new(false), waiting: AtomicUsize::new(0) }
    }

    pub(crate) fn shut(&self) {
        self.shut.send_replace(true);
    }

    pub(crate) fn open(&self) {
        self.shut.send_replace(false);
    }

    async fn pass(&self) {
        let mut shut = self.shut.subscribe();
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _ = shut.wait_for(|shut| !shut).await;
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }

    pub(crate) fn wait_for_one(&self) {
        wait_until("a call waits at the gate", || self.waiting.load(Ordering::SeqCst) > 0);
    }
}

/// Polls a future once, then drops it.
#[track_caller]
pub(crate) fn poll_once(future: impl Future) {
    let mut future = std::pin::pin!(future);
    assert!(
        future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_pending(),
        "already over"
    );
}

impl Scripted {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Script {
            flags: Mutex::default(),
            fails: Mutex::default(),
            sends_hints: AtomicBool::new(true),
            gets: AtomicUsize::new(0),
            puts: AtomicUsize::new(0),
            lists: AtomicUsize::new(0),
            before_write: Gate::new(),
            after_write: Gate::new(),
            after_get: Gate::new(),
            watches: Mutex::default(),
            watching: AtomicUsize::new(0),
        }))
    }

    pub(crate) fn with(name: &str, enabled: bool) -> Self {
        let store = Self::new();
        store.set(name, Some(enabled));
        store
    }

    pub(crate) fn set(&self, name: &str, enabled: Option<bool>) {
        let record = enabled.map(|enabled| {
            let mut record = FlagRecord::new(name, 1);
            record.set_enabled(enabled);
            record
        });
        self.write(name, record, &Precondition::Any).unwrap();
    }

    pub(crate) fn fail(&self, kind: impl Into<Option<ErrorKind>>) {
        *self.fails.lock().unwrap() = kind.into();
    }

    fn each_watch(&self, step: impl Fn() -> Step) {
        self.watches.lock().unwrap().retain(|watch| watch.send(step()).is_ok());
    }

    pub(crate) fn emit(&self, event: impl Fn() -> WatchEvent) {
        self.each_watch(|| Step::Emit(event()));
    }

    pub(crate) fn panic_watches(&self, message: &'static str) {
        self.each_watch(|| Step::Panic(message));
    }

    pub(crate) fn end_watches(&self) {
        self.each_watch(|| Step::End);
    }

    pub(crate) fn hint(&self, name: &str) {
        self.emit(|| WatchEvent::Hint { name: name.to_owned() });
    }

    pub(crate) fn lose(&self) {
        self.emit(|| WatchEvent::Lost(Error::new(ErrorKind::Unavailable).with_message("gone")));
    }

    pub(crate) fn restore(&self) {
        self.emit(|| WatchEvent::Restored);
        self.emit(|| self.reset());
    }

    pub(crate) fn reset(&self) -> WatchEvent {
        WatchEvent::Reset { read_at: Some(Instant::now()), valid_for: None, flags: self.all() }
    }

    pub(crate) fn all(&self) -> Vec<Stored> {
        self.flags.lock().unwrap().values().map(stored).collect()
    }

    pub(crate) fn gets(&self) -> usize {
        self.gets.load(Ordering::SeqCst)
    }

    pub(crate) fn puts(&self) -> usize {
        self.puts.load(Ordering::SeqCst)
    }

    fn answer(&self) -> Result<()> {
        self.fails.lock().unwrap().map_or(Ok(()), |kind| Err(Error::new(kind).with_store(self)))
    }

    fn write(&self, name: &str, record: Option<FlagRecord>, when: &Precondition) -> Result<Version> {
        let mut flags = self.flags.lock().unwrap();
        if !when.holds(flags.get(name).map(|record| stored(record).version).as_ref()) {
            return Err(Error::new(ErrorKind::Conflict));
        }
        let version = record.as_ref().map_or(Version::opaque(""), |record| stored(record).version);
        match record {
            Some(record) => flags.insert(name.to_owned(), record),
            None => flags.remove(name),
        };
        if self.sends_hints.load(Ordering::SeqCst) {
            self.hint(name);
        }
        Ok(version)
    }

    async fn write_slowly(&self, name: &str, record: Option<FlagRecord>, when: Precondition) -> Result<Version> {
        self.puts.fetch_add(1, Ordering::SeqCst);
        self.before_write.pass().await;
        self.answer()?;
        let written = self.write(name, record, &when);
        self.after_write.pass().await;
        self.answer()?;
        written
    }
}

fn stored(record: &FlagRecord) -> Stored {
    Stored {
        name: record.name().to_owned(),
        version: Version::opaque(record.to_json()),
        record: Ok(Arc::new(record.clone())),
    }
}

impl std::ops::Deref for Scripted {
    type Target = Script;

    fn deref(&self) -> &Script {
        &self.0
    }
}

impl fmt::Display for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}

#[async_trait]
impl FeatureFlagStore for Scripted {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        let found = self.flags.lock().unwrap().get(name).map(stored);
        self.after_get.pass().await;
        self.answer()?;
        Ok(found)
    }

    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
        validate_name(record.name())?;
        self.write_slowly(record.name(), Some(record.clone()), options.when).await
    }

    async fn delete(&self, name: &str, options: WriteOptions) -> Result<Version> {
        self.write_slowly(name, None, options.when).await
    }

    async fn list(&self) -> Result<Vec<Stored>> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        self.answer()?;
        Ok(self.all())
    }

    fn watch(&self) -> Watch<'_> {
        let (sender, steps) = unbounded_channel();
        let first = match self.answer() {
            Ok(()) => self.reset(),
            Err(error) => WatchEvent::Lost(error),
        };
        sender.send(Step::Emit(first)).unwrap();
        self.watches.lock().unwrap().push(sender);
        self.watching.fetch_add(1, Ordering::SeqCst);
        Box::pin(stream::unfold(Watching { store: self.clone(), steps }, |mut watching| async move {
            match watching.steps.recv().await? {
                Step::Emit(event) => Some((event, watching)),
                Step::Panic(message) => panic!("{message}"),
                Step::End => None,
            }
        }))
    }
}

struct Watching {
    store: Scripted,
    steps: UnboundedReceiver<Step>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.store.watching.fetch_sub(1, Ordering::SeqCst);
    }
}
