//! Feature flags on the infrastructure you already run: a check is a read of memory, a flip reaches every process, and no write is lost.
//!
//! ```
//! use flipper::{FeatureFlagClient, MemoryFeatureFlagStore, context};
//!
//! # futures_executor::block_on(async {
//! let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
//!
//! features.create("MY_FEATURE").await?;
//! features.enable("MY_FEATURE").await?;
//!
//! if features.is_enabled("MY_FEATURE") {
//!     // sync, cannot fail; `false` for a missing flag
//! }
//! let flag = features.get("MY_FEATURE"); // a handle: its check is one atomic load
//! assert!(flag.is_enabled_with(&context! { user_id: 7 }));
//! # Ok::<(), flipper::Error>(()) }).unwrap();
//! ```
//!
//! Writing is `async` and returns `Result`; checks and reads of memory are plain functions. Any executor will do.
//!
//! # Stores
//!
//! | store | feature | its flags live |
//! |---|---|---|
//! | [`MemoryFeatureFlagStore`] | | in this process |
//! | [`SqliteFeatureFlagStore`] | `sqlite` | in a file, shared by the processes of a machine |
//! | [`ConsulFeatureFlagStore`] | `consul` | in Consul's key-value store |
//! | [`PostgresFeatureFlagStore`] | `postgres` | in a table of PostgreSQL, beside the rest of your data |
//! | [`RedisFeatureFlagStore`] | `redis` | in Redis: a server, a cluster, or behind Sentinels |
//! | [`HttpFeatureFlagStore`] | `http` | behind an HTTP server: `flipper-server`, which `flipper serve` runs |
//! | [`S3FeatureFlagStore`] | `s3` | in a bucket of S3, or of a server with its interface |
//! | [`ThriftRpcFeatureFlagStore`] | `thrift` | behind a Thrift service: `flipper-thrift`'s server, or one of your own |
//! | [`MirroredFeatureFlagStore`] | | in another store, and all of them in memory |
//! | [`ReplicatedFeatureFlagStore`] | | in another store, with copies in further ones |
//! | [`CachedFeatureFlagStore`] | | in another store, and in memory those that were asked for lately |
//!
//! [`FeatureFlagClient::new`] holds all flags of a store in memory, [`FeatureFlagClient::remote`] none; [choosing a store](_guide::stores)
//! compares them. [`connect`] takes a URL. A [store of your own](_guide::custom_store) is four methods, and a test suite proves it right.
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | what it adds |
//! |---|---|
//! | `sqlite`, `consul`, `postgres`, `redis`, `s3`, `http`, `thrift` | the stores above |
//! | `thrift-tls` | TLS for `thrift`: `thrifts://…` |
//! | `macros` | [`#[flipper::is_enabled]`](macro@is_enabled), a flag around a function, and [`flags!`], typed flags |
//! | `tower` | [`tower`]: a scope for each request and gates, as layers for axum and other services |
//! | `axum` | the scope as an axum extractor; `tower` with it |
//! | `testing` | [`testing`]: flags that are what a test says, stores that record or fail |
//! | `conformance` | [`conformance`]: the test suite for stores |
//!
//! # Where to look
//!
//! - [`FeatureFlagClient`], [`FeatureFlag`]: what programs call. [`blocking`]: without `async`.
//! - [`Scope`]: the flags as one request sees them.
//! - [`targeting`]: rules, variants, prerequisites, schedules, segments.
//! - [`Condition`], [`Bucketer`]: for whom a flag is on. [`Evaluation`](evaluation::Evaluation): the answer, with its reason.
//! - [`Status`](store::Status): how current the flags are. [`Changes`](events::Changes): the stream of changes.
//! - [`Subscriber`](events::Subscriber): called before and after writes. [`history`]: who changed which flag, when and why.
//! - [`client_data`]: owner, tags, expiry date and so on, by the names of their keys.
//! - [`FlagRecord`]: a flag as stored, the text of the Python library `flipper-client` 1.3.2.
//!
//! # Guides
//!
//! [Using flags](_guide::using_flags) · [choosing a store](_guide::stores) · [in your application](_guide::in_application) ·
//! [who gets a feature](_guide::evaluation) · [rules and variants](_guide::rules) · [serving flags](_guide::serve), [a page for people](_guide::page),
//! [the JSON API](_guide::http_api), [OpenFeature's SDKs](_guide::ofrep), [many followers](_guide::scale), [what holds under faults](_guide::reliability),
//! [Thrift](_guide::thrift) · [a store of your own](_guide::custom_store) · [the command](_guide::cli) · [coming from another tool](_guide::coming_from) ·
//! [architecture](_guide::architecture) · benchmarks of [checks](_guide::benchmarks),
//! [evaluation](_guide::benchmarks_evaluation), [Redis](_guide::benchmarks_redis), [Consul](_guide::benchmarks_consul),
//! [PostgreSQL](_guide::benchmarks_postgres), [S3](_guide::benchmarks_s3) and [the HTTP server](_guide::benchmarks_http)

