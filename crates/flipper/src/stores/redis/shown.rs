use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::stores::url_parts::Host;

const SHOWN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'/').remove(b'~').remove(b':');

/// So that it cannot pass for another part of the URL.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, SHOWN).to_string()
}

/// Sorted: their order in the URL does not matter.
pub(super) fn shown(hosts: &[Host]) -> String {
    let mut hosts: Vec<_> = hosts.iter().collect();
    hosts.sort();
    hosts.into_iter().map(Host::to_address).collect::<Vec<_>>().join(",")
}
