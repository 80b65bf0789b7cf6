use std::fmt::{self, Write};

use super::write_string;

/// A string with lone surrogates: halves of UTF-16 pairs, such as `"\ud800"`, which no Rust string can hold. It is written back as Python
/// has it; as text it has U+FFFD in their place.
///
/// ```
/// use flipper::json::Json;
///
/// let json = Json::parse(r#""a\ud800b""#)?;
/// assert_eq!(json.as_str(), Some("a\u{fffd}b"));
/// assert_eq!(json.to_string(), r#""a\ud800b""#);
/// # Ok::<(), flipper::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LoneSurrogates(Box<Inner>);

#[derive(Clone, PartialEq, Eq, Hash)]
struct Inner {
    /// With U+FFFD.
    text: String,
    /// Byte offset and surrogate of each U+FFFD.
    lone: Vec<(usize, u16)>,
}

impl LoneSurrogates {
    pub(super) fn new(text: String, lone: Vec<(usize, u16)>) -> Self {
        Self(Box::new(Inner { text, lone }))
    }

    /// The text, with U+FFFD for each lone surrogate.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    pub(crate) fn code_points(&self) -> impl Iterator<Item = u32> {
        let mut lone = self.0.lone.iter().peekable();
        self.0.text.char_indices().map(move |(at, c)| match lone.next_if(|(place, _)| *place == at) {
            Some((_, unit)) => u32::from(*unit),
            None => u32::from(c),
        })
    }

    pub(crate) fn write(&self, out: &mut impl Write) -> fmt::Result {
        out.write_char('"')?;
        let mut rest = 0;
        for (at, unit) in &self.0.lone {
            write_plain(&self.0.text[rest..*at], out)?;
            write!(out, "\\u{unit:04x}")?;
            rest = at + char::REPLACEMENT_CHARACTER.len_utf8();
        }
        write_plain(&self.0.text[rest..], out)?;
        out.write_char('"')
    }
}

/// Without the quotes.
fn write_plain(text: &str, out: &mut impl Write) -> fmt::Result {
    let mut quoted = String::with_capacity(text.len() + 2);
    write_string(text, &mut quoted)?;
    out.write_str(&quoted[1..quoted.len() - 1])
}

impl fmt::Debug for LoneSurrogates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}
