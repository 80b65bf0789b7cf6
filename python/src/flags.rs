//! The flags of one store of the Rust library.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flipper::evaluation::Clock;
use flipper::store::{Health, Precondition};
use flipper::{Error, ErrorKind, FeatureFlagClient, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore, blocking};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::errors::OrRaise;
use crate::objects::{free_dead, keep, text_and_objects};

/// So long a store of a client object is waited for, which may be away when a program starts.
const PATIENCE: Duration = Duration::from_secs(2);

/// A flag as Python reads it: its stored text, and its rules where those are objects that no text can hold.
type Flag = (String, Option<Py<PyAny>>);

/// What was made of a state of a flag, by name.
type Items = HashMap<String, (Arc<FlagRecord>, Py<PyAny>)>;

/// The flags of a store, all of them in memory; what `flipper.contrib` wraps. Calls that write wait, and let other threads of
/// Python run.
#[pyclass(frozen, module = "flipper._flipper")]
pub(crate) struct Flags {
    client: blocking::FeatureFlagClient,
    /// The memory store, which alone can keep objects.
    memory: Option<MemoryFeatureFlagStore>,
    name: String,
    /// Whether some of the store's methods are Python code, so that checks must call them.
    replaced: AtomicBool,
    /// Flags as Python objects, for checks that Rust leaves to Python.
    items: Mutex<Items>,
}

impl Flags {
    fn new(
        client: impl Into<blocking::FeatureFlagClient>,
        memory: Option<MemoryFeatureFlagStore>,
        name: String,
    ) -> Self {
        Self { client: client.into(), memory, name, replaced: AtomicBool::new(false), items: Mutex::default() }
    }

    fn items(&self) -> MutexGuard<'_, Items> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of a store of this URL, in memory if it is waited for, unless that takes so long that the program should start without
    /// them.
    pub(crate) fn of_store(py: Python<'_>, store: impl FeatureFlagStore, url: &str, waits: bool) -> PyResult<Self> {
        let opened = py.detach(|| {
            let client = blocking::FeatureFlagClient::new(|| async { store })?;
            match client.ready_timeout(if waits { PATIENCE } else { Duration::ZERO }) {
                Err(error) if error.kind() != ErrorKind::Unavailable => Err(error),
                _ => Ok(client),
            }
        });
        Ok(Self::new(opened.or_raise(py)?, None, scheme(url)))
    }

    /// Whether the flags in memory may not be the store's.
    pub(crate) fn is_behind(&self) -> bool {
        matches!(self.client.status().health, Health::Stale { .. })
    }

    /// What answers checks, unless Python code must.
    #[inline]
    pub(crate) fn checked(&self) -> Option<&FeatureFlagClient> {
        (!self.replaced.load(Ordering::Relaxed)).then_some(&*self.client)
    }

    /// Writes. Other threads of Python run meanwhile, but not while memory is written: that takes no time, and they would only make
    /// each other's changes begin again.
    fn write<T: Send>(&self, py: Python<'_>, write: impl FnOnce() -> T + Send) -> T {
        let written = if self.memory.is_some() { write() } else { py.detach(write) };
        free_dead();
        written
    }

