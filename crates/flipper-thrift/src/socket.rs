use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flipper_thrift_protocol::Source;

use crate::options::ServerOptions;

/// The idle timeout applies to a message's first byte, a deadline to the rest.
pub(crate) struct Socket {
    stream: Arc<TcpStream>,
    idle: Option<Duration>,
    message: Duration,
    write: Duration,
    between: bool,
    /// Only if one read was not enough.
    deadline: Option<Instant>,
}

impl Socket {
    pub(crate) fn new(stream: Arc<TcpStream>, options: &ServerOptions) -> Self {
        Self {
            stream,
            idle: options.idle_timeout,
            message: options.message_timeout,
            write: options.write_timeout,
            between: true,
            deadline: None,
        }
    }

    /// All that is read from now on must arrive within this time.
    pub(crate) fn must_arrive_within(&mut self, time: Duration) {
        self.between = false;
        self.deadline = Some(Instant::now() + time);
    }

    #[cfg(feature = "tls")]
    pub(crate) fn message_timeout(&self) -> Duration {
        self.message
    }

    pub(crate) fn has_more(&self) -> io::Result<bool> {
        self.stream.set_nonblocking(true)?;
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false)?;
        Ok(matches!(peeked, Ok(1..)))
    }

    pub(crate) fn send(&self, mut message: &[u8]) -> io::Result<()> {
        let mut deadline = None;
        while !message.is_empty() {
            match (&*self.stream).write(message) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => message = &message[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(slow("client did not accept an answer in time"));
                }
                Err(error) => return Err(error),
            }
            if !message.is_empty() {
                let deadline = *deadline.get_or_insert_with(|| Instant::now() + self.write);
                if Instant::now() > deadline {
                    return Err(slow("client did not accept an answer in time"));
                }
            }
        }
        Ok(())
    }

    /// The client may have closed the connection.
    pub(crate) fn end_writing(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }
}

impl Source for Socket {
    fn next_message(&mut self, arrived: bool) {
        self.between = !arrived;
        // The socket's timeout was changed; `read` resets it.
        if let Some(deadline) = &mut self.deadline {
            *deadline = Instant::now() + self.message;
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let between = std::mem::take(&mut self.between);
        if between {
            // Most messages come with one read and need no timeout.
            if self.deadline.take().is_some() {
                self.stream.set_read_timeout(self.idle)?;
            }
        } else {
            let now = Instant::now();
            let deadline = *self.deadline.get_or_insert(now + self.message);
            let left = deadline.saturating_duration_since(now);
            if left.is_zero() {
                return Err(slow("message was not complete in time"));
            }
            self.stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        }
        (&*self.stream).read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut if between => slow("client was idle for too long"),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => slow("message was not complete in time"),
            _ => error,
        })
    }
}

pub(crate) fn slow(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, message)
}
