//! Errors of the library as exceptions of the package.

use flipper::{Error, ErrorKind};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// The exception for an error. Its class is in `flipper.exceptions`.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    let class = match error.kind() {
        ErrorKind::FlagNotFound => "FlagDoesNotExistError",
        ErrorKind::InvalidName | ErrorKind::InvalidInput => "InvalidInputError",
        ErrorKind::Corrupt => "UnreadableFlagError",
        ErrorKind::Conflict => "ConflictError",
        ErrorKind::Unavailable => "StoreUnavailableError",
        ErrorKind::Unauthorized => "UnauthorizedError",
        ErrorKind::Unsupported => "UnsupportedError",
        _ => "FlipperError",
    };
    let class = py.import("flipper.exceptions").and_then(|module| module.getattr(class));
    match class.and_then(|class| Ok(class.cast_into::<PyType>()?)) {
        Ok(class) => PyErr::from_type(class, error.chain()),
        Err(raised) => raised,
    }
}

/// For `pickle` and `copy`.
pub(crate) fn uncopied() -> PyErr {
    PyTypeError::new_err("clients, flags and stores cannot be pickled or copied: make a client in each process")
}

/// A result of the library as one of Python.
pub(crate) trait OrRaise<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for flipper::Result<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| exception(py, &error))
    }
}
