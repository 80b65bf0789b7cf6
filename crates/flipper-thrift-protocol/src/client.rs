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

/// The most calls of one client. Their numbers differ, so that no response is taken for another call's; 0 marks clients without numbers.
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
    let exchange = Both {
        connection: RefCell::new(connection),
        message: RefCell::default(),
        begun: Cell::new(false),
        wire,
        limits: *limits,
    };
    let mut client = FeatureFlagStoreSyncClient::new(wire.input(&exchange, limits), wire.output(&exchange));
    client._sequence_number = NUMBER.fetch_add(NUMBERS, Ordering::Relaxed) & (i32::MAX >> 1);
    let result = call(&mut client);
    drop(client);
    if matches!(result, Ok(_) | Err(thrift::Error::User(_))) {
        exchange.connection.borrow_mut().finish_frame()?;
    }
    result
}

/// The generated client needs its two directions as separate values.
struct Both<'a, S> {
    connection: RefCell<&'a mut MessageReader<S>>,
    message: RefCell<Vec<u8>>,
    begun: Cell<bool>,
    wire: Wire,
    limits: Limits,
}

impl<S: Exchange> Write for &Both<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut message = self.message.borrow_mut();
        if message.is_empty() {
            self.wire.begin_message(&mut message);
        }
        message.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let (mut message, mut connection) = (self.message.borrow_mut(), self.connection.borrow_mut());
        self.wire.end_message(&mut message)?;
        if self.begun.take() {
            connection.finish_frame()?;
        }
        connection.source_mut().send(&message)?;
        message.clear();
        Ok(())
    }
}

impl<S: Exchange> Read for &Both<'_, S> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut connection = self.connection.borrow_mut();
        if !self.begun.replace(true) {
            connection.begin(self.wire.transport, &self.limits)?;
        }
        connection.read(out)
    }
}
