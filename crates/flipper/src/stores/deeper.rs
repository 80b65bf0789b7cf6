//! Keys more than one level under a base key.
//!
//! The Python library accepts `a/b` as a flag's name. Its key is also that of the flag `b` under the base key `features/a`. The
//! stored flag decides: it contains its name.

use crate::error::{Error, ErrorKind};
use crate::state::Stored;

pub(super) fn is_deeper(name: &str) -> bool {
    name.is_empty() || name.contains('/')
}

/// Whether the value at this name's key is a flag of this base key.
pub(super) fn is_ours(flag: &Stored) -> bool {
    !is_deeper(&flag.name) || flag.record.as_ref().is_ok_and(|record| record.name() == flag.name)
}

pub(super) fn taken(name: &str) -> Error {
    Error::new(ErrorKind::InvalidName)
        .with_message("the key of this name holds something other than a flag of this base key")
        .with_flag(name)
}
