//! The requests: signed by the driver, with its credentials.

use std::fmt;
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use hyper::header::{CONTENT_LENGTH, DATE, ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH};
use hyper::{Method, Request, StatusCode};
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::HttpRequestBody;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::answer::Answer;
use super::errors::{self, Refusal, unsupported};
use super::http::{Failed, Http};
use super::listing::{self, Page};
use crate::error::{Error, ErrorKind, Result};
use crate::pause::Pause;

/// Of an object that is read or written, in bytes.
pub(super) const LARGEST: usize = 1 << 20;
/// A thousand keys of the greatest length, each byte percent-encoded.
const LARGEST_PAGE: usize = 8 << 20;
const LARGEST_REFUSAL: usize = 64 << 10;
const PAUSE: Pause = Pause::new(Duration::from_millis(50), Duration::from_secs(1));

const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &QUERY.remove(b'/');

pub(super) struct Bucket {
    /// Without a slash at its end.
    pub(super) url: String,
    pub(super) region: String,
    pub(super) credentials: AwsCredentialProvider,
    pub(super) http: Http,
    pub(super) signs_payload: bool,
    pub(super) requester_pays: bool,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without credentials.
        f.debug_struct("Bucket").field("url", &self.url).field("region", &self.region).finish_non_exhaustive()
    }
}

/// The condition of a write, or of a read.
#[derive(Clone, Debug)]
pub(super) enum If {
    Always,
    Missing,
    /// With this ETag, in quotes.
    Matches(String),
    /// With another one.
    Differs(String),
}

/// An object, as a read found it.
pub(super) enum Found {
    Missing,
    /// It still has the ETag of the read's condition.
    Same,
    Object {
        etag: String,
        body: Bytes,
    },
    /// It cannot be read, unlike others.
    Odd {
        etag: String,
        why: String,
    },
}

/// How a conditional write ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// With the new ETag; none after a deletion.
    Done(Option<String>),
    /// The condition did not hold, and nothing was written.
    Refused,
}

struct Call<'a> {
    method: Method,
    key: &'a str,
    query: String,
    when: If,
    body: Bytes,
    most: usize,
}

impl<'a> Call<'a> {
    fn of(method: Method, key: &'a str) -> Self {
        Self { method, key, query: String::new(), when: If::Always, body: Bytes::new(), most: LARGEST_REFUSAL }
    }

    fn is_read(&self) -> bool {
        self.method == Method::GET || self.method == Method::HEAD
    }
}

impl Bucket {
    /// Of several pages of at most `most` keys, in the order of the keys.
    pub(super) async fn list(&self, prefix: &str, after: Option<&str>, most: usize, limit: Duration) -> Result<Page> {
        listing::parse(&self.ask_list(prefix, after, most, limit).await?.body)
    }

    async fn ask_list(&self, prefix: &str, after: Option<&str>, most: usize, limit: Duration) -> Result<Answer> {
        let encoded = |text| utf8_percent_encode(text, QUERY);
        let mut query = format!("?encoding-type=url&list-type=2&max-keys={most}&prefix={}", encoded(prefix));
        if let Some(token) = after {
            query = format!("{query}&continuation-token={}", encoded(token));
        }
        let call = Call { query, most: LARGEST_PAGE, ..Call::of(Method::GET, "") };
        let answer = self.ask(&call, limit).await?;
        match answer.status {
            StatusCode::OK => Ok(answer),
            _ => Err(errors::of(&answer)),
        }
    }

    /// Whether the bucket can be listed; returns the server's time.
    pub(super) async fn probe(&self, prefix: &str, limit: Duration) -> Result<Option<String>> {
        let answer = self.ask_list(prefix, None, 1, limit).await?;
        Ok(answer.header(DATE.as_str()).map(str::to_owned))
    }

    pub(super) async fn get(&self, key: &str, when: If, limit: Duration) -> Result<Found> {
        let call = Call { when, most: LARGEST, ..Call::of(Method::GET, key) };
        let answer = self.ask(&call, limit).await?;
        match answer.status {
            StatusCode::OK if answer.is_cut => {
                Ok(Found::Odd { etag: etag_of(&answer)?.to_owned(), why: too_large(answer.length()) })
            }
            StatusCode::OK => Ok(Found::Object { etag: etag_of(&answer)?.to_owned(), body: answer.body }),
            StatusCode::NOT_MODIFIED => Ok(Found::Same),
            _ => {
                let refusal = Refusal::of(&answer);
                if refusal.is_no_object() {
                    return Ok(Found::Missing);
                }
                if refusal.concerns_the_object()
                    && let Ok(Some(head)) = self.head(key, limit).await
                {
                    return Ok(Found::Odd {
                        etag: etag_of(&head)?.to_owned(),
                        why: format!("the object cannot be read: {refusal}"),
                    });
                }
                Err(errors::of(&answer))
            }
        }
    }

    /// `None` if there is no such object, or no such bucket: this answer has no body that would say which.
    async fn head(&self, key: &str, limit: Duration) -> Result<Option<Answer>> {
        let answer = self.ask(&Call::of(Method::HEAD, key), limit).await?;
        match answer.status {
            StatusCode::OK => Ok(Some(answer)),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(errors::of(&answer)),
        }
    }

