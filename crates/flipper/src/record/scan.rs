//! Finds the records in a text, without parsing them.

use std::ops::Range;

pub(super) struct Wrong {
    what: String,
    at: usize,
}

impl Wrong {
    pub(super) fn at(&self, text: &str) -> String {
        let (line, column) = Place::default().of(text, self.at);
        format!("not JSON of flags: {} at line {line} column {column}", self.what)
    }
}

/// Converts byte offsets, in ascending order, to lines and columns.
#[derive(Debug, Default)]
pub struct Place {
    at: usize,
    line: usize,
    column: usize,
}

impl Place {
    /// Line and column in characters, from 1.
    pub fn of(&mut self, text: &str, at: usize) -> (usize, usize) {
        for character in text[self.at..at].chars() {
            if character == '\n' {
                self.line += 1;
                self.column = 0;
            } else {
                self.column += 1;
            }
        }
        self.at = at;
        (self.line + 1, self.column + 1)
    }
}

pub(super) fn items(text: &str) -> Result<Vec<Range<usize>>, Wrong> {
    let mut scan = Scan { text: text.as_bytes(), at: 0 };
    let mut items = Vec::new();
    scan.skip_space();
    if !scan.eat(b'[') {
        if scan.is_at_end() {
            return Err(scan.wrong("the file is empty; without flags it is []"));
        }
        while !scan.is_at_end() {
            items.push(scan.object()?);
            scan.skip_space();
        }
        return Ok(items);
    }
    scan.skip_space();
    if !scan.eat(b']') {
        loop {
            items.push(scan.object()?);
            scan.skip_space();
            if scan.eat(b']') {
                break;
            }
            if !scan.eat(b',') {
                return Err(scan.wrong("expected `,` or `]`"));
            }
            scan.skip_space();
        }
    }
    scan.skip_space();
    if !scan.is_at_end() {
        return Err(scan.wrong("expected the end"));
    }
    Ok(items)
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    fn skip_space(&mut self) {
        while self.text.get(self.at).is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    /// Finds the end of an object. The parser checks its content later.
    fn object(&mut self) -> Result<Range<usize>, Wrong> {
        let start = self.at;
        if self.text.get(start) != Some(&b'{') {
            return Err(self.wrong(if self.is_at_end() {
                "the file ends where a flag should be"
            } else {
                "expected a flag, which begins with `{`"
            }));
        }
        let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
        while let Some(byte) = self.text.get(self.at) {
            self.at += 1;
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                _ if in_string => {}
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Ok(start..self.at);
            }
        }
        Err(self.wrong("the file ends within a flag"))
    }

    fn wrong(&self, what: &str) -> Wrong {
        Wrong { what: what.to_owned(), at: self.at }
    }
}
