//! The text of the answer for all flags, and its tag, from the texts of each one.

use crate::etag::{self, Parts};

const BEGIN: &str = "{\"flags\":[";

/// The answers of one flag, with a comma after each.
#[derive(Debug)]
pub(super) struct Kept {
    text: String,
    hash: u64,
}

impl Kept {
    pub(super) fn new(write: impl FnOnce(&mut String)) -> Self {
        let mut text = String::new();
        write(&mut text);
        text.push(',');
        text.shrink_to_fit();
        let hash = etag::hash(text.as_bytes());
        Self { text, hash }
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }
}

/// The answer for all flags.
pub(super) struct Answers {
    text: String,
    parts: Parts,
}

impl Answers {
    pub(super) fn with_capacity(length: usize) -> Self {
        let mut text = String::with_capacity(length);
        text.push_str(BEGIN);
        Self { text, parts: Parts::new() }
    }

    pub(super) fn push(&mut self, kept: &Kept) {
        self.text.push_str(&kept.text);
        self.parts.add(kept.hash);
    }

    pub(super) fn write(&mut self, write: impl FnOnce(&mut String)) {
        let begin = self.text.len();
        write(&mut self.text);
        self.text.push(',');
        self.parts.add(etag::hash(&self.text.as_bytes()[begin..]));
    }

    /// The whole, with other members, and its tag.
    pub(super) fn end(mut self, more: impl FnOnce(&mut String)) -> (String, String) {
        if self.text.len() > BEGIN.len() {
            self.text.pop();
        }
        let begin = self.text.len();
        self.text.push(']');
        more(&mut self.text);
        self.text.push('}');
        self.parts.add(etag::hash(&self.text.as_bytes()[begin..]));
        (self.text, self.parts.tag())
    }
}
