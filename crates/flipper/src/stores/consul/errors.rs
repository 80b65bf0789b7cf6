use hyper::StatusCode;

use super::client::Answer;
pub(super) use super::client::is_refusal;
use crate::error::{Error, ErrorKind};

/// Characters of an answer in an error.
const MOST: usize = 300;

#[derive(Debug, thiserror::Error)]
#[error("{status}: {text}")]
struct Unexpected {
    status: StatusCode,
    text: String,
}

pub(super) fn of(answer: &Answer) -> Error {
    let text: String = String::from_utf8_lossy(&answer.body).trim().chars().take(MOST).collect();
    error(answer.status, text)
}

fn error(status: StatusCode, text: String) -> Error {
    use ErrorKind::{InvalidInput, Unauthorized, Unavailable, Unsupported};

    let (kind, message) = match status {
        _ if is_refusal(&text) => (Unauthorized, "the Consul token is unknown, or does not allow the key"),
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => (Unauthorized, "store refused access"),
        StatusCode::BAD_REQUEST => (Unsupported, "the Consul agent does not take the request"),
        StatusCode::PAYLOAD_TOO_LARGE => (InvalidInput, "the flag is larger than the Consul agent takes"),
        StatusCode::TOO_MANY_REQUESTS => (Unavailable, "the Consul agent has a limit of requests, which is reached"),
        StatusCode::NOT_FOUND => (Unavailable, "the answer is not from a Consul agent, or not from one of this kind"),
        status if status.is_server_error() => (Unavailable, "the Consul agent cannot do it now"),
        _ => (Unsupported, "the Consul agent's answer cannot be understood"),
    };
    Error::new(kind).with_message(message).with_source(Unexpected { status, text })
}

pub(super) fn of_operation(what: &str) -> Error {
    error(StatusCode::CONFLICT, what.chars().take(MOST).collect())
}

/// A proxy may have truncated the answer, so a retry may succeed.
pub(super) fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::unavailable("the Consul agent's answer cannot be read").with_source(error)
}

pub(super) fn without_index() -> Error {
    Error::unavailable("the answer has no X-Consul-Index, so it is not from a Consul agent")
}

pub(super) fn went_back(of: &str) -> Error {
    Error::unavailable(format!("the index of the {of} went back: the server has an older state"))
}
