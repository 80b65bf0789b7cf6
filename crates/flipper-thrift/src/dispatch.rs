use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flipper_thrift_protocol::feature_flag_store::TFeatureFlagStoreProcessFunctions as Functions;
use flipper_thrift_protocol::{Limits, MessageReader, Source, Wire};
use thrift::protocol::{TInputProtocol, TMessageIdentifier, TMessageType, TOutputProtocol, TType};
use thrift::{ApplicationError, ApplicationErrorKind, TransportErrorKind};
use tokio::runtime::Builder;

use crate::calls::Call;
use crate::options::ServerOptions;
use crate::service::{Client, Service};
use crate::strings::Strings;

pub(crate) enum Next {
    Go,
    /// If the client still waits for this response: it does not number its calls, and may stop waiting after `until`.
    GoIfAwaited {
        began: Instant,
        until: Option<Instant>,
    },
    Close(String),
}

/// Puts the complete response to a message that has begun into `out`. Fails if the connection broke or timed out.
pub(crate) fn answer<S: Source>(
    reader: &mut MessageReader<S>,
    wire: Wire,
    limits: &Limits,
    service: &Service,
    client: &Client,
    out: &mut Vec<u8>,
) -> io::Result<Next> {
    wire.begin_message(out);
    let mut input = Strings::new(wire.input(&mut *reader, limits));
    let ident = match input.read_message_begin() {
        Ok(ident) => ident,
        Err(error) => return Ok(Next::Close(describe(error)?)),
    };
    let began = Instant::now();
    let is_numbered = ident.sequence_number != 0;
    let handler = Call::new(service, client, is_numbered, began);
    let called = call(&handler, &ident, &mut input, &mut *wire.output(&mut *out));
    drop(input);
    let go = || match is_numbered {
        true => Next::Go,
        // The client chose its duration.
        false if ident.name == "Watch" => Next::GoIfAwaited { began, until: None },
        false => Next::GoIfAwaited { began, until: Some(began + service.answer_within) },
    };
    let next = match called {
        Ok(()) => go(),
        Err(error) => {
            let (error, is_whole) = match error {
                thrift::Error::Application(error) => (error, true),
                other => (ApplicationError::new(ApplicationErrorKind::ProtocolError, describe(other)?), false),
            };
            wire.begin_message(out);
            let message = error.message.clone();
            // Writing to memory cannot fail.
            let _ = write_error(&ident, &error, &mut *wire.output(&mut *out));
            // Without frames the start of the next message is unknown.
            if is_whole || reader.is_framed() { go() } else { Next::Close(message) }
        }
    };
    if !matches!(next, Next::Close(_)) {
        reader.finish_frame()?;
    }
    wire.end_message(out)?;
    Ok(next)
}

fn call(
    handler: &Call<'_>,
    ident: &TMessageIdentifier,
    i: &mut dyn TInputProtocol,
    o: &mut dyn TOutputProtocol,
) -> thrift::Result<()> {
    let number = ident.sequence_number;
    if !matches!(ident.message_type, TMessageType::Call | TMessageType::OneWay) {
        i.skip(TType::Struct)?;
        return refuse(ApplicationErrorKind::InvalidMessageType, "message is no call".to_owned());
    }
    match ident.name.as_str() {
        "Get" => Functions::process_get(handler, number, i, o),
        "Create" => Functions::process_create(handler, number, i, o),
        "Set" => Functions::process_set(handler, number, i, o),
        "Delete" => Functions::process_delete(handler, number, i, o),
        "List" => Functions::process_list(handler, number, i, o),
        "SetMeta" => Functions::process_set_meta(handler, number, i, o),
        "SetClientData" => Functions::process_set_client_data(handler, number, i, o),
        "ReadFlag" => Functions::process_read_flag(handler, number, i, o),
        "ReadFlags" => Functions::process_read_flags(handler, number, i, o),
        "CompareAndSet" => Functions::process_compare_and_set(handler, number, i, o),
        "Watch" => Functions::process_watch(handler, number, i, o),
        "ReadKnownFlag" => Functions::process_read_known_flag(handler, number, i, o),
        "ReadKnownFlags" => Functions::process_read_known_flags(handler, number, i, o),
        "Describe" => Functions::process_describe(handler, number, i, o),
        "History" => Functions::process_history(handler, number, i, o),
        name => {
            i.skip(TType::Struct)?;
            let shown: String = name.chars().take(100).collect();
            refuse(ApplicationErrorKind::UnknownMethod, format!("unknown method {shown:?}"))
        }
    }
}

fn refuse(kind: ApplicationErrorKind, message: String) -> thrift::Result<()> {
    Err(thrift::Error::Application(ApplicationError::new(kind, message)))
}

fn write_error(
    ident: &TMessageIdentifier,
    error: &ApplicationError,
    o: &mut dyn TOutputProtocol,
) -> thrift::Result<()> {
    let name: String = ident.name.chars().take(100).collect();
    o.write_message_begin(&TMessageIdentifier::new(name, TMessageType::Exception, ident.sequence_number))?;
    thrift::Error::write_application_error_to_out_protocol(error, o)?;
    o.write_message_end()?;
    o.flush()
}

/// An error if the connection failed, not the message.
fn describe(error: thrift::Error) -> io::Result<String> {
    match error {
        thrift::Error::Transport(error) => match error.kind {
            TransportErrorKind::Unknown | TransportErrorKind::NegativeSize | TransportErrorKind::SizeLimit => {
                Ok(error.message)
            }
            TransportErrorKind::TimedOut => Err(io::Error::new(io::ErrorKind::TimedOut, error.message)),
            _ => Err(io::Error::new(io::ErrorKind::UnexpectedEof, error.message)),
        },
        thrift::Error::Protocol(error) => Ok(error.message),
        thrift::Error::Application(error) => Ok(error.message),
        thrift::Error::User(error) => Ok(error.to_string()),
    }
}

/// For the fuzz target: decodes bytes as a connection would, over an empty store. Returns the number of complete messages.
pub fn feed(bytes: &[u8]) -> usize {
    let options = ServerOptions::new().call_timeout(Duration::from_millis(1));
    let limits = options.limits;
    let mut reader = MessageReader::new(bytes);
    let Ok(wire) = Wire::detect(&mut reader) else { return 0 };
    let Ok(runtime) = Builder::new_current_thread().enable_all().build() else { return 0 };
    let store = Arc::new(flipper::MemoryFeatureFlagStore::new());
    let service = Service::new(store, runtime.handle().clone(), &options);
    let mut out = Vec::new();
    let mut messages = 0;
    while reader.wait().unwrap_or_default() && reader.begin(wire.transport, &limits).is_ok() {
        match answer(&mut reader, wire, &limits, &service, &service.client(None), &mut out) {
            Ok(Next::Close(_)) | Err(_) => break,
            Ok(_) => messages += 1,
        }
    }
    messages
}
