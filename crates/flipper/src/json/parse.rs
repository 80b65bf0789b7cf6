//! Recursive descent in linear time, of bounded depth.

use std::borrow::Cow;

use super::{Json, Key, LoneSurrogates, MAX_DEPTH, Member, Number, Object};

/// Bytes that stand for themselves in a string. The table takes half of the instructions of three comparisons.
const PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    let mut control = 0;
    while control < 0x20 {
        plain[control] = false;
        control += 1;
    }
    plain[b'"' as usize] = false;
    plain[b'\\' as usize] = false;
    plain
};

/// The error has line and column.
pub(crate) type Parsed<T> = Result<T, String>;

pub(crate) fn parse_slice(bytes: &[u8]) -> Parsed<Json> {
    parse(bytes, |parser| parser.value(0))
}

pub(crate) fn parse_str(text: &str) -> Parsed<Json> {
    parse_text(text, false, |parser| parser.value(0))
}

pub(super) fn parse_strict(text: &str) -> Parsed<Json> {
    parse_text(text, true, |parser| parser.value(0))
}

/// One value, read by `read`, and nothing else.
pub(crate) fn parse<'a, T>(bytes: &'a [u8], read: impl FnOnce(&mut Parser<'a>) -> Parsed<T>) -> Parsed<T> {
    match std::str::from_utf8(bytes) {
        Ok(text) => parse_text(text, false, read),
        Err(error) => Err(format!("not UTF-8 at byte {}", error.valid_up_to())),
    }
}

fn parse_text<'a, T>(text: &'a str, strict: bool, read: impl FnOnce(&mut Parser<'a>) -> Parsed<T>) -> Parsed<T> {
    if text.starts_with('\u{feff}') {
        return Err("not JSON: starts with a byte order mark".to_owned());
    }
    let mut parser = Parser { text, bytes: text.as_bytes(), at: 0, strict, lone: Vec::new() };
    parser.skip_space();
    let value = read(&mut parser)?;
    parser.skip_space();
    if parser.at < text.len() {
        return Err(parser.unexpected("the end"));
    }
    Ok(value)
}

pub(crate) struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    /// At a character boundary of `text`.
    at: usize,
    strict: bool,
    /// The lone surrogates of the last string, with offsets.
    lone: Vec<(usize, u16)>,
}

