use std::fmt::{self, Write};

use sha1::{Digest, Sha1};

use crate::context::Value;
use crate::context::operand::Operand;
use crate::json::{write_float, write_string};

const MAX_DEPTH: usize = 512;

/// Most pieces are short: a text that fits one buffer is hashed in one call.
pub(super) struct Hasher {
    pending: [u8; 256],
    len: usize,
    hashed: Option<Sha1>,
}

impl Hasher {
    #[inline]
    pub(super) fn new() -> Self {
        Self { pending: [0; 256], len: 0, hashed: None }
    }

    pub(super) fn finish(&mut self) -> [u8; 20] {
        let pending = &self.pending[..self.len];
        match self.hashed.take() {
            None => Sha1::digest(pending).into(),
            Some(hashed) => hashed.chain_update(pending).finalize().into(),
        }
    }

    #[cold]
    fn spill(&mut self, bytes: &[u8]) {
        let hashed = self.hashed.get_or_insert_default();
        hashed.update(&self.pending[..self.len]);
        hashed.update(bytes);
        self.len = 0;
    }
}

impl Write for Hasher {
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

/// As `json.dumps` writes it, with NaN and infinities.
pub(super) fn write_value(value: Value<'_>, out: &mut impl Write) -> fmt::Result {
    write_operand(value.into(), out, 0)
}

/// Integers are mostly short; the formatting machinery takes longer than their digits.
fn write_int(value: i128, out: &mut impl Write) -> fmt::Result {
    let Ok(mut rest) = u64::try_from(value.unsigned_abs()) else { return write!(out, "{value}") };
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.write_str("-")?;
    }
    out.write_str(std::str::from_utf8(&digits[start..]).unwrap_or_default())
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
