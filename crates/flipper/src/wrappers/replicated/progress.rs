//! What a replica lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// How far a replica is; from [`ReplicatedFeatureFlagStore::replicas`](crate::ReplicatedFeatureFlagStore::replicas).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ReplicaStatus {
    /// The replica, as it shows itself.
    pub store: String,
    /// Flags that are known not to have arrived yet.
    pub pending: BTreeSet<String>,
    /// Whether all flags must be compared first: at the start, and after an outage.
    pub comparing: bool,
    /// When it was last known to have what the primary has; `None` before the first time.
    pub in_step_at: Option<SystemTime>,
    /// Why the last attempt failed; `None` after a success.
    pub error: Option<Arc<str>>,
    /// Flags that cannot be copied, each with the reason. They are tried again with each comparison.
    pub refused: BTreeMap<String, Arc<str>>,
    /// Flags that only the replica has, and that stay: too many vanished from the primary at once.
    pub kept: BTreeSet<String>,
}

impl ReplicaStatus {
    /// Whether nothing is missing. Kept flags are no lack.
    #[must_use]
    pub fn is_in_step(&self) -> bool {
        !self.comparing && self.pending.is_empty() && self.refused.is_empty() && self.error.is_none()
    }
}

/// One line for an operator.
impl fmt::Display for ReplicaStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.store)?;
        let mut parts = Vec::new();
        if let Some(error) = &self.error {
            parts.push(error.to_string());
        }
        if self.comparing {
            parts.push("all flags are still to be compared".to_owned());
        }
        if !self.pending.is_empty() {
            parts.push(format!("{} pending", self.pending.len()));
        }
        if let Some((name, reason)) = self.refused.first_key_value() {
            parts.push(format!("{} cannot be copied, such as {name:?}: {reason}", self.refused.len()));
        }
        if parts.is_empty() {
            parts.push("in step".to_owned());
        }
        if !self.kept.is_empty() {
            parts.push(format!("{} kept that vanished from the primary", self.kept.len()));
        }
        f.write_str(&parts.join("; "))
    }
}
