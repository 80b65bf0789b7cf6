//! Feature flags on the infrastructure you already run.

mod clock;
mod error;
mod json;

pub use clock::{Clock, RandomSource, SystemClock, ThreadRandom};
pub use error::{Error, ErrorKind, Result};
pub use json::{Json, Number, Object};
