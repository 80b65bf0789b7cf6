//! Calls of Python code.
#![expect(unsafe_code, reason = "pyo3's own calls abort the program where Python ends the thread")]

use std::thread;
use std::time::Duration;

use pyo3::exceptions::PyImportError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

unsafe extern "C-unwind" {
    /// As in `pyo3::ffi`, but for unwinding.
    fn PyObject_CallObject(callable: *mut ffi::PyObject, arguments: *mut ffi::PyObject) -> *mut ffi::PyObject;
}

/// Calls Python code.
///
/// When the interpreter ends, Python before 3.14 ends a daemon thread that wants to go on with `pthread_exit`, which unwinds the stack, and
/// aborts the program where that reaches Rust. So the thread sleeps here until the process has ended, as it does in later versions.
pub(crate) fn call<'py>(callable: &Bound<'py, PyAny>, arguments: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
    let unwinding = Sleep;
    // SAFETY: both are alive, and the thread is attached. The result is a new reference, or null with an exception.
    let result = unsafe {
        let result = PyObject_CallObject(callable.as_ptr(), arguments.as_ptr());
        Bound::from_owned_ptr_or_err(callable.py(), result)
    };
    std::mem::forget(unwinding);
    result
}

/// Fails in all interpreters of a process but the first. Rust has one state for all of them, and a thread that comes back to Python
/// comes back to the first: before Python 3.12 that is a deadlock.
pub(crate) fn in_main_interpreter(_py: Python<'_>) -> PyResult<()> {
    // SAFETY: the thread is attached, so it has an interpreter.
    match unsafe { ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get()) } {
        0 => Ok(()),
        _ => Err(PyImportError::new_err(
            "flipper runs in a process's main interpreter, not in subinterpreters; under mod_wsgi: WSGIApplicationGroup %{GLOBAL}",
        )),
    }
}

struct Sleep;

impl Drop for Sleep {
    fn drop(&mut self) {
        loop {
            thread::sleep(Duration::MAX);
        }
    }
}
