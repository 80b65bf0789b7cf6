//! What the driver's errors mean here.

use redis::{ErrorKind as Driver, RedisError, ServerErrorKind as Server};

use crate::error::{Error, ErrorKind};

/// Whether the connection is of no use any more after this.
pub(super) fn ends_connection(error: &RedisError) -> bool {
    error.is_io_error() || matches!(error.kind(), Driver::Parse | Driver::Io | Driver::Server(Server::ReadOnly))
}

/// Whether the key holds another type than a string.
pub(super) fn is_wrong_type(error: &RedisError) -> bool {
    error.code() == Some("WRONGTYPE")
}

/// Whether the server answered that it does not know, or does not allow, what was asked.
pub(super) fn is_refusal(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        Driver::RESP3NotSupported | Driver::Extension | Driver::Server(Server::ResponseError | Server::NoPerm)
    ) && !matches!(error.code(), Some("OOM" | "MISCONF" | "NOREPLICAS" | "NOAUTH" | "WRONGPASS"))
}

/// The crate's error for one of the driver. The driver's holds no password; what it says is the source.
pub(super) fn from_driver(error: RedisError) -> Error {
    let (kind, message) = describe(&error);
    let failed = Error::new(kind);
    let failed = match message {
        Some(message) => failed.with_message(message),
        None => failed,
    };
    failed.with_source(error)
}

fn describe(error: &RedisError) -> (ErrorKind, Option<&'static str>) {
    use ErrorKind::{Corrupt, InvalidInput, Unauthorized, Unavailable, Unsupported};

    match error.kind() {
        Driver::Io if error.is_timeout() => (Unavailable, Some("store did not answer in time")),
        Driver::Io => (Unavailable, None),
        Driver::AuthenticationFailed => (Unauthorized, None),
        Driver::InvalidClientConfig | Driver::EmptySentinelList => {
            (InvalidInput, Some("configuration of the Redis client cannot be used"))
        }
        Driver::MasterNameNotFoundBySentinel | Driver::NoValidReplicasFoundBySentinel => {
            (Unavailable, Some("no Sentinel names a server for the service"))
        }
        Driver::ClusterConnectionNotFound => (Unavailable, Some("no node of the cluster can be reached")),
        Driver::RESP3NotSupported => (Unsupported, Some("server does not speak RESP3")),
        Driver::Server(Server::NoPerm) => (Unauthorized, Some("store does not allow this user the command or the key")),
        Driver::Server(Server::BusyLoading) => (Unavailable, Some("server is loading its data")),
        Driver::Server(Server::ReadOnly) => (Unavailable, Some("server is a read-only replica")),
        Driver::Server(Server::MasterDown) => (Unavailable, Some("replica has lost its primary")),
        Driver::Server(Server::ClusterDown) => (Unavailable, Some("cluster is down")),
        Driver::Server(Server::TryAgain) => (Unavailable, Some("cluster is moving the key")),
        Driver::Server(Server::Moved | Server::Ask | Server::CrossSlot) => {
            (Unsupported, Some("server is part of a cluster: give the store a `ClusterClient`"))
        }
        _ => match error.code() {
            Some("NOAUTH" | "WRONGPASS") => (Unauthorized, None),
            Some("WRONGTYPE") => (Corrupt, Some("key holds another type than a string, and so no flag")),
            Some("OOM") => (Unavailable, Some("server is out of memory")),
            Some("MISCONF") => (Unavailable, Some("server cannot save its data and takes no writes")),
            Some("NOREPLICAS") => (Unavailable, Some("server has too few replicas and takes no writes")),
            Some("BUSY") => (Unavailable, Some("server is busy with a script")),
            _ => (Unsupported, Some("server's answer cannot be understood")),
        },
    }
}
