//! A blocking connection, for our own threads only.

use std::io::{self, Read};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flipper_thrift_protocol::feature_flag_store::{FlipperException, TFeatureFlagStoreSyncClient};
use flipper_thrift_protocol::{Exchange, Limits, MessageReader, Source, call};
use thrift::ApplicationErrorKind;

use super::Target;
use super::convert::from_exception;
use super::tcp::{Tcp, left_until};
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
        let mut connection = match self.connection.take().and_then(alive) {
            Some(connection) => connection,
            None => MessageReader::new(self.connect(deadline)?),
        };
        self.sent = true;
        connection.source_mut().tcp.deadline = deadline;
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
                let opened = Socket::open(Tcp { stream, deadline }, &self.target);
                if opened.is_err() {
                    self.target.back_off.0.lock().failed();
                }
                opened
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

/// The connection, unless the server has closed it, or has sent something unasked.
fn alive(mut connection: MessageReader<Socket>) -> Option<MessageReader<Socket>> {
    let socket = connection.source_mut();
    let stream = socket.tcp.stream.clone();
    stream.set_nonblocking(true).ok()?;
    let is_idle = socket.is_idle();
    stream.set_nonblocking(false).ok()?;
    is_idle.then_some(connection)
}

struct Socket {
    tcp: Tcp,
    #[cfg(feature = "thrift-tls")]
    tls: Option<super::tls::Session>,
}

impl Socket {
    #[cfg_attr(not(feature = "thrift-tls"), expect(clippy::unnecessary_wraps, reason = "a handshake can fail"))]
    fn open(tcp: Tcp, target: &Target) -> io::Result<Self> {
        #[cfg(feature = "thrift-tls")]
        let (mut tcp, tls) = (tcp, &target.tls);
        #[cfg(not(feature = "thrift-tls"))]
        let _ = target;
        Ok(Self {
            #[cfg(feature = "thrift-tls")]
            tls: tls.as_ref().map(|files| super::tls::Session::begin(files, &target.host, &mut tcp)).transpose()?,
            tcp,
        })
    }

    fn is_idle(&mut self) -> bool {
        #[cfg(feature = "thrift-tls")]
        if let Some(tls) = &mut self.tls {
            return tls.is_idle(&*self.tcp.stream);
        }
        matches!(self.tcp.stream.peek(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(feature = "thrift-tls")]
        if let Some(tls) = &mut self.tls {
            return tls.read(&mut self.tcp, buffer);
        }
        self.tcp.read(buffer)
    }
}

impl Source for Socket {}

impl Exchange for Socket {
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        #[cfg(feature = "thrift-tls")]
        if let Some(tls) = &mut self.tls {
            return tls.send(&mut self.tcp, message);
        }
        self.tcp.send(message)
    }
}