impl<'a> Parser<'a> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    #[inline]
    fn skip_while(&mut self, want: impl Fn(u8) -> bool) {
        let rest = &self.bytes[self.at..];
        self.at += rest.iter().position(|byte| !want(*byte)).unwrap_or(rest.len());
    }

    #[inline]
    fn skip_space(&mut self) {
        self.skip_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    }

    fn error_at(&self, at: usize, what: &str) -> String {
        let before = &self.text[..at];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        format!("not JSON: {what} at line {line} column {}", before[start..].chars().count() + 1)
    }

    fn unexpected(&self, wanted: &str) -> String {
        let found = match self.text[self.at..].chars().next() {
            Some(c) => format!("{c:?}"),
            None => "the end".to_owned(),
        };
        self.error_at(self.at, &format!("expected {wanted}, found {found}"))
    }

    /// The value here, inside this many containers.
    pub(crate) fn value(&mut self, depth: usize) -> Parsed<Json> {
        match self.peek() {
            Some(b'"') => {
                let text = self.string()?.into_owned();
                Ok(self.text(text))
            }
            Some(b'{') => {
                let mut object = Object::new();
                self.object(depth, |parser, key, depth| parser.entry(&mut object, &key, depth))?;
                Ok(Json::Object(object))
            }
            Some(b'[') => self.array(self.deeper(depth)?),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'n') => self.word("null", Json::Null),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'N') if !self.strict => self.word("NaN", float(f64::NAN)),
            Some(b'I') if !self.strict => self.word("Infinity", float(f64::INFINITY)),
            _ => Err(self.unexpected("a value")),
        }
    }

    /// As [`value`](Self::value), after a key that is kept as it is.
    pub(super) fn member(&mut self, depth: usize) -> Parsed<Member<'a>> {
        self.lone.clear();
        if self.peek() != Some(b'"') {
            return self.value(depth).map(Member::Json);
        }
        Ok(match self.string()? {
            Cow::Borrowed(text) => Member::Text(text),
            Cow::Owned(text) => Member::Json(self.text(text)),
        })
    }

    /// The string that was read last.
    fn text(&mut self, text: String) -> Json {
        if self.lone.is_empty() { Json::String(text) } else { Json::LoneSurrogates(self.with_lone(text)) }
    }

    pub(crate) fn entry(&mut self, object: &mut Object, key: &str, depth: usize) -> Parsed<()> {
        if self.lone.is_empty() {
            object.insert(key, self.value(depth)?);
        } else {
            let key = Key::Lone(self.with_lone(key.to_owned()));
            object.insert_key(key, self.value(depth)?);
        }
        Ok(())
    }

    #[cold]
    fn with_lone(&mut self, text: String) -> LoneSurrogates {
        LoneSurrogates::new(text, std::mem::take(&mut self.lone))
    }

    #[inline]
    fn deeper(&self, depth: usize) -> Parsed<usize> {
        if depth == MAX_DEPTH {
            return Err(self.error_at(self.at, &format!("nests deeper than {MAX_DEPTH}")));
        }
        Ok(depth + 1)
    }

    fn word(&mut self, word: &str, value: Json) -> Parsed<Json> {
        if self.skip(word) { Ok(value) } else { Err(self.unexpected(word)) }
    }

    fn array(&mut self, depth: usize) -> Parsed<Json> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_space();
        if self.eat(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            self.skip_space();
            items.push(self.value(depth)?);
            self.skip_space();
            if self.eat(b']') {
                return Ok(Json::Array(items));
            }
            if !self.eat(b',') {
                return Err(self.unexpected("',' or ']'"));
            }
        }
    }

    #[inline]
    pub(crate) fn skip(&mut self, text: &str) -> bool {
        let found = self.text[self.at..].starts_with(text);
        self.at += if found { text.len() } else { 0 };
        found
    }

    pub(crate) fn at_object(&self) -> bool {
        self.peek() == Some(b'{')
    }

    /// `entry` is called after each key, and reads the value.
    pub(crate) fn object(
        &mut self,
        depth: usize,
        entry: impl FnMut(&mut Self, Cow<'a, str>, usize) -> Parsed<()>,
    ) -> Parsed<()> {
        self.object_of(&[], depth, entry)
    }

    /// For an object that probably begins with these keys, in quotes, with colon and space: comparing is faster.
    pub(crate) fn object_of(
        &mut self,
        expected: &[&'static str],
        depth: usize,
        mut entry: impl FnMut(&mut Self, Cow<'a, str>, usize) -> Parsed<()>,
    ) -> Parsed<()> {
        let depth = self.deeper(depth)?;
        self.at += 1;
        self.skip_space();
        if self.eat(b'}') {
            return Ok(());
        }
        let mut expected = expected.iter();
        loop {
            self.skip_space();
            let key = match expected.next() {
                Some(key) if self.skip(key) => Cow::Borrowed(key[1..key.len() - 3].as_ref()),
                _ => self.key()?,
            };
            self.skip_space();
            entry(self, key, depth)?;
            self.skip_space();
            if self.eat(b'}') {
                return Ok(());
            }
            if !self.eat(b',') {
                return Err(self.unexpected("',' or '}'"));
            }
        }
    }

    fn key(&mut self) -> Parsed<Cow<'a, str>> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a key in double quotes"));
        }
        let key = self.string()?;
        self.skip_space();
        if !self.eat(b':') {
            return Err(self.unexpected("':'"));
        }
        Ok(key)
    }

    fn number(&mut self) -> Parsed<Json> {
        let start = self.at;
        if self.eat(b'-') && !self.strict && self.peek() == Some(b'I') {
            return self.word("Infinity", float(f64::NEG_INFINITY));
        }
        if self.eat(b'0') {
            if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                return Err(self.error_at(start, "number with a leading zero"));
            }
        } else {
            self.digits()?;
        }
        let mut integer = true;
        if self.eat(b'.') {
            integer = false;
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            integer = false;
            if !self.eat(b'-') {
                self.eat(b'+');
            }
            self.digits()?;
        }
        let text = &self.text[start..self.at];
        if integer {
            return Ok(Json::Number(Number::from_integer_text(text)));
        }
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() || !self.strict => Ok(float(value)),
            _ => Err(self.error_at(start, "number beyond the range of a float")),
        }
    }

    fn digits(&mut self) -> Parsed<()> {
        let start = self.at;
        self.skip_while(|byte| byte.is_ascii_digit());
        if self.at == start { Err(self.unexpected("a digit")) } else { Ok(()) }
    }

    /// Borrowed if it has no escapes, as most strings.
    fn string(&mut self) -> Parsed<Cow<'a, str>> {
        let start = self.at;
        self.at += 1;
        let plain = self.plain();
        if self.eat(b'"') {
            return Ok(Cow::Borrowed(plain));
        }
        let mut text = plain.to_owned();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(text));
                }
                Some(b'\\') => {
                    let c = self.escape(text.len())?;
                    text.push(c);
                }
                Some(_) => return Err(self.error_at(self.at, "control character in a string")),
                None => return Err(self.error_at(start, "string without an end")),
            }
            text.push_str(self.plain());
        }
    }

    fn plain(&mut self) -> &'a str {
        let start = self.at;
        self.skip_while(|byte| PLAIN[usize::from(byte)]);
        &self.text[start..self.at]
    }

    /// `place`: where its character goes in the string.
    fn escape(&mut self, place: usize) -> Parsed<char> {
        let start = self.at;
        let simple = match self.bytes.get(start + 1) {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(*byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(place),
            _ => return Err(self.error_at(start, "unknown escape in a string")),
        };
        self.at += 2;
        Ok(simple)
    }

    fn unicode_escape(&mut self, place: usize) -> Parsed<char> {
        let start = self.at;
        let unit = self.code_unit()?;
        let after = self.at;
        let paired = (0xd800..0xdc00).contains(&unit) && self.bytes[after..].starts_with(b"\\u");
        let low = if paired { Some(self.code_unit()?) } else { None };
        match char::decode_utf16([unit].into_iter().chain(low)).next() {
            Some(Ok(c)) => Ok(c),
            _ if self.strict => Err(self.error_at(start, "half a surrogate pair in a string")),
            _ => {
                // The second escape is a character of its own.
                self.at = after;
                self.lone.push((place, unit));
                Ok(char::REPLACEMENT_CHARACTER)
            }
        }
    }

    fn code_unit(&mut self) -> Parsed<u16> {
        let start = self.at;
        let digits = self.bytes.get(start + 2..start + 6).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        self.at += 6;
        unit.ok_or_else(|| self.error_at(start, "\\u without four hex digits in a string"))
    }
}

