//! The paths of the page. What is no flag is under `/flags/-/`, where no flag is: a slash in a name is written `%2F`.

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

pub(super) const LIST: &str = "/flags";
pub(super) const NEW: &str = "/flags/-/new";
pub(super) const FLAG: &str = "/flags/-/flag";
pub(super) const CHANGE: &str = "/flags/-/change";
pub(super) const CHANGES: &str = "/flags/-/changes";
pub(super) const HISTORY: &str = "/flags/-/history";
pub(super) const SEGMENTS: &str = "/flags/-/segments";
pub(super) const SEGMENT: &str = "/flags/-/segment";
pub(super) const STATUS: &str = "/flags/-/status";
pub(super) const LOGIN: &str = "/flags/-/login";
pub(super) const LOGOUT: &str = "/flags/-/logout";

const WRITTEN: &AsciiSet = &CONTROLS.add(b'%');
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~').remove(b'.');

/// The page of a flag.
pub(super) fn flag(name: &str) -> String {
    let encoded = utf8_percent_encode(name, KEPT);
    match name {
        // Browsers resolve these, also if they are encoded.
        "" | "." | ".." => format!("{FLAG}?name={encoded}"),
        _ => format!("{LIST}/{encoded}"),
    }
}

/// The page of a segment.
pub(super) fn segment(name: &str) -> String {
    format!("{SEGMENT}?name={}", utf8_percent_encode(name, KEPT))
}

/// As one word of a button's value, which has several.
pub(super) fn word(text: &str) -> String {
    utf8_percent_encode(text, KEPT).to_string()
}

/// A name in a form, which would change its line ends.
pub(super) fn written(name: &str) -> String {
    utf8_percent_encode(name, WRITTEN).to_string()
}

pub(super) fn read(written: &str) -> String {
    percent_decode_str(written).decode_utf8_lossy().into_owned()
}

/// The same with a message.
pub(super) fn flag_after(name: &str, done: &str) -> String {
    let link = flag(name);
    let joined = if link.contains('?') { '&' } else { '?' };
    format!("{link}{joined}done={done}")
}

/// A place of this page, given by a request: a path below `/flags`, and nothing that a browser takes for another host.
pub(super) fn own(given: &str) -> Option<&str> {
    let rest = given.strip_prefix(LIST)?;
    let is_below = rest.is_empty() || rest.starts_with(['/', '?']);
    (is_below && given.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')).then_some(given)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_paths() {
        assert_eq!(flag("A.b_c-1"), "/flags/A.b_c-1");
        assert_eq!(flag("a/b ?#é"), "/flags/a%2Fb%20%3F%23%C3%A9");
        assert_eq!([flag("."), flag(""), flag("...")], ["/flags/-/flag?name=.", "/flags/-/flag?name=", "/flags/..."]);
        for name in ["A B", "a\n%0Aé", ""] {
            assert_eq!(read(&written(name)), name);
            assert!(!written(name).contains('\n'));
        }
        assert_eq!(flag_after("..", "on"), "/flags/-/flag?name=..&done=on");
    }

    #[test]
    fn only_own_places() {
        for place in ["/flags", "/flags?q=a", "/flags/X%20Y?done=on"] {
            assert_eq!(own(place), Some(place));
        }
        for place in ["", "/", "/flagsX", "//evil.example/flags", "https://evil.example", "/flags\\x", "/flags/a\nb"] {
            assert_eq!(own(place), None, "{place}");
        }
    }
}
