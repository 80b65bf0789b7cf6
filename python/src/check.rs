//! `is_enabled` of clients and flags, written by hand: pyo3's own reading of `(name, default=…, **conditions)` takes several times
//! as long as the check.
//!
//! What the `unsafe` here relies on:
//!
//! - Python calls the two functions by their [`definition`]s only, so with `METH_FASTCALL | METH_KEYWORDS`: `arguments` has
//!   `positional` values, then one for each name in the tuple `names`, which is null for none. `this` is of the class that the
//!   method was made for, since a method descriptor checks that, and [`add_checks`] checks the class. All of them live until the
//!   call returns, and none is owned here.
//! - The thread is attached to the interpreter during the call.
//! - What is returned is owned by the caller: a new reference, or null with an exception set.
//!
//! The fast way borrows its arguments and makes no object. It runs no Python code, but for a metaclass that some client's class may
//! have: only values of the built-in types themselves are read, and everything else is left to [`by_python`]. No panic leaves the
//! file.
#![expect(unsafe_code, reason = "Python's own calling convention")]

use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{ptr, slice, str};

use flipper::FeatureFlagClient;
use flipper::context::Value;
use flipper::evaluation::Exact;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};
use pyo3::{Borrowed, ffi, intern};

use crate::calls;
use crate::client::{Client, Flag};

const NAME: &CStr = c"is_enabled";
const CLIENT_DOC: &CStr = c"is_enabled($self, feature_name, default=False, **conditions)
--

Whether the flag is on for these conditions; `default` if there is no such flag.";
const FLAG_DOC: &CStr = c"is_enabled($self, default=False, **conditions)
--

Whether the flag is on for these conditions; `default` if there is no such flag.";

/// So many conditions are read without allocating.
const FEW: usize = 8;

type Attribute<'a> = (&'a str, Value<'a>);

/// The method of the class of clients, as it is unless a subclass or a test replaces it.
static OF_CLIENTS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Gives the package's two classes their method. In the classes themselves it is found and called faster than in those that they inherit
/// from: Python has a way of its own for a method of exactly the object's class.
#[pyfunction]
pub(crate) fn add_checks(clients: &Bound<'_, PyType>, flags: &Bound<'_, PyType>) -> PyResult<()> {
    if !(clients.is_subclass_of::<Client>()? && flags.is_subclass_of::<Flag>()?) {
        return Err(PyTypeError::new_err("these are other classes"));
    }
    let method = definition(clients, is_enabled_of_client, CLIENT_DOC)?;
    OF_CLIENTS.get_or_init(clients.py(), || method.unbind());
    definition(flags, is_enabled_of_flag, FLAG_DOC)?;
    Ok(())
}

fn definition<'py>(
    class: &Bound<'py, PyType>,
    function: ffi::PyCFunctionFastWithKeywords,
    doc: &'static CStr,
) -> PyResult<Bound<'py, PyAny>> {
    let definition = Box::new(ffi::PyMethodDef {
        ml_name: NAME.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: function },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: doc.as_ptr(),
    });
    // SAFETY: the class is a type object; the definition is never freed, as the descriptor wants it, and there are two for the
    // process. The descriptor is a new reference, or null with an exception.
    let method = unsafe {
        let descriptor = ffi::PyDescr_NewMethod(class.as_type_ptr(), Box::into_raw(definition));
        Bound::from_owned_ptr_or_err(class.py(), descriptor)?
    };
    class.setattr("is_enabled", &method)?;
    Ok(method)
}

unsafe extern "C" fn is_enabled_of_client(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    positional: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|| {
        // SAFETY: as Python calls it, see above; `this` is a client.
        let (call, client) = unsafe {
            let call = Call::new(this, arguments, positional, names);
            (call, call.this.cast_unchecked::<Client>())
        };
        let answer = client.get().flags().and_then(|flags| {
            let (name, rest) = call.positional.split_first()?;
            call.answer(flags, text(call.object(*name))?, rest)
        });
        match answer {
            Some(answer) => new_reference(answer),
            None => by_python(&call, &["feature_name", "default"]),
        }
    })
}

unsafe extern "C" fn is_enabled_of_flag(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    positional: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|| {
        // SAFETY: as Python calls it, see above; `this` is a flag.
        let (call, flag) = unsafe {
            let call = Call::new(this, arguments, positional, names);
            (call, call.this.cast_unchecked::<Flag>())
        };
        let answer = flag.get().handle().and_then(|(client, name)| {
            let flags = client.get().flags()?;
            has_own_check(client.bind_borrowed(call.py)).then(|| call.answer(flags, name, call.positional))?
        });
        match answer {
            Some(answer) => new_reference(answer),
            None => by_python(&call, &["default"]),
        }
    })
}

