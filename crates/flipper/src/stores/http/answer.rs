//! Refusals, by our server or a proxy before it, as errors.

use std::io;

use hyper::StatusCode;

use crate::error::{Error, ErrorKind, Result};
use crate::feed::wire;
use crate::json::Json;

/// Characters of an answer in an error.
const MOST: usize = 200;

pub(super) fn is_refusal(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

/// Of our server, or of a proxy before it.
pub(super) fn refused(status: StatusCode, body: &[u8]) -> Error {
    use ErrorKind::{InvalidInput, Unauthorized, Unavailable, Unsupported};
    let problem = Json::from_slice(body).ok();
    let text = |field: &str| problem.as_ref()?.get(field)?.as_str().map(str::to_owned);
    let detail = text("detail").unwrap_or_else(|| {
        String::from_utf8_lossy(body).trim().chars().filter(|c| !c.is_control()).take(MOST).collect()
    });
    let (kind, message) = match status {
        StatusCode::UNAUTHORIZED => (Unauthorized, "the server does not take the token"),
        StatusCode::FORBIDDEN if text("code").as_deref() == Some("vetoed") => (ErrorKind::Vetoed, "the server refused"),
        StatusCode::FORBIDDEN => (Unauthorized, "the token does not allow it"),
        StatusCode::PAYLOAD_TOO_LARGE => (InvalidInput, "the flag is larger than the server takes"),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            (Unsupported, "there is no HTTP server of Flipper's at this address")
        }
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST => {
            (InvalidInput, "the server does not take the request")
        }
        StatusCode::TOO_MANY_REQUESTS => (Unavailable, "the server's limit of requests is reached"),
        status if status.is_redirection() => {
            (Unsupported, "the server sends the client elsewhere, which is not followed")
        }
        _ => (Unavailable, "the server cannot do it now"),
    };
    // A 5xx of a proxy leaves open whether the request arrived.
    let nothing_written = status.is_client_error() || status.is_redirection();
    let reason = if detail.is_empty() { status.to_string() } else { format!("{status}: {detail}") };
    Error::new(kind).with_message(format!("{message}: {reason}")).with_nothing_written(nothing_written)
}

pub(super) fn result(result: Json) -> Result<Json> {
    match result.get("error") {
        Some(error) => Err(wire::read_error(error)),
        None => Ok(result),
    }
}

pub(super) fn foreign(what: &str) -> Error {
    Error::unavailable(format!("{what}: is it an HTTP server of Flipper's?"))
}

pub(super) fn too_late(error: io::Error) -> Error {
    Error::unavailable("server did not answer in time").with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals() {
        for (status, body, kind, shown) in [
            (401, r#"{"detail": "no token"}"#, ErrorKind::Unauthorized, "no token"),
            (403, r#"{"detail": "role", "code": "forbidden"}"#, ErrorKind::Unauthorized, "role"),
            (413, "", ErrorKind::InvalidInput, "413"),
            (404, "<html>\n", ErrorKind::Unsupported, "<html>"),
            (502, "Bad Gateway", ErrorKind::Unavailable, "Bad Gateway"),
            (429, "{}", ErrorKind::Unavailable, "429"),
        ] {
            let error = refused(StatusCode::from_u16(status).unwrap(), body.as_bytes());
            assert_eq!(error.kind(), kind, "{status}");
            assert!(error.to_string().contains(shown), "{error}");
            assert_eq!(error.nothing_written(), status < 500);
        }
    }
}
