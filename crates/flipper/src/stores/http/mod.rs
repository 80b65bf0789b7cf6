//! Flags behind an HTTP server: `flipper-server`, which `flipper serve --http` runs.
//!
//! ```no_run
//! use flipper::{FeatureFlagClient, HttpFeatureFlagStore};
//!
//! # async fn run() -> flipper::Result<()> {
//! let features = FeatureFlagClient::new(HttpFeatureFlagStore::from_url("https://flags.internal:8443")?);
//! features.ready().await?;
//! # Ok(()) }
//! ```
//!
//! Calls are `POST /api/v1/records`, with names in the body, where no proxy changes them; versions and records are exact. All flags are the
//! lines of `GET /api/v1/records`. A watch is one stream, `GET /api/v1/changes`: with it the process follows the server, which follows the
//! store for all.
//!
//! Headers of a write say who writes, why and what; the server puts its caller's name in place of the actor, if it knows one. The history is
//! the server's store's, and [`capabilities`](crate::FeatureFlagStore::capabilities) has it from the first answer on.
//!
//! `get` and `list` read the store behind the server; `get_cached` (used by `fetch_enabled`) and watches read the server's memory. Without a
//! watch `get` does too, while that store is unreachable.

mod answer;
mod builder;
mod cause;
#[doc(hidden)]
pub mod fuzzed;
mod inspect;
mod lines;
mod reading;
mod sse;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::http::response::Parts;
use hyper::{Method, Request};

pub use self::builder::HttpStoreBuilder;
use super::http_client::Download;
use super::http_client::pool::Pool;
use super::http_client::renewal::Token;
use crate::background;
use crate::error::{Error, ErrorKind, Result};
use crate::feed::{history, origin, wire};
use crate::identity::Identity;
use crate::inspection::Check;
use crate::json::{Json, Object};
use crate::lock::Mutex;
use crate::record::{FlagRecord, validate_name};
use crate::state::{Capabilities, HistoryPage, HistoryQuery, Stored, Version, Watch, WriteOptions};
use crate::store::{FeatureFlagStore, FlagStream};

const RECORDS: &str = "/api/v1/records";

/// The end of a stream, by its task, on a busy machine.
const NOTICED: Duration = Duration::from_millis(100);

/// Of one answer.
const MOST_BYTES: usize = 256 << 20;

/// Of one request of many writes: servers take 1 MiB, and escapes take some.
const BATCH_BYTES: usize = 256 * 1024;
const BATCH_FLAGS: usize = 200;

/// Flags behind an HTTP server of ours. Clones share connections. [`fetch_enabled`](crate::FeatureFlagClient::fetch_enabled) is a request.
/// No async runtime is needed.
#[derive(Clone)]
pub struct HttpFeatureFlagStore {
    shared: Arc<Shared>,
}

struct Shared {
    pool: Pool,
    /// Without a login.
    base: String,
    path: String,
    headers: HeaderMap,
    token: Token,
    timeout: Duration,
    /// A mirror must learn from each read whether the store itself answered.
    is_followed: AtomicBool,
    followed: Mutex<Followed>,
    /// As the last answer said.
    has_history: AtomicBool,
}

/// What a watch follows, or followed last.
#[derive(Clone, Default)]
struct Followed {
    /// Of the store, as `origin` has it; `None` before the first report.
    digest: Option<String>,
    is_open: bool,
    /// Streams that have ended.
    ended: u64,
}

impl HttpFeatureFlagStore {
    /// The store at `http://HOST[:PORT][/PATH]` or `https://…`, with the token before an `@`, or of the variable `FLIPPER_TOKEN`. Sends
    /// nothing yet. Options follow a `?`, joined by `&`:
    ///
    /// | option | value |
    /// |---|---|
    /// | `ca` | a file with the trusted authorities in PEM; by default those of the system |
    /// | `cert`, `key` | files with the client's certificate and its key |
    /// | `plain=true` | allows sending the token to another host without TLS |
    /// | `timeout_ms` | how long a request may take; 10 s by default |
    ///
    /// ```
    /// let store = flipper::HttpFeatureFlagStore::from_url("https://s3cr3t@flags.internal/team")?;
    /// assert_eq!(store.to_string(), "Http(https://flags.internal/team)");
    /// # Ok::<(), flipper::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidInput` for another URL, an unusable token or file, and if the token would go to another host without TLS.
    pub fn from_url(url: &str) -> Result<Self> {
        HttpStoreBuilder::from_url(url)?.build()
    }

    /// Starts with an address and no token; nothing is taken from the environment.
    ///
    /// ```
    /// use flipper::HttpFeatureFlagStore;
    ///
    /// let store = HttpFeatureFlagStore::builder("https://flags.internal:8443").token("s3cr3t").build()?;
    /// assert_eq!(store.to_string(), "Http(https://flags.internal:8443)");
    /// # Ok::<(), flipper::Error>(())
    /// ```
    #[must_use]
    pub fn builder(address: impl Into<String>) -> HttpStoreBuilder {
        HttpStoreBuilder::new(address.into())
    }

