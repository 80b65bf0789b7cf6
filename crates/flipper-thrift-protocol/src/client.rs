//! One call over a connection.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};

use crate::feature_flag_store::{FeatureFlagStoreSyncClient, TFeatureFlagStoreSyncClient};
use crate::{Limits, MessageReader, Source, Wire};

/// The two directions of a connection.
pub trait Exchange: Source {
    /// Sends a whole message.
    ///
    /// # Errors
    ///
    /// As the connection has them.
    fn send(&mut self, message: &[u8]) -> io::Result<()>;
}

/// Makes one call, or several one after the other. After an error other than `User` the connection must not be used any more.
///
/// # Errors
///
/// What the server answered, or what befell the connection.
pub fn call<S: Exchange, T>(
    connection: &mut MessageReader<S>,
    wire: Wire,
    limits: &Limits,
    call: impl FnOnce(&mut dyn TFeatureFlagStoreSyncClient) -> thrift::Result<T>,
) -> thrift::Result<T> {
    // The generated client wants its two directions apart.
    let connection = RefCell::new(connection);
    let begun = Cell::new(false);
    let request = Request { connection: &connection, begun: &begun, wire, message: Vec::new() };
    let response = Response { connection: &connection, begun: &begun, wire, limits: *limits };
    let mut client = FeatureFlagStoreSyncClient::new(wire.input(response, limits), wire.output(request));
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
