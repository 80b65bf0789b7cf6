use std::sync::Arc;

use super::subject::{Subject, flag};
use crate::state::Precondition;
use crate::store::FeatureFlagStore;

/// See [`FeatureFlagStore::close`].
pub async fn close_twice(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    store.put(&flag("CLOSED"), Precondition::Any).await;
    store.close().await;
    store.close().await;
}
