//! The same without `async`: for programs without a runtime, and for the code of those with one that is not `async`.
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
//! What waits in the other API with `.await` waits here in the call. Checks and reads are those of
//! [`flipper::FeatureFlagClient`](crate::FeatureFlagClient), to which the client here dereferences; they never wait, and have
//! no part in what follows.
//!
//! A call runs on the calling thread, which sleeps while the store works. Timers and connections of the store live on flipper's
//! own thread, which is started when it is first needed. So a call works anywhere: in a plain thread, within a runtime of
//! either kind, in its `block_on`, `spawn_blocking` and tasks. But it holds up its thread, and within a task all other tasks of
//! that thread: use the other API there, or `spawn_blocking`. The one place where nothing can wait is flipper's own thread, on
//! which the code of a store may find itself; a call there is an error, `Unsupported`.

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
