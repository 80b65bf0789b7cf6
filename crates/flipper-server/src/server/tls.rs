use std::io;
use std::pin::Pin;

use http::Extensions;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// What a connection reads and writes.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// A connection, ready for HTTP.
pub struct Accepted {
    /// The bytes of HTTP.
    pub stream: Box<dyn ByteStream>,
    /// The client speaks HTTP/2 (ALPN `h2`).
    pub is_http2: bool,
    /// For each request of the connection, such as what the handshake showed of the client.
    pub extensions: Extensions,
}

impl Accepted {
    /// Without encryption.
    #[must_use]
    pub fn plain(stream: TcpStream) -> Self {
        Self { stream: Box::new(stream), is_http2: false, extensions: Extensions::new() }
    }
}

/// Makes an encrypted connection of an accepted one.
pub trait Acceptor: Send + Sync + 'static {
    /// Does the handshake, which the server limits in time.
    fn accept(&self, stream: TcpStream) -> Pin<Box<dyn Future<Output = io::Result<Accepted>> + Send + '_>>;
}
