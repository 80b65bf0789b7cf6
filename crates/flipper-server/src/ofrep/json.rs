//! JSON as OFREP's clients read it: nothing that a strict parser refuses.

use std::fmt::Write;

use flipper::json::{Json, Number};

/// What deeper values become is never stored.
const MAX_DEPTH: usize = 512;

pub(super) fn string(text: &str, out: &mut String) {
    out.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[plain..at]);
        plain = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            _ => {
                // Does not fail.
                let _ = write!(out, "\\u{byte:04x}");
            }
        }
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

/// Whether OpenFeature has such a value: neither null nor a number that JSON lacks.
pub(super) fn is_value(json: &Json) -> bool {
    match json {
        Json::Null => false,
        Json::Number(number) => is_finite(number),
        _ => true,
    }
}

/// Members of an object that are [no values](is_value) are omitted; numbers keep their spelling, since clients read `5.0` as a float.
pub(super) fn value(json: &Json, out: &mut String) {
    nested(json, 0, out);
}

fn nested(json: &Json, depth: usize, out: &mut String) {
    match json {
        Json::Bool(true) => out.push_str("true"),
        Json::Bool(false) => out.push_str("false"),
        Json::Number(number) if is_finite(number) => {
            let _ = write!(out, "{number}");
        }
        Json::String(text) => string(text, out),
        // With U+FFFD: a Rust client would refuse the whole answer.
        Json::LoneSurrogates(text) => string(text.as_str(), out),
        Json::Array(items) if depth < MAX_DEPTH => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                nested(item, depth + 1, out);
            }
            out.push(']');
        }
        Json::Object(object) if depth < MAX_DEPTH => {
            out.push('{');
            for (place, (key, member)) in object.iter().filter(|(_, member)| is_value(member)).enumerate() {
                if place > 0 {
                    out.push(',');
                }
                string(key, out);
                out.push(':');
                nested(member, depth + 1, out);
            }
            out.push('}');
        }
        Json::Null | Json::Number(_) | Json::Array(_) | Json::Object(_) => out.push_str("null"),
    }
}

/// An integer of any size is.
fn is_finite(number: &Number) -> bool {
    number.as_f64().is_none_or(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_strict_json() {
        let stored = r#"{"a": 5.0, "b": 12345678901234567890123, "c": null, "d": NaN, "e": [null, Infinity, 1e22], "f": "\u00e9\"\\\n\u0001\ud83d", "\ud83d": {}}"#;
        let mut out = String::new();
        value(&Json::parse(stored).unwrap(), &mut out);
        let expected = "{\"a\":5.0,\"b\":12345678901234567890123,\"e\":[null,null,1e+22],\"f\":\"é\\\"\\\\\\n\\u0001\u{fffd}\",\"\u{fffd}\":{}}";
        assert_eq!(out, expected);
        let read: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(read["f"], "é\"\\\n\u{1}\u{fffd}");
    }

    #[test]
    fn null_and_nan_are_no_values() {
        for (text, expected) in
            [("null", false), ("NaN", false), ("-Infinity", false), ("0", true), ("[]", true), ("false", true)]
        {
            assert_eq!(is_value(&Json::parse(text).unwrap()), expected, "{text}");
        }
        assert!(is_value(&Json::parse(&"9".repeat(400)).unwrap()));
    }
}
