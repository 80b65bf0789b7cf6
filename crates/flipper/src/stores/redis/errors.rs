use std::borrow::Cow;
use std::io;

use redis::{ErrorKind as Driver, RedisError, ServerErrorKind as Server};

use crate::error::{Error, ErrorKind};

pub(super) fn ends_connection(error: &RedisError) -> bool {
    error.is_io_error() || matches!(error.kind(), Driver::Parse | Driver::Io | Driver::Server(Server::ReadOnly))
}

pub(super) fn is_wrong_type(error: &RedisError) -> bool {
    error.code() == Some("WRONGTYPE")
}

pub(super) fn is_elsewhere(error: &RedisError) -> bool {
    matches!(error.kind(), Driver::Server(Server::Moved | Server::Ask | Server::TryAgain))
}

/// The server does not have, or does not allow, the command.
pub(super) fn is_refusal(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        Driver::RESP3NotSupported | Driver::Extension | Driver::Server(Server::ResponseError | Server::NoPerm)
    ) && !is_full(error)
        && !matches!(error.code(), Some("OOM" | "MISCONF" | "NOREPLICAS" | "NOAUTH" | "WRONGPASS" | "BUSY"))
}

pub(super) fn refusal(why: impl Into<String>) -> RedisError {
    (Driver::Client, "refused", why.into()).into()
}

pub(super) fn closed_at_start() -> RedisError {
    let why = "the connection was closed at the first command, `HELLO`: is it a proxy that does not know it, a port for TLS, or a \
               server with as many clients as it takes (`maxclients`)?";
    io::Error::new(io::ErrorKind::ConnectionAborted, why).into()
}

/// The driver's error contains no password.
pub(super) fn from_driver(error: RedisError) -> Error {
    let (kind, message) = describe(&error);
    let failed = Error::new(kind).with_nothing_written(is_certain(&error));
    let failed = match message {
        Some(message) => failed.with_message(message),
        None => failed,
    };
    match error.kind() {
        Driver::Client if error.detail().is_some() => failed,
        _ => failed.with_source(error),
    }
}

/// Nothing was written: a write is one command, and the server refused it or it was never sent.
fn is_certain(error: &RedisError) -> bool {
    match error.kind() {
        Driver::Server(_)
        | Driver::Extension
        | Driver::AuthenticationFailed
        | Driver::Client
        | Driver::InvalidClientConfig
        | Driver::EmptySentinelList
        | Driver::MasterNameNotFoundBySentinel
        | Driver::NoValidReplicasFoundBySentinel
        | Driver::RESP3NotSupported => true,
        Driver::Io => error.is_connection_refusal(),
        _ => false,
    }
}

fn is_full(error: &RedisError) -> bool {
    error.detail().is_some_and(|detail| detail.contains("max number of clients"))
}

fn describe(error: &RedisError) -> (ErrorKind, Option<Cow<'static, str>>) {
    use ErrorKind::{Corrupt, InvalidInput, Unauthorized, Unavailable, Unsupported};

    let (kind, message) = match error.kind() {
        Driver::Io if error.is_timeout() => (Unavailable, "store did not answer in time"),
        Driver::Io => return (Unavailable, None),
        // The driver takes an answer of which the rest never comes for one that is wrong.
        Driver::Parse if error.to_string().contains("end of input") => {
            (Unavailable, "connection broke within an answer")
        }
        Driver::Client => return (InvalidInput, error.detail().map(|detail| detail.to_owned().into())),
        Driver::AuthenticationFailed => return (Unauthorized, None),
        Driver::InvalidClientConfig | Driver::EmptySentinelList => {
            (InvalidInput, "configuration of the Redis client cannot be used")
        }
        Driver::MasterNameNotFoundBySentinel | Driver::NoValidReplicasFoundBySentinel => {
            (Unavailable, "no Sentinel names a server for the service")
        }
        Driver::ClusterConnectionNotFound => (Unavailable, "no node of the cluster can be reached"),
        Driver::RESP3NotSupported => (Unsupported, "server does not speak RESP3"),
        Driver::Server(Server::NoPerm) => (Unauthorized, "store does not allow this user the command or the key"),
        Driver::Server(Server::BusyLoading) => (Unavailable, "server is loading its data"),
        Driver::Server(Server::ReadOnly) => (Unavailable, "server is a read-only replica"),
        Driver::Server(Server::MasterDown) => (Unavailable, "replica has lost its primary"),
        Driver::Server(Server::ClusterDown) => (Unavailable, "cluster is down"),
        Driver::Server(Server::TryAgain) => (Unavailable, "cluster is moving the key"),
        Driver::Server(Server::Moved | Server::Ask | Server::CrossSlot) => {
            (Unsupported, "server is part of a cluster: take `redis-cluster://HOST:PORT`, or a `ClusterClient`")
        }
        Driver::Server(Server::ResponseError) if is_full(error) => {
            (Unavailable, "server has as many clients as it takes (`maxclients`)")
        }
        Driver::Server(Server::ResponseError) if error.to_string().contains("refused to switch database") => {
            (InvalidInput, "server has no database of this number")
        }
        // Writes are scripts.
        Driver::Server(Server::ResponseError) if error.to_string().contains("user executing the script can't") => {
            (Unauthorized, "store does not allow this user the command or the key")
        }
        _ => match error.code() {
            Some("NOAUTH") => (Unauthorized, "store wants a password"),
            Some("WRONGPASS") => (Unauthorized, "store refused the user or the password"),
            Some("HISTORY") => {
                (Unavailable, "key of the history holds another type than a stream: delete it, or use `?history=off`")
            }
            Some("WRONGTYPE") => (Corrupt, "key holds another type than a string, and so no flag"),
            Some("OOM") => (Unavailable, "server is out of memory"),
            Some("MISCONF") => (Unavailable, "server cannot save its data and takes no writes"),
            Some("NOREPLICAS") => (Unavailable, "server has too few replicas and takes no writes"),
            Some("BUSY") => (Unavailable, "server is busy with a script"),
            Some("UNBLOCKED" | "NOMASTERLINK" | "FAILOVER") => (Unavailable, "server is changing its role"),
            Some(_) => (Unsupported, "server refused the command"),
            None => (Unsupported, "server's answer cannot be understood"),
        },
    };
    (kind, Some(message.into()))
}
