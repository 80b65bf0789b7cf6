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
    fn base_keys_that_are_none() {
        for base in ["", "/", "/a", "a/", "a//b", "a/../b", "."] {
            assert!(check_base(base).is_err(), "{base}");
        }
    }
}
