//! For tests of programs with flags (feature `testing`): overrides, and stores that record calls or fail on command.
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
//! # Where an override holds
//!
//! Tests run concurrently and often share one client. So an override holds only for the tokio task that made it, or outside of one for the
//! thread, with all tasks of a runtime on it; and for what these start by [`spawn`], [`spawn_blocking`] or [`spawn_thread`], or pass on
//! with [`Overrides`]. The [guide](crate::_guide::in_application) has all cases.
//!
//! It ends everywhere with its guard, also by a panic. Of two overrides of one flag the newer one holds. [`evaluate`] returns
//! [`Reason::Overridden`](crate::evaluation::Reason::Overridden). The flag itself is not changed, and need not exist.
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
