//! The flags of one store of the Rust library.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use flipper::evaluation::Clock;
use flipper::history::HistoryQuery;
use flipper::store::{FlagTable, Health, LocalFeatureFlagStore, Precondition, Status};
use flipper::{
    Error, ErrorKind, FeatureFlagClient, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore,
    MirroredFeatureFlagStore, Result, blocking,
};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use crate::calls::call;
use crate::errors::{OrRaise, uncopied};
use crate::forks::{PerProcess, Turn};
use crate::history::{Cause, Entry, History};
use crate::objects::{free_dead, keep, text_and_objects};

/// So long a store of a client object is waited for, which may be away when a program starts.
const PATIENCE: Duration = Duration::from_secs(2);
/// So long a store of a URL is waited for.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Between two tries of a forked process to open the store again.
const RETRY: Duration = Duration::from_secs(1);

/// So long a write of the memory store is repeated.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// In which the other writer ends.
const PAUSE: Duration = Duration::from_millis(1);

/// So many names become objects of Python at once.
const PAGE: usize = 1000;

/// A method was replaced on an object, for good.
const REPLACED: u8 = 1;
/// A method is patched on the class.
const PATCHED: u8 = 2;

/// A flag as Python reads it: its stored text, and its rules where those are objects that no text can hold.
type Flag = (String, Option<Py<PyAny>>);

/// What was made of a state of a flag, by name.
type Items = HashMap<String, (Arc<FlagRecord>, Py<PyAny>)>;

/// Opens the store, in each process again.
type Open = Arc<dyn Fn() -> Result<Arc<dyn FeatureFlagStore>> + Send + Sync>;

/// A store's flags in this process's memory.
struct Served {
    client: blocking::FeatureFlagClient,
    table: Arc<FlagTable>,
}

impl Served {
    /// Those of a store, followed by this process. `inherited`: those of its parent, with which it begins.
    fn open(open: &Open, inherited: Option<&Self>) -> Result<Self> {
        let store = open()?;
        let follow = || async {
            let mirror = MirroredFeatureFlagStore::builder(store);
            Ok(match inherited {
                Some(inherited) => mirror.inherited(inherited.table.list()),
                None => mirror,
            }
            .build())
        };
        let mirror = blocking::wait(follow())?;
        let table = mirror.table().clone();
        Ok(Self { client: FeatureFlagClient::new(mirror).into(), table })
    }
}

/// The flags of a store, all of them in memory; what `flipper.contrib` wraps. Calls that write wait, and let other threads of
/// Python run.
#[pyclass(frozen, module = "flipper._flipper")]
pub(crate) struct Flags {
    served: PerProcess<Served>,
    /// `None` for the memory store, whose flags a forked process has for itself.
    open: Option<Open>,
    /// The memory store, which alone can keep objects.
    memory: Option<MemoryFeatureFlagStore>,
    name: String,
    /// Why some of the store's methods are Python code, so that checks must call them; 0 if none is.
    replaced: AtomicU8,
    closed: AtomicBool,
    /// Flags as Python objects, for checks that Rust leaves to Python.
    items: Mutex<Items>,
}

impl Flags {
    fn new(served: Served, open: Option<Open>, memory: Option<MemoryFeatureFlagStore>, name: String) -> Self {
        Self {
            served: PerProcess::new(served),
            open,
            memory,
            name,
            replaced: AtomicU8::new(0),
            closed: AtomicBool::new(false),
            items: Mutex::default(),
        }
    }

    fn items(&self) -> MutexGuard<'_, Items> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of a store of this URL, in memory unless that takes so long that the program should start without them.
    pub(crate) fn of_store(
        py: Python<'_>,
        open: impl Fn() -> Result<Arc<dyn FeatureFlagStore>> + Send + Sync + 'static,
        url: &str,
        patience: Option<Duration>,
    ) -> PyResult<Self> {
        let open: Open = Arc::new(open);
        let opened = py.detach(|| {
            let served = Served::open(&open, None)?;
            match served.client.ready_timeout(patience.unwrap_or(PATIENCE)) {
                Err(error) if error.kind() != ErrorKind::Unavailable => Err(error),
                _ => Ok(served),
            }
        });
        Ok(Self::new(opened.or_raise(py)?, Some(open), None, scheme(url)))
    }

    /// Whether the flags in memory may not be the store's.
    pub(crate) fn is_behind(&self) -> bool {
        self.trouble().is_some()
    }

    /// What answers checks, unless Python code must.
    #[inline]
    pub(crate) fn checked(&self) -> Option<&FeatureFlagClient> {
        match self.served.published() {
            Some(served) => Some(&served.client),
            None => self.checked_after_a_change(),
        }
    }

