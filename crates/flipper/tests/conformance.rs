//! Every store of this crate shows every behaviour that `store/mod.rs` states, and each stated behaviour has its test.

use std::sync::Arc;

use flipper::conformance::{self, TwoConnections};
use flipper::store::{LocalFeatureFlagStore, Stored, Version};
use flipper::{FeatureFlagStore, MemoryFeatureFlagStore};

flipper::local_store_conformance_tests!(memory, async || MemoryFeatureFlagStore::new());
flipper::local_store_conformance_tests!(memory_in_an_arc, async || Arc::new(MemoryFeatureFlagStore::new()));
flipper::local_store_conformance_tests!(memory_in_a_box, async || Box::new(MemoryFeatureFlagStore::new()));
flipper::local_store_conformance_tests!(memory_as_any_local_store, async || {
    Arc::new(MemoryFeatureFlagStore::new()) as Arc<dyn LocalFeatureFlagStore>
});
flipper::store_conformance_tests!(memory_as_any_store, async || {
    Box::new(MemoryFeatureFlagStore::new()) as Box<dyn FeatureFlagStore>
});
flipper::store_conformance_tests!(memory_shared, async || {
    let store = MemoryFeatureFlagStore::new();
    TwoConnections::new(store.clone(), store)
});
flipper::local_corrupt_conformance_tests!(
    memory_with_values_that_are_no_flags,
    async || MemoryFeatureFlagStore::new(),
    async |store: &MemoryFeatureFlagStore, name: &str, value: &[u8]| {
        store.table().apply(Stored::from_json(name, Version::ordered(0), value));
    },
);

#[cfg(feature = "sqlite")]
mod sqlite {
    use flipper::conformance::TwoConnections;
    use flipper::{MirroredFeatureFlagStore, SqliteFeatureFlagStore};

    type Mirror = MirroredFeatureFlagStore<SqliteFeatureFlagStore>;

    flipper::store_conformance_tests!(one_connection, async || {
        let folder = tempfile::tempdir().unwrap();
        (SqliteFeatureFlagStore::new(folder.path().join("flags.db")).unwrap(), folder)
    });
    flipper::local_store_conformance_tests!(in_memory, async || {
        let folder = tempfile::tempdir().unwrap();
        (Mirror::new(SqliteFeatureFlagStore::new(folder.path().join("flags.db")).unwrap()), folder)
    });
    flipper::store_conformance_tests!(two_connections, async || {
        let folder = tempfile::tempdir().unwrap();
        let open = || SqliteFeatureFlagStore::new(folder.path().join("flags.db")).unwrap();
        (TwoConnections::new(open(), open()), folder)
    });
    flipper::store_conformance_tests!(two_in_memory, async || {
        let folder = tempfile::tempdir().unwrap();
        let open = || Mirror::new(SqliteFeatureFlagStore::new(folder.path().join("flags.db")).unwrap());
        (TwoConnections::new(open(), open()), folder)
    });
    flipper::corrupt_conformance_tests!(
        rows_that_are_no_flags,
        async || {
            let folder = tempfile::tempdir().unwrap();
            (SqliteFeatureFlagStore::new(folder.path().join("flags.db")).unwrap(), folder)
        },
        async |store: &SqliteFeatureFlagStore, name: &str, value: &[u8]| put_row(&store.to_string(), name, value),
    );
    flipper::local_corrupt_conformance_tests!(
        rows_that_are_no_flags_in_memory,
        async || {
            let folder = tempfile::tempdir().unwrap();
            (Mirror::new(SqliteFeatureFlagStore::new(folder.path().join("flags.db")).unwrap()), folder)
        },
        async |store: &Mirror, name: &str, value: &[u8]| put_row(&store.to_string(), name, value),
    );

    flipper::reopened_conformance_tests!(
        reopened,
        async || {
            let folder = tempfile::tempdir().unwrap();
            (SqliteFeatureFlagStore::new(folder.path().join("flags.db")).unwrap(), folder)
        },
        async |folder: &tempfile::TempDir| SqliteFeatureFlagStore::new(folder.path().join("flags.db")).unwrap(),
    );

    #[expect(clippy::unwrap_used, reason = "a test")]
    fn put_row(store: &str, name: &str, value: &[u8]) {
        let file = store.rsplit_once('(').map(|(_, file)| file.trim_end_matches(')')).unwrap();
        let connection = rusqlite::Connection::open(file).unwrap();
        connection.execute("INSERT INTO flags (name, record) VALUES (?1, ?2)", (name, value)).unwrap();
    }
}

#[test]
fn a_behavior_needs_no_runtime_of_the_caller() {
    let store: Arc<dyn FeatureFlagStore> = Arc::new(MemoryFeatureFlagStore::new());
    futures_executor::block_on(async {
        conformance::put_no_lost_update(store.clone()).await;
        conformance::watch_delete(store.clone()).await;
        conformance::list_agrees_with_get(store.clone()).await;
        conformance::put_aba(store).await;
    });
}

/// The names of the bullets under `# Behavior` in `source`.
fn bullets(source: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut under_behavior = false;
    for line in source.lines() {
        let Some(doc) = line.trim_start().strip_prefix("///").map(str::trim) else {
            under_behavior = false;
            continue;
        };
        if let Some(heading) = doc.strip_prefix("# ") {
            under_behavior = heading == "Behavior";
        } else if let Some((name, sentence)) = doc.strip_prefix("- `").and_then(|rest| rest.split_once("`: "))
            && under_behavior
        {
            assert!(!sentence.is_empty(), "{name} says nothing");
            names.push(name);
        } else {
            assert!(!(under_behavior && doc.starts_with("- ")), "a bullet without a name: {doc}");
        }
    }
    names
}

#[test]
fn every_behavior_has_its_test_and_every_test_its_behavior() {
    let (store, local) = (include_str!("../src/store/mod.rs"), include_str!("../src/store/local.rs"));
    // Other suites prefix the names of their behaviours.
    let about =
        |name: &str| ["corrupt_", "reopen_"].into_iter().find(|about| name.starts_with(about)).unwrap_or_default();
    let stated = |source, suite: &str| -> Vec<&str> {
        let mut names: Vec<_> = bullets(source).into_iter().filter(|name| about(name) == suite).collect();
        names.sort_unstable();
        names
    };
    let tested = |names: &[&'static str]| -> Vec<&str> {
        let mut names = names.to_vec();
        names.sort_unstable();
        names
    };
    assert_eq!(stated(store, ""), tested(flipper::__store_behaviors!(names)));
    assert_eq!(stated(local, ""), tested(flipper::__local_behaviors!(names)));
    assert_eq!(stated(store, "reopen_"), tested(flipper::__reopened_behaviors!(names)));
    assert_eq!(stated(store, "corrupt_"), tested(flipper::__corrupt_behaviors!(names)));
    assert_eq!(stated(local, "corrupt_"), tested(flipper::__local_corrupt_behaviors!(names)));
    // So that a parser that finds no bullets fails.
    assert_eq!((bullets(store).len(), bullets(local).len()), (68, 13));
}
