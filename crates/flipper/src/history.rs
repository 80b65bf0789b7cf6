//! Who changed which flag, when and why.
//!
//! ```
//! use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};
//! use futures_util::StreamExt;
//!
//! # futures_executor::block_on(async {
//! let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
//! features.create("CHECKOUT").await?;
//! features.as_actor("alice").because("incident 42").enable("CHECKOUT").await?;
//!
//! let last = features.history("CHECKOUT").next().await.unwrap()?;
//! assert_eq!((last.actor(), last.reason(), &*last.verb), (Some("alice"), Some("incident 42"), "enable"));
//!
//! features.restore("CHECKOUT", &last).await?;
//! assert!(!features.is_enabled("CHECKOUT"));
//! # Ok::<(), flipper::Error>(()) }).unwrap();
//! ```
//!
//! The store keeps it, in one step with each write. Which stores do, and how much they keep, is in [choosing a store](crate::_guide::stores).

pub use crate::client::History;
pub use crate::state::{Cause, Entry, EntryId, FlagState, HistoryLimits, HistoryPage, HistoryQuery};
