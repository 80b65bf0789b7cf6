//! Who changes flags, and what a store's history says.

use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use flipper::history::{self, FlagState};
use flipper::{Result, blocking};
use futures_util::TryStreamExt;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::errors::{OrRaise, uncopied};

/// Who changes a flag, and why.
#[pyclass(frozen, module = "flipper._flipper")]
pub(crate) struct Cause {
    pub(crate) inner: Arc<history::Cause>,
}

impl Cause {
    fn with(&self, py: Python<'_>, change: impl FnOnce(history::Cause) -> Result<history::Cause>) -> PyResult<Self> {
        Ok(Self { inner: Arc::new(change((*self.inner).clone()).or_raise(py)?) })
    }
}

#[pymethods]
impl Cause {
    /// A program, and nothing else that is known.
    #[new]
    fn new() -> Self {
        Self { inner: Arc::default() }
    }

    fn with_actor(&self, py: Python<'_>, actor: &str) -> PyResult<Self> {
        self.with(py, |cause| cause.with_actor(actor))
    }

    fn with_reason(&self, py: Python<'_>, reason: &str) -> PyResult<Self> {
        self.with(py, |cause| cause.with_reason(reason))
    }

    #[getter]
    fn actor(&self) -> Option<&str> {
        self.inner.actor()
    }

    #[getter]
    fn reason(&self) -> Option<&str> {
        self.inner.reason()
    }

    fn __repr__(&self) -> String {
        format!("Cause(actor={:?}, reason={:?})", self.actor(), self.reason())
    }
}

/// One change of one flag.
#[pyclass(frozen, module = "flipper._flipper")]
pub(crate) struct Entry {
    pub(crate) inner: history::Entry,
}

/// What Python's times can hold: the years 1 to 9999, of which histories have those from 1970 on.
const LAST: Duration = Duration::from_secs(253_402_300_799);

#[pymethods]
impl Entry {
    /// The place in the history, as the store writes it.
    #[getter]
    fn id(&self) -> &str {
        self.inner.id.as_str()
    }

    /// The flag.
    #[getter]
    fn name(&self) -> &str {
        &self.inner.name
    }

    /// When, by the clock of the store or its writer. Clocks go back: the order of the entries is that of the changes.
    #[getter]
    fn at(&self) -> SystemTime {
        self.inner.at.clamp(SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + LAST)
    }

    /// What was done: `create`, `enable`, `set_conditions` and so on.
    #[getter]
    fn verb(&self) -> &str {
        &self.inner.verb
    }

    /// Who, if that is known.
    #[getter]
    fn actor(&self) -> Option<&str> {
        self.inner.actor()
    }

    /// Why, if a reason was given.
    #[getter]
    fn reason(&self) -> Option<&str> {
        self.inner.reason()
    }

    /// From where: `program`, `command` and so on; `outside` if not by Flipper, in PostgreSQL with the program's name, as in `outside: psql`.
    #[getter]
    fn source(&self) -> &str {
        self.inner.source()
    }

    /// The flag before, as it is stored; `None` if there was none.
    #[getter]
    fn before<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        state(py, &self.inner.before)
    }

    /// The flag after, as it is stored; `None` if it was destroyed.
    #[getter]
    fn after<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        state(py, &self.inner.after)
    }

    /// Of both the fields that differ.
    fn differences<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let (before, after) = self.inner.differences();
        Ok((loads(py, &before.to_string())?, loads(py, &after.to_string())?))
    }

    fn __repr__(&self) -> String {
        let entry = &self.inner;
        let (name, verb) = (&entry.name, &*entry.verb);
        format!("Entry({name:?}, {verb:?}, actor={:?}, source={:?})", entry.actor(), entry.source())
    }
}

/// As `json` reads it. What is stored and is no flag is `{"unreadable": WHY}`.
fn state<'py>(py: Python<'py>, state: &FlagState) -> PyResult<Bound<'py, PyAny>> {
    match state {
        None => Ok(py.None().into_bound(py)),
        Some(Ok(record)) => loads(py, &record.to_json()),
        Some(Err(corrupt)) => {
            let unreadable = pyo3::types::PyDict::new(py);
            unreadable.set_item("unreadable", corrupt.reason())?;
            Ok(unreadable.into_any())
        }
    }
}

fn loads<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("json")?.call_method1("loads", (text,))
}

/// Entries of a history, the newest first. Pages of them are read when they are needed.
#[pyclass(frozen, module = "flipper._flipper")]
pub(crate) struct History {
    entries: Mutex<history::History>,
    process: u32,
}

impl History {
    pub(crate) fn new(entries: history::History) -> Self {
        Self { entries: Mutex::new(entries), process: process::id() }
    }
}

#[pymethods]
impl History {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Entry>> {
        if self.process != process::id() {
            // It would read over the parent's connection.
            return Err(PyRuntimeError::new_err("a history is read in the process that asked for it"));
        }
        let next = py.detach(|| {
            let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            blocking::wait(entries.try_next())
        });
        Ok(next.or_raise(py)?.map(|inner| Entry { inner }))
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(uncopied())
    }
}
