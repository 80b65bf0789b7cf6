use std::fmt::{self, Write};

use sha1::block_api::compress;

use crate::context::Value;
use crate::context::operand::Operand;
use crate::json::{write_float, write_string};

const MAX_DEPTH: usize = 512;

pub(super) const BLOCK: usize = 64;
/// The mark of the end, and the length.
const PADDING: usize = 1 + 8;
/// Of SHA-1.
pub(super) const START: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

/// SHA-1 of a text that comes in pieces. They are written once, to where they are hashed: the hasher of `sha1` copies them, which takes as
/// long as a block.
pub(super) struct Sha1Text {
    pending: [u8; 4 * BLOCK],
    len: usize,
    state: [u32; 5],
    /// Bytes that are in `state`.
    hashed: usize,
}

impl Sha1Text {
    #[inline]
    pub(super) fn new() -> Self {
        Self { pending: [0; 4 * BLOCK], len: 0, state: START, hashed: 0 }
    }

    /// The words of the hash, the first first.
    #[inline]
    pub(super) fn finish(mut self) -> [u32; 5] {
        if self.len + PADDING > self.pending.len() {
            self.hash_blocks();
        }
        let bits = (self.hashed + self.len) as u64 * 8;
        let end = (self.len + PADDING).next_multiple_of(BLOCK);
        let padding = &mut self.pending[self.len..end];
        padding.fill(0);
        padding[0] = 0x80;
        self.pending[end - 8..end].copy_from_slice(&bits.to_be_bytes());
        compress(&mut self.state, self.pending[..end].as_chunks().0);
        self.state
    }

    /// Leaves less than a block.
    fn hash_blocks(&mut self) {
        let (blocks, rest) = self.pending[..self.len].as_chunks();
        compress(&mut self.state, blocks);
        let (hashed, rest) = (blocks.len() * BLOCK, rest.len());
        self.pending.copy_within(hashed..hashed + rest, 0);
        self.hashed += hashed;
        self.len = rest;
    }

    #[cold]
    fn spill(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (first, rest) = bytes.split_at(bytes.len().min(self.pending.len() - self.len));
            self.pending[self.len..self.len + first.len()].copy_from_slice(first);
            self.len += first.len();
            bytes = rest;
            self.hash_blocks();
        }
    }
}

impl Write for Sha1Text {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let bytes = text.as_bytes();
        match self.pending.get_mut(self.len..self.len + bytes.len()) {
            Some(free) => {
                free.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.spill(bytes),
        }
        Ok(())
    }

    #[inline]
    fn write_char(&mut self, character: char) -> fmt::Result {
        self.write_str(character.encode_utf8(&mut [0; 4]))
    }
}

/// The hash, as a number, modulo 100.
pub(super) fn modulo_100([a, b, c, d, e]: [u32; 5]) -> u64 {
    // The powers of 2³² modulo 100.
    let sum = u64::from(a) * 56 + u64::from(b) * 36 + u64::from(c) * 16 + u64::from(d) * 96 + u64::from(e);
    sum % 100
}

/// As `json.dumps` writes it, with NaN and infinities.
pub(super) fn write_value(value: Value<'_>, out: &mut impl Write) -> fmt::Result {
    write_operand(value.into(), out, 0)
}

/// Integers are mostly short; the formatting machinery takes longer than their digits.
fn write_int(value: i128, out: &mut impl Write) -> fmt::Result {
    match i64::try_from(value) {
        Ok(value) => out.write_str(std::str::from_utf8(Digits::of(value).as_bytes()).unwrap_or_default()),
        Err(_) => write!(out, "{value}"),
    }
}

/// The decimal digits of a number.
pub(super) struct Digits {
    bytes: [u8; Self::MOST],
    start: usize,
}

impl Digits {
    /// A byte before it, the sign, and nineteen digits.
    const MOST: usize = 21;

    #[inline]
    pub(super) fn of(value: i64) -> Self {
        let mut digits = Self { bytes: [0; Self::MOST], start: Self::MOST };
        let mut rest = value.unsigned_abs();
        loop {
            digits.push_front(b'0' + (rest % 10) as u8);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if value < 0 {
            digits.push_front(b'-');
        }
        digits
    }

    /// With this byte in front.
    #[inline]
    pub(super) fn after(byte: u8, value: i64) -> Self {
        let mut digits = Self::of(value);
        digits.push_front(byte);
        digits
    }

    #[inline]
    fn push_front(&mut self, byte: u8) {
        self.start -= 1;
        self.bytes[self.start] = byte;
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

fn write_operand(value: Operand<'_>, out: &mut impl Write, depth: usize) -> fmt::Result {
    if depth > MAX_DEPTH {
        // Stored JSON is not so deep; a list made in code is cut off.
        return out.write_str("null");
    }
    match value {
        Operand::Null => out.write_str("null"),
        Operand::Bool(value) => out.write_str(if value { "true" } else { "false" }),
        Operand::Int(value) => write_int(value, out),
        Operand::Big(digits) => out.write_str(digits),
        Operand::Float(value) => write_float(out, value),
        Operand::Str(text) => write_string(text, out),
        Operand::LoneSurrogates(text) => text.write(out),
        Operand::List(items) => {
            out.write_str("[")?;
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.write_str(", ")?;
                }
                write_operand(item, out, depth + 1)?;
            }
            out.write_str("]")
        }
        Operand::Object(object) => {
            out.write_str("{")?;
            for (index, (key, item)) in object.entries().enumerate() {
                if index > 0 {
                    out.write_str(", ")?;
                }
                key.write(out)?;
                out.write_str(": ")?;
                write_operand(item.into(), out, depth + 1)?;
            }
            out.write_str("}")
        }
    }
}

#[cfg(test)]
mod tests {
    use sha1::{Digest, Sha1};

    use super::*;

    #[test]
    fn numbers_have_their_digits() {
        for value in [0, 7, -7, 10, 1_234_567, i64::MAX, i64::MIN] {
            assert_eq!(Digits::of(value).as_bytes(), value.to_string().as_bytes());
            assert_eq!(Digits::after(0, value).as_bytes(), format!("\0{value}").as_bytes());
        }
    }

    #[test]
    fn the_remainder_is_that_of_the_whole_hash() {
        for words in [[0; 5], [u32::MAX; 5], START, [1, 0, 0, 0, 99], [5, 4_000_000_000, 77, 1 << 31, 3]] {
            let rest = words.iter().fold(0, |rest, word| (rest << 32 | u64::from(*word)) % 100);
            assert_eq!(modulo_100(words), rest, "{words:?}");
        }
    }

    #[test]
    fn texts_of_all_lengths_in_any_pieces() {
        let text: String = (0..700_u32).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
        for length in 0..=text.len() {
            let expected: [u8; 20] = Sha1::digest(&text[..length]).into();
            for piece in [1, 7, 64, 100, 256, 300, 700] {
                let mut hasher = Sha1Text::new();
                for start in (0..length).step_by(piece) {
                    hasher.write_str(&text[start..length.min(start + piece)]).unwrap();
                }
                let words: Vec<u8> = hasher.finish().into_iter().flat_map(u32::to_be_bytes).collect();
                assert_eq!(words, expected, "{length} in pieces of {piece}");
            }
        }
    }
}
