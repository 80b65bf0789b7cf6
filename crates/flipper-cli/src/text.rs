//! Formats names, numbers and times for people.

use std::ffi::OsStr;

pub(crate) use flipper::__words::{date, json_type, now, plain, value};

pub(crate) const UTF_8_MARK: &[u8] = "\u{feff}".as_bytes();

/// Most names in one message.
const NAMED: usize = 5;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The name, quoted for a shell where it needs that.
pub(crate) fn quoted(name: &str) -> String {
    let is_plain =
        |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | ',' | '+' | '@' | '%' | '=' | '/');
    if !name.is_empty() && !name.starts_with('-') && name.chars().all(is_plain) {
        return name.to_owned();
    }
    if plain(name) != name {
        return format!("$'{}'", plain(&name.replace('\\', "\\\\").replace('\'', "\\'")));
    }
    format!("'{}'", name.replace('\'', r"'\''"))
}

pub(crate) fn some<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut shown: Vec<_> = names.take(NAMED + 1).map(quoted).collect();
    if shown.len() > NAMED {
        shown[NAMED] = "…".to_owned();
    }
    shown.join(", ")
}

/// A file name, with bytes that are not UTF-8 escaped.
pub(crate) fn path_text(path: impl AsRef<OsStr>) -> String {
    let mut text = String::new();
    for chunk in path.as_ref().as_encoded_bytes().utf8_chunks() {
        text.push_str(&plain(chunk.valid()));
        text.push_str(&chunk.invalid().escape_ascii().to_string());
    }
    text
}

/// Strips a prefix from a name that need not be UTF-8.
pub(crate) fn after<'a>(text: &'a OsStr, beginning: &str) -> Option<&'a OsStr> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        text.as_bytes().strip_prefix(beginning.as_bytes()).map(OsStr::from_bytes)
    }
    #[cfg(not(unix))]
    {
        text.to_str()?.strip_prefix(beginning).map(OsStr::new)
    }
}

/// `1 flag`, `12,000 flags`.
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{} {what}{}", thousands(number), if number == 1 { "" } else { "s" })
}

pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The age of a Unix time: `now`, `5 min`, `3 h`, `12 d`, `4 y`.
pub(crate) fn age(since: i64) -> String {
    match u64::try_from(now().saturating_sub(since)) {
        Err(_) => "in the future".to_owned(),
        Ok(seconds) if seconds < MINUTE => "now".to_owned(),
        Ok(seconds) if seconds < HOUR => format!("{} min", seconds / MINUTE),
        Ok(seconds) if seconds < 2 * DAY => format!("{} h", seconds / HOUR),
        Ok(seconds) if seconds < 730 * DAY => format!("{} d", seconds / DAY),
        Ok(seconds) => format!("{} y", seconds / (365 * DAY)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_for_a_shell() {
        for (name, shown) in [
            ("NEW_CHECKOUT", "NEW_CHECKOUT"),
            ("é-1.2", "é-1.2"),
            ("two words", "'two words'"),
            ("it's", r"'it'\''s'"),
            ("-x", "'-x'"),
            ("", "''"),
            ("$(rm)", "'$(rm)'"),
            ("a\nb'\\", r"$'a\nb\'\\'"),
            ("\u{1b}[31m", r"$'\x1b[31m'"),
        ] {
            assert_eq!(quoted(name), shown);
        }
    }

    #[test]
    #[cfg(unix)]
    fn file_names_are_bytes() {
        use std::os::unix::ffi::OsStrExt;

        let name = |bytes| OsStr::from_bytes(bytes);
        assert_eq!(path_text(name(b"a\xff\n\xc3\xa9")), "a\\xff\\n\u{e9}");
        assert_eq!(after(name(b"sqlite:\xff"), "sqlite:"), Some(name(b"\xff")));
        assert_eq!(after(name(b"\xff"), "@"), None);
    }

    #[test]
    fn numbers_and_times() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!((count(1, "flag"), count(2, "flag")), ("1 flag".to_owned(), "2 flags".to_owned()));
        let ago = |seconds| age(now() - seconds);
        assert_eq!([5, 300, 7200, 86_400 * 3, 86_400 * 900].map(ago), ["now", "5 min", "2 h", "3 d", "2 y"]);
    }
}
