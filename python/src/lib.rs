//! `flipper._flipper`: the Rust core, as the Python package sees it.

mod calls;
mod check;
mod client;
mod errors;
mod flags;
mod forks;
mod history;
mod objects;
mod stores;
mod targeting;

use pyo3::prelude::*;

/// The flags and the check of the package; what users call is in `flipper`.
#[pymodule(gil_used = false)]
mod _flipper {
    #[pymodule_export]
    use crate::check::add_checks;
    #[pymodule_export]
    use crate::client::{Client, Flag};
    #[pymodule_export]
    use crate::flags::Flags;
    #[pymodule_export]
    use crate::history::{Cause, Entry, History};
    #[pymodule_export]
    use crate::objects::{register_bucketer, salted_bucket};
    #[pymodule_export]
    use crate::stores::{open_consul, open_lax_redis, open_redis, open_url};
    #[pymodule_export]
    use crate::targeting::{
        delete_segment, evaluate, evaluate_text, segments, set_part, set_segment, stored_part, switch, switched,
        variant, with_part,
    };
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::calls::in_main_interpreter(module.py())?;
        crate::forks::count();
        Ok(())
    }
}
