//! Feature flags on the infrastructure you already run.

mod background;
mod bucketing;
mod changes;
mod client;
mod clock;
mod conditions;
mod context;
mod error;
mod evaluation;
mod events;
mod flag;
mod json;
mod names;
mod polling;
mod record;
mod stack_text;
mod status;
mod store;
mod stores;
mod table;
mod url;

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
pub use json::{Json, Number, Object};
pub use polling::watch_by_polling;
pub use record::FlagRecord;
pub use status::{Health, Status, Updates};
pub use store::{
    Corrupt, FeatureFlagStore, LocalFeatureFlagStore, Precondition, Stored, Version, Watch, WatchEvent,
};
pub use stores::MemoryFeatureFlagStore;
#[cfg(feature = "sqlite")]
pub use stores::{SqliteFeatureFlagStore, SqliteOptions};
#[cfg(feature = "thrift")]
pub use stores::{ThriftRpcFeatureFlagStore, ThriftRpcOptions};
pub use table::FlagTable;
pub use url::connect;

#[doc(hidden)]
pub use context::strip_raw as __strip_raw;
#[cfg(feature = "thrift")]
#[doc(hidden)]
pub use stores::thrift::convert as __thrift;