    /// A method was replaced, or the process was forked.
    #[cold]
    fn checked_after_a_change(&self) -> Option<&FeatureFlagClient> {
        let client = if self.is_replaced() { None } else { self.read().map(|client| &**client) };
        self.publish();
        client
    }

    /// Has the own flags found by the next check, unless that must call Python code.
    fn publish(&self) {
        if !self.is_replaced() {
            self.served.publish();
        }
        // Or it was replaced meanwhile.
        if self.is_replaced() {
            self.served.conceal();
        }
    }

    /// What answers reads.
    pub(crate) fn read(&self) -> Option<&blocking::FeatureFlagClient> {
        match self.served.own() {
            Some(served) => Some(&served.client),
            None => self.inherited(),
        }
    }

    /// The parent's flags in a forked process, which follows the store again in the background.
    fn inherited(&self) -> Option<&blocking::FeatureFlagClient> {
        match &self.open {
            Some(open) if !self.closed.load(Ordering::Relaxed) => {
                let turn = self.served.turn();
                if turn.begins() {
                    follow(open.clone(), Arc::downgrade(&turn));
                }
            }
            _ => self.served.keep(),
        }
        self.served.known().map(|served| &served.client)
    }

    /// What writes: this process's own client, with connections of its own.
    fn own(&self, py: Python<'_>) -> PyResult<&blocking::FeatureFlagClient> {
        if let (None, Some(open)) = (self.served.own(), &self.open)
            && !self.closed.load(Ordering::Relaxed)
        {
            let turn = self.served.turn();
            py.detach(|| turn.make(|inherited| Served::open(open, inherited)).map(drop)).or_raise(py)?;
        }
        let closed =
            || Error::new(ErrorKind::Unavailable).with_message("the store was closed before the process was forked");
        self.read().filter(|_| self.served.own().is_some()).ok_or_else(closed).or_raise(py)
    }

    /// The same, for writes of this cause.
    pub(crate) fn writer(&self, py: Python<'_>, cause: Option<&Cause>) -> PyResult<blocking::FeatureFlagClient> {
        let own = self.own(py)?;
        Ok(cause.map_or_else(|| own.clone(), |cause| own.with_cause(cause.inner.clone())))
    }

    /// Writes. Other threads of Python run meanwhile, but not while memory is written: that takes no time, and they would only make
    /// each other's changes begin again.
    fn write<T: Send>(&self, py: Python<'_>, write: impl FnOnce() -> T + Send) -> T {
        let written = if self.memory.is_some() { write() } else { py.detach(write) };
        free_dead();
        written
    }

    /// Writes, and begins again where another thread's write of memory came in between.
    pub(crate) fn write_again(&self, py: Python<'_>, mut write: impl FnMut() -> Result<()> + Send) -> PyResult<()> {
        let deadline = Instant::now() + WRITE_TIMEOUT;
        let mut written = self.write(py, &mut write);
        // With a new turn of Python's lock the change is made without a break.
        while self.memory.is_some()
            && written.as_ref().is_err_and(|error| error.kind() == ErrorKind::Conflict)
            && Instant::now() < deadline
        {
            py.detach(|| thread::sleep(PAUSE));
            written = self.write(py, &mut write);
        }
        written.or_raise(py)
    }

    fn record(&self, py: Python<'_>, text: &str, objects: Option<Py<PyAny>>) -> PyResult<FlagRecord> {
        let mut record = FlagRecord::from_json(text).or_raise(py)?;
        if let Some(objects) = objects {
            if self.memory.is_none() {
                return Err(PyTypeError::new_err("only the memory store keeps rules that are not JSON"));
            }
            if record.schedule().is_some_and(|schedule| !schedule.steps.is_empty()) {
                return Err(PyTypeError::new_err("a flag whose schedule has steps keeps no rules that are not JSON"));
            }
            keep(&mut record, objects);
        }
        Ok(record)
    }
}

#[pymethods]
impl Flags {
    /// A new memory store. `now`: the Unix time that ramps see, for tests.
    #[staticmethod]
    #[pyo3(signature = (now = None))]
    fn memory(now: Option<f64>) -> Self {
        let store = MemoryFeatureFlagStore::new();
        // `update` tries again.
        let builder = FeatureFlagClient::builder().write_timeout(Duration::ZERO);
        let client = match now {
            Some(now) => builder.clock(Fixed(now)).build(store.clone()),
            None => builder.build(store.clone()),
        };
        let served = Served { client: client.into(), table: store.table().clone() };
        Self::new(served, None, Some(store), "Memory".to_owned())
    }

