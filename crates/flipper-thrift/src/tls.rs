use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use flipper_thrift_protocol::Source;
use rustls::{ServerConfig, ServerConnection};
use sha2::{Digest, Sha256};

use crate::socket::Socket;

/// Asked for each connection, so that certificates can be replaced.
#[derive(Clone)]
pub(crate) struct TlsConfig(Arc<dyn Fn() -> Arc<ServerConfig> + Send + Sync>);

impl TlsConfig {
    pub(crate) fn new(config: impl Fn() -> Arc<ServerConfig> + Send + Sync + 'static) -> Self {
        Self(Arc::new(config))
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        (self.0)()
    }
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsConfig")
    }
}

/// The timeouts are those of the socket: also bytes that complete no record count.
pub(crate) struct TlsSocket {
    connection: ServerConnection,
    socket: Socket,
}

impl TlsSocket {
    /// Not inlined: an idle connection needs none of the handshake's stack.
    #[inline(never)]
    pub(crate) fn accept(mut socket: Socket, config: Arc<ServerConfig>) -> io::Result<Box<Self>> {
        let mut connection = ServerConnection::new(config).map_err(io::Error::other)?;
        // An answer is encrypted as a whole, so that one deadline applies to all of it.
        connection.set_buffer_limit(None);
        socket.must_arrive_within(socket.message_timeout());
        let mut this = Box::new(Self { connection, socket });
        while this.connection.is_handshaking() {
            if this.connection.wants_write() {
                this.flush()?;
            } else {
                this.receive()?;
            }
        }
        this.flush()?;
        Ok(this)
    }

    /// As the HTTP server names a client's certificate.
    pub(crate) fn certificate(&self) -> Option<String> {
        let digest = Sha256::digest(self.connection.peer_certificates()?.first()?);
        let digits: String = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        Some(format!("certificate {digits}"))
    }

    pub(crate) fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.connection.writer().write_all(message)?;
        self.flush()
    }

    pub(crate) fn has_more(&mut self) -> io::Result<bool> {
        let read = self.connection.process_new_packets().map_err(invalid)?.plaintext_bytes_to_read();
        Ok(read > 0 || self.socket.has_more()?)
    }

    pub(crate) fn end_writing(&mut self) -> &mut Socket {
        self.connection.send_close_notify();
        // The client may have closed the connection.
        let _ = self.flush();
        self.socket.end_writing();
        &mut self.socket
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut bytes)?;
        }
        self.socket.send(&bytes)
    }

    /// Reads from the socket once.
    fn receive(&mut self) -> io::Result<()> {
        if self.connection.read_tls(&mut self.socket)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Err(error) = self.connection.process_new_packets() {
            // An alert, from which the client learns the reason.
            let _ = self.flush();
            return Err(invalid(error));
        }
        Ok(())
    }
}

impl Source for TlsSocket {
    fn next_message(&mut self, arrived: bool) {
        self.socket.next_message(arrived);
    }
}

impl Read for TlsSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.receive()?,
                read => return read,
            }
            // An answer to a change of keys.
            self.flush()?;
        }
    }
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
