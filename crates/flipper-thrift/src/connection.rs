use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flipper_thrift_protocol::{MessageReader, Wire};

use crate::dispatch::{Next, answer};
use crate::options::ServerOptions;
use crate::service::Service;
use crate::socket::{Socket, slow};
use crate::stream::Stream;

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
    let stream = Stream::begin(Socket::new(stream.clone(), options), options)?;
    let client = service.client(stream.certificate().as_deref());
    let mut reader = MessageReader::new(stream);
    let mut out = Vec::new();
    let mut wire = None;
    while !closing() && reader.wait()? {
        let wire = match wire {
            Some(wire) => wire,
            None => *wire.insert(Wire::detect(&mut reader)?),
        };
        reader.begin(wire.transport, &options.limits)?;
        let next = answer(&mut reader, wire, &options.limits, service, &client, &mut out)?;
        if let Next::GoIfAwaited { began, until } = next {
            check_is_awaited(&mut reader, began, until)?;
        }
        reader.source_mut().send(&out)?;
        if let Next::Close(reason) = next {
            linger(&mut reader);
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        if out.capacity() > KEPT {
            out = Vec::new();
        }
    }
    reader.source_mut().end_writing();
    Ok(())
}

/// After it stopped waiting, a client would take the response for that of its next call. A closed connection is unambiguous.
fn check_is_awaited(reader: &mut MessageReader<Stream>, began: Instant, until: Option<Instant>) -> io::Result<()> {
    let took = began.elapsed();
    if took < PATIENCE {
        return Ok(());
    }
    if until.is_some_and(|until| Instant::now() > until) {
        return Err(slow(&format!(
            "answer took {took:.1?}, and a client that does not number its calls may have stopped waiting"
        )));
    }
    if reader.has_more() || reader.source_mut().has_more()? {
        return Err(slow("client stopped waiting for a call, and would take the answer for that of its next call"));
    }
    Ok(())
}

/// With unread bytes, closing would reset the connection, and the client's system would drop the response. Not inlined: the buffer would
/// add a page of stack to each idle connection.
#[inline(never)]
fn linger(reader: &mut MessageReader<Stream>) {
    let socket = reader.source_mut().end_writing();
    socket.must_arrive_within(LINGER);
    let mut scratch = [0; 4096];
    for _ in 0..64 {
        if !matches!(socket.read(&mut scratch), Ok(1..)) {
            break;
        }
    }
}
