//! Parts of a URL as they are shown: in logs, and in what a store is known by.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::stores::url_parts::Host;

/// What an address shows as it is.
const SHOWN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'/').remove(b'~').remove(b':');

/// For a place: nothing in it can be taken for another part of the URL.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, SHOWN).to_string()
}

/// Hosts in one order, however they were given.
pub(super) fn shown(hosts: &[Host]) -> String {
    let mut hosts: Vec<_> = hosts.iter().collect();
    hosts.sort();
    let mut text = String::new();
    for host in hosts {
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a string never fails.
        let _ = write!(text, "{comma}{}", host.to_address());
    }
    text
}