    /// Operations on `/api/v1/records`, with a result for each.
    async fn apply(&self, operations: &[Object], headers: HeaderMap) -> Result<(Parts, Vec<Json>)> {
        let body = Json::from(operations.to_vec()).to_string();
        let (head, body) = self.shared.send(Method::POST, RECORDS, headers, body.into()).await?;
        if !head.status.is_success() {
            return Err(answer::refused(head.status, &body));
        }
        match Json::from_slice(&body) {
            Ok(Json::Array(results)) if results.len() == operations.len() => Ok((head, results)),
            Ok(_) => Err(answer::foreign("answer has another number of results")),
            Err(error) => Err(answer::foreign("answer is no JSON").with_source(error)),
        }
    }

    async fn one(&self, operation: Object, headers: HeaderMap) -> Result<(Parts, Json)> {
        let (head, mut results) = self.apply(&[operation], headers).await?;
        match results.pop() {
            Some(result) => answer::result(result).map(|result| (head, result)),
            None => Err(answer::foreign("answer has no result")),
        }
    }

    async fn write(&self, name: &str, mut operation: Object, options: &WriteOptions) -> Result<Version> {
        operation.insert("when", wire::precondition(&options.when));
        let result = self.one(operation, cause::headers(options)).await;
        let (_, result) = result.map_err(|error| error.with_flag(name).with_store(self))?;
        self.version(&result, name)
    }

    async fn read(&self, operation: &str, name: &str) -> Result<Option<Stored>> {
        if validate_name(name).is_err() {
            return Ok(None);
        }
        let place = |error: Error| error.with_flag(name).with_store(self);
        let before = self.shared.followed.lock().clone();
        let answered = self.one([(operation, name)].into_iter().collect(), HeaderMap::new()).await;
        let (head, result) = answered.map_err(place)?;
        if !self.shared.is_of_followed(&before, &head).await {
            let message = "a server of another store answered, while it is not known which one is to be followed";
            return Err(place(Error::unavailable(message)));
        }
        if result.get("name").and_then(Json::as_str) != Some(name) {
            return Err(place(answer::foreign("another flag was answered")));
        }
        if result.get("absent").is_some() {
            return Ok(None);
        }
        wire::read_state(&result)
            .map(Some)
            .map_err(|error| place(answer::foreign("a flag is malformed").with_source(error)))
    }

    fn version(&self, result: &Json, name: &str) -> Result<Version> {
        let text = result.get("version").and_then(Json::as_str).unwrap_or_default();
        let version = wire::read_version(text);
        // The write is done; it equals no other version, so the next write with it is a conflict.
        Ok(version.unwrap_or_else(|error| {
            tracing::warn!(store = %self, flag = name, %error, "the server answered a write without its version");
            Version::opaque([])
        }))
    }
}

impl Shared {
    /// Else a mirror would take another store's flags, or their absence, for news of its own, before it hears that another server is followed. While a
    /// stream goes on, servers may name one store differently, as by their own agents of Consul. `before`: when the answer was asked for.
    async fn is_of_followed(&self, before: &Followed, head: &Parts) -> bool {
        // Older servers say nothing.
        let (Some(followed), Some(answered)) = (&before.digest, head.headers.get(origin::STORE)) else { return true };
        if answered.as_bytes() == followed.as_bytes() {
            return true;
        }
        // The stream may have ended, and its task not know it yet.
        background::sleep(NOTICED).await;
        before.is_open && before.ended == self.followed.lock().ended
    }

    async fn send(&self, method: Method, path: &str, headers: HeaderMap, body: Bytes) -> Result<(Parts, Bytes)> {
        let answered = background::within(self.timeout, async {
            let token = self.token.current();
            let prepare = |token| {
                let mut request = self.prepare(&method, path, body.clone(), token)?;
                request.headers_mut().extend(headers.clone());
                Ok::<_, Error>(request)
            };
            let (head, bytes) = self.pool.send(prepare(token.clone())?, MOST_BYTES).await?;
            if answer::is_refusal(head.status)
                && let Some(renewed) = self.token.instead_of(token.as_ref())
            {
                return self.pool.send(prepare(Some(renewed))?, MOST_BYTES).await;
            }
            Ok((head, bytes))
        });
        let (head, bytes) = answered.await.unwrap_or_else(|error| Err(answer::too_late(error)))?;
        self.learn(&head);
        Ok((head, bytes))
    }

    /// What the server says of its store.
    fn learn(&self, head: &Parts) {
        // A refusal may be a proxy's.
        if head.status.is_success() {
            self.has_history.store(head.headers.contains_key(history::KEPT), Ordering::Relaxed);
        }
    }

    /// An answer that is read as it arrives, within `timeout` each time; with a time before the request was sent.
    async fn open(&self, path: &str, headers: HeaderMap) -> Result<(Parts, Download, Instant)> {
        let opened = background::within(self.timeout, async {
            let mut request = self.prepare(&Method::GET, path, Bytes::new(), self.token.current())?;
            request.headers_mut().extend(headers);
            self.pool.open(request).await
        });
        let opened = opened.await.unwrap_or_else(|error| Err(answer::too_late(error)))?;
        self.learn(&opened.0);
        Ok(opened)
    }

