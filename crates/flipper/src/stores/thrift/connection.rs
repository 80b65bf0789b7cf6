//! A blocking connection, for our own threads only.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flipper_thrift_protocol::feature_flag_store::{FlipperException, TFeatureFlagStoreSyncClient};
use flipper_thrift_protocol::{Exchange, Limits, MessageReader, Source, call};
use thrift::ApplicationErrorKind;

use super::Target;
use super::convert::from_exception;
use crate::error::{Error, ErrorKind};
use crate::lock::Mutex;
use crate::pause::{NextAttempt, Pause};

/// A list of all flags is one message.
const LIMITS: Limits = Limits { message: 256 << 20, string: 16 << 20, container: 16 << 20 };

const PAUSE: Pause = Pause::new(Duration::from_millis(20), Duration::from_secs(1));

#[derive(Debug)]
pub(super) enum CallError {
    UnknownMethod,
    Failed(Error),
}

pub(super) type Call<'a, T> = &'a mut dyn FnMut(&mut dyn TFeatureFlagStoreSyncClient) -> thrift::Result<T>;

type OnConnect = Box<dyn Fn(&Arc<TcpStream>) + Send>;

pub(super) struct Caller {
    target: Arc<Target>,
    connection: Option<MessageReader<Socket>>,
    sent: bool,
    /// Gets each new connection, so that another thread can end it.
    on_connect: OnConnect,
}

/// For all threads of a store.
#[derive(Debug)]
pub(super) struct BackOff(Mutex<NextAttempt>);

impl Default for BackOff {
    fn default() -> Self {
        Self(Mutex::new(NextAttempt::new(PAUSE)))
    }
}

impl BackOff {
    fn wait(&self, deadline: Instant) {
        let attempt = self.0.lock().at();
        if let Some(attempt) = attempt {
            std::thread::sleep(attempt.min(deadline).saturating_duration_since(Instant::now()));
        }
    }
}

impl Caller {
    pub(super) fn new(target: Arc<Target>, on_connect: impl Fn(&Arc<TcpStream>) + Send + 'static) -> Self {
        Self { target, connection: None, sent: false, on_connect: Box::new(on_connect) }
    }

    /// A read is tried a second time if an idle connection turns out to be dead.
    pub(super) fn call<T>(&mut self, deadline: Instant, reads: bool, run: Call<'_, T>) -> Result<T, CallError> {
        let old = self.connection.is_some();
        match self.try_call(deadline, &mut *run) {
            Err(thrift::Error::Transport(error))
                if old && reads && error.kind != thrift::TransportErrorKind::TimedOut =>
            {
                self.try_call(deadline, run)
            }
            result => result,
        }
        .map_err(|error| self.describe(error))
    }

    fn try_call<T>(&mut self, deadline: Instant, run: Call<'_, T>) -> thrift::Result<T> {
        self.sent = false;
        let mut connection = match self.connection.take().filter(is_alive) {
            Some(connection) => connection,
            None => MessageReader::new(self.connect(deadline)?),
        };
        self.sent = true;
        connection.source_mut().deadline = deadline;
        let result = call(&mut connection, self.target.wire, &LIMITS, |client| run(client));
        if matches!(result, Ok(_) | Err(thrift::Error::User(_))) {
            self.connection = Some(connection);
        }
        result
    }

    fn connect(&mut self, deadline: Instant) -> io::Result<Socket> {
        self.target.back_off.wait(deadline);
        match connect(&self.target, deadline) {
            Ok(stream) => {
                self.target.back_off.0.lock().succeeded();
                let stream = Arc::new(stream);
                (self.on_connect)(&stream);
                Ok(Socket { stream, deadline })
            }
            Err(error) => {
                self.target.back_off.0.lock().failed();
                Err(error)
            }
        }
    }

    fn describe(&self, error: thrift::Error) -> CallError {
        let error = match error {
            thrift::Error::User(exception) => match exception.downcast::<FlipperException>() {
                Ok(exception) => from_exception(*exception),
                Err(other) => Error::new(ErrorKind::Unavailable).with_source(other),
            },
            thrift::Error::Application(error) if error.kind == ApplicationErrorKind::UnknownMethod => {
                return CallError::UnknownMethod;
            }
            thrift::Error::Application(error) => Error::unavailable(format!("server failed: {}", error.message)),
            // A retry does not help a client that speaks another protocol than the server.
            thrift::Error::Protocol(error) => Error::new(ErrorKind::Unavailable)
                .with_transient(false)
                .with_message(format!("answer is no {} Thrift message: {}", self.target.wire, error.message)),
            thrift::Error::Transport(error) => {
                let message = format!("server cannot be reached: {}", error.message);
                Error::unavailable(message).with_nothing_written(!self.sent)
            }
        };
        CallError::Failed(error.with_store(&*self.target))
    }
}

fn connect(target: &Target, deadline: Instant) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "name of the server has no address");
    for address in (target.host.as_str(), target.port).to_socket_addrs()? {
        let left = left_until(deadline)?.min(target.connect_timeout);
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn is_alive(connection: &MessageReader<Socket>) -> bool {
    let stream = &connection.source().stream;
    let peeked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
    let idle = matches!(&peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
    idle && stream.set_nonblocking(false).is_ok()
}

struct Socket {
    stream: Arc<TcpStream>,
    deadline: Instant,
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(left_until(self.deadline)?))?;
        (&*self.stream).read(buffer).map_err(timed_out)
    }
}

impl Source for Socket {}

impl Exchange for Socket {
    fn send(&mut self, mut message: &[u8]) -> io::Result<()> {
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

fn left_until(deadline: Instant) -> io::Result<Duration> {
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
