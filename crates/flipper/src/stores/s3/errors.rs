use hyper::StatusCode;
use quick_xml::de;
use serde::Deserialize;

use super::answer::Answer;
use crate::error::{Error, ErrorKind};

/// Characters of an answer in an error.
const MOST: usize = 300;

/// S3's own reason, with the status; without the elements that repeat what was signed.
#[derive(Debug, thiserror::Error)]
#[error("{status}{}{code}{}{message}", if code.is_empty() { "" } else { " " }, if message.is_empty() { "" } else { ": " })]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// Empty for an answer without a body, and for one that is not from S3.
    pub(super) code: String,
    message: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Text {
    code: String,
    message: String,
}

impl Refusal {
    pub(super) fn of(answer: &Answer) -> Self {
        let text: Text = de::from_reader(answer.body.as_ref()).unwrap_or_default();
        let cut = |text: String| text.trim().chars().take(MOST).collect();
        Self { status: answer.status, code: cut(text.code), message: cut(text.message) }
    }

    /// The server did nothing, and the same request may succeed in a moment.
    pub(super) fn is_throttle(&self) -> bool {
        matches!(
            self.code.as_str(),
            "SlowDown"
                | "ServiceUnavailable"
                | "TooManyRequests"
                | "RequestLimitExceeded"
                | "Throttling"
                | "ThrottlingException"
        ) || self.status == StatusCode::TOO_MANY_REQUESTS
    }

    /// Other answers of this status are from a proxy, or of a bucket that is away.
    pub(super) fn is_no_object(&self) -> bool {
        self.status == StatusCode::NOT_FOUND && self.code == "NoSuchKey"
    }

    /// This object alone cannot be read: it is in an archive, or needs a key that we do not have.
    pub(super) fn concerns_the_object(&self) -> bool {
        matches!(self.code.as_str(), "InvalidObjectState" | "InvalidRequest") || self.code.starts_with("KMS.")
    }
}

pub(super) fn unsupported(message: &str) -> Error {
    Error::new(ErrorKind::Unsupported).with_message(message)
}

pub(super) fn of(answer: &Answer) -> Error {
    use ErrorKind::{InvalidInput, InvalidName, Unauthorized, Unavailable, Unsupported};

    let refusal = Refusal::of(answer);
    let (kind, message) = match refusal.code.as_str() {
        "RequestTimeTooSkewed" | "RequestExpired" => {
            (Unauthorized, "this machine's clock and the store's differ by more than requests may: set it by NTP")
        }
        "ExpiredToken" | "TokenRefreshRequired" => (Unauthorized, "the credentials have expired"),
        "InvalidAccessKeyId" | "InvalidToken" | "SignatureDoesNotMatch" | "InvalidClientTokenId" => {
            (Unauthorized, "store refused the credentials")
        }
        "NoSuchBucket" => (Unavailable, "the bucket does not exist"),
        "PermanentRedirect"
        | "TemporaryRedirect"
        | "AuthorizationHeaderMalformed"
        | "IllegalLocationConstraintException" => {
            return elsewhere(answer, refusal);
        }
        "KeyTooLongError" => (InvalidName, "the name is longer than the server takes"),
        "EntityTooLarge" => (InvalidInput, "the flag is larger than the server takes"),
        "NotImplemented" => (Unsupported, "the server does not have what this request asks for"),
        _ if refusal.is_throttle() => (Unavailable, "the server is asked more often than it allows"),
        _ => match refusal.status {
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => (Unauthorized, "the credentials do not allow this"),
            StatusCode::NOT_FOUND => {
                (Unavailable, "the answer is not from a server with S3's interface, or not from this one")
            }
            StatusCode::NOT_IMPLEMENTED | StatusCode::METHOD_NOT_ALLOWED => {
                (Unsupported, "the server does not have what this request asks for")
            }
            status if status.is_redirection() => return elsewhere(answer, refusal),
            status if status.is_server_error() => (Unavailable, "the server cannot do it now"),
            StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT => (Unavailable, "the server cannot do it now"),
            _ => (Unsupported, "the server does not take the request"),
        },
    };
    let refused = refusal.status.is_client_error() && refusal.status != StatusCode::REQUEST_TIMEOUT;
    let certain = refused || refusal.is_throttle() || kind == Unsupported;
    Error::new(kind).with_message(message).with_nothing_written(certain).with_source(refusal)
}

fn elsewhere(answer: &Answer, refusal: Refusal) -> Error {
    let region = answer.header("x-amz-bucket-region").filter(|region| !region.is_empty());
    let message = match region {
        Some(region) => format!("the bucket is in the region {region}: name it by `region={region}`"),
        None => {
            "the bucket is in another region, or behind another endpoint: name it by `region` or `endpoint`".to_owned()
        }
    };
    Error::invalid_input(message).with_source(refusal)
}

/// From the driver, which is asked for credentials alone.
pub(super) fn of_credentials(error: object_store::Error) -> Error {
    Error::new(ErrorKind::Unauthorized)
        .with_message(
            "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role",
        )
        .with_nothing_written(true)
        .with_transient(true)
        .with_source(error)
}
