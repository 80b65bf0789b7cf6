use std::io::{self, Read};

use crate::{Limits, Transport};

const BUFFER: usize = 2048;

/// A source of bytes.
pub trait Source: Read {
    /// A message begins. `arrived`: its first bytes were read together with the previous message.
    fn next_message(&mut self, _arrived: bool) {}
}

impl Source for &[u8] {}

/// Reads messages within their limits, and allocates nothing for bytes that have not arrived.
#[derive(Debug)]
pub struct MessageReader<S> {
    source: S,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Of the message, or of the rest of the frame.
    left: usize,
    framed: bool,
}

impl<S: Source> MessageReader<S> {
    /// Reads from this source.
    pub fn new(source: S) -> Self {
        Self { source, buffer: vec![0; BUFFER].into_boxed_slice(), start: 0, end: 0, left: 0, framed: false }
    }

    /// What it reads from.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// What it reads from.
    pub fn source_mut(&mut self) -> &mut S {
        &mut self.source
    }

    /// Whether bytes of the next message have been read.
    pub fn has_more(&self) -> bool {
        self.start < self.end
    }

    /// Waits for the first byte of the next message; false at the end of the connection.
    ///
    /// # Errors
    ///
    /// As of the source.
    pub fn wait(&mut self) -> io::Result<bool> {
        let arrived = self.has_more();
        self.source.next_message(arrived);
        if arrived {
            return Ok(true);
        }
        self.fill()?;
        Ok(self.has_more())
    }

    fn fill(&mut self) -> io::Result<()> {
        self.start = 0;
        self.end = 0;
        self.end = read(&mut self.source, &mut self.buffer)?;
        Ok(())
    }

    /// At least the next `count` bytes, which stay unread. Only for a few, between messages.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof`, and those of the source.
    pub fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        if self.start + count > self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        while self.end - self.start < count {
            match read(&mut self.source, &mut self.buffer[self.end..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.end += read,
            }
        }
        Ok(&self.buffer[self.start..self.end])
    }

    /// Begins a message, and reads the length of a frame.
    ///
    /// # Errors
    ///
    /// `InvalidData` for a length that is negative or over the limit, and those of the source.
    pub fn begin(&mut self, transport: Transport, limits: &Limits) -> io::Result<()> {
        self.framed = transport == Transport::Framed;
        self.left = limits.message;
        if self.framed {
            self.left = 4;
            let mut length = [0; 4];
            self.read_exact(&mut length)?;
            let length = i32::from_be_bytes(length);
            self.left = usize::try_from(length).map_err(|_| invalid(format!("length of a frame is {length}")))?;
            if self.left > limits.message {
                let allowed = limits.message;
                return Err(invalid(format!("frame of {length} bytes is over the {allowed} allowed")));
            }
        }
        Ok(())
    }

    /// Skips the rest of the frame. Without frames the end of a message that was not read to its end is unknown.
    ///
    /// # Errors
    ///
    /// As of the source.
    pub fn finish_frame(&mut self) -> io::Result<()> {
        if self.framed {
            let mut scratch = [0; 512];
            while self.left > 0 {
                let count = self.left.min(scratch.len());
                self.read_exact(&mut scratch[..count])?;
            }
        }
        Ok(())
    }

    /// Whether the next message can be found even if this one is invalid.
    pub fn is_framed(&self) -> bool {
        self.framed
    }
}

impl<S: Source> Read for MessageReader<S> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        if self.left == 0 {
            return Err(match self.framed {
                true => invalid("message exceeds its frame"),
                false => invalid("message exceeds the size allowed"),
            });
        }
        let wanted = out.len().min(self.left);
        let count = if !self.has_more() && wanted >= self.buffer.len() {
            read(&mut self.source, &mut out[..wanted])?
        } else {
            if !self.has_more() {
                self.fill()?;
            }
            let count = wanted.min(self.end - self.start);
            out[..count].copy_from_slice(&self.buffer[self.start..self.start + count]);
            self.start += count;
            count
        };
        self.left -= count;
        Ok(count)
    }
}

fn read<S: Read>(source: &mut S, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

pub(crate) fn invalid(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}
