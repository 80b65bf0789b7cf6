//! The store over our server passes the conformance suite.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

use flipper::conformance::TwoConnections;
use flipper::{MemoryFeatureFlagStore, ThriftRpcFeatureFlagStore};
use flipper_thrift::Server;

fn serve() -> Server {
    Server::start("127.0.0.1:0", MemoryFeatureFlagStore::new()).unwrap()
}

fn client(server: &Server) -> ThriftRpcFeatureFlagStore {
    ThriftRpcFeatureFlagStore::new("127.0.0.1", server.local_addr().port())
}

flipper::store_conformance_tests!(buffered_binary, async || {
    let server = serve();
    (client(&server), server)
});

flipper::store_conformance_tests!(framed_compact, async || {
    let server = serve();
    (client(&server).framed().compact(), server)
});

flipper::store_conformance_tests!(two_clients, async || {
    let server = serve();
    let one = client(&server).framed();
    let other = client(&server).compact();
    (TwoConnections::new(one, other), server)
});

flipper::store_conformance_tests!(over_sqlite, async || {
    let folder = tempfile::tempdir().unwrap();
    let store = flipper::SqliteFeatureFlagStore::new(folder.path().join("flags.db")).unwrap();
    let server = Server::start("127.0.0.1:0", store).unwrap();
    (client(&server), (server, folder))
});
