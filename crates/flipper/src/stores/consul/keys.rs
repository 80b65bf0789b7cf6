//! Which keys are flags, and where hints lie.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::error::{Error, Result};

/// All but what stands for itself in a path.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const BASE_KEY: &str = "features";

/// The keys under a base key.
#[derive(Debug)]
pub(super) struct Keys {
    prefix: String,
    hint: String,
}

impl Default for Keys {
    fn default() -> Self {
        Self { prefix: format!("{BASE_KEY}/"), hint: hint(BASE_KEY) }
    }
}

impl Keys {
    /// # Errors
    ///
    /// `InvalidInput` for a key that Consul's HTTP server would read as another one.
    pub(super) fn new(base: &str) -> Result<Self> {
        if base.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(Error::invalid_input(
                "a base key is one or more parts, none of them empty, `.` or `..`, with one `/` between them",
            ));
        }
        Ok(Self { prefix: format!("{base}/"), hint: hint(base) })
    }

    pub(super) fn base(&self) -> &str {
        &self.prefix[..self.prefix.len() - 1]
    }

    /// The base key and its slash.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The key at which writers say what they have changed. It lies beside the base key and does not begin with it: the Python
    /// library takes all keys that do for flags, and its watcher dies of one that is none.
    pub(super) fn hint(&self) -> &str {
        &self.hint
    }

    /// The key of a name.
    pub(super) fn of(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// `None` for keys that can be no flag of this base key; of one that lies deeper its value tells.
    pub(super) fn name<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(self.prefix.as_str())
    }
}

fn hint(base: &str) -> String {
    let (folder, last) = base.rsplit_once('/').map_or(("", base), |(folder, last)| (folder, last));
    let slash = if folder.is_empty() { "" } else { "/" };
    // What begins with another character than the base key does not begin with the base key.
    let mark = if last.starts_with('.') { '_' } else { '.' };
    format!("{folder}{slash}{mark}{last}.changed")
}

/// The path of a key, below `/v1/kv/`.
pub(super) fn encode(key: &str) -> String {
    percent_encode(key.as_bytes(), PATH).to_string()
}

/// Whether Consul's HTTP server takes the path of this key for this key: Go's cleans paths, and Consul refuses those with a
/// character that is not printable, by a table that is Go's.
pub(super) fn fits_into_a_path(key: &str) -> bool {
    key.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && !key.contains("//")
        && key.split('/').all(|part| !matches!(part, "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_under_the_base_key() {
        let keys = Keys::new("a/b").unwrap();
        assert_eq!(keys.base(), "a/b");
        assert_eq!(keys.of("F"), "a/b/F");
        for name in ["é", "F/G", "F/", ""] {
            assert_eq!(keys.name(&keys.of(name)), Some(name));
        }
        for foreign in ["a/F", "a/b", "a/bc/F", "a/b-other/F"] {
            assert_eq!(keys.name(foreign), None);
        }
    }

    #[test]
    fn a_hint_never_begins_with_its_base_key() {
        for base in ["features", "a/b", ".", "...", ".changed", "_", "_x", ".x.changed", "a/.b"] {
            let hint = hint(base);
            assert!(!hint.starts_with(base) && !hint.starts_with(&format!("{base}/")), "{hint} of {base}");
        }
        assert_eq!(hint("features"), ".features.changed");
        assert_eq!(hint("shop/features"), "shop/.features.changed");
    }

    #[test]
    fn base_keys_that_are_none() {
        for base in ["", "/", "/a", "a/", "a//b", "a/../b", "."] {
            assert!(Keys::new(base).is_err(), "{base}");
        }
    }
}
