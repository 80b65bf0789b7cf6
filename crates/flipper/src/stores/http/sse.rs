//! Server-sent events, as the HTML standard has them.

use crate::error::{Error, Result};

/// Of one event.
const MOST_BYTES: usize = 256 << 20;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) id: Option<String>,
    pub(super) data: String,
}

#[derive(Debug, Default)]
pub(super) struct Parser {
    /// A line was complete.
    has_begun: bool,
    /// The start of a line.
    rest: Vec<u8>,
    /// A line ended with a carriage return, and a line feed belongs to it.
    after_return: bool,
    event: Event,
    has_data: bool,
}

impl Parser {
    /// The events that these bytes complete.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_return) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                self.rest.extend_from_slice(bytes);
                break;
            };
            self.rest.extend_from_slice(&bytes[..end]);
            self.after_return = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.rest);
            let line = std::str::from_utf8(&line).map_err(|_| Error::unavailable("an event is not UTF-8"))?;
            let line = match std::mem::replace(&mut self.has_begun, true) {
                true => line,
                false => line.strip_prefix('\u{feff}').unwrap_or(line),
            };
            events.extend(self.line(line));
        }
        if self.rest.len() + self.event.data.len() > MOST_BYTES {
            return Err(Error::unavailable("an event is too long"));
        }
        Ok(events)
    }

    /// No event has begun.
    pub(super) fn is_between(&self) -> bool {
        self.rest.is_empty() && !self.has_data && self.event.name.is_empty()
    }

    fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "id" if !value.contains('\0') => self.event.id = Some(value.to_owned()),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // A comment, `retry`, or what comes later.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, id: Option<&str>, data: &str) -> Event {
        Event { name: name.to_owned(), id: id.map(str::to_owned), data: data.to_owned() }
    }

    #[test]
    fn events_in_any_pieces() {
        let text = "\u{feff}data: 0\n\n\u{feff}: hello\nretry: 5\n\nevent: a\nid: 1:2?\ndata: {\"é\":\r\ndata:1}\r\n\r\nevent: no data\n\nid\ndata\n\n";
        let expected = [event("", None, "0"), event("a", Some("1:2?"), "{\"é\":\n1}"), event("", Some(""), "")];
        for size in 1..=text.len() {
            let mut parser = Parser::default();
            let pieces = text.as_bytes().chunks(size);
            let events: Vec<_> = pieces.flat_map(|piece| parser.push(piece).unwrap()).collect();
            assert_eq!(events, expected, "{size}");
            assert!(parser.is_between());
        }
        let mut parser = Parser::default();
        assert!(parser.push(b"data: 1\n").unwrap().is_empty() && !parser.is_between());
        assert!(parser.push(b"data: \xff\n").is_err());
    }
}
