use crate::context::Attributes;

/// A text that checks compare with others. A short one is compared by its first and last bytes, without a call of `memcmp`.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    /// Its length if it is short, else more than any text has: one comparison finds both.
    short_len: usize,
    ends: [u64; 2],
    text: Box<str>,
}

/// Up to this many bytes the two ends are all of a text.
pub(super) const SHORT: usize = 16;
const LONG: usize = usize::MAX;

impl Word {
    pub(crate) fn new(text: &str) -> Self {
        let short_len = if text.len() <= SHORT { text.len() } else { LONG };
        Self { short_len, ends: ends(text.as_bytes()), text: text.into() }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn ends(&self) -> [u64; 2] {
        self.ends
    }

    /// The first attribute of this name.
    #[inline(always)]
    pub(crate) fn place_in<A: Attributes + ?Sized>(&self, attributes: &A) -> Option<usize> {
        (0..attributes.len()).find(|index| self.is(attributes.attribute(*index).0))
    }

    #[inline(always)]
    pub(crate) fn is(&self, text: &str) -> bool {
        if text.len() == self.short_len {
            return ends(text.as_bytes()) == self.ends;
        }
        self.short_len == LONG && *text == *self.text
    }
}

/// Overlapping in a text of less than sixteen bytes.
#[inline(always)]
pub(super) fn ends(text: &[u8]) -> [u64; 2] {
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        return [u64::from_le_bytes(*first), u64::from_le_bytes(*last)];
    }
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        return [u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into()];
    }
    match text {
        [first, .., last] => [(u64::from(*first) << 8) | u64::from(text[text.len() / 2]), u64::from(*last)],
        [only] => [u64::from(*only), 0],
        [] => [0, 0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_its_text_and_no_other() {
        for length in 0..40 {
            let text: String = ('a'..='z').cycle().take(length).collect();
            let word = Word::new(&text);
            assert!(word.is(&text), "{length}");
            assert!(!word.is(&format!("{text}x")));
            for at in 0..length {
                let mut other = text.clone();
                other.replace_range(at..=at, "A");
                assert!(!word.is(&other), "{length} at {at}");
                assert!(!word.is(&text[..at]));
            }
        }
    }
}
