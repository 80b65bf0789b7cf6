//! The limit of a check: a method of the same calling convention, over a `HashMap`, that does nothing else. `_bare.Bare(names)` has it.
#![expect(unsafe_code, reason = "Python's own calling convention")]

use std::collections::HashMap;
use std::{ptr, slice, str};

use pyo3::prelude::*;
use pyo3::{Borrowed, ffi};

#[pyclass(frozen)]
struct Bare {
    flags: HashMap<String, bool>,
}

#[pymethods]
impl Bare {
    #[new]
    fn new(names: Vec<String>) -> Self {
        Self { flags: names.into_iter().map(|name| (name, true)).collect() }
    }
}

unsafe extern "C" fn is_enabled(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    positional: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: Python calls it as a method of the class, with an array of arguments, which all live until it returns.
    unsafe {
        let py = Python::assume_attached();
        let this = Borrowed::from_ptr(py, this);
        let bare = this.cast_unchecked::<Bare>().get();
        let mut length = 0;
        let start = match positional {
            1 if names.is_null() => ffi::PyUnicode_AsUTF8AndSize(*arguments, &raw mut length),
            _ => ptr::null(),
        };
        if start.is_null() {
            ffi::PyErr_SetString(ffi::PyExc_TypeError, c"is_enabled(feature_name)".as_ptr());
            return ptr::null_mut();
        }
        let name = str::from_utf8_unchecked(slice::from_raw_parts(start.cast(), length.unsigned_abs()));
        ffi::Py_NewRef(if bare.flags.get(name) == Some(&true) { ffi::Py_True() } else { ffi::Py_False() })
    }
}

#[pymodule(gil_used = false)]
fn _bare(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let class = module.py().get_type::<Bare>();
    let definition = Box::new(ffi::PyMethodDef {
        ml_name: c"is_enabled".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: is_enabled },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: ptr::null(),
    });
    // SAFETY: the definition is never freed, and the descriptor is a new reference or null.
    let method = unsafe {
        Bound::from_owned_ptr_or_err(
            module.py(),
            ffi::PyDescr_NewMethod(class.as_type_ptr(), Box::into_raw(definition)),
        )?
    };
    class.setattr("is_enabled", method)?;
    module.add_class::<Bare>()
}
