//! A connection's bytes, with TLS or without.

use std::io::{self, Read};

use flipper_thrift_protocol::Source;

use crate::options::ServerOptions;
use crate::socket::Socket;

pub(crate) enum Stream {
    Plain(Socket),
    #[cfg(feature = "tls")]
    Tls(Box<crate::tls::TlsSocket>),
}

impl Stream {
    /// With TLS this waits for the handshake.
    #[cfg_attr(not(feature = "tls"), expect(clippy::unnecessary_wraps, reason = "a handshake can fail"))]
    pub(crate) fn begin(socket: Socket, options: &ServerOptions) -> io::Result<Self> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &options.tls {
            return crate::tls::TlsSocket::accept(socket, tls.config()).map(Self::Tls);
        }
        let _ = options;
        Ok(Self::Plain(socket))
    }

    /// The client's, by its SHA-256.
    pub(crate) fn certificate(&self) -> Option<String> {
        match self {
            Self::Plain(_) => None,
            #[cfg(feature = "tls")]
            Self::Tls(socket) => socket.certificate(),
        }
    }

    pub(crate) fn send(&mut self, message: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.send(message),
            #[cfg(feature = "tls")]
            Self::Tls(socket) => socket.send(message),
        }
    }

    pub(crate) fn has_more(&mut self) -> io::Result<bool> {
        match self {
            Self::Plain(socket) => socket.has_more(),
            #[cfg(feature = "tls")]
            Self::Tls(socket) => socket.has_more(),
        }
    }

    /// No answer follows. What is then read from the socket is only discarded.
    pub(crate) fn end_writing(&mut self) -> &mut Socket {
        match self {
            Self::Plain(socket) => {
                socket.end_writing();
                socket
            }
            #[cfg(feature = "tls")]
            Self::Tls(socket) => socket.end_writing(),
        }
    }
}

impl Source for Stream {
    fn next_message(&mut self, arrived: bool) {
        match self {
            Self::Plain(socket) => socket.next_message(arrived),
            #[cfg(feature = "tls")]
            Self::Tls(socket) => socket.next_message(arrived),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            #[cfg(feature = "tls")]
            Self::Tls(socket) => socket.read(buffer),
        }
    }
}
