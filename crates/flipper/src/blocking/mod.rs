//! The API without `async`.
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
//! A call blocks where the other API awaits; checks and reads never block. It works in any thread or runtime; in a task it blocks the
//! thread's other tasks: use the other API there, or `spawn_blocking`.
//!
//! Timers and connections live on flipper's own thread, started on first use. There, where a store's code may run, a call is `Unsupported`.

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
