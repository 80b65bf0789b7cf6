//! Python's JSON text of attributes, streamed into SHA-1.

use std::fmt::{self, Write};

use sha1::{Digest, Sha1};

use crate::context::Value;
use crate::context::operand::Operand;
use crate::json::{write_float, write_string};

const MAX_DEPTH: usize = 512;

/// Collects short pieces before they are hashed.
pub(super) struct Hasher {
    sha1: Sha1,
    pending: [u8; 256],
    len: usize,
}

impl Hasher {
    pub(super) fn new() -> Self {
        Self { sha1: Sha1::new(), pending: [0; 256], len: 0 }
    }

    pub(super) fn finish(mut self) -> [u8; 20] {
        self.sha1.update(&self.pending[..self.len]);
        self.sha1.finalize().into()
    }
}

impl Write for Hasher {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let bytes = text.as_bytes();
        if self.len + bytes.len() > self.pending.len() {
            self.sha1.update(&self.pending[..self.len]);
            self.len = 0;
        }
        match self.pending.get_mut(self.len..self.len + bytes.len()) {
            Some(free) => {
                free.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.sha1.update(bytes),
        }
        Ok(())
    }
}

/// Writes what `json.dumps` writes; NaN and the infinities, which JSON does not have, too.
pub(super) fn write_value(value: Value<'_>, out: &mut impl Write) -> fmt::Result {
    write_operand(value.into(), out, 0)
}

fn write_operand(value: Operand<'_>, out: &mut impl Write, depth: usize) -> fmt::Result {
    if depth > MAX_DEPTH {
        // Stored JSON cannot be so deep; a list made in code has its end cut off.
        return out.write_str("null");
    }
    match value {
        Operand::Null => out.write_str("null"),
        Operand::Bool(value) => out.write_str(if value { "true" } else { "false" }),
        Operand::Int(value) => write!(out, "{value}"),
        Operand::Big(digits) => out.write_str(digits),
        Operand::Float(value) if value.is_nan() => out.write_str("NaN"),
        Operand::Float(value) if value.is_infinite() => {
            out.write_str(if value > 0.0 { "Infinity" } else { "-Infinity" })
        }
        Operand::Float(value) => write_float(out, value),
        Operand::Str(text) => write_string(text, out),
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
            for (index, (key, item)) in object.iter().enumerate() {
                if index > 0 {
                    out.write_str(", ")?;
                }
                write_string(key, out)?;
                out.write_str(": ")?;
                write_operand(item.into(), out, depth + 1)?;
            }
            out.write_str("}")
        }
    }
}
