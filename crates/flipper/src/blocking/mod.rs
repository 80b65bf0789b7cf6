//! The API without `async`: for programs without a runtime, and for code that is not `async` in programs with one.
//!
//! ```
//! use flipper::blocking;
//!
//! fn main() -> flipper::Result<()> {
//!     let features = blocking::connect("memory:")?;
//!
//!     features.create("MY_FEATURE").wait()?;
//!     features.enable("MY_FEATURE")?;
//!     assert!(features.is_enabled("MY_FEATURE"));
//!     Ok(())
//! }
//! ```
//!
//! A call blocks where the other API awaits. Checks and reads never block: the client dereferences to
//! [`flipper::FeatureFlagClient`](crate::FeatureFlagClient), which has them.
//!
//! A call runs on the calling thread, which sleeps while the store works. The store's timers and connections live on flipper's own
//! thread, started on first use. So a call works anywhere: in a plain thread, and in a runtime of either kind, in its `block_on`,
//! `spawn_blocking` and tasks. In a task it blocks all other tasks of the thread: use the other API there, or `spawn_blocking`. On
//! flipper's own thread, where the code of a store may run, a call returns the error `Unsupported`.

mod changes;
mod client;
mod create;
mod flag;
mod wait;

pub use changes::Changes;
pub use client::{FeatureFlagClient, connect};
pub use create::Create;
pub use flag::FeatureFlag;
pub use wait::wait;