/// No panic may reach Python.
#[inline]
fn guarded(call: impl FnOnce() -> *mut ffi::PyObject) -> *mut ffi::PyObject {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| {
        Python::attach(|py| PyRuntimeError::new_err("the check of a flag panicked").restore(py));
        ptr::null_mut()
    })
}

#[inline]
fn new_reference(object: Borrowed<'_, '_, PyAny>) -> *mut ffi::PyObject {
    // SAFETY: the object is alive, and the thread attached.
    unsafe { ffi::Py_NewRef(object.as_ptr()) }
}

/// Whether the client's class has the check of this file, which a subclass or a test may have replaced.
#[inline]
fn has_own_check(client: Borrowed<'_, '_, Client>) -> bool {
    let py = client.py();
    let Some(own) = OF_CLIENTS.get(py) else { return false };
    // SAFETY: the client and the name are alive, and the thread attached. The attribute is a new reference, which is given back at
    // once by `Py_DECREF`, for pyo3 would put it off; it is not the last one if it is the same object.
    unsafe {
        let class = ffi::Py_TYPE(client.as_ptr()).cast();
        let found = ffi::PyObject_GetAttr(class, intern!(py, "is_enabled").as_ptr());
        if found.is_null() {
            ffi::PyErr_Clear();
            return false;
        }
        ffi::Py_DECREF(found);
        found == own.as_ptr()
    }
}

/// The arguments of one call, borrowed.
#[derive(Clone, Copy)]
struct Call<'a, 'py> {
    this: Borrowed<'a, 'py, PyAny>,
    positional: &'a [*mut ffi::PyObject],
    named: &'a [*mut ffi::PyObject],
    names: *mut ffi::PyObject,
    py: Python<'py>,
}

impl<'a, 'py> Call<'a, 'py> {
    /// # Safety
    ///
    /// The arguments are those of a call, which outlives `'a` and `'py`.
    #[inline]
    unsafe fn new(
        this: *mut ffi::PyObject,
        arguments: *const *mut ffi::PyObject,
        positional: ffi::Py_ssize_t,
        names: *mut ffi::PyObject,
    ) -> Self {
        // SAFETY: the caller's. Without arguments the pointer may be null, of which there are no slices.
        unsafe {
            let py = Python::assume_attached();
            let named = if names.is_null() { 0 } else { ffi::PyTuple_Size(names) };
            let (positional, named) = (positional.unsigned_abs(), named.unsigned_abs());
            let all = if arguments.is_null() { &[][..] } else { slice::from_raw_parts(arguments, positional + named) };
            let (positional, named) = all.split_at(positional.min(all.len()));
            Self { this: Borrowed::from_ptr(py, this), positional, named, names, py }
        }
    }

    /// One of the values.
    #[inline]
    fn object(&self, value: *mut ffi::PyObject) -> Borrowed<'a, 'py, PyAny> {
        // SAFETY: each value is an object that lives as long as the call.
        unsafe { Borrowed::from_ptr(self.py, value) }
    }

    #[inline]
    fn name(&self, index: usize) -> Borrowed<'a, 'py, PyAny> {
        // SAFETY: the tuple has as many names as there are named values, and keeps them as long as the call lasts.
        unsafe { Borrowed::from_ptr(self.py, ffi::PyTuple_GetItem(self.names, index as ffi::Py_ssize_t)) }
    }

