//! What an operator wants to know of a Redis store.

use super::RedisFeatureFlagStore;
use crate::inspection::Check;

pub(super) async fn inspect(_store: &RedisFeatureFlagStore) -> Vec<Check> {
    Vec::new()
}
