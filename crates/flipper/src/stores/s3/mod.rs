//! Flags in S3, or a server with its interface, shared with the Python library `flipper-client`.
//!
//! ```no_run
//! use flipper::{FeatureFlagClient, S3FeatureFlagStore};
//!
//! # async fn example() -> flipper::Result<()> {
//! let store = S3FeatureFlagStore::from_url("s3://company-flags?region=eu-west-1")?;
//! let features = FeatureFlagClient::new(store);
//! features.ready().await?;
//!
//! features.create("MY_FEATURE").or_get().await?;
//! features.enable("MY_FEATURE").await?;
//! # Ok(()) }
//! ```
//!
//! # What is stored
//!
//! A flag is an object with the flag's name as its key, its JSON ([`FlagRecord`]) as content. As in Python, every object of the bucket is
//! a flag; with a [`prefix`](S3FeatureFlagStore::prefix), which Python does not have, every object under it. What is no flag, or over
//! 1 MiB, is a [`Corrupt`](crate::ErrorKind::Corrupt) flag. Keys that servers read as others, such as folders, are skipped with a warning.
//!
//! A version is the object's ETag, for most objects a digest of the content: if a flag is changed and changed back, a write that read it
//! before still holds. The content is the one it read, so nothing is lost. Who can make two contents with one MD5 could hide a change.
//!
//! [The guide](crate::_guide::stores) says what the server must have, and what the credentials must allow.

mod answer;
mod bucket;
mod conditions;
mod errors;
mod follow;
mod hints;
mod http;
mod inspect;
mod keys;
mod listing;
mod reading;
mod url;
mod writing;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::ClientConfigKey;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use self::bucket::Bucket;
use self::conditions::Conditions;
use self::hints::Hints;
use self::http::Http;
use self::keys::Keys;
use crate::background;
use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::inspection::Check;
use crate::record::FlagRecord;
use crate::state::{Capabilities, Stored, Version, Watch, WriteOptions};
use crate::store::{FeatureFlagStore, FlagStream, give_up, pages};
use crate::stores::event_sender::EventSender;
use crate::stores::feed::feed_by_task;
use crate::warn_once::WarnOnce;

/// Reading many flags takes longer: each request has this time.
const TIMEOUT: Duration = Duration::from_secs(5);
const SHOWN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'/').remove(b'~');

/// Keeps flags in a bucket of S3. Clones share connections.
///
/// Connections live on a thread of this crate: the store can be a `static`, works under any executor, and outlives any runtime.
///
/// ```
/// use flipper::S3FeatureFlagStore;
/// use object_store::aws::AmazonS3Builder;
///
/// # fn example() -> flipper::Result<()> {
/// // With the keys of the environment, of a role of the machine, the container or the pod …
/// let bucket = AmazonS3Builder::from_env().with_bucket_name("company-flags").with_region("eu-west-1");
/// let store = S3FeatureFlagStore::new(bucket)?.prefix("shop/features")?;
/// // … or with others, on another server.
/// let bucket = AmazonS3Builder::new()
///     .with_endpoint("https://minio.example:9000")
///     .with_bucket_name("flags")
///     .with_access_key_id("shop")
///     .with_secret_access_key("secret");
/// let store = S3FeatureFlagStore::new(bucket)?;
/// # Ok(()) }
/// # example().unwrap();
/// ```
#[derive(Clone)]
pub struct S3FeatureFlagStore {
    bucket: Arc<Bucket>,
    name: Arc<str>,
    keys: Arc<Keys>,
    timeout: Duration,
    poll: Option<Duration>,
    unconditional: bool,
    conditions: Arc<Conditions>,
    hints: Arc<Hints>,
    warned: WarnOnce,
}

impl fmt::Display for S3FeatureFlagStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.keys.base().is_empty() { "" } else { "/" };
        write!(f, "S3({}{slash}{})", self.name, self.keys.base())
    }
}

impl fmt::Debug for S3FeatureFlagStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3FeatureFlagStore")
            .field("bucket", &self.bucket)
            .field("prefix", &self.keys.base())
            .field("timeout", &self.timeout)
            .field("poll", &self.poll)
            .field("unconditional_writes", &self.unconditional)
            .finish()
    }
}