    /// What is returned, if it can be found out without Python code. `rest`: the positional values after the flag's name.
    #[inline]
    fn answer(
        &self,
        flags: &FeatureFlagClient,
        flag: &str,
        rest: &'a [*mut ffi::PyObject],
    ) -> Option<Borrowed<'a, 'py, PyAny>> {
        let mut default = match rest {
            [] => None,
            [default] => Some(self.object(*default)),
            _ => return None,
        };
        let exact = if self.named.is_empty() {
            flags.check_exactly(flag, &[] as &[Attribute<'_>])
        } else {
            let mut few = [("", Value::Null); FEW];
            let mut many = Vec::new();
            let mut count = 0;
            for (index, named) in self.named.iter().enumerate() {
                match text(self.name(index))? {
                    "default" if default.is_none() => default = Some(self.object(*named)),
                    "default" | "feature_name" => return None,
                    name => {
                        let attribute = (name, value(self.object(*named))?);
                        if count < FEW {
                            few[count] = attribute;
                        } else {
                            if many.is_empty() {
                                many.extend_from_slice(&few);
                            }
                            many.push(attribute);
                        }
                        count += 1;
                    }
                }
            }
            let attributes: &[Attribute<'_>] = if count > FEW { &many } else { &few[..count] };
            flags.check_exactly(flag, attributes)
        };
        match exact {
            Exact::On => Some(constant(self.py, true)),
            Exact::Off => Some(constant(self.py, false)),
            Exact::Missing => Some(default.unwrap_or_else(|| constant(self.py, false))),
            Exact::Undecided => None,
        }
    }

    /// The values of these parameters, of which `default` need not be given, and the conditions.
    fn bind(&self, parameters: &[&str]) -> PyResult<Bound<'py, PyTuple>> {
        if self.positional.len() > parameters.len() {
            return Err(PyTypeError::new_err(format!(
                "is_enabled() takes from {} to {} positional arguments but {} were given",
                parameters.len(),
                parameters.len() + 1,
                self.positional.len() + 1
            )));
        }
        let mut values = vec![None; parameters.len()];
        for (value, given) in values.iter_mut().zip(self.positional) {
            *value = Some(self.object(*given));
        }
        let conditions = PyDict::new(self.py);
        for (index, given) in self.named.iter().enumerate() {
            let (name, given) = (self.name(index), self.object(*given));
            let Some(place) = parameters.iter().position(|parameter| text(name) == Some(parameter)) else {
                conditions.set_item(name, given)?;
                continue;
            };
            if values[place].replace(given).is_some() {
                let message = format!("is_enabled() got multiple values for argument '{}'", parameters[place]);
                return Err(PyTypeError::new_err(message));
            }
        }
        let mut arguments = Vec::with_capacity(parameters.len() + 1);
        for (parameter, value) in parameters.iter().zip(values) {
            arguments.push(match value {
                Some(value) => value.to_owned(),
                None if *parameter == "default" => constant(self.py, false).to_owned(),
                None => {
                    let message = format!("is_enabled() missing 1 required positional argument: '{parameter}'");
                    return Err(PyTypeError::new_err(message));
                }
            });
        }
        arguments.push(conditions.into_any());
        PyTuple::new(self.py, arguments)
    }
}

/// The check by Python code: the method `_is_enabled` of the class, with these parameters and the conditions.
#[cold]
fn by_python(call: &Call<'_, '_>, parameters: &[&str]) -> *mut ffi::PyObject {
    // pyo3 knows that this thread is attached only where it has seen to it; dropped objects would be kept otherwise.
    Python::attach(|py| {
        let answer = call.bind(parameters).and_then(|arguments| {
            let name = arguments.get_item(0)?;
            if parameters[0] == "feature_name" && !name.is_instance_of::<PyString>() {
                let class = name.get_type().qualname()?;
                return Err(PyTypeError::new_err(format!("a flag's name is a str, not {class}")));
            }
            calls::call(&call.this.getattr(intern!(py, "_is_enabled"))?, &arguments)
        });
        match answer {
            Ok(answer) => answer.into_ptr(),
            Err(error) => {
                error.restore(py);
                ptr::null_mut()
            }
        }
    })
}

#[inline]
fn constant<'py>(py: Python<'py>, value: bool) -> Borrowed<'static, 'py, PyAny> {
    // SAFETY: both are never freed.
    unsafe { Borrowed::from_ptr(py, if value { ffi::Py_True() } else { ffi::Py_False() }) }
}

/// The text of a string, which keeps it as long as it lives. `None` for other objects, and for what is no text in UTF-8.
#[inline]
fn text<'a>(object: Borrowed<'a, '_, PyAny>) -> Option<&'a str> {
    let mut length = 0;
    // SAFETY: the object is alive for `'a`, and so is its text, which Python has made, in UTF-8. Without it an exception is set,
    // which does not concern the caller.
    unsafe {
        let start = ffi::PyUnicode_AsUTF8AndSize(object.as_ptr(), &raw mut length);
        if start.is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        Some(str::from_utf8_unchecked(slice::from_raw_parts(start.cast(), length.unsigned_abs())))
    }
}

/// The value of a plain object: of one of these types, and no subclass, whose methods could be anything.
#[inline]
fn value<'a>(object: Borrowed<'a, '_, PyAny>) -> Option<Value<'a>> {
    let pointer = object.as_ptr();
    // SAFETY: the object is alive, and each is read as what its type says. Reading these types fails only for an integer that is
    // too large, which sets no exception but `overflow`.
    unsafe {
        let class = ffi::Py_TYPE(pointer);
        if class == &raw mut ffi::PyUnicode_Type {
            return text(object).map(Value::Str);
        }
        if class == &raw mut ffi::PyLong_Type {
            let mut overflow = 0;
            let number = ffi::PyLong_AsLongLongAndOverflow(pointer, &raw mut overflow);
            return (overflow == 0).then_some(Value::Int(number));
        }
        if pointer == ffi::Py_True() {
            return Some(Value::Bool(true));
        }
        if pointer == ffi::Py_False() {
            return Some(Value::Bool(false));
        }
        if pointer == ffi::Py_None() {
            return Some(Value::Null);
        }
        (class == &raw mut ffi::PyFloat_Type).then(|| Value::Float(ffi::PyFloat_AsDouble(pointer)))
    }
}
