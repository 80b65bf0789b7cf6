//! In the Python library a flag may be named `a/b`. Its key is that of `b` under the base key `features/a`: the stored name decides.

use crate::error::{Error, ErrorKind};
use crate::state::Stored;

/// With a slash at its end.
#[derive(Debug)]
pub(super) struct BaseKey(String);

impl Default for BaseKey {
    fn default() -> Self {
        Self::new("features")
    }
}

impl BaseKey {
    pub(super) fn new(base: &str) -> Self {
        Self(format!("{base}/"))
    }

    pub(super) fn base(&self) -> &str {
        &self.0[..self.0.len() - 1]
    }

    pub(super) fn prefix(&self) -> &str {
        &self.0
    }

    pub(super) fn of(&self, name: &str) -> String {
        format!("{}{name}", self.0)
    }

    /// For a deeper key its value decides.
    pub(super) fn name<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(&self.0)
    }
}

pub(super) fn is_deeper(name: &str) -> bool {
    name.is_empty() || name.contains('/')
}

/// Not that of a deeper base key.
pub(super) fn is_ours(flag: &Stored) -> bool {
    !is_deeper(&flag.name) || flag.record.as_ref().is_ok_and(|record| record.name() == flag.name)
}

pub(super) fn taken(name: &str) -> Error {
    Error::new(ErrorKind::InvalidName)
        .with_message("the key of this name holds something other than a flag of this base key")
        .with_flag(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_under_the_base_key() {
        let keys = BaseKey::new("a/b");
        assert_eq!(keys.base(), "a/b");
        assert_eq!(keys.of("F"), "a/b/F");
        for name in ["é", "F/G", "F/", ""] {
            assert_eq!(keys.name(&keys.of(name)), Some(name));
        }
        for foreign in ["a/F", "a/b", "a/bc/F", "a/b-other/F"] {
            assert_eq!(keys.name(foreign), None);
        }
    }
}
