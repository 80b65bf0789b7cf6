//! Keys more than one level under a base key.
//!
//! The Python library takes `a/b` for a flag's name. The same key is that of the flag `b` under another base key, `features/a`. What
//! is stored tells which: a flag has its name in it.

use crate::error::{Error, ErrorKind};
use crate::state::Stored;

/// Whether the key of this name is not one level under the base key.
pub(super) fn is_deeper(name: &str) -> bool {
    name.is_empty() || name.contains('/')
}

/// Whether what lies at the key of this name is a flag of this base key.
pub(super) fn is_ours(flag: &Stored) -> bool {
    !is_deeper(&flag.name) || flag.record.as_ref().is_ok_and(|record| record.name() == flag.name)
}

/// For a write to a key that holds something else.
pub(super) fn taken(name: &str) -> Error {
    Error::new(ErrorKind::InvalidName)
        .with_message("the key of this name holds what is no flag of this base key")
        .with_flag(name)
}
