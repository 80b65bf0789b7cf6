//! The store over our server passes the conformance suite.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use flipper::conformance::TwoConnections;
use flipper::{MirroredFeatureFlagStore, SqliteFeatureFlagStore};
use support::Running;

flipper::store_conformance_tests!(over_memory, async || {
    let server = Running::memory();
    (server.store(), server)
});

flipper::store_conformance_tests!(two_clients, async || {
    let server = Running::memory();
    (TwoConnections::new(server.store(), server.store()), server)
});

flipper::store_conformance_tests!(over_sqlite, async || {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteFeatureFlagStore::new(folder.path().join("flags.db")).unwrap();
    let server = Running::over(MirroredFeatureFlagStore::new(store));
    (server.store(), (server, folder))
});

// A server over a server over a file.
flipper::store_conformance_tests!(relayed, async || {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteFeatureFlagStore::new(folder.path().join("flags.db")).unwrap();
    let first = Running::over(MirroredFeatureFlagStore::new(store));
    let second = Running::over(MirroredFeatureFlagStore::new(first.store()));
    (second.store(), (second, first, folder))
});

flipper::local_store_conformance_tests!(mirrored, async || {
    let server = Running::memory();
    (MirroredFeatureFlagStore::new(server.store()), server)
});
