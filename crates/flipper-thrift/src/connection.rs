use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flipper_thrift_protocol::{MessageReader, Source, Wire};

use crate::dispatch::{Next, answer};
use crate::options::ServerOptions;
use crate::service::Service;

/// Larger output buffers are freed after the message.
const KEPT: usize = 64 << 10;

/// A client whose next call comes within this time pipelines its calls: no read timeout is so short.
const PATIENCE: Duration = Duration::from_millis(100);

/// For the client to read the reason before the connection closes.
const LINGER: Duration = Duration::from_millis(500);

/// Fails unless the client closed the connection.
pub(crate) fn serve(
    stream: &Arc<TcpStream>,
    service: &Service,
    options: &ServerOptions,
    closing: impl Fn() -> bool,
) -> io::Result<()> {
    let mut reader = MessageReader::new(Socket::new(stream.clone(), options));
    let mut out = Vec::new();
    let mut wire = None;
    while !closing() && reader.wait()? {
        let wire = match wire {
            Some(wire) => wire,
            None => *wire.insert(Wire::detect(&mut reader)?),
        };
        reader.begin(wire.transport, &options.limits)?;
        let next = answer(&mut reader, wire, &options.limits, service, &mut out)?;
        if let Next::GoIfAwaited { began, until } = next {
            check_is_awaited(&mut reader, began, until)?;
        }
        send(stream, &out, options.write_timeout)?;
        if let Next::Close(reason) = next {
            linger(&mut reader);
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        if out.capacity() > KEPT {
            out = Vec::new();
        }
    }
    Ok(())
}

/// After it stopped waiting, a client would take the response for that of its next call. A closed connection is unambiguous.
fn check_is_awaited(reader: &mut MessageReader<Socket>, began: Instant, until: Option<Instant>) -> io::Result<()> {
    let took = began.elapsed();
    if took < PATIENCE {
        return Ok(());
    }
    if until.is_some_and(|until| Instant::now() > until) {
        return Err(slow(&format!(
            "answer took {took:.1?}, and a client that does not number its calls may have stopped waiting"
        )));
    }
    if reader.has_more() || reader.source().has_more()? {
        return Err(slow("client stopped waiting for a call, and would take the answer for that of its next call"));
    }
    Ok(())
}

/// With unread bytes, closing would reset the connection, and the client's system would drop the response. Not inlined: the buffer would
/// add a page of stack to each idle connection.
#[inline(never)]
fn linger(reader: &mut MessageReader<Socket>) {
    let socket = reader.source_mut();
    socket.deadline = Some(Instant::now() + LINGER);
    let mut scratch = [0; 4096];
    // The client may have closed the connection.
    let _ = socket.stream.shutdown(Shutdown::Write);
    for _ in 0..64 {
        if !matches!(socket.read(&mut scratch), Ok(1..)) {
            break;
        }
    }
}

fn send(stream: &TcpStream, mut message: &[u8], timeout: Duration) -> io::Result<()> {
    let mut deadline = None;
    while !message.is_empty() {
        match (&*stream).write(message) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => message = &message[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(slow("client did not accept an answer in time"));
            }
            Err(error) => return Err(error),
        }
        if !message.is_empty() {
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + timeout);
            if Instant::now() > deadline {
                return Err(slow("client did not accept an answer in time"));
            }
        }
    }
    Ok(())
}

/// The idle timeout applies to a message's first byte, a deadline to the rest.
struct Socket {
    stream: Arc<TcpStream>,
    idle: Option<Duration>,
    message: Duration,
    between: bool,
    /// Only if one read was not enough.
    deadline: Option<Instant>,
}

impl Socket {
    fn new(stream: Arc<TcpStream>, options: &ServerOptions) -> Self {
        Self { stream, idle: options.idle_timeout, message: options.message_timeout, between: true, deadline: None }
    }

    fn has_more(&self) -> io::Result<bool> {
        self.stream.set_nonblocking(true)?;
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false)?;
        Ok(matches!(peeked, Ok(1..)))
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

fn slow(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, message)
}