    /// The store that a URL names. `must_arrive`: an error if its flags are not in memory in time.
    #[staticmethod]
    #[pyo3(signature = (url, must_arrive = true))]
    fn connect(py: Python<'_>, url: &str, must_arrive: bool) -> PyResult<Self> {
        if url == "memory:" {
            return Ok(Self::memory(None));
        }
        let address = url.to_owned();
        let patience = must_arrive.then_some(CONNECT_WITHIN);
        let flags = Self::of_store(py, move || flipper::open(&address), url, patience)?;
        if !must_arrive {
            return Ok(flags);
        }
        let status = flags.served.own().map(|served| served.client.status());
        // With a `last_sync` the flags arrived just now.
        if let Some(Status { health: Health::Stale { reason, .. }, last_sync: None, .. }) = status {
            let message = format!("the store's flags did not arrive within {CONNECT_WITHIN:?}: {reason}");
            return Err(Error::new(ErrorKind::Unavailable).with_message(message)).or_raise(py);
        }
        Ok(flags)
    }

    /// Whether rules may be objects that JSON cannot hold.
    #[getter]
    fn keeps_objects(&self) -> bool {
        self.memory.is_some()
    }

    /// Whether some of the store's methods are Python code.
    #[getter]
    fn is_replaced(&self) -> bool {
        self.replaced.load(Ordering::SeqCst) != 0
    }

    /// Some of the store's methods are Python code from now on: checks must call them.
    fn replace(&self) {
        self.replaced.fetch_or(REPLACED, Ordering::SeqCst);
        self.served.conceal();
    }

    /// As `replace`, as long as a test patches the store's class.
    fn patch(&self, is_patched: bool) {
        if is_patched {
            self.replaced.fetch_or(PATCHED, Ordering::SeqCst);
        } else {
            self.replaced.fetch_and(!PATCHED, Ordering::SeqCst);
        }
        self.publish();
    }

    /// The flag of this name.
    fn get(&self, py: Python<'_>, name: &Bound<'_, PyString>) -> PyResult<Option<Flag>> {
        let Ok(name) = name.to_cow() else { return Ok(None) };
        let Some(client) = self.read() else { return Ok(None) };
        match client.record(&name) {
            Ok(record) => Ok(Some(text_and_objects(py, &record))),
            Err(error) if error.kind() == ErrorKind::FlagNotFound => Ok(None),
            error => Ok(Some(text_and_objects(py, &*error.or_raise(py)?))),
        }
    }

    /// What `make(text, objects)` makes of the flag, made once for each state of it; `None` for one that cannot be read.
    fn item(&self, py: Python<'_>, name: &Bound<'_, PyString>, make: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
        let Ok(name) = name.to_cow() else { return Ok(None) };
        let Some(Ok(record)) = self.read().map(|client| client.record(&name)) else { return Ok(None) };
        if let Some((of, item)) = self.items().get(&*name)
            && (Arc::ptr_eq(of, &record) || *of == record)
        {
            return Ok(Some(item.clone_ref(py)));
        }
        let flag = text_and_objects(py, &record);
        let has_objects = flag.1.is_some();
        let item = call(make, &flag.into_pyobject(py)?)?.unbind();
        if has_objects {
            // Held here they would outlive their flag.
            return Ok(Some(item));
        }
        let old = self.items().insert(name.into_owned(), (record, item.clone_ref(py)));
        // Freed after the lock is released, for an object's own `__del__` may come here again.
        drop(old);
        Ok(Some(item))
    }

    /// Whether the flag exists, readable or not.
    fn exists(&self, name: &Bound<'_, PyString>) -> bool {
        // No flag has a name that is no text in UTF-8.
        name.to_cow().is_ok_and(|name| self.read().is_some_and(|client| client.exists(&name)))
    }

