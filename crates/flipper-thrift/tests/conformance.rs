//! The store, over our server, shows every behaviour of the contract.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

use flipper::conformance::TwoConnections;
use flipper::{MemoryFeatureFlagStore, ThriftRpcFeatureFlagStore, ThriftRpcOptions};
use flipper_thrift::Server;

fn serve() -> Server {
    Server::start("127.0.0.1:0", MemoryFeatureFlagStore::new()).unwrap()
}

fn client(server: &Server, options: ThriftRpcOptions) -> ThriftRpcFeatureFlagStore {
    ThriftRpcFeatureFlagStore::with_options("127.0.0.1", server.local_addr().port(), options)
}

flipper::store_conformance_tests!(buffered_binary, async || {
    let server = serve();
    (client(&server, ThriftRpcOptions::new()), server)
});

flipper::store_conformance_tests!(framed_compact, async || {
    let server = serve();
    (client(&server, ThriftRpcOptions::new().framed().compact()), server)
});

flipper::store_conformance_tests!(two_clients, async || {
    let server = serve();
    let one = client(&server, ThriftRpcOptions::new().framed());
    let other = client(&server, ThriftRpcOptions::new().compact());
    (TwoConnections::new(one, other), server)
});

flipper::store_conformance_tests!(over_sqlite, async || {
    let folder = tempfile::tempdir().unwrap();
    let store = flipper::SqliteFeatureFlagStore::new(folder.path().join("flags.db")).unwrap();
    let server = Server::start("127.0.0.1:0", store).unwrap();
    (client(&server, ThriftRpcOptions::new()), (server, folder))
});
