use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::error::{Error, Result};

const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// # Errors
///
/// `InvalidInput` for a key that Consul's HTTP server would read as another one.
pub(super) fn check_base(base: &str) -> Result<()> {
    if base.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(Error::invalid_input(
            "a base key is one or more parts, none of them empty, `.` or `..`, with one `/` between them",
        ));
    }
    Ok(())
}

/// It must not begin with the base key: the Python library takes all such keys for flags, and fails on one that is not.
pub(super) fn hint(base: &str) -> String {
    let (folder, last) = base.rsplit_once('/').map_or(("", base), |(folder, last)| (folder, last));
    let slash = if folder.is_empty() { "" } else { "/" };
    let mark = if last.starts_with('.') { '_' } else { '.' };
    format!("{folder}{slash}{mark}{last}.changed")
}

pub(super) fn encode(key: &str) -> String {
    percent_encode(key.as_bytes(), PATH).to_string()
}

/// Go cleans paths, and Consul refuses characters that Go does not find printable.
pub(super) fn fits_into_a_path(key: &str) -> bool {
    key.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && !key.contains("//")
        && key.split('/').all(|part| !matches!(part, "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert!(check_base(base).is_err(), "{base}");
        }
    }
}
