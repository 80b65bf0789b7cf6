//! Feature flags on the infrastructure you already run.

mod clock;
mod error;

pub use clock::{Clock, RandomSource, SystemClock, ThreadRandom};
pub use error::{Error, ErrorKind, Result};
