//! The store over our server passes the conformance suite.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use flipper::conformance::TwoConnections;
use flipper::{
    CachedFeatureFlagStore, FeatureFlagStore, HttpFeatureFlagStore, MirroredFeatureFlagStore, SqliteFeatureFlagStore,
};
use flipper_testkit::{Nginx, PATIENCE};
use support::Running;

async fn asked(server: &Running) -> HttpFeatureFlagStore {
    known(server.store()).await
}

/// A client knows what the server keeps from its first answer on.
async fn known(store: HttpFeatureFlagStore) -> HttpFeatureFlagStore {
    store.get("ANY").await.unwrap();
    assert!(store.capabilities().history);
    store
}

flipper::store_conformance_tests!(over_memory, async || {
    let server = Running::memory();
    (asked(&server).await, server)
});

flipper::store_conformance_tests!(two_clients, async || {
    let server = Running::memory();
    (TwoConnections::new(asked(&server).await, asked(&server).await), server)
});

flipper::store_conformance_tests!(over_sqlite, async || {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteFeatureFlagStore::new(folder.path().join("flags.db")).unwrap();
    let server = Running::over(MirroredFeatureFlagStore::new(store));
    (asked(&server).await, (server, folder))
});

// A server over a server over a file.
flipper::store_conformance_tests!(relayed, async || {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteFeatureFlagStore::new(folder.path().join("flags.db")).unwrap();
    let first = Running::over(MirroredFeatureFlagStore::new(store));
    let second = Running::over(MirroredFeatureFlagStore::new(asked(&first).await));
    (asked(&second).await, (second, first, folder))
});

// It buffers answers, and changes paths.
flipper::store_conformance_tests!(behind_nginx, async || {
    let server = Running::memory();
    let nginx = Nginx::before(server.address)?;
    let store = HttpFeatureFlagStore::builder(nginx.url()).timeout(PATIENCE).build().unwrap();
    Some((known(store).await, (nginx, server)))
});

flipper::local_store_conformance_tests!(mirrored, async || {
    let server = Running::memory();
    (MirroredFeatureFlagStore::new(asked(&server).await), server)
});

flipper::store_conformance_tests!(cached, async || {
    let server = Running::memory();
    (CachedFeatureFlagStore::new(asked(&server).await), server)
});
