//! Most records, as this crate and Python write them, in one pass over the text and without a value in between.

use super::FlagRecord;
use crate::bucketing::NO_OP_JSON;

/// `None`: ask the parser.
pub(super) fn plain(text: &[u8]) -> Option<FlagRecord> {
    let rest = text.strip_prefix(br#"{"feature_name": ""#)?;
    let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..b' '))?;
    let (name, rest) = rest.split_at(end);
    let rest = rest.strip_prefix(br#"", "is_enabled": "#)?;
    let (is_enabled, rest) = match rest.strip_prefix(b"true") {
        Some(rest) => (true, rest),
        None => (false, rest.strip_prefix(b"false")?),
    };
    let rest = rest.strip_prefix(br#", "meta": {"client_data": {}, "created_date": "#)?;
    let (created_date, rest) = date(rest)?;
    let rest = rest.strip_prefix(br#", "conditions": [], "bucketer": "#)?.strip_prefix(NO_OP_JSON.as_bytes())?;
    let name = std::str::from_utf8(name).ok().filter(|_| rest == b"}}")?;
    Some(FlagRecord { name: name.into(), is_enabled, created_date, more: None })
}

/// So many digits fit an `i64`.
const DIGITS: usize = 18;

fn date(text: &[u8]) -> Option<(i64, &[u8])> {
    let length = text.iter().position(|byte| !byte.is_ascii_digit())?;
    let (digits, rest) = text.split_at(length);
    let is_usual = (1..=DIGITS).contains(&length) && digits.first() != Some(&b'0');
    is_usual.then(|| (digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_so() {
        for name in ["F", "a/b c", "x".repeat(255).as_str()] {
            for (enabled, date) in [(true, 1), (false, 1_700_000_000), (true, 999_999_999_999_999_999)] {
                let mut record = FlagRecord::new(name, date);
                record.set_enabled(enabled);
                let text = record.to_json();
                assert_eq!(FlagRecord::parsed(text.as_bytes()).unwrap(), record);
                assert_eq!(plain(text.as_bytes()), Some(record));
            }
        }
        let unescaped = FlagRecord::new("\u{e9}", 1).to_json().replace(r"\u00e9", "\u{e9}");
        assert_eq!(plain(unescaped.as_bytes()).unwrap().name(), "\u{e9}");
    }

    /// Each byte removed, replaced or repeated, or the end cut off: the parser decides alone.
    #[test]
    fn anything_else_is_left_to_the_parser() {
        let text = FlagRecord::new("F", 17).to_json().into_bytes();
        let name = 18..19;
        for at in 0..text.len() {
            assert_eq!(plain(&text[..at]), None);
            let mut without = text.clone();
            without.remove(at);
            let mut twice = text.clone();
            twice.insert(at, text[at]);
            let other = |byte| {
                let mut other = text.clone();
                other[at] = byte;
                other
            };
            for changed in [without, twice, other(b'\\'), other(b'"'), other(b'\n'), other(0xff), other(b'0')] {
                let Some(record) = plain(&changed) else { continue };
                assert!(text.get(at).is_some_and(u8::is_ascii_digit) || name.contains(&at) || changed == text);
                assert_eq!(FlagRecord::parsed(&changed).unwrap(), record);
            }
        }
        for date in ["0", "01", "-1", "1.0", "1e3", "1234567890123456789", "null", ""] {
            let text = String::from_utf8(text.clone()).unwrap().replace("17", date);
            assert_eq!(plain(text.as_bytes()), None, "{text}");
        }
    }
}
