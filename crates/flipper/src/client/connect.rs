use std::time::Duration;

use super::FeatureFlagClient;
use crate::background;
use crate::error::{Error, Result};
use crate::state::Health;
use crate::url;

const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// A client for the store of a URL, see [`open`](crate::open), once its flags are in memory.
///
/// ```
/// # futures_executor::block_on(async {
/// let features = flipper::connect("memory:").await?;
/// assert!(!features.is_enabled("MY_FEATURE"));
/// # Ok::<(), flipper::Error>(()) }).unwrap();
/// ```
///
/// To start while the store is unreachable, use [`open`](crate::open).
///
/// # Errors
///
/// As [`open`](crate::open), the store's, and `Unavailable` if the flags do not arrive within 10 s.
pub async fn connect(url: &str) -> Result<FeatureFlagClient> {
    let features = FeatureFlagClient::new(url::open(url)?);
    match background::within(CONNECT_WITHIN, features.ready()).await {
        Ok(ready) => ready?,
        Err(_) => {
            let status = features.status();
            // Else they arrived just now.
            if let (Health::Stale { reason, .. }, None) = (status.health, status.last_sync) {
                let message = format!("the store's flags did not arrive within {CONNECT_WITHIN:?}: {reason}");
                return Err(Error::unavailable(message));
            }
        }
    }
    Ok(features)
}
