//! Rules that are Python objects: bucketers of a class of the program's own, and what JSON cannot hold.
//!
//! To Rust each is a custom bucketer that it never asks: such a check is left to Python.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use flipper::bucketing::{self, CustomBucketer, SaltedPercentageBucketer};
use flipper::context::Attributes;
use flipper::json::{Json, Object};
use flipper::{Bucketer, FlagRecord};
use pyo3::prelude::*;

use crate::errors::OrRaise;

const OBJECTS: &str = "PythonObjects";
const NUMBER: &str = "number";

/// Makes a type of bucketers known that is stored by its fields, and made by `BucketerFactory`.
#[pyfunction]
pub(crate) fn register_bucketer(py: Python<'_>, type_name: &str) -> PyResult<()> {
    let name = type_name.to_owned();
    bucketing::register_bucketer(type_name, move |stored| {
        let fields = stored.iter().filter(|(key, _)| *key != "type");
        let fields = fields.map(|(key, value)| (key.to_owned(), value.clone())).collect();
        Ok(Arc::new(Stored { type_name: name.clone(), fields }))
    })
    .or_raise(py)
}

/// The bucket of the salted bucketer, from 0 to 99,999.
#[pyfunction]
pub(crate) fn salted_bucket(flag_name: &str, value: &[u8]) -> u32 {
    SaltedPercentageBucketer::bucket_of(flag_name, value)
}

/// A bucketer of a registered type.
#[derive(Debug)]
struct Stored {
    type_name: String,
    fields: Object,
}

impl CustomBucketer for Stored {
    fn bucketer_type(&self) -> &str {
        &self.type_name
    }

    fn fields(&self) -> Object {
        self.fields.clone()
    }

    fn is_enabled(&self, _flag_name: &str, _attributes: &dyn Attributes) -> bool {
        false
    }
}

/// Conditions and bucketer of a flag that are kept as they are, as long as this process lives.
#[derive(Debug)]
struct Objects {
    number: u64,
}

#[derive(Default)]
struct Kept {
    last: u64,
    objects: HashMap<u64, Py<PyAny>>,
    /// Those of flags that are no more.
    dead: Vec<Py<PyAny>>,
}

// A custom bucketer cannot be asked for the object within it; its number is found here.
static KEPT: LazyLock<Mutex<Kept>> = LazyLock::new(Mutex::default);

fn kept() -> MutexGuard<'static, Kept> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CustomBucketer for Objects {
    fn bucketer_type(&self) -> &str {
        OBJECTS
    }

    fn fields(&self) -> Object {
        [(NUMBER, Json::from(self.number))].into_iter().collect()
    }

    fn is_enabled(&self, _flag_name: &str, _attributes: &dyn Attributes) -> bool {
        false
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        // Not freed yet: a lock of the flags may be held, and `__del__` of an object may do anything.
        let mut kept = kept();
        let object = kept.objects.remove(&self.number);
        kept.dead.extend(object);
    }
}

/// Frees the objects of flags that are no more, where no lock is held.
pub(crate) fn free_dead() {
    let dead = std::mem::take(&mut kept().dead);
    drop(dead);
}

/// Puts the objects in the place of the record's conditions and bucketer.
pub(crate) fn keep(record: &mut FlagRecord, objects: Py<PyAny>) {
    let number = {
        let mut kept = kept();
        kept.last += 1;
        let number = kept.last;
        kept.objects.insert(number, objects);
        number
    };
    record.set_conditions(Vec::new());
    record.set_bucketer(Bucketer::Custom(Arc::new(Objects { number })));
}

/// The record's text, and its objects, if it has any: the text then has no rules.
pub(crate) fn text_and_objects(py: Python<'_>, record: &FlagRecord) -> (String, Option<Py<PyAny>>) {
    let Some(objects) = objects(py, record) else { return (record.to_json(), None) };
    let mut record = record.clone();
    record.set_bucketer(Bucketer::NoOp);
    (record.to_json(), Some(objects))
}

/// Whether the record's conditions and bucketer are objects.
pub(crate) fn is_kept(record: &FlagRecord) -> bool {
    matches!(record.bucketer(), Bucketer::Custom(bucketer) if bucketer.bucketer_type() == OBJECTS)
}

fn objects(py: Python<'_>, record: &FlagRecord) -> Option<Py<PyAny>> {
    let Bucketer::Custom(bucketer) = record.bucketer() else { return None };
    if bucketer.bucketer_type() != OBJECTS {
        return None;
    }
    let number = u64::try_from(bucketer.fields().get(NUMBER)?.as_i64()?).ok()?;
    kept().objects.get(&number).map(|object| object.clone_ref(py))
}
