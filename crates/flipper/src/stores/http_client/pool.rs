use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::http::response::Parts;

use super::connection::{Connection, Download};
use super::connector::Connector;
use crate::clock;
use crate::error::{Error, Result};
use crate::lock::Mutex;

/// An agent keeps them for longer.
const IDLE: Duration = Duration::from_secs(90);
const MOST: usize = 64;

pub(crate) struct Pool {
    connector: Connector,
    /// With the time since when they are idle; the most recent is last.
    idle: Mutex<Vec<(Connection, Instant)>>,
    process: u32,
}

impl Pool {
    pub(crate) fn new(connector: Connector) -> Self {
        Self { connector, idle: Mutex::default(), process: std::process::id() }
    }

    /// Must run on the flipper thread's runtime. The answer may have `most` bytes.
    pub(crate) async fn send(&self, mut request: Request<Full<Bytes>>, most: usize) -> Result<(Parts, Bytes)> {
        // Requests would share the parent process's sockets.
        if self.process != std::process::id() {
            return Err(forked());
        }
        if self.connector.is_renewed() {
            self.idle().clear();
        }
        while let Some(mut connection) = self.take() {
            match connection.exchange(request, most).await {
                Ok(answer) => {
                    self.keep(connection);
                    return Ok(answer);
                }
                // The server closed it while it was idle.
                Err(failed) => request = failed.unsent.ok_or(failed.error)?,
            }
        }
        let mut connection = self.connector.connect().await.map_err(|error| error.with_nothing_written(true))?;
        let answer = connection.exchange(request, most).await.map_err(|failed| failed.error)?;
        self.keep(connection);
        Ok(answer)
    }

    /// As [`send`](Self::send), over a connection of its own; with a time before the request was sent.
    pub(crate) async fn open(&self, request: Request<Full<Bytes>>) -> Result<(Parts, Download, Instant)> {
        if self.process != std::process::id() {
            return Err(forked());
        }
        let connection = self.connector.connect().await.map_err(|error| error.with_nothing_written(true))?;
        let sent = clock::instant();
        let (head, download) = connection.open(request).await.map_err(|failed| failed.error)?;
        Ok((head, download, sent))
    }

    fn take(&self) -> Option<Connection> {
        let mut idle = self.idle();
        while let Some((mut connection, _)) = idle.pop() {
            if connection.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    fn keep(&self, mut connection: Connection) {
        if connection.is_ready() {
            let mut idle = self.idle();
            if idle.len() < MOST {
                idle.push((connection, Instant::now()));
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Connection, Instant)>> {
        let mut idle = self.idle.lock();
        let old = idle.partition_point(|(_, since)| since.elapsed() > IDLE);
        idle.drain(..old);
        idle
    }
}

fn forked() -> Error {
    Error::unavailable("the process was forked, and the connections to the store are not its own").with_transient(false)
}
