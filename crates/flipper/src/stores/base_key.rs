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

/// Of the changes' hints.
#[cfg(any(feature = "consul", feature = "s3"))]
pub(super) fn hint_key(base: &str) -> String {
    beside(base, "changed")
}

/// Of the history. It begins with no base key further up, which other programs may have.
#[cfg(any(feature = "consul", feature = "redis"))]
pub(super) fn history_key(base: &str) -> String {
    let mark = if base.starts_with('.') { '_' } else { '.' };
    format!("{mark}{base}.history")
}

/// It must not begin with the base key: the Python library takes all such keys for flags, and fails on one that is not.
#[cfg(any(feature = "consul", feature = "s3"))]
fn beside(base: &str, what: &str) -> String {
    let (folder, last) = base.rsplit_once('/').map_or(("", base), |(folder, last)| (folder, last));
    let slash = if folder.is_empty() { "" } else { "/" };
    let mark = if last.starts_with('.') { '_' } else { '.' };
    format!("{folder}{slash}{mark}{last}.{what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(any(feature = "consul", feature = "s3"))]
    #[test]
    fn what_is_beside_a_base_key_never_begins_with_it() {
        for base in ["features", "a/b", ".", "...", ".changed", "_", "_x", ".x.changed", "a/.b"] {
            let hint = beside(base, "changed");
            assert!(!hint.starts_with(base) && !hint.starts_with(&format!("{base}/")), "{hint} of {base}");
        }
        assert_eq!(beside("features", "changed"), ".features.changed");
        assert_eq!(beside("shop/features", "changed"), "shop/.features.changed");
    }

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
