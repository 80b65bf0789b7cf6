use std::borrow::Cow;
use std::fmt::Write;
use std::time::SystemTime;

use crate::json::Json;

/// Suffix of an attribute's name: the value is text, even if it parses as JSON.
const TEXT: &str = ":text";

/// RFC 3339 has years of four digits.
const YEAR_10000: i64 = 253_402_300_800;

/// Escapes characters that control a terminal or change the writing direction.
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        // Writing to a string never fails.
        let _ = match c {
            '\n' => plain.write_str("\\n"),
            '\t' => plain.write_str("\\t"),
            '\r' => plain.write_str("\\r"),
            c if is_unprintable(c) && u32::from(c) < 0x100 => write!(plain, "\\x{:02x}", u32::from(c)),
            c if is_unprintable(c) => write!(plain, "\\u{:04x}", u32::from(c)),
            c => plain.write_char(c),
        };
    }
    Cow::Owned(plain)
}

fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What is wrong with a name in the path of a request by a client of OFREP that does not encode it.
pub fn lost_in_paths(name: &str) -> Option<String> {
    let mut lost: Vec<_> =
        ["#", "?", "%", "\\"].into_iter().filter(|part| name.contains(part)).map(|part| format!("a {part}")).collect();
    if name.trim() != name {
        lost.push("a space at an end".to_owned());
    }
    let what = "older OFREP clients ask for another flag, or for none";
    (!lost.is_empty()).then(|| format!("its name has {}: {what}", lost.join(" and ")))
}

/// JSON with letters beyond ASCII unescaped.
pub fn value(json: &Json) -> String {
    match json {
        Json::String(text) => {
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{}\"", plain(&escaped))
        }
        Json::Array(items) => format!("[{}]", items.iter().map(value).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// With its article: `a number`.
pub fn json_type(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) | Json::LoneSurrogates(_) => "a string",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}

/// Parses a value: JSON if it is valid, else a string.
pub fn json_or_text(text: &str) -> Json {
    Json::parse_strict(text).unwrap_or_else(|_| Json::from(text))
}

/// An attribute of a check and its value, from `user_id=7` or `user_id:text=7` split at `=`.
pub fn attribute<'a>(key: &'a str, written: &str) -> (&'a str, Json) {
    match key.strip_suffix(TEXT).filter(|key| !key.is_empty()) {
        Some(key) => (key, written.into()),
        None => (key, json_or_text(written)),
    }
}

/// Seconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// `2023-11-14T22:13:20Z`
pub fn date(seconds: i64) -> String {
    if !(0..YEAR_10000).contains(&seconds) {
        return format!("Unix time {seconds}");
    }
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years that begin in March put the leap day at their end.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = (400 * era + year, if month < 10 { month + 3 } else { month - 9 });
    let year = year + i64::from(month < 3);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// A share from 0 to 1 as a percentage, rounded to 0.0001%.
pub fn percent(share: f64) -> String {
    let percent = (share * 100.0 * 10_000.0).round() / 10_000.0;
    format!("{percent}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(plain("a\u{1b}]0;x\u{7}\u{202e}\u{9b}b"), "a\\x1b]0;x\\x07\\u202e\\x9bb");
        assert_eq!(value(&Json::from("é\"\n\u{1b}")), "\"é\\\"\\n\\x1b\"");
    }

    #[test]
    fn names_that_paths_lose() {
        for name in ["a b", "a+b", "é", "a.b:c"] {
            assert_eq!(lost_in_paths(name), None, "{name}");
        }
        for (name, lost) in [
            ("a#b", "a #"),
            ("50%?", "a ? and a %"),
            ("a\\b", "a \\"),
            (" a", "a space at an end"),
            ("a ", "a space at an end"),
        ] {
            assert!(lost_in_paths(name).unwrap().starts_with(&format!("its name has {lost}: ")), "{name}");
        }
    }

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (YEAR_10000 - 1, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(date(seconds), text);
        }
        assert_eq!([date(-1), date(i64::MAX)], ["Unix time -1", "Unix time 9223372036854775807"]);
    }

    #[test]
    fn percentages() {
        assert_eq!([0.25, 0.1 + 0.2, 1.0, 0.000_05].map(percent), ["25%", "30%", "100%", "0.005%"]);
    }

    #[test]
    fn attributes() {
        assert_eq!(attribute("a", "7"), ("a", Json::from(7)));
        assert_eq!(attribute("a:text", "7"), ("a", Json::from("7")));
        assert_eq!(attribute(":text", "pro"), (":text", Json::from("pro")));
    }
}
