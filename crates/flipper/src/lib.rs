//! Feature flags on the infrastructure you already run: a check is a read of memory, a flip reaches every process, and no
//! write is lost.
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
//!     // sync, cannot fail; `false` for a flag that nobody made
//! }
//! let flag = features.get("MY_FEATURE"); // a handle: its check is one atomic load
//! assert!(flag.is_enabled_with(&context! { user_id: 7 }));
//! # Ok::<(), flipper::Error>(()) }).unwrap();
//! ```
//!
//! Writing is `async` and returns `Result`; checking, and reading what is in memory, are plain functions. No executor in
//! particular is needed.
//!
//! # Stores
//!
//! | store | feature | its flags live |
//! |---|---|---|
//! | [`MemoryFeatureFlagStore`] | | in this process |
#![cfg_attr(
    feature = "sqlite",
    doc = "| [`SqliteFeatureFlagStore`] | `sqlite` | in a file, shared by the processes of a machine |"
)]
#![cfg_attr(
    not(feature = "sqlite"),
    doc = "| `SqliteFeatureFlagStore` | `sqlite` | in a file, shared by the processes of a machine |"
)]
#![cfg_attr(
    feature = "consul",
    doc = "| [`ConsulFeatureFlagStore`] | `consul` | in Consul's key-value store, and in memory |"
)]
#![cfg_attr(
    not(feature = "consul"),
    doc = "| `ConsulFeatureFlagStore` | `consul` | in Consul's key-value store, and in memory |"
)]
#![cfg_attr(
    feature = "thrift",
    doc = "| [`ThriftRpcFeatureFlagStore`] | `thrift` | behind a Thrift service: `flipper-thrift`'s server, or one of your own |"
)]
#![cfg_attr(
    not(feature = "thrift"),
    doc = "| `ThriftRpcFeatureFlagStore` | `thrift` | behind a Thrift service: `flipper-thrift`'s server, or one of your own |"
)]
//!
//! [`MirroredFeatureFlagStore`] holds the flags of any store in memory, [`CachedFeatureFlagStore`] those that were asked for
//! lately; `docs/stores.md` says when to take which.
//!
//! [`FeatureFlagClient::new`] takes a store that holds its flags in memory; [`connect`] makes a client from a URL. Your own
//! store is the four methods of [`FeatureFlagStore`]; the feature `conformance` has the tests that prove it right.
//!
//! # Where to look
//!
//! - [`FeatureFlagClient`], [`FeatureFlag`]: what programs call; `#[flipper::is_enabled]` and `flipper::flags!` (feature `macros`).
//! - [`Evaluation`]: which rule decides a check; [`Condition`] and [`Bucketer`]: whom a flag is on for.
//! - [`Status`]: how current the flags in memory are; [`Changes`]: the stream of changes; [`Subscriber`]: hears of writes.
//! - [`Scope`]: the flags as one request sees them; [`blocking`]: the same without `async`. Layers for `tower` services are in
//!   `flipper::tower` (feature `tower`), overrides for tests in `flipper::testing` (feature `testing`).
//! - [`FlagRecord`]: a flag as stored, the same text that the Python library `flipper-client` 1.3.2 writes.
//! - [`FeatureFlagStore`]: the contract of stores.

// Decisions of the Thrift server that the model of the chain includes.
#[cfg(all(test, feature = "thrift"))]
extern crate self as flipper;

#[cfg(feature = "macros")]
#[doc(hidden)]
#[path = "macro_support.rs"]
pub mod __private;
mod background;
pub mod blocking;
mod bucketing;
mod changes;
mod client;
mod clock;
mod conditions;
#[cfg(feature = "conformance")]
pub mod conformance;
mod context;
mod error;
mod evaluation;
mod events;
mod flag;
mod guard;
mod identity;
mod inspection;
mod json;
mod many;
mod names;
mod pause;
mod polling;
mod record;
mod scope;
mod stack_text;
mod status;
mod store;
mod stores;
mod table;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "tower")]
pub mod tower;
mod url;
#[cfg(any(feature = "consul", feature = "redis"))]
mod warn_once;
mod wrappers;

pub use bucketing::{
    AnyPercentage, Bucketer, ConsistentHashPercentageBucketer, CustomBucketer, LinearRampPercentage, Percentage,
    PercentageBucketer, SaltedPercentageBucketer, register_bucketer,
};
pub use changes::{Change, Changes};
pub use client::{Checks, ClientBuilder, Create, FeatureFlagClient, Local, Remote};
pub use clock::{Clock, RandomSource, SystemClock, ThreadRandom};
pub use conditions::{Condition, Operator};
pub use context::{Attributes, Context, Value, ValueType};
pub use error::{Error, ErrorKind, Result};
pub use evaluation::{Bucket, Evaluation, Reason};
pub use events::{Post, Pre, Subscriber, Subscription, Verb, WriteEvent};
pub use flag::FeatureFlag;
#[cfg(feature = "macros")]
pub use flipper_macros::is_enabled;
pub use identity::Identity;
pub use inspection::{Check, Finding};
pub use json::{Json, LoneSurrogates, Number, Object};
pub use many::FlagStream;
pub use polling::watch_by_polling;
pub use record::FlagRecord;
pub use scope::{FlagName, Scope};
pub use status::{Health, Status, Updates};
pub use store::{
    Corrupt, FeatureFlagStore, LocalFeatureFlagStore, Precondition, Stored, Version, Watch, WatchEvent, validate_name,
    validate_new_name,
};
pub use stores::MemoryFeatureFlagStore;
#[cfg(feature = "consul")]
pub use stores::{ConsulBuilder, ConsulClient, ConsulClientBuilder, ConsulConsistency, ConsulFeatureFlagStore};
#[cfg(feature = "redis")]
pub use stores::{RedisClient, RedisFeatureFlagStore};
#[cfg(feature = "sqlite")]
pub use stores::{SqliteFeatureFlagStore, SqliteFile, SqliteOptions};
#[cfg(feature = "thrift")]
pub use stores::{ThriftRpcFeatureFlagStore, ThriftRpcOptions};
pub use table::FlagTable;
pub use url::connect;
pub use wrappers::{CachedFeatureFlagStore, MirrorBuilder, MirroredFeatureFlagStore};

#[doc(hidden)]
pub use context::strip_raw as __strip_raw;
#[cfg(feature = "thrift")]
#[doc(hidden)]
pub use stores::thrift::convert as __thrift;

/// The examples of README.md and docs/, which are tests.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../../README.md")]
    struct Readme;

    #[doc = include_str!("../../../docs/evaluation.md")]
    struct Evaluation;

    #[doc = include_str!("../../../docs/stores.md")]
    struct Stores;
}
