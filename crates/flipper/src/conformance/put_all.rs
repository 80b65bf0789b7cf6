use std::sync::Arc;

use super::subject::{Subject, flag, overlong, with_data};
use crate::error::ErrorKind;
use crate::record::FlagRecord;
use crate::state::Precondition;
use crate::store::FeatureFlagStore;

/// See [`FeatureFlagStore::put_all`].
pub async fn put_all_each(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let there = flag("THERE");
    let version = store.put(&there, Precondition::Any).await;
    let (first, last) = (flag("FIRST"), flag("LAST"));
    let records = [first.clone(), with_data(&there, "n", 1), FlagRecord::new(overlong(), 0), last.clone()];

    let results = store.put_all(&records, Precondition::Absent).await;
    let kinds: Vec<_> = results.iter().map(|result| result.as_ref().err().map(crate::Error::kind)).collect();
    assert_eq!(kinds, [None, Some(ErrorKind::Conflict), Some(ErrorKind::InvalidName), None]);
    store.expect(&there, &version).await;
    for (record, result) in [(&first, &results[0]), (&last, &results[3])] {
        if let Ok(version) = result {
            store.expect(record, version).await;
        }
    }
}

/// See [`FeatureFlagStore::put_all`].
pub async fn put_all_results(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    assert!(store.put_all(&[], Precondition::Any).await.is_empty());
    let records: Vec<_> = (0..20).map(|number| with_data(&flag("ALL"), "number", number)).collect();
    for when in [Precondition::Absent, Precondition::Any] {
        let results = store.put_all(&records, when).await;
        for (record, result) in records.iter().zip(results) {
            let version = result.unwrap_or_else(|error| panic!("`put_all` of {:?} failed: {error:?}", record.name()));
            store.expect(record, &version).await;
        }
    }
}