    pub(super) async fn put(&self, key: &str, body: Bytes, when: If, limit: Duration) -> Result<Written> {
        let answer = self.write(&Call { when, body, ..Call::of(Method::PUT, key) }, limit).await?;
        Ok(match answer {
            Some(answer) => Written::Done(Some(etag_of(&answer)?.to_owned())),
            None => Written::Refused,
        })
    }

    pub(super) async fn delete(&self, key: &str, when: If, limit: Duration) -> Result<Written> {
        let answer = self.write(&Call { when, ..Call::of(Method::DELETE, key) }, limit).await?;
        Ok(answer.map_or(Written::Refused, |_| Written::Done(None)))
    }

    /// `None` if the condition did not hold. Servers differ in what they say of a missing object: 404 or 412.
    async fn write(&self, call: &Call<'_>, limit: Duration) -> Result<Option<Answer>> {
        let answer = self.ask(call, limit).await?;
        if answer.status.is_success() {
            return Ok(Some(answer));
        }
        let is_conditional = !matches!(call.when, If::Always);
        let does_not_hold = answer.status == StatusCode::PRECONDITION_FAILED || Refusal::of(&answer).is_no_object();
        if is_conditional && does_not_hold { Ok(None) } else { Err(errors::of(&answer)) }
    }

    /// Again while the server is asked too often, or another write of the object is pending (409): it did nothing then. A read also once
    /// after a broken connection, and while the server reports a fault of its own.
    async fn ask(&self, call: &Call<'_>, limit: Duration) -> Result<Answer> {
        let deadline = Instant::now() + limit;
        let (mut pause, mut breaks) = (PAUSE, 0);
        loop {
            let answer = match self.ask_once(call, deadline).await {
                Ok(answer) => answer,
                Err(failed) if (call.is_read() || failed.unsent) && breaks == 0 && Instant::now() < deadline => {
                    breaks += 1;
                    continue;
                }
                Err(failed) => return Err(failed.error.with_nothing_written(failed.unsent)),
            };
            let again = match answer.status {
                StatusCode::CONFLICT => Refusal::of(&answer).code != "NoSuchBucket",
                status if status.is_server_error() && call.is_read() => status != StatusCode::NOT_IMPLEMENTED,
                status if status.is_success() => false,
                _ => Refusal::of(&answer).is_throttle(),
            };
            let wait = pause.next();
            // This answer says more than a timeout.
            if !again || Instant::now() + wait >= deadline {
                return Ok(answer);
            }
            tokio::time::sleep(wait).await;
        }
    }

    async fn ask_once(&self, call: &Call<'_>, deadline: Instant) -> Result<Answer, Failed> {
        let unsent = |error| Failed { error, unsent: true };
        let credential = tokio::time::timeout_at(deadline.into(), self.credentials.get_credential());
        let credential = match credential.await {
            Ok(credential) => credential.map_err(errors::of_credentials).map_err(unsent)?,
            Err(_) => {
                let message = "the credentials did not come in time: does this machine have a role?";
                return Err(unsent(Error::new(ErrorKind::Unauthorized).with_message(message).with_transient(true)));
            }
        };
        let mut request = self.request(call).map_err(unsent)?;
        let authorizer = AwsAuthorizer::new(&credential, "s3", &self.region)
            .with_sign_payload(self.signs_payload)
            .with_request_payer(self.requester_pays);
        authorizer.try_authorize(&mut request, None).map_err(|error| {
            unsent(Error::new(ErrorKind::Unauthorized).with_message("requests cannot be signed").with_source(error))
        })?;
        match tokio::time::timeout_at(deadline.into(), self.http.exchange(request, call.most)).await {
            Ok(answer) => answer.map(|(head, body)| Answer {
                status: head.status,
                headers: head.headers,
                is_cut: body.is_none(),
                body: body.unwrap_or_default(),
            }),
            Err(_) => Err(Failed { error: Error::unavailable("store did not answer in time"), unsent: false }),
        }
    }

    fn request(&self, call: &Call<'_>) -> Result<Request<HttpRequestBody>> {
        let uri = format!("{}/{}{}", self.url, utf8_percent_encode(call.key, PATH), call.query);
        let mut request = Request::builder().method(call.method.clone()).uri(uri);
        let condition: Option<(HeaderName, &str)> = match &call.when {
            If::Always => None,
            If::Missing => Some((IF_NONE_MATCH, "*")),
            If::Matches(etag) => Some((IF_MATCH, etag)),
            If::Differs(etag) => Some((IF_NONE_MATCH, etag)),
        };
        if let Some((name, value)) = condition {
            request = request.header(name, value);
        }
        if call.method == Method::PUT {
            // Without a type, as Python: S3 takes it for binary.
            request = request.header(CONTENT_LENGTH, call.body.len());
        }
        let invalid = |error| Error::invalid_input("the endpoint of the bucket is no URL").with_source(error);
        request.body(HttpRequestBody::from(call.body.clone())).map_err(invalid)
    }
}

fn etag_of(answer: &Answer) -> Result<&str> {
    let etag = answer.header(ETAG.as_str()).filter(|etag| !etag.is_empty());
    etag.ok_or_else(|| unsupported("the server returns no ETag, by which flags have versions"))
}

pub(super) fn too_large(length: u64) -> String {
    format!("the object has {length} bytes, and a flag at most {LARGEST}")
}
