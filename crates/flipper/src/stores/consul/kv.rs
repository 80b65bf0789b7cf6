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
use crate::error::{Error, Result};

/// For one value in base64 with its names: far more than Consul's default.
const MOST_OF_ONE: usize = 16 * 1024 * 1024;
const MOST_OF_ALL: usize = 512 * 1024 * 1024;
/// Consul's default limit.
pub(super) const LARGEST_TRANSACTION: usize = 512 * 1024;

/// The only operation without a result.
const DELETE: &str = "delete";

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) value: Vec<u8>,
    pub(super) index: u64,
}

#[derive(Debug)]
pub(super) struct Found {
    pub(super) entry: Option<Entry>,
    /// All changes up to it are included; `None` if Consul does not report it.
    pub(super) index: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Read {
    /// The leader first confirms that its log is applied: a server that has just started would answer from an older state.
    Confirmed,
    /// One round trip less: for answers whose index is checked, or whose content does not matter.
    Leader,
    /// Answered when the index is greater than this, or the time is over.
    Changed(Wait),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    pub(super) index: u64,
    pub(super) time: Duration,
}

impl Wait {
    /// Consul adds up to a sixteenth as jitter.
    pub(super) fn longest(&self) -> Duration {
        self.time + self.time / 16
    }
}

#[derive(Debug)]
pub(super) struct Listing {
    pub(super) body: Bytes,
    pub(super) index: u64,
    pub(super) lag: Option<Duration>,
    pub(super) filtered: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Item<'a> {
    /// Borrowed unless it has escapes.
    #[serde(borrow)]
    pub(super) key: Cow<'a, str>,
    /// Decoded only when needed: most values have not changed.
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
        // A 404: there is no such key.
        if self.body.is_empty() {
            return Ok(Vec::new());
        }
        // Checking UTF-8 for the whole is faster than for each string.
        let text = std::str::from_utf8(&self.body).map_err(errors::unreadable)?;
        let items: Option<Vec<Item<'_>>> = serde_json::from_str(text).map_err(errors::unreadable)?;
        Ok(items.unwrap_or_default())
    }
}

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

    /// With `unchanged`, only if the key has that index; 0 for a missing key.
    pub(super) fn set(key: &'a str, value: &[u8], unchanged: Option<u64>) -> Self {
        let verb = if unchanged.is_some() { "cas" } else { "set" };
        Self { value: Some(STANDARD.encode(value)), index: unchanged, ..Self::new(verb, key) }
    }

    pub(super) fn delete(key: &'a str) -> Self {
        Self::new(DELETE, key)
    }

    pub(super) fn check(key: &'a str, index: u64) -> Self {
        Self { index: Some(index), ..Self::new("check-index", key) }
    }

    fn get(key: &'a str) -> Self {
        Self::new("get", key)
    }
}

#[derive(Debug)]
pub(super) enum Transaction {
    /// Of the keys that were set, read or checked, in order.
    Done(Vec<Entry>),
    /// Nothing was done. One reason for each failed operation.
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
                // A missing key: nothing else can fail here.
                _ => None,
            },
        };
        Ok(Found { entry, index: None })
    }

    pub(super) async fn list(&self, prefix: &str, read: Read) -> Result<Listing> {
        let answer = self.read(prefix, "recurse&", read, MOST_OF_ALL).await?;
        let index = answer.index().ok_or_else(errors::without_index)?;
        let (lag, filtered) = (answer.lag(), answer.is_filtered());
        let body = if answer.status == StatusCode::NOT_FOUND { Bytes::new() } else { answer.body };
        Ok(Listing { body, index, lag, filtered })
    }

    /// Of the next change under this prefix, with its maximum age. Cheap: Consul groups keys up to the next slash.
    pub(super) async fn newest(&self, prefix: &str, wait: Wait) -> Result<(u64, Option<Duration>)> {
        let answer = self.read(prefix, "keys&separator=%2F&", Read::Changed(wait), MOST_OF_ONE).await?;
        Ok((answer.index().ok_or_else(errors::without_index)?, answer.lag()))
    }

    /// The names of all keys under this prefix.
    pub(super) async fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        let answer = self.read(prefix, "keys&", Read::Leader, MOST_OF_ALL).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(Vec::new()),
            _ => serde_json::from_slice(&answer.body).map_err(errors::unreadable),
        }
    }

    async fn read(&self, key: &str, parameters: &str, read: Read, limit: usize) -> Result<Answer> {
        let mut path = format!("/v1/kv/{}?{parameters}{}", keys::encode(key), self.inner.query);
        match (self.inner.consistency, read) {
            (ConsulConsistency::Consistent, _) | (_, Read::Confirmed) => path.push_str("&consistent"),
            (ConsulConsistency::Stale, Read::Changed(_)) => path.push_str("&stale"),
            _ => {}
        }
        let mut time = Duration::ZERO;
        if let Read::Changed(wait) = read {
            path.push_str(&format!("&index={}&wait={}ms", wait.index, wait.time.as_millis()));
            time = wait.longest();
        }
        let request = Request { wait: time, ..Request::new(Method::GET, path, Bytes::new(), limit) };
        let answer = self.send(request).await?;
        match answer.status {
            StatusCode::OK => Ok(answer),
            StatusCode::NOT_FOUND if answer.index().is_some() => Ok(answer),
            _ => Err(errors::of(&answer)),
        }
    }

    /// With `unchanged`, only if the key has this index. Returns whether it was set.
    pub(super) async fn put(&self, key: &str, value: Vec<u8>, unchanged: Option<u64>) -> Result<bool> {
        let cas = unchanged.map(|index| format!("&cas={index}")).unwrap_or_default();
        let path = format!("/v1/kv/{}?{}{cas}", keys::encode(key), self.inner.query);
        let answer = self.send(Request::new(Method::PUT, path, value, MOST_OF_ONE)).await?;
        match answer.status {
            StatusCode::OK => serde_json::from_slice(&answer.body).map_err(errors::unreadable),
            _ => Err(errors::of(&answer)),
        }
    }

    pub(super) async fn transact(&self, operations: Vec<Operation<'_>>) -> Result<Transaction> {
        let expected = operations.iter().filter(|operation| operation.verb != DELETE).count();
        match self.transaction(operations, "").await? {
            Transaction::Done(entries) if entries.len() != expected => {
                Err(Error::unavailable("the Consul agent's answer does not say what was written"))
            }
            outcome => Ok(outcome),
        }
    }

    async fn transaction(&self, mut operations: Vec<Operation<'_>>, parameters: &str) -> Result<Transaction> {
        for operation in &mut operations {
            operation.namespace = self.inner.namespace.as_deref();
            operation.partition = self.inner.partition.as_deref();
        }
        let wrapped: Vec<_> = operations.iter().map(|operation| Wrapped { kv: operation }).collect();
        let body = serde_json::to_vec(&wrapped).map_err(errors::unreadable)?;
        let path = format!("/v1/txn?{}{parameters}", self.inner.query);
        let answer = self.send(Request::new(Method::PUT, path, body, MOST_OF_ONE)).await?;
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