impl S3FeatureFlagStore {
    /// Takes the bucket, region, endpoint and credentials of a builder of the crate `object_store`; connections are the store's own. Sends
    /// nothing yet.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a builder without a bucket, with keys in its endpoint, or with settings that this store does not honour: anonymous
    /// access, a proxy, encryption (the bucket can have a default one), S3 Express.
    pub fn new(client: AmazonS3Builder) -> Result<Self> {
        let value = |key| client.get_config_value(&key);
        // As the driver reads the environment.
        let is_on = |key| {
            let value = value(key).map(|value| value.to_ascii_lowercase());
            value.is_some_and(|value| matches!(value.as_str(), "1" | "true" | "on" | "yes" | "y" | "requester"))
        };
        let encryption = "aws_server_side_encryption".parse().ok().and_then(value);
        for (is_set, what) in [
            (is_on(AmazonS3ConfigKey::SkipSignature), "anonymous access"),
            (is_on(AmazonS3ConfigKey::S3Express), "S3 Express"),
            (encryption.is_some(), "encryption for single objects: let the bucket encrypt all"),
            (value(AmazonS3ConfigKey::Client(ClientConfigKey::ProxyUrl)).is_some(), "a proxy"),
        ] {
            if is_set {
                return Err(Error::invalid_input(format!("the S3 store does not have {what}")));
            }
        }
        let name = value(AmazonS3ConfigKey::Bucket);
        let name = name.ok_or_else(|| Error::invalid_input("the S3 client names no bucket (`with_bucket_name`)"))?;
        let region = value(AmazonS3ConfigKey::Region).unwrap_or_else(|| "us-east-1".to_owned());
        let endpoint = value(AmazonS3ConfigKey::S3Endpoint).or_else(|| value(AmazonS3ConfigKey::Endpoint));
        // It is shown.
        if endpoint.as_deref().is_some_and(|endpoint| endpoint.contains('@')) {
            return Err(Error::invalid_input("the endpoint of an S3 store has an `@`: keys do not belong into it"));
        }
        // As the driver.
        let url = match (endpoint, is_on(AmazonS3ConfigKey::VirtualHostedStyleRequest)) {
            (Some(endpoint), true) => endpoint.trim_end_matches('/').to_owned(),
            (Some(endpoint), false) => format!("{}/{name}", endpoint.trim_end_matches('/')),
            (None, true) => format!("https://{name}.s3.{region}.amazonaws.com"),
            (None, false) => format!("https://s3.{region}.amazonaws.com/{name}"),
        };
        let signs_payload = !is_on(AmazonS3ConfigKey::UnsignedPayload);
        let requester_pays = is_on(AmazonS3ConfigKey::RequestPayer);
        let http = Http::new()?;
        let driver = client.with_http_connector(http.clone()).build();
        let driver = driver
            .map_err(|error| Error::invalid_input("the S3 client's settings are incomplete").with_source(error))?;
        let credentials = driver.credentials().clone();
        Ok(Self {
            bucket: Arc::new(Bucket { url, region, credentials, http, signs_payload, requester_pays }),
            name: name.into(),
            keys: Arc::default(),
            timeout: TIMEOUT,
            poll: None,
            unconditional: false,
            conditions: Arc::default(),
            hints: Arc::default(),
            warned: WarnOnce::default(),
        })
    }

    /// The store at `s3://BUCKET[/PREFIX]`, with the parameters `region`, `endpoint=https://…` for another server than Amazon's, `poll=5s`
    /// ([`poll_every`](Self::poll_every)) and [`unconditional_writes=true`](Self::unconditional_writes). Sends nothing yet.
    ///
    /// Other settings come from the environment, as for `AmazonS3Builder::from_env`; a URL must not contain keys.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for another URL, or an environment that [`new`](Self::new) refuses.
    pub fn from_url(url: &str) -> Result<Self> {
        url::parse(url)
    }

    /// Keeps the flags under `PREFIX/`, not at the root of the bucket, where the Python library has them. Writes then also name their flag
    /// in an object beside the prefix (`shop/.features.changed` for `shop/features`), by which other processes see them within a second.
    /// Empty by default.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a prefix that not every server keeps: one with empty parts, say.
    pub fn prefix(mut self, prefix: impl AsRef<str>) -> Result<Self> {
        self.keys = Arc::new(Keys::new(prefix.as_ref())?);
        Ok(self)
    }

    /// How long a request may take, with its repetitions; 5 s by default. A list is one request for each thousand flags, and one for each
    /// flag.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How often `watch` lists the objects. By default a second for each thousand of them, at least 5 s and at most 60 s: each list is one
    /// request for a thousand objects, which S3 charges for.
    #[must_use]
    pub fn poll_every(mut self, every: Duration) -> Self {
        self.poll = Some(every);
        self
    }

    /// Also writes to servers that ignore the conditions of writes, where the store else refuses them: it then compares before it writes,
    /// and loses what is written in between. Off by default.
    #[must_use]
    pub fn unconditional_writes(mut self, accept: bool) -> Self {
        self.unconditional = accept;
        self
    }

