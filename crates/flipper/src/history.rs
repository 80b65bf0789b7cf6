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
use crate::error::Result;
#[doc(hidden)]
pub use crate::state::actor_of as __actor;
pub use crate::state::{Cause, Entry, EntryId, FlagState, HistoryLimits, HistoryPage, HistoryQuery};
use crate::state::{Portion, bytes_of};
use crate::store::FeatureFlagStore;

/// Looked through for one page.
const MOST_READ: usize = 2000;

/// Entries that a server sends: of the flags that the caller may see, and about as many bytes.
///
/// # Errors
///
/// The store's.
#[doc(hidden)]
pub async fn __page(
    store: &dyn FeatureFlagStore,
    query: &HistoryQuery,
    most_bytes: usize,
    may_see: impl Fn(&str) -> bool,
) -> Result<HistoryPage> {
    let mut page = HistoryPage::new(Vec::new(), query.before.clone());
    let (mut bytes, mut read, mut portion) = (0, 0, Portion::first(query.limit));
    loop {
        let part = query.clone().before(page.next.take()).limit(portion.count());
        let found = store.history(&part).await?;
        page.next = found.next;
        let (mut rest, mut found) = (found.entries.into_iter().peekable(), 0);
        while let Some(entry) = rest.next() {
            read += 1;
            let (id, length) = (entry.id.clone(), bytes_of(&entry));
            found += length;
            if may_see(&entry.name) {
                bytes += length;
                page.entries.push(entry);
            }
            if page.entries.len() >= query.limit || bytes > most_bytes || read >= MOST_READ {
                if rest.peek().is_some() {
                    page.next = Some(id);
                }
                return Ok(page);
            }
        }
        if page.next.is_none() {
            return Ok(page);
        }
        portion.grow(found);
    }
}
