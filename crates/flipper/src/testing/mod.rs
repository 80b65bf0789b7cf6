//! For the tests of programs that use flags (feature `testing`): flags that are what a test says, and stores that tell what was
//! asked of them or fail on command.
//!
//! ```
//! use flipper::{FeatureFlagClient, MemoryFeatureFlagStore, override_flags};
//!
//! fn sound(features: &FeatureFlagClient) -> &'static str {
//!     if features.is_enabled("IMPROVED_HORSE_SOUNDS") { "Whinny" } else { "Neigh" }
//! }
//!
//! let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
//! {
//!     let _overrides = override_flags!(features, "IMPROVED_HORSE_SOUNDS" => true);
//!     assert_eq!(sound(&features), "Whinny");
//! }
//! assert_eq!(sound(&features), "Neigh");
//! ```
//!
//! # Whom an override holds for
//!
//! Tests run at the same time and often share one client, in a `static` of the program. So an override holds only
//!
//! - for the tokio task that made it, on whatever thread that runs;
//! - made outside of a task (a plain `#[test]`, or the body of a `#[tokio::test]`): for this thread, and so for all tasks of a
//!   runtime that lives on this thread, which is what `#[tokio::test]` makes unless told otherwise;
//! - for what one of these starts by [`spawn`], [`spawn_blocking`] or [`spawn_thread`], or hands on with [`Overrides`].
//!
//! It ends with its guard, by a panic too, in all those places at once. Of two that concern the same flag the later one holds.
//!
//! It holds for the clients of one set of flags: for clones of the client, handles, scopes, and other clients of the same store
//! in memory. It is the answer of every check, whatever the attributes, also by `fetch_enabled`; [`evaluate`] gives
//! [`Reason::Overridden`](crate::evaluation::Reason::Overridden). The flag itself is not touched, and need not exist.
//!
//! [`evaluate`]: crate::FeatureFlagClient::evaluate

mod carry;
mod failing;
mod overrides;
mod recording;

pub use crate::overrides::OverrideGuard;
pub use carry::{Overrides, spawn, spawn_blocking, spawn_thread};
pub use failing::FailingStore;
pub use overrides::override_flags;
pub use recording::{Call, RecordingStore};
