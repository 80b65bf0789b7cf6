//! What the agent's answers mean here.

use hyper::StatusCode;

use super::client::Answer;
pub(super) use super::client::is_refusal;
use crate::error::{Error, ErrorKind};

/// So much of what the agent says goes into an error.
const MOST: usize = 300;

/// What an answer says other than what was asked for.
#[derive(Debug, thiserror::Error)]
#[error("{status}: {text}")]
struct Said {
    status: StatusCode,
    text: String,
}

/// The error of an answer with another status than was to be expected.
pub(super) fn of(answer: &Answer) -> Error {
    let text: String = String::from_utf8_lossy(&answer.body).trim().chars().take(MOST).collect();
    error(answer.status, text)
}

fn error(status: StatusCode, text: String) -> Error {
    use ErrorKind::{InvalidInput, Unauthorized, Unavailable, Unsupported};

    let (kind, message) = match status {
        // Older agents say it with another status when another server said it.
        _ if is_refusal(&text) => (Unauthorized, "the Consul token is unknown, or does not allow the key"),
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => (Unauthorized, "store refused access"),
        StatusCode::BAD_REQUEST => (Unsupported, "the Consul agent does not take the request"),
        StatusCode::PAYLOAD_TOO_LARGE => (InvalidInput, "the flag is larger than the Consul agent takes"),
        StatusCode::TOO_MANY_REQUESTS => (Unavailable, "the Consul agent has a limit of requests, which is reached"),
        StatusCode::NOT_FOUND => (Unavailable, "who answers is no Consul agent, or no agent of this kind"),
        status if status.is_server_error() => (Unavailable, "the Consul agent cannot do it now"),
        _ => (Unsupported, "the Consul agent's answer cannot be understood"),
    };
    Error::new(kind).with_message(message).with_source(Said { status, text })
}

/// The error for an operation of a transaction.
pub(super) fn of_operation(what: &str) -> Error {
    error(StatusCode::CONFLICT, what.chars().take(MOST).collect())
}

/// What was to be JSON and is not, or not of the right shape. A proxy may have cut it short, so the next one may be right.
pub(super) fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Unavailable).with_message("the Consul agent's answer cannot be read").with_source(error)
}

/// An answer without an index is not one of Consul's.
pub(super) fn without_index() -> Error {
    Error::new(ErrorKind::Unavailable).with_message("the answer has no X-Consul-Index: who answers is no Consul agent")
}

/// An index that is lower than it was: the server has an older state than the one that answered before, or all of another one.
pub(super) fn went_back(of: &str) -> Error {
    Error::new(ErrorKind::Unavailable)
        .with_message(format!("the index of the {of} went back: the server has an older state"))
}