    /// On the flipper thread, and to the end: a dropped call does not cut a write.
    async fn run<T: Send + 'static, F>(&self, call: impl FnOnce(Self) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let handle = background::handle().map_err(Error::unavailable)?;
        match handle.spawn(call(self.clone())).await {
            Ok(result) => result,
            Err(error) => Err(Error::unavailable("the request panicked").with_source(error)),
        }
        .map_err(|error| error.with_store(self))
    }

    /// Consoles and other programs make such keys.
    fn warn_of_key(&self, key: &str) {
        if self.warned.is_due(key) {
            tracing::warn!(store = %self, key, "the key of an object is no flag's name: it is skipped");
        }
    }
}

fn identity(name: &str, bucket: &Bucket, keys: &Keys) -> Identity {
    let (base, url) = (utf8_percent_encode(keys.base(), SHOWN), &bucket.url);
    let slash = if keys.base().is_empty() { "" } else { "/" };
    let place = format!("s3://{name}{slash}{base}");
    // Names of buckets are unique within Amazon's S3 alone.
    Identity::new(match url.ends_with(".amazonaws.com") || url.contains(".amazonaws.com/") {
        true => place,
        false => format!("{place}?endpoint={}", url.strip_suffix(&format!("/{name}")).unwrap_or(url)),
    })
}

/// The ETag without its quotes, which differ among the answers of some servers.
fn version(etag: &str) -> Version {
    Version::opaque(etag.trim_start_matches("W/").trim_matches('"'))
}

fn etag(version: &Version) -> Option<String> {
    let text = std::str::from_utf8(version.as_opaque()?).ok()?;
    let is_valid = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
    is_valid.then(|| format!("\"{text}\""))
}

#[async_trait]
impl FeatureFlagStore for S3FeatureFlagStore {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        let owned = name.to_owned();
        let found = self.run(|store| async move { reading::get(&store, &owned).await }).await;
        found.map_err(|error| error.with_flag(name))
    }

    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
        let when = options.when;
        let owned = record.clone();
        let put = self.run(|store| async move {
            let version = writing::put(&store, &owned, &when).await?;
            hints::write(&store, &[owned.name()]).await;
            Ok(version)
        });
        put.await.map_err(|error| error.with_flag(record.name()))
    }

    async fn delete(&self, name: &str, options: WriteOptions) -> Result<Version> {
        let when = options.when;
        let owned = name.to_owned();
        let deleted = self.run(|store| async move {
            if writing::delete(&store, &owned, &when).await? {
                hints::write(&store, &[&owned]).await;
            }
            Ok(Version::opaque([]))
        });
        deleted.await.map_err(|error| error.with_flag(name))
    }

    async fn list(&self) -> Result<Vec<Stored>> {
        let list = self.run(|store| async move {
            let listed = reading::list(&store).await?;
            Ok(reading::flags(reading::read_all(&store, listed, None).await?))
        });
        let mut flags = list.await?;
        flags.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(flags)
    }

    fn watch(&self) -> Watch<'_> {
        let store = self.clone();
        feed_by_task(store.to_string(), move |events, lost| {
            follow::follow(store.clone(), EventSender::new(events, lost))
        })
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().shared_with_python()
    }

    async fn put_all(&self, records: &[FlagRecord], options: WriteOptions) -> Vec<Result<Version>> {
        let when = options.when;
        let mut results = Vec::with_capacity(records.len());
        for batch in records.chunks(http::AT_ONCE) {
            let puts = batch.iter().map(|record| {
                let (owned, when) = (record.clone(), when.clone());
                let put = self.run(|store| async move { writing::put(&store, &owned, &when).await });
                async { put.await.map_err(|error| error.with_flag(record.name())) }
            });
            results.extend(join_all(puts).await);
            if give_up(&mut results, records) {
                break;
            }
        }
        let names: Vec<_> = records.iter().map(|record| record.name().to_owned()).collect();
        let hint = self.run(|store| async move {
            hints::write(&store, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
            Ok(())
        });
        if results.iter().any(Result::is_ok) {
            // The writes are done, whatever becomes of it.
            let _ = hint.await;
        }
        results
    }

    fn stream(&self) -> FlagStream<'_> {
        pages(None, move |after: Option<String>| {
            self.run(|store| async move {
                let (listed, next) = reading::list_page(&store, after.as_deref()).await?;
                Ok((reading::flags(reading::read_all(&store, listed, None).await?), next.map(Some)))
            })
        })
    }

    fn identity(&self) -> Identity {
        identity(&self.name, &self.bucket, &self.keys)
    }

    async fn inspect(&self) -> Vec<Check> {
        let checks = self.run(|store| async move { Ok(inspect::inspect(&store).await) });
        checks.await.unwrap_or_else(|error| vec![Check::fault("reachable", error.chain())])
    }
}
