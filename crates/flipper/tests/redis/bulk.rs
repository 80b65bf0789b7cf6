use flipper::store::Precondition;
use flipper::{ErrorKind, FeatureFlagStore, RedisFeatureFlagStore};
use flipper_testkit::block_on;
use flipper_testkit::redis::{RedisCluster, RedisServer};
use redis::ProtocolVersion;
use redis::cluster::ClusterClient;

use crate::{flag, store};

#[test]
fn a_server_that_does_not_know_the_script() {
    let Some(server) = RedisServer::start() else { return };
    let store = store(&server.url());
    let flags: Vec<_> = (0..2000).map(|number| flag(&format!("F{number:04}"), true)).collect();
    for round in 1..=2 {
        server.command(&["SCRIPT", "FLUSH"]);
        let results = block_on(store.put_all(&flags, Precondition::Any.into()));
        assert!(results.iter().all(Result::is_ok));
        // Each of the four pipelines sends the script once.
        assert_eq!(server.calls("eval"), 4 * round);
    }
    assert_eq!(block_on(store.list()).unwrap().len(), 2000);
}

#[test]
fn large_flags_go_in_small_pipelines() {
    let Some(server) = RedisServer::start() else { return };
    let store = store(&server.url());
    let large = |number: usize| {
        let mut record = flag(&format!("F{number:02}"), true);
        record.set_client_data([("pad", "x".repeat(200_000))].into_iter().collect());
        record
    };
    let flags: Vec<_> = (0..40).map(large).collect();
    let results = block_on(store.put_all(&flags, Precondition::Absent.into()));
    assert!(results.iter().all(Result::is_ok));
    // Six of them exceed a MiB.
    assert_eq!(server.calls("eval"), 7);
}

#[test]
fn a_dead_server_is_an_error_of_every_flag() {
    let Some(mut server) = RedisServer::start() else { return };
    let store = store(&server.url());
    let flags = [flag("A", true), flag("B", true)];
    assert!(block_on(store.put_all(&flags, Precondition::Any.into())).iter().all(Result::is_ok));
    server.kill();
    for (result, flag) in block_on(store.put_all(&flags, Precondition::Any.into())).into_iter().zip(&flags) {
        let error = result.unwrap_err();
        assert_eq!((error.kind(), error.flag()), (ErrorKind::Unavailable, Some(flag.name())));
        assert!(error.store().is_some() && error.is_transient());
    }
    server.restart();
    assert!(block_on(store.put_all(&flags, Precondition::Any.into())).iter().all(Result::is_ok));
}

#[test]
fn a_cluster_takes_them_too() {
    let Some(cluster) = RedisCluster::start() else { return };
    let client = ClusterClient::builder(cluster.urls()).use_protocol(ProtocolVersion::RESP3).build().unwrap();
    let store = RedisFeatureFlagStore::new(client);
    let flags: Vec<_> = (0..600).map(|number| flag(&format!("F{number:03}"), true)).collect();
    assert!(block_on(store.put_all(&flags, Precondition::Absent.into())).iter().all(Result::is_ok));
    assert_eq!(block_on(store.list()).unwrap().len(), 600);
    let again = block_on(store.put_all(&flags[..2], Precondition::Absent.into()));
    assert!(again.iter().all(|result| result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Conflict)));
}
