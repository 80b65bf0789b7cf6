use std::fmt::{self, Write};

use super::{Json, object};

/// A container being written, on an explicit stack: a value built in code may nest deeper than the thread's stack allows.
enum Open<'a> {
    Array(std::slice::Iter<'a, Json>),
    Object(object::Entries<'a>),
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_value(self, f)
    }
}

pub(crate) fn write_value(value: &Json, out: &mut impl Write) -> fmt::Result {
    let mut stack = Vec::new();
    start(value, out, &mut stack)?;
    // The first element has no comma before it.
    let mut first = true;
    while let Some(open) = stack.last_mut() {
        let next = match open {
            Open::Array(items) => items.next().map(|value| (None, value)),
            Open::Object(entries) => entries.next().map(|(key, value)| (Some(key), value)),
        };
        let Some((key, value)) = next else {
            out.write_char(if matches!(open, Open::Array(_)) { ']' } else { '}' })?;
            stack.pop();
            first = false;
            continue;
        };
        if !first {
            out.write_str(", ")?;
        }
        if let Some(key) = key {
            key.write(out)?;
            out.write_str(": ")?;
        }
        first = start(value, out, &mut stack)?;
    }
    Ok(())
}

/// Returns whether it opened a container.
fn start<'a>(value: &'a Json, out: &mut impl Write, stack: &mut Vec<Open<'a>>) -> Result<bool, fmt::Error> {
    match value {
        Json::Null => out.write_str("null")?,
        Json::Bool(value) => out.write_str(if *value { "true" } else { "false" })?,
        Json::Number(number) => write!(out, "{number}")?,
        Json::String(text) => write_string(text, out)?,
        Json::LoneSurrogates(text) => text.write(out)?,
        Json::Array(items) => {
            out.write_char('[')?;
            stack.push(Open::Array(items.iter()));
            return Ok(true);
        }
        Json::Object(object) => {
            out.write_char('{')?;
            stack.push(Open::Object(object.entries()));
            return Ok(true);
        }
    }
    Ok(false)
}

/// In quotes, ASCII only. Python escapes 0x7f as well.
pub(crate) fn write_string(text: &str, out: &mut impl Write) -> fmt::Result {
    out.write_char('"')?;
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\') {
        out.write_str(text)?;
        return out.write_char('"');
    }
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        if matches!(c, ' '..='~') && c != '"' && c != '\\' {
            continue;
        }
        out.write_str(&text[plain..at])?;
        plain = at + c.len_utf8();
        match c {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            '\u{8}' => out.write_str("\\b")?,
            '\u{c}' => out.write_str("\\f")?,
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
        }
    }
    out.write_str(&text[plain..])?;
    out.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Object;

    #[test]
    fn text_is_pythons() {
        let object: Object =
            [("é\u{7f}", Json::from("\"\\/\n\r\t\u{8}\u{c}\u{1f}😀~")), ("", Json::Null)].into_iter().collect();
        let json =
            Json::from(vec![Json::from(object), Json::Array(vec![]), Object::new().into(), true.into(), 1.into()]);
        assert_eq!(
            json.to_string(),
            r#"[{"\u00e9\u007f": "\"\\/\n\r\t\b\f\u001f\ud83d\ude00~", "": null}, [], {}, true, 1]"#
        );
    }
}
