//! The store over our server passes the conformance suite.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

use flipper::conformance::TwoConnections;
use flipper::history::HistoryQuery;
use flipper::{FeatureFlagStore, MemoryFeatureFlagStore, ThriftRpcFeatureFlagStore};
use flipper_thrift::Server;

fn serve() -> Server {
    Server::start("127.0.0.1:0", MemoryFeatureFlagStore::new()).unwrap()
}

fn client(server: &Server) -> ThriftRpcFeatureFlagStore {
    ThriftRpcFeatureFlagStore::new("127.0.0.1", server.local_addr().port())
}

/// A client knows of the server's history once it has asked.
async fn asked(client: ThriftRpcFeatureFlagStore) -> ThriftRpcFeatureFlagStore {
    client.history(&HistoryQuery::all()).await.unwrap();
    assert!(client.capabilities().history);
    client
}

flipper::store_conformance_tests!(buffered_binary, async || {
    let server = serve();
    (asked(client(&server)).await, server)
});

flipper::store_conformance_tests!(framed_compact, async || {
    let server = serve();
    (asked(client(&server).framed().compact()).await, server)
});

flipper::store_conformance_tests!(two_clients, async || {
    let server = serve();
    let one = asked(client(&server).framed()).await;
    let other = asked(client(&server).compact()).await;
    (TwoConnections::new(one, other), server)
});

flipper::store_conformance_tests!(over_sqlite, async || {
    let folder = tempfile::tempdir().unwrap();
    let store = flipper::SqliteFeatureFlagStore::new(folder.path().join("flags.db")).unwrap();
    let server = Server::start("127.0.0.1:0", store).unwrap();
    (asked(client(&server)).await, (server, folder))
});
