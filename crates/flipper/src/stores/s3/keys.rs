//! An object's key is the flag's name, or under a prefix of our own `prefix/NAME`.

use crate::error::{Error, Result};
use crate::stores::base_key::hint_key;

/// Of S3 for a key, in bytes.
const LONGEST: usize = 1024;

/// Of an object that exists for a moment, to try what the server does. Other programs may list it meanwhile, so it holds a flag, which
/// this store leaves out. As in the Python package.
pub(super) const PROBE: &str = "flipper-conditional-writes";

/// Empty, or with a slash at its end.
#[derive(Debug, Default)]
pub(super) struct Keys(String);

impl Keys {
    /// # Errors
    ///
    /// `InvalidInput` for a prefix that not every server keeps.
    pub(super) fn new(prefix: &str) -> Result<Self> {
        if prefix.is_empty() {
            return Ok(Self::default());
        }
        if !is_kept(prefix) || prefix.len() > LONGEST / 2 {
            return Err(Error::invalid_input(
                "a prefix is one or more parts with one `/` between them, none of them empty, `.` or `..`, without backslashes and \
                 control characters",
            ));
        }
        Ok(Self(format!("{prefix}/")))
    }

    /// Without the slash.
    pub(super) fn base(&self) -> &str {
        self.0.strip_suffix('/').unwrap_or_default()
    }

    pub(super) fn prefix(&self) -> &str {
        &self.0
    }

    /// `None` for a name that cannot be stored: see [`is_kept`].
    pub(super) fn of(&self, name: &str) -> Option<String> {
        (self.0.len() + name.len() <= LONGEST && is_kept(name) && name != PROBE).then(|| format!("{}{name}", self.0))
    }

    pub(super) fn probe(&self) -> String {
        format!("{}{PROBE}", self.0)
    }

    /// For a deeper key its value decides.
    pub(super) fn name<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(&self.0).filter(|name| key.len() <= LONGEST && is_kept(name) && *name != PROBE)
    }

    /// Beside the prefix. Without one there is no place for it: the Python library takes every object of the bucket for a flag.
    pub(super) fn hint(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| hint_key(self.base()))
    }
}

/// Servers read some keys as others: SeaweedFS `a//b` as `a/b` and a backslash as a slash; HTTP removes `.` and `..`.
fn is_kept(name: &str) -> bool {
    name.split('/').all(|part| !matches!(part, "" | "." | ".."))
        && !name.contains(|c: char| c == '\\' || c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_under_a_prefix_and_without() {
        let (root, under) = (Keys::new("").unwrap(), Keys::new("shop/features").unwrap());
        for name in ["F", "é 50%+~", "a/b", "..."] {
            assert_eq!(root.of(name).as_deref(), Some(name));
            assert_eq!(under.of(name).unwrap(), format!("shop/features/{name}"));
            assert_eq!(under.name(&under.of(name).unwrap()), Some(name));
        }
        let probe = under.probe();
        for foreign in
            [&*probe, "F", "shop/F", "shop/features", "shop/features/", "shop/features2/F", "shop/features//F"]
        {
            assert_eq!(under.name(foreign), None, "{foreign}");
        }
        assert_eq!((root.hint(), under.hint().as_deref()), (None, Some("shop/.features.changed")));
        assert_eq!((root.base(), under.base()), ("", "shop/features"));
    }

    #[test]
    fn names_that_not_every_server_keeps() {
        let keys = Keys::new("").unwrap();
        for name in [PROBE, "", "/a", "a/", "a//b", ".", "a/../b", r"a\b", "a\nb", "\u{7f}"] {
            assert_eq!(keys.of(name), None, "{name:?}");
        }
        assert_eq!(keys.of(&"x".repeat(1025)), None);
        for prefix in ["/a", "a/", "a//b", "..", "a\\b"] {
            assert!(Keys::new(prefix).is_err(), "{prefix}");
        }
    }
}
