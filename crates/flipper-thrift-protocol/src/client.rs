//! One call over a connection.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicI32, Ordering};

use crate::feature_flag_store::{FeatureFlagStoreSyncClient, TFeatureFlagStoreSyncClient};
use crate::{Limits, MessageReader, Source, Wire};

/// The two directions of a connection.
pub trait Exchange: Source {
    /// Sends a whole message.
    ///
    /// # Errors
    ///
    /// As of the connection.
    fn send(&mut self, message: &[u8]) -> io::Result<()>;
}

/// Each client's calls have their own numbers, so that a response is never taken for that of another call. None is 0, which marks clients that
/// do not number their calls. One client makes at most this many calls.
const NUMBERS: i32 = 16;
static NUMBER: AtomicI32 = AtomicI32::new(0);

/// Makes one call, or several in sequence. After an error other than `User` the connection must not be used again.
///
/// # Errors
///
/// The server's error, or that of the connection.
pub fn call<S: Exchange, T>(
    connection: &mut MessageReader<S>,
    wire: Wire,
    limits: &Limits,
    call: impl FnOnce(&mut dyn TFeatureFlagStoreSyncClient) -> thrift::Result<T>,
) -> thrift::Result<T> {
    // The generated client needs its two directions as separate values.
    let connection = RefCell::new(connection);
    let begun = Cell::new(false);
    let request = Request { connection: &connection, begun: &begun, wire, message: Vec::new() };
    let response = Response { connection: &connection, begun: &begun, wire, limits: *limits };
    let mut client = FeatureFlagStoreSyncClient::new(wire.input(response, limits), wire.output(request));
    client._sequence_number = NUMBER.fetch_add(NUMBERS, Ordering::Relaxed) & (i32::MAX >> 1);
    let result = call(&mut client);
    drop(client);
    if matches!(result, Ok(_) | Err(thrift::Error::User(_))) {
        connection.borrow_mut().finish_frame()?;
    }
    result
}

struct Request<'a, 'b, S> {
    connection: &'a RefCell<&'b mut MessageReader<S>>,
    begun: &'a Cell<bool>,
    wire: Wire,
    message: Vec<u8>,
}

impl<S: Exchange> Write for Request<'_, '_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.message.is_empty() {
            self.wire.begin_message(&mut self.message);
        }
        self.message.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wire.end_message(&mut self.message)?;
        let mut connection = self.connection.borrow_mut();
        if self.begun.take() {
            connection.finish_frame()?;
        }
        connection.source_mut().send(&self.message)?;
        self.message.clear();
        Ok(())
    }
}

struct Response<'a, 'b, S> {
    connection: &'a RefCell<&'b mut MessageReader<S>>,
    begun: &'a Cell<bool>,
    wire: Wire,
    limits: Limits,
}

impl<S: Exchange> Read for Response<'_, '_, S> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut connection = self.connection.borrow_mut();
        if !self.begun.replace(true) {
            connection.begin(self.wire.transport, &self.limits)?;
        }
        connection.read(out)
    }
}
