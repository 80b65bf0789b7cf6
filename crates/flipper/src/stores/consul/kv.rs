//! The calls of Consul's HTTP API that are used: of the key-value store, and transactions.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Bytes;
use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::client::{Answer, ConsulClient, ConsulConsistency, Request};
use super::{errors, keys};
use crate::error::{Error, ErrorKind, Result};

/// What a single value may take, in base64 and with its names: far more than Consul's default limit.
const MOST_OF_ONE: usize = 16 * 1024 * 1024;
/// What all values may take.
const MOST_OF_ALL: usize = 512 * 1024 * 1024;
/// Consul takes no larger transaction unless told to.
pub(super) const LARGEST_TRANSACTION: usize = 512 * 1024;

/// The only operation that has no result.
const DELETE: &str = "delete";

/// A key with its value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) value: Vec<u8>,
    pub(super) index: u64,
}

/// What a read of one key found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) entry: Option<Entry>,
    /// All changes of the key up to this index are in it; `None` where Consul does not say.
    pub(super) index: Option<u64>,
}

/// How a read is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Read {
    /// The leader makes sure first that it is the leader, and that all of its log is applied. Without that a server that has just
    /// started answers from an older state, or an empty one.
    Confirmed,
    /// As the leader has it, in one step less: for what is compared with an index, and for what no state decides.
    Leader,
    /// When the index is greater than this, or the time is over.
    Changed(Wait),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    pub(super) index: u64,
    pub(super) time: Duration,
}

impl Wait {
    /// Consul adds up to a sixteenth, so that not all come back at once.
    pub(super) fn longest(&self) -> Duration {
        self.time + self.time / 16
    }
}

/// All keys under a prefix, as they were sent.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) body: Bytes,
    pub(super) index: u64,
    /// How old it may be at most; `None` where the server does not know.
    pub(super) lag: Option<Duration>,
    /// Whether Consul says that it left out what the token may not read.
    pub(super) filtered: bool,
}

/// One key as Consul writes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Item<'a> {
    /// Borrowed where it has no escapes.
    #[serde(borrow)]
    pub(super) key: Cow<'a, str>,
    /// Read only where it matters: most values are those of before.
    #[serde(borrow, default)]
    pub(super) value: Option<&'a RawValue>,
    pub(super) modify_index: u64,
}

impl Item<'_> {
    fn entry(&self) -> Result<Entry> {
        let value = self.value.map_or_else(|| Ok(Vec::new()), |raw| decode(raw.get().as_bytes()))?;
        Ok(Entry { value, index: self.modify_index })
    }
}

impl Listing {
    pub(super) fn items(&self) -> Result<Vec<Item<'_>>> {
        // A 404 has no text: there is no such key.
        if self.body.is_empty() {
            return Ok(Vec::new());
        }
        // Looked at as a whole, that it is UTF-8 takes less time than string by string.
        let text = std::str::from_utf8(&self.body).map_err(errors::unreadable)?;
        let items: Option<Vec<Item<'_>>> = serde_json::from_str(text).map_err(errors::unreadable)?;
        Ok(items.unwrap_or_default())
    }
}

/// One operation of a transaction.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Operation<'a> {
    verb: &'static str,
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partition: Option<&'a str>,
}

impl<'a> Operation<'a> {
    fn new(verb: &'static str, key: &'a str) -> Self {
        Self { verb, key, value: None, index: None, namespace: None, partition: None }
    }

    /// Sets the key; with `unchanged` only if it has that index, 0 for a key that is not there.
    pub(super) fn set(key: &'a str, value: &[u8], unchanged: Option<u64>) -> Self {
        let verb = if unchanged.is_some() { "cas" } else { "set" };
        Self { value: Some(STANDARD.encode(value)), index: unchanged, ..Self::new(verb, key) }
    }

    pub(super) fn delete(key: &'a str) -> Self {
        Self::new(DELETE, key)
    }

    /// Fails all of it unless the key is there and has this index.
    pub(super) fn check(key: &'a str, index: u64) -> Self {
        Self { index: Some(index), ..Self::new("check-index", key) }
    }

    fn get(key: &'a str) -> Self {
        Self::new("get", key)
    }
}

/// How a transaction ended that Consul has looked at.
#[derive(Debug)]
pub(super) enum Transaction {
    /// It was done; the keys that were set, read or checked, in order.
    Done(Vec<Entry>),
    /// Nothing was done, and why, for each operation that failed.
    Refused(Vec<Failure>),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Failure {
    #[serde(rename = "OpIndex")]
    pub(super) operation: usize,
    pub(super) what: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Outcome<'a> {
    #[serde(borrow, default)]
    results: Option<Vec<Results<'a>>>,
    #[serde(default)]
    errors: Option<Vec<Failure>>,
}

#[derive(Deserialize)]
struct Results<'a> {
    #[serde(borrow, rename = "KV", default)]
    kv: Option<Item<'a>>,
}

