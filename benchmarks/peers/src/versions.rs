//! Versions of the packages that were measured.

const LOCK: &str = include_str!("../Cargo.lock");

/// Of the newest of that name, if the lock file has several.
#[must_use]
pub fn version(package: &str) -> Option<&'static str> {
    let name = format!("name = \"{package}\"");
    let found = LOCK.split("[[package]]").filter(|entry| entry.lines().any(|line| line == name));
    found.last()?.lines().find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers;

    #[test]
    fn every_contestant_has_a_version() {
        for peer in peers::all() {
            assert!(version(peer.package()).is_some(), "{}", peer.package());
        }
        assert_eq!(version("no-such-package"), None);
    }
}
