//! The keys of flags and of the hint.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::error::{Error, Result};

const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const BASE_KEY: &str = "features";

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

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The key of hints. It must not begin with the base key: the Python library takes all such keys for flags, and its watcher
    /// fails on one that is not.
    pub(super) fn hint(&self) -> &str {
        &self.hint
    }

    pub(super) fn of(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// `None` if the key is not under the base key; for a deeper key its value decides.
    pub(super) fn name<'a>(&self, key: &'a str) -> Option<&'a str> {
        key.strip_prefix(self.prefix.as_str())
    }
}

fn hint(base: &str) -> String {
    let (folder, last) = base.rsplit_once('/').map_or(("", base), |(folder, last)| (folder, last));
    let slash = if folder.is_empty() { "" } else { "/" };
    // Another first character is enough.
    let mark = if last.starts_with('.') { '_' } else { '.' };
    format!("{folder}{slash}{mark}{last}.changed")
}

pub(super) fn encode(key: &str) -> String {
    percent_encode(key.as_bytes(), PATH).to_string()
}

/// Whether Consul's HTTP server reads this key from a path unchanged: Go cleans paths, and Consul refuses characters that Go
/// does not consider printable.
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