    fn record(&self, py: Python<'_>, text: &str, objects: Option<Py<PyAny>>) -> PyResult<FlagRecord> {
        let mut record = FlagRecord::from_json(text).or_raise(py)?;
        if let Some(objects) = objects {
            if self.memory.is_none() {
                return Err(PyTypeError::new_err("only the memory store keeps rules that are not JSON"));
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
        let client = match now {
            Some(now) => FeatureFlagClient::builder().clock(Fixed(now)).build(store.clone()),
            None => FeatureFlagClient::new(store.clone()),
        };
        Self::new(client, Some(store), "Memory".to_owned())
    }

    /// The store that a URL names, when its flags are in memory.
    #[staticmethod]
    fn connect(py: Python<'_>, url: &str) -> PyResult<Self> {
        if url == "memory:" {
            return Ok(Self::memory(None));
        }
        let client = py.detach(|| blocking::connect(url)).or_raise(py)?;
        Ok(Self::new(client, None, scheme(url)))
    }

    /// Whether rules may be objects that JSON cannot hold.
    #[getter]
    fn keeps_objects(&self) -> bool {
        self.memory.is_some()
    }

    /// Whether some of the store's methods are Python code.
    #[getter]
    fn is_replaced(&self) -> bool {
        self.replaced.load(Ordering::Relaxed)
    }

    /// Some of the store's methods are Python code from now on: checks must call them.
    fn replace(&self) {
        self.replaced.store(true, Ordering::Relaxed);
    }

    /// The flag of this name.
    fn get(&self, py: Python<'_>, name: &Bound<'_, PyString>) -> PyResult<Option<Flag>> {
        let Ok(name) = name.to_cow() else { return Ok(None) };
        let name = &*name;
        match self.client.record(name) {
            Ok(record) => Ok(Some(text_and_objects(py, &record))),
            Err(error) if error.kind() == ErrorKind::FlagNotFound => Ok(None),
            error => Ok(Some(text_and_objects(py, &*error.or_raise(py)?))),
        }
    }

    /// What `make(text, objects)` makes of the flag, made once for each state of it; `None` for one that cannot be read.
    fn item(&self, py: Python<'_>, name: &Bound<'_, PyString>, make: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
        let Ok(name) = name.to_cow() else { return Ok(None) };
        let Ok(record) = self.client.record(&name) else { return Ok(None) };
        if let Some((of, item)) = self.items().get(&*name)
            && Arc::ptr_eq(of, &record)
        {
            return Ok(Some(item.clone_ref(py)));
        }
        let flag = text_and_objects(py, &record);
        let has_objects = flag.1.is_some();
        let item = make.call1(flag)?.unbind();
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
        name.to_cow().is_ok_and(|name| self.client.exists(&name))
    }

    /// The names of all flags, in order.
    fn names(&self) -> Vec<String> {
        self.client.list().iter().map(|flag| flag.name().to_owned()).collect()
    }

    /// Writes a flag, whatever there is under its name.
    #[pyo3(signature = (text, objects = None))]
    fn put(&self, py: Python<'_>, text: &str, objects: Option<Py<PyAny>>) -> PyResult<()> {
        let record = self.record(py, text, objects)?;
        record.validate().or_raise(py)?;
        self.write(py, || self.client.put(&record, Precondition::Any)).or_raise(py)?;
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
    fn update(&self, py: Python<'_>, name: &str, change: &Bound<'_, PyAny>) -> PyResult<()> {
        let change = change.as_unbound();
        let mut raised = None;
        let written = self.write(py, || {
            self.client.update(name, |record| {
                let changed = Python::attach(|py| {
                    let (text, objects): Flag = change.bind(py).call1(text_and_objects(py, record))?.extract()?;
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
        });
        match raised {
            Some(error) => Err(error),
            None => written.or_raise(py),
        }
    }

    /// Deletes the flag, if there is one.
    fn delete(&self, py: Python<'_>, name: &Bound<'_, PyString>) -> PyResult<()> {
        let Ok(name) = name.to_cow() else { return Ok(()) };
        let name = &*name;
        match self.write(py, || self.client.delete(name, Precondition::Any)) {
            Err(error) if error.kind() != ErrorKind::FlagNotFound => Err(error).or_raise(py),
            _ => Ok(()),
        }
    }

    /// Why the flags in memory may not be the store's, if so.
    #[getter]
    fn trouble(&self) -> Option<String> {
        match self.client.status().health {
            Health::Stale { reason, .. } => Some(reason.to_string()),
            _ => None,
        }
    }

    /// Ends the background work; checks go on with the flags in memory.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.client.close()).or_raise(py)
    }

    fn __repr__(&self) -> &str {
        &self.name
    }
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
