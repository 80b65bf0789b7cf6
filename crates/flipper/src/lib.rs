//! Feature flags on the infrastructure you already run.

mod bucketing;
mod clock;
mod conditions;
mod context;
mod error;
mod evaluation;
mod json;
mod names;
mod record;
mod stack_text;

pub use bucketing::{
    AnyPercentage, Bucketer, ConsistentHashPercentageBucketer, CustomBucketer, LinearRampPercentage, Percentage,
    PercentageBucketer, SaltedPercentageBucketer, register_bucketer,
};
pub use clock::{Clock, RandomSource, SystemClock, ThreadRandom};
pub use conditions::{Condition, Operator};
pub use context::{Attributes, Context, Value, ValueType};
pub use error::{Error, ErrorKind, Result};
pub use evaluation::{Bucket, Evaluation, Reason};
pub use json::{Json, Number, Object};
pub use record::FlagRecord;

#[doc(hidden)]
pub use context::strip_raw as __strip_raw;