    fn prepare(
        &self,
        method: &Method,
        path: &str,
        body: Bytes,
        token: Option<HeaderValue>,
    ) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method.clone();
        *request.uri_mut() = format!("{}{path}", self.path)
            .parse()
            .map_err(|error| Error::invalid_input("the path of the store's URL is not valid").with_source(error))?;
        *request.headers_mut() = self.headers.clone();
        if *method == Method::POST {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("*/*"));
        request.headers_mut().extend(token.map(|token| (AUTHORIZATION, token)));
        Ok(request)
    }
}

impl fmt::Display for HttpFeatureFlagStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Http({})", self.shared.base)
    }
}

impl fmt::Debug for HttpFeatureFlagStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpFeatureFlagStore")
            .field("base", &self.shared.base)
            .field("timeout", &self.shared.timeout)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl FeatureFlagStore for HttpFeatureFlagStore {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        match self.read("get", name).await {
            // For stores without a mirror, while the server's store is unreachable.
            Err(error)
                if error.kind() == ErrorKind::Unavailable && !self.shared.is_followed.load(Ordering::Relaxed) =>
            {
                self.get_cached(name).await.ok().flatten().map(Some).ok_or(error)
            }
            result => result,
        }
    }

    async fn get_cached(&self, name: &str) -> Result<Option<Stored>> {
        self.read("known", name).await
    }

    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
        let name = record.name();
        validate_name(name).map_err(|error| error.with_store(self))?;
        self.write(name, [("put", record.to_json())].into_iter().collect(), &options).await
    }

    async fn delete(&self, name: &str, options: WriteOptions) -> Result<Version> {
        self.write(name, [("delete", name)].into_iter().collect(), &options).await
    }

    async fn list(&self) -> Result<Vec<Stored>> {
        let mut flags: Vec<_> = self.stream().try_collect().await?;
        flags.sort_unstable_by(|a: &Stored, b| a.name.cmp(&b.name));
        Ok(flags)
    }

    fn watch(&self) -> Watch<'_> {
        self.shared.is_followed.store(true, Ordering::Relaxed);
        watch::watch(self)
    }

    fn capabilities(&self) -> Capabilities {
        let capabilities = Capabilities::default().with_push().shared_with_python();
        if self.shared.has_history.load(Ordering::Relaxed) { capabilities.with_history() } else { capabilities }
    }

    async fn put_all(&self, records: &[FlagRecord], options: WriteOptions) -> Vec<Result<Version>> {
        let headers = cause::headers(&options);
        let (mut results, mut most) = (Vec::with_capacity(records.len()), BATCH_FLAGS);
        while results.len() < records.len() {
            let rest = &records[results.len()..];
            let (mut batch, mut bytes) = (Vec::new(), 0);
            for record in rest {
                let text = record.to_json();
                bytes += text.len();
                if !batch.is_empty() && (bytes > BATCH_BYTES || batch.len() == most) {
                    break;
                }
                let mut put: Object = [("put", text)].into_iter().collect();
                put.insert("when", wire::precondition(&options.when));
                batch.push(put);
            }
            match self.apply(&batch, headers.clone()).await {
                Ok((_, answers)) => {
                    for (record, answer) in rest.iter().zip(answers) {
                        let name = record.name();
                        let result = answer::result(answer).and_then(|result| self.version(&result, name));
                        results.push(result.map_err(|error| error.with_flag(name).with_store(self)));
                    }
                }
                // A server or a proxy may take smaller requests only.
                Err(error) if batch.len() > 1 && error.kind() == ErrorKind::InvalidInput && error.nothing_written() => {
                    most = batch.len() / 2;
                }
                Err(error) => {
                    let given = rest.iter().take(batch.len());
                    results.extend(given.map(|record| Err(error.copy().with_flag(record.name()).with_store(self))));
                }
            }
            if crate::store::give_up(&mut results, records) {
                break;
            }
        }
        results
    }

    async fn history(&self, query: &HistoryQuery) -> Result<HistoryPage> {
        let operation = [("history", history::query(query))].into_iter().collect();
        let answered = self.one(operation, HeaderMap::new()).await;
        // An older server of ours does not know the operation.
        let is_older = |error: &Error| error.kind() == ErrorKind::InvalidInput && !self.capabilities().history;
        let page = answered.map_err(|error| match is_older(&error) {
            true => Error::new(ErrorKind::Unsupported).with_message("the server keeps no history").with_source(error),
            false => error,
        });
        let read = |json: Json| {
            history::read_page(&json).map_err(|error| answer::foreign("a history is malformed").with_source(error))
        };
        page.and_then(|(_, page)| read(page)).map_err(|error| error.with_store(self))
    }

    fn stream(&self) -> FlagStream<'_> {
        lines::stream(self)
    }

    fn identity(&self) -> Identity {
        Identity::new(&self.shared.base)
    }

    async fn inspect(&self) -> Vec<Check> {
        inspect::inspect(self).await
    }
}
