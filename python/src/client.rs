//! What `flipper.FeatureFlagClient` and `flipper.FeatureFlag` inherit from: the check.

use std::sync::OnceLock;

use flipper::FeatureFlagClient;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::errors::uncopied;
use crate::flags::Flags;

/// A client whose checks are answered here where its flags are in this process, and by Python code where they are not.
#[pyclass(subclass, frozen, module = "flipper._flipper")]
pub(crate) struct Client {
    flags: OnceLock<Py<Flags>>,
}

impl Client {
    /// The flags to check, unless the store's methods have been replaced by Python code.
    #[inline]
    pub(crate) fn flags(&self) -> Option<&FeatureFlagClient> {
        self.flags.get().map(Py::get).and_then(Flags::checked)
    }
}

#[pymethods]
impl Client {
    /// Takes anything, for subclasses with other arguments.
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { flags: OnceLock::new() }
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(uncopied())
    }

    /// Checks these flags from now on.
    fn _check(&self, flags: Py<Flags>) -> PyResult<()> {
        self.flags.set(flags).map_err(|_| PyRuntimeError::new_err("this client has its flags already"))
    }
}

/// A flag of a client.
#[pyclass(subclass, frozen, module = "flipper._flipper")]
pub(crate) struct Flag {
    handle: OnceLock<(Py<Client>, String)>,
}

impl Flag {
    /// The client, and the flag's name.
    #[inline]
    pub(crate) fn handle(&self) -> Option<(&Py<Client>, &str)> {
        self.handle.get().map(|(client, name)| (client, name.as_str()))
    }
}

#[pymethods]
impl Flag {
    /// Takes anything, for subclasses with other arguments.
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { handle: OnceLock::new() }
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(uncopied())
    }

    /// Checks this flag of this client from now on.
    fn _check(&self, client: Py<Client>, name: String) -> PyResult<()> {
        self.handle.set((client, name)).map_err(|_| PyRuntimeError::new_err("this flag has its client already"))
    }
}