impl ConsulClient {
    /// One key.
    pub(super) async fn get(&self, key: &str, read: Read) -> Result<Found> {
        if !keys::fits_into_a_path(key) {
            return self.get_by_transaction(key).await;
        }
        let answer = self.read(key, "", read, MOST_OF_ONE).await?;
        let index = Some(answer.index().ok_or_else(errors::without_index)?);
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(Found { entry: None, index });
        }
        let items: Vec<Item<'_>> = serde_json::from_slice(&answer.body).map_err(errors::unreadable)?;
        Ok(Found { entry: items.first().map(Item::entry).transpose()?, index })
    }

    async fn get_by_transaction(&self, key: &str) -> Result<Found> {
        let entry = match self.transaction(vec![Operation::get(key)], "&consistent").await? {
            Transaction::Done(mut found) => found.pop(),
            Transaction::Refused(failures) => match failures.first() {
                Some(failure) if errors::is_refusal(&failure.what) => {
                    return Err(errors::of_operation(&failure.what));
                }
                // It does not exist: nothing else can fail here.
                _ => None,
            },
        };
        Ok(Found { entry, index: None })
    }

    /// All keys under a prefix.
    pub(super) async fn list(&self, prefix: &str, read: Read) -> Result<Listing> {
        let answer = self.read(prefix, "recurse&", read, MOST_OF_ALL).await?;
        let index = answer.index().ok_or_else(errors::without_index)?;
        let (lag, filtered) = (answer.lag(), answer.is_filtered());
        let body = if answer.status == StatusCode::NOT_FOUND { Bytes::new() } else { answer.body };
        Ok(Listing { body, index, lag, filtered })
    }

    /// The index of the next change of any key that begins like this, and how old it may be. Costs Consul little, for it counts
    /// everything up to the next slash as one key.
    pub(super) async fn newest(&self, prefix: &str, wait: Wait) -> Result<(u64, Option<Duration>)> {
        let answer = self.read(prefix, "keys&separator=%2F&", Read::Changed(wait), MOST_OF_ONE).await?;
        Ok((answer.index().ok_or_else(errors::without_index)?, answer.lag()))
    }

    async fn read(&self, key: &str, parameters: &str, read: Read, limit: usize) -> Result<Answer> {
        let mut path = format!("/v1/kv/{}?{parameters}{}", keys::encode(key), self.query());
        match (self.consistency(), read) {
            (ConsulConsistency::Consistent, _) | (_, Read::Confirmed) => path.push_str("&consistent"),
            (ConsulConsistency::Stale, Read::Changed(_)) => path.push_str("&stale"),
            _ => {}
        }
        let mut time = Duration::ZERO;
        if let Read::Changed(wait) = read {
            path.push_str(&format!("&index={}&wait={}ms", wait.index, wait.time.as_millis()));
            time = wait.longest();
        }
        let request = Request { method: Method::GET, path, body: Bytes::new(), wait: time, limit };
        let answer = self.send(request).await?;
        match answer.status {
            StatusCode::OK => Ok(answer),
            StatusCode::NOT_FOUND if answer.index().is_some() => Ok(answer),
            _ => Err(errors::of(&answer)),
        }
    }

    /// Sets the key, if it has this index where one is given; whether it was set.
    pub(super) async fn put(&self, key: &str, value: Vec<u8>, unchanged: Option<u64>) -> Result<bool> {
        let cas = unchanged.map(|index| format!("&cas={index}")).unwrap_or_default();
        let path = format!("/v1/kv/{}?{}{cas}", keys::encode(key), self.query());
        let request =
            Request { method: Method::PUT, path, body: value.into(), wait: Duration::ZERO, limit: MOST_OF_ONE };
        let answer = self.send(request).await?;
        match answer.status {
            StatusCode::OK => serde_json::from_slice(&answer.body).map_err(errors::unreadable),
            _ => Err(errors::of(&answer)),
        }
    }

    /// Does all of it or nothing.
    pub(super) async fn transact(&self, operations: Vec<Operation<'_>>) -> Result<Transaction> {
        let told = operations.iter().filter(|operation| operation.verb != DELETE).count();
        match self.transaction(operations, "").await? {
            Transaction::Done(entries) if entries.len() != told => Err(Error::new(ErrorKind::Unavailable)
                .with_message("the Consul agent's answer does not say what was written")),
            outcome => Ok(outcome),
        }
    }

    async fn transaction(&self, mut operations: Vec<Operation<'_>>, parameters: &str) -> Result<Transaction> {
        for operation in &mut operations {
            operation.namespace = self.namespace();
            operation.partition = self.partition();
        }
        let wrapped: Vec<_> = operations.iter().map(|operation| Wrapped { kv: operation }).collect();
        let body = serde_json::to_vec(&wrapped).map_err(errors::unreadable)?;
        let path = format!("/v1/txn?{}{parameters}", self.query());
        let request =
            Request { method: Method::PUT, path, body: body.into(), wait: Duration::ZERO, limit: MOST_OF_ONE };
        let answer = self.send(request).await?;
        if answer.status != StatusCode::OK && answer.status != StatusCode::CONFLICT {
            return Err(errors::of(&answer));
        }
        let outcome: Outcome<'_> = serde_json::from_slice(&answer.body).map_err(errors::unreadable)?;
        if answer.status == StatusCode::CONFLICT {
            return Ok(Transaction::Refused(outcome.errors.unwrap_or_default()));
        }
        let results = outcome.results.unwrap_or_default();
        let entries = results.iter().filter_map(|result| result.kv.as_ref().map(Item::entry));
        Ok(Transaction::Done(entries.collect::<Result<_>>()?))
    }
}

#[derive(Serialize)]
struct Wrapped<'a> {
    #[serde(rename = "KV")]
    kv: &'a Operation<'a>,
}

/// A JSON string of base64, or `null`.
pub(super) fn decode(json: &[u8]) -> Result<Vec<u8>> {
    let plain =
        json.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).filter(|text| !text.contains(&b'\\'));
    let text = match plain {
        Some(text) => Cow::Borrowed(text),
        None => {
            let text: Option<String> = serde_json::from_slice(json).map_err(errors::unreadable)?;
            Cow::Owned(text.unwrap_or_default().into_bytes())
        }
    };
    STANDARD.decode(text).map_err(errors::unreadable)
}
