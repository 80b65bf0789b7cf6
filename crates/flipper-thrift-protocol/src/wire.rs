use std::fmt;
use std::io;
use std::str::FromStr;

use thrift::protocol::{
    TBinaryInputProtocol, TBinaryOutputProtocol, TCompactInputProtocol, TCompactOutputProtocol, TInputProtocol,
    TOutputProtocol,
};

use crate::reader::{MessageReader, Source};
use crate::{Limits, reader};

/// Whether a length precedes each message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// One message after the other (`TBufferedTransport`).
    #[default]
    Buffered,
    /// Each after its length (`TFramedTransport`).
    Framed,
}

/// The encoding of values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// `TBinaryProtocol`, with the version at the beginning of each message.
    #[default]
    Binary,
    /// `TBinaryProtocol` without the version, as very old clients write it.
    NonStrictBinary,
    /// `TCompactProtocol`.
    Compact,
}

/// Transport and protocol of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wire {
    /// Buffered or framed.
    pub transport: Transport,
    /// Binary or compact.
    pub protocol: Protocol,
}

const STRICT_BINARY: u8 = 0x80;
const COMPACT: u8 = 0x82;

impl Wire {
    /// Detects both from the first five bytes of a connection, which stay unread.
    ///
    /// A message begins with 0x80 (binary, strict), 0x82 (compact), or the length of the method's name in four bytes (binary, not strict).
    /// A frame begins with its length, whose first byte is small too. The fifth byte distinguishes them: a name begins with a letter.
    ///
    /// # Errors
    ///
    /// `InvalidData` for an unknown encoding, and the errors of the reader.
    pub fn detect<S: Source>(reader: &mut MessageReader<S>) -> io::Result<Self> {
        let wire = |transport, protocol| Ok(Self { transport, protocol });
        match reader.peek(1)?[0] {
            STRICT_BINARY => return wire(Transport::Buffered, Protocol::Binary),
            COMPACT => return wire(Transport::Buffered, Protocol::Compact),
            0..0x80 => {}
            first => return Err(unknown(&[first])),
        }
        let first = reader.peek(5)?;
        match first[4] {
            STRICT_BINARY => wire(Transport::Framed, Protocol::Binary),
            COMPACT => wire(Transport::Framed, Protocol::Compact),
            0 => wire(Transport::Framed, Protocol::NonStrictBinary),
            // The service's names are far shorter than 256 bytes; this is another program.
            b'A'..=b'Z' | b'a'..=b'z' | b'_' if first[..3] == [0, 0, 0] => {
                wire(Transport::Buffered, Protocol::NonStrictBinary)
            }
            _ => Err(unknown(&first[..5])),
        }
    }

    /// Reads values of one message.
    pub fn input<'a, R: io::Read + 'a>(self, reader: R, limits: &Limits) -> Box<dyn TInputProtocol + 'a> {
        let configuration = limits.configuration();
        match self.protocol {
            // Not strict accepts both kinds.
            Protocol::Binary | Protocol::NonStrictBinary => {
                Box::new(TBinaryInputProtocol::with_config(reader, false, configuration))
            }
            Protocol::Compact => Box::new(TCompactInputProtocol::with_config(reader, configuration)),
        }
    }

    /// Writes values of one message.
    pub fn output<'a, W: io::Write + 'a>(self, writer: W) -> Box<dyn TOutputProtocol + 'a> {
        match self.protocol {
            Protocol::Binary => Box::new(TBinaryOutputProtocol::new(writer, true)),
            Protocol::NonStrictBinary => Box::new(TBinaryOutputProtocol::new(writer, false)),
            Protocol::Compact => Box::new(TCompactOutputProtocol::new(writer)),
        }
    }

    /// Reserves space for the length of a frame.
    pub fn begin_message(self, out: &mut Vec<u8>) {
        out.clear();
        if self.transport == Transport::Framed {
            out.extend_from_slice(&[0; 4]);
        }
    }

    /// Fills in the length of a frame.
    ///
    /// # Errors
    ///
    /// `InvalidData` for a message that is too long.
    pub fn end_message(self, out: &mut [u8]) -> io::Result<()> {
        if self.transport == Transport::Framed {
            let length = i32::try_from(out.len() - 4)
                .map_err(|_| reader::invalid(format!("message of {} bytes fits no frame", out.len())))?;
            out[..4].copy_from_slice(&length.to_be_bytes());
        }
        Ok(())
    }
}

fn unknown(first: &[u8]) -> io::Error {
    reader::invalid(format!("connection begins with {first:02x?}, which is no Thrift message of the kinds known"))
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self.transport {
            Transport::Buffered => "buffered",
            Transport::Framed => "framed",
        };
        let protocol = match self.protocol {
            Protocol::Binary => "binary",
            Protocol::NonStrictBinary => "binary (not strict)",
            Protocol::Compact => "compact",
        };
        write!(f, "{transport} {protocol}")
    }
}

impl FromStr for Transport {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "buffered" => Ok(Self::Buffered),
            "framed" => Ok(Self::Framed),
            _ => Err("transport is neither `buffered` nor `framed`".to_owned()),
        }
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "binary" => Ok(Self::Binary),
            "compact" => Ok(Self::Compact),
            _ => Err("protocol is neither `binary` nor `compact`".to_owned()),
        }
    }
}
