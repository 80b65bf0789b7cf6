use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A blocking stream with a deadline.
pub(super) struct Tcp {
    pub(super) stream: Arc<TcpStream>,
    pub(super) deadline: Instant,
}

impl Read for Tcp {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left_until(self.deadline)?))?;
        (&*self.stream).read(buffer).map_err(timed_out)
    }
}

impl Tcp {
    pub(super) fn send(&mut self, mut message: &[u8]) -> io::Result<()> {
        while !message.is_empty() {
            self.stream.set_write_timeout(Some(left_until(self.deadline)?))?;
            match (&*self.stream).write(message) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => message = &message[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(timed_out(error)),
            }
        }
        Ok(())
    }
}

pub(super) fn left_until(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(no_answer()) } else { Ok(left.max(Duration::from_millis(1))) }
}

/// A socket's timeout has two error kinds.
fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => no_answer(),
        _ => error,
    }
}

fn no_answer() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
}