fn float(value: f64) -> Json {
    Json::Number(Number::of_python(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_equal_keys_wins_at_the_first_place() {
        let json = parse_str(r#" {"a":1, "b":2,"a" : 3 } "#).unwrap();
        assert_eq!(json.to_string(), r#"{"a": 3, "b": 2}"#);
    }

    #[test]
    fn escapes_are_read() {
        let json = parse_str(r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\u0000""#).unwrap();
        assert_eq!(json.as_str(), Some("\"\\/\u{8}\u{c}\n\r\té😀\0"));
    }

    #[test]
    fn errors_say_what_and_where() {
        let cases = [
            ("", "expected a value, found the end at line 1 column 1"),
            ("[1,\n \"é\" x]", "expected ',' or ']', found 'x' at line 2 column 6"),
            ("{\"a\":1,}", "expected a key in double quotes, found '}' at line 1 column 8"),
            ("NaN", "expected a value, found 'N' at line 1 column 1"),
            ("-Infinity", "expected a digit, found 'I' at line 1 column 2"),
            ("01", "number with a leading zero at line 1 column 1"),
            ("1.", "expected a digit, found the end at line 1 column 3"),
            ("1e400", "number beyond the range of a float at line 1 column 1"),
            ("\"\\ud83d\"", "half a surrogate pair in a string at line 1 column 2"),
            ("\"\\ud83d\\u0041\"", "half a surrogate pair in a string at line 1 column 2"),
            ("\"\\ude00\"", "half a surrogate pair in a string at line 1 column 2"),
            ("\"\\u12é4\"", "\\u without four hex digits in a string at line 1 column 2"),
            ("\"\\u+123\"", "\\u without four hex digits in a string at line 1 column 2"),
            ("\"a\tb\"", "control character in a string at line 1 column 3"),
            ("\"abc", "string without an end at line 1 column 1"),
            ("nul", "expected null, found 'n' at line 1 column 1"),
            ("1 2", "expected the end, found '2' at line 1 column 3"),
        ];
        for (text, message) in cases {
            assert_eq!(parse_strict(text), Err(format!("not JSON: {message}")), "{text}");
        }
    }

    #[test]
    fn what_python_writes_is_read_and_written_back() {
        for (text, written) in [
            ("[NaN,Infinity, -Infinity]", "[NaN, Infinity, -Infinity]"),
            ("[1e400, -1e400, 1e-400]", "[Infinity, -Infinity, 0.0]"),
            (r#""\ud800""#, r#""\ud800""#),
            (r#""a\uDC00\ud83d\ude00\ud83dé\n""#, r#""a\udc00\ud83d\ude00\ud83d\u00e9\n""#),
            (r#""\ud800\ud800\udc00\ud83d\u0041""#, r#""\ud800\ud800\udc00\ud83dA""#),
            (r#"{"\ud800": 1, "\ud801": 2, "\ufffd": 3, "\ud800": 4}"#, r#"{"\ud800": 4, "\ud801": 2, "\ufffd": 3}"#),
        ] {
            let json = parse_str(text).unwrap();
            assert_eq!(json.to_string(), written);
            assert_eq!(parse_str(written).as_ref(), Ok(&json));
            assert!(parse_strict(text).is_err(), "{text}");
        }
        for text in ["nan", "-NaN", "+1", "Infinit", "-Infinit", "--Infinity", r#""\ud800\u12""#] {
            assert!(parse_str(text).is_err(), "{text}");
        }
        let object = parse_str(r#"{"\ud800": 1, "\ufffd": 3}"#).unwrap();
        assert_eq!(object.get("\u{fffd}"), Some(&3.into()));
    }

    #[test]
    fn bytes_must_be_utf8_without_a_mark() {
        assert_eq!(parse_slice(b"\"\xff\""), Err("not UTF-8 at byte 1".to_owned()));
        assert!(parse_slice(b"\xef\xbb\xbf{}").unwrap_err().contains("byte order mark"));
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse_str(&nested(MAX_DEPTH)).is_ok());
        assert!(parse_str(&nested(MAX_DEPTH + 1)).is_err());
        assert!(parse_str(&"[{\"a\":".repeat(100_000)).unwrap_err().contains("nests deeper than 512"));
    }
}