#![cfg_attr(docsrs, feature(doc_cfg))]

#[doc(hidden)]
#[path = "openfeature.rs"]
pub mod __openfeature;
#[cfg(feature = "macros")]
#[doc(hidden)]
#[path = "macro_support.rs"]
pub mod __private;
#[cfg(doc)]
pub mod _guide;
mod background;
pub mod blocking;
pub mod bucketing;
pub mod client;
pub mod client_data;
mod clock;
mod conditions;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod context;
mod error;
pub mod evaluation;
pub mod events;
mod feed;
mod guard;
pub mod history;
mod identity;
mod inline_text;
mod inspection;
pub mod json;
mod lock;
mod names;
#[cfg(feature = "testing")]
mod overrides;
mod pause;
mod record;
mod scope;
mod stack_text;
mod state;
pub mod store;
pub mod stores;
mod table;
pub mod targeting;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "tower")]
pub mod tower;
mod turns;
mod url;
mod warn_once;
mod words;
mod wrappers;

pub use bucketing::Bucketer;
pub use client::{FeatureFlag, FeatureFlagClient, connect};
pub use conditions::Condition;
pub use context::Context;
pub use error::{Error, ErrorKind, Result};
/// Checks a flag at each call of a function or method. While it is off, something else runs instead.
///
/// ```
/// use std::sync::LazyLock;
/// use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};
///
/// static FEATURES: LazyLock<FeatureFlagClient> =
///     LazyLock::new(|| FeatureFlagClient::new(MemoryFeatureFlagStore::new()));
///
/// #[flipper::is_enabled(FEATURES, "IMPROVED_HORSE_SOUNDS", redirect = old_horse_sound)]
/// fn horse_sound(volume: u8) -> String {
///     format!("Whinny at {volume}")
/// }
///
/// fn old_horse_sound(volume: u8) -> String {
///     format!("Neigh at {volume}")
/// }
///
/// assert_eq!(horse_sound(3), "Neigh at 3");
/// # futures_executor::block_on(async {
/// FEATURES.create("IMPROVED_HORSE_SOUNDS").enabled(true).await?;
/// # Ok::<(), flipper::Error>(()) }).unwrap();
/// assert_eq!(horse_sound(3), "Whinny at 3");
/// ```
#[cfg(feature = "macros")]
pub use flipper_macros::is_enabled;
pub use record::FlagRecord;
#[doc(hidden)]
pub use record::exchange as __exchange;
pub use scope::{FlagName, Scope};
pub use store::FeatureFlagStore;
#[cfg(feature = "http")]
pub use stores::HttpFeatureFlagStore;
pub use stores::MemoryFeatureFlagStore;
#[cfg(feature = "postgres")]
pub use stores::PostgresFeatureFlagStore;
#[cfg(feature = "s3")]
pub use stores::S3FeatureFlagStore;
#[cfg(feature = "sqlite")]
pub use stores::SqliteFeatureFlagStore;
#[cfg(feature = "thrift")]
pub use stores::ThriftRpcFeatureFlagStore;
#[cfg(feature = "consul")]
pub use stores::{ConsulClient, ConsulFeatureFlagStore};
#[cfg(feature = "redis")]
pub use stores::{RedisClient, RedisFeatureFlagStore};
pub use url::open;
pub use wrappers::{
    CachedFeatureFlagStore, MirrorBuilder, MirroredFeatureFlagStore, ReplicaStatus, ReplicatedBuilder,
    ReplicatedFeatureFlagStore,
};

/// What the servers share.
#[doc(hidden)]
pub mod __feed {
    pub use crate::feed::{
        Answer, AnswerTime, BEAT, Change, Delta, Follower, Known, SLACK, STREAM_SLACK, State, WAIT, history, origin,
        random, wire, with_times,
    };
}

/// What the command and the web page say about flags.
#[doc(hidden)]
pub mod __words {
    pub use crate::words::{
        Changed, Ramp, attribute, brief, callers, choice, chosen_by, circles, date, difference, fields, hashed,
        is_on_now, is_settled, json_or_text, json_type, last_rule, links, lost_in_paths, moved, needs_of, next_turn,
        now, percent, percentage, plain, ramp, rollout, rule, rules, segment, settled_since, share, share_of,
        targeting, turns, unknown, value, variant, variants, weight, with_share,
    };
}

#[cfg(feature = "http")]
#[doc(hidden)]
pub use stores::http::fuzzed as __changes;
#[cfg(feature = "thrift")]
#[doc(hidden)]
pub use stores::thrift::{convert as __thrift, history as __thrift_history};