    /// The names of all flags, in order. Other threads of Python run in between.
    fn names<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let flags = || self.read().into_iter().flat_map(|client| client.list());
        let names: Vec<_> = py.detach(|| flags().map(|flag| flag.name().to_owned()).collect());
        let list = PyList::empty(py);
        for page in names.chunks(PAGE) {
            page.iter().try_for_each(|name| list.append(name))?;
            py.detach(|| ());
        }
        py.detach(|| drop(names));
        Ok(list)
    }

    /// Writes a flag, whatever there is under its name.
    #[pyo3(signature = (text, objects = None, cause = None))]
    fn put(&self, py: Python<'_>, text: &str, objects: Option<Py<PyAny>>, cause: Option<&Cause>) -> PyResult<()> {
        let record = self.record(py, text, objects)?;
        record.validate().or_raise(py)?;
        let client = self.writer(py, cause)?;
        self.write(py, || client.put(&record, Precondition::Any)).or_raise(py)?;
        Ok(())
    }

    /// Takes in a text under any name, also one that is no flag, for tests.
    fn put_text(&self, name: &str, text: &str) -> PyResult<()> {
        let memory = self.memory.as_ref().ok_or_else(|| PyTypeError::new_err("this is for the memory store"))?;
        memory.put_text(name, text);
        Ok(())
    }

    /// Writes what `change(text, objects)` makes of the flag, another `(text, objects)`, and calls it again if the flag was
    /// changed in between. What it raises ends the write, with nothing written.
    #[pyo3(signature = (name, change, cause = None))]
    fn update(&self, py: Python<'_>, name: &str, change: &Bound<'_, PyAny>, cause: Option<&Cause>) -> PyResult<()> {
        let change = change.as_unbound();
        let client = self.writer(py, cause)?;
        let mut raised = None;
        let mut write = || {
            client.update(name, |record| {
                let changed = Python::attach(|py| {
                    let (text, objects): Flag =
                        call(change.bind(py), &text_and_objects(py, record).into_pyobject(py)?)?.extract()?;
                    if self.served.own().is_none() {
                        // It would go on over the parent's connections.
                        return Err(PyRuntimeError::new_err("the process was forked in the middle of a write"));
                    }
                    self.record(py, &text, objects)
                });
                match changed {
                    Ok(changed) => *record = changed,
                    Err(error) => {
                        raised = Some(error);
                        return Err(Error::new(ErrorKind::Vetoed));
                    }
                }
                Ok(())
            })
        };
        let written = self.write_again(py, &mut write);
        match raised {
            Some(error) => Err(error),
            None => written,
        }
    }

    /// Deletes the flag, if there is one.
    #[pyo3(signature = (name, cause = None))]
    fn delete(&self, py: Python<'_>, name: &Bound<'_, PyString>, cause: Option<&Cause>) -> PyResult<()> {
        let Ok(name) = name.to_cow() else { return Ok(()) };
        let client = self.writer(py, cause)?;
        match self.write(py, || client.delete(&name, Precondition::Any)) {
            Err(error) if error.kind() != ErrorKind::FlagNotFound => Err(error).or_raise(py),
            _ => Ok(()),
        }
    }

    /// The changes of this flag, or of all, the newest first. `since`: leaves out those of times before this one, in seconds of Unix time.
    #[pyo3(signature = (name = None, since = None))]
    fn history(&self, py: Python<'_>, name: Option<&str>, since: Option<f64>) -> PyResult<History> {
        let query = name.map_or_else(HistoryQuery::all, HistoryQuery::of);
        // Before 1970, and beyond what the clock can count, there is no limit.
        let since = since.and_then(|since| Duration::try_from_secs_f64(since).ok());
        let since = since.and_then(|since| UNIX_EPOCH.checked_add(since));
        Ok(History::new(self.own(py)?.entries(query.since(since))))
    }

    /// Makes the flag what it was before this entry, if nothing has changed it since.
    #[pyo3(signature = (name, entry, cause = None))]
    fn restore(&self, py: Python<'_>, name: &str, entry: &Entry, cause: Option<&Cause>) -> PyResult<()> {
        let client = self.writer(py, cause)?;
        self.write(py, || client.restore(name, &entry.inner)).or_raise(py)
    }

    /// Why the flags in memory may not be the store's, if so.
    #[getter]
    fn trouble(&self) -> Option<String> {
        // The status of the parent's has locks.
        let Some(served) = self.served.own() else { return Some("the process was forked just now".to_owned()) };
        match served.client.status().health {
            Health::Stale { reason, .. } => Some(reason.to_string()),
            _ => None,
        }
    }

    /// Ends the background work; checks go on with the flags in memory.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.closed.store(true, Ordering::Relaxed);
        match self.served.own() {
            Some(served) => py.detach(|| served.client.close()).or_raise(py),
            None => Ok(()),
        }
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(uncopied())
    }

    fn __repr__(&self) -> &str {
        &self.name
    }
}

/// Follows the store, as long as its flags are held, and begins again where it cannot be opened.
fn follow(open: Open, turn: Weak<Turn<Served>>) {
    let begin = move || {
        while let Some(turn) = turn.upgrade() {
            if turn.make(|inherited| Served::open(&open, inherited)).is_ok() {
                break;
            }
            drop(turn);
            thread::sleep(RETRY);
        }
    };
    // Without a thread the inherited flags stay, and the next write opens the store.
    let _ = thread::Builder::new().name("flipper-fork".to_owned()).spawn(begin);
}

/// The URL may hold a password; its scheme does not.
fn scheme(url: &str) -> String {
    url.split(':').next().unwrap_or_default().to_owned()
}

#[derive(Debug)]
struct Fixed(f64);

impl Clock for Fixed {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs_f64(self.0)
    }
}
