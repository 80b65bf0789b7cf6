//! The writes of all clients go through one client of the server, which has subscribers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::{Arc, Mutex};

use flipper::events::{Post, Pre, Verb, WriteEvent};
use flipper::store::Precondition;
use flipper::{
    ErrorKind, FeatureFlagClient, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore, ThriftRpcFeatureFlagStore,
};
use flipper_thrift::Server;
use flipper_thrift_protocol::feature_flag_store::FeatureFlagStoreMeta;
use support::{Raw, block_on};

fn serve() -> (Server, Raw, ThriftRpcFeatureFlagStore) {
    let server = Server::start("127.0.0.1:0", MemoryFeatureFlagStore::new()).unwrap();
    let address = server.local_addr();
    let ours = ThriftRpcFeatureFlagStore::new("127.0.0.1", address.port());
    (server, Raw::connect(address), ours)
}

#[test]
fn subscribers_of_the_server_receive_every_write() {
    let (server, mut raw, ours) = serve();
    let received = Arc::new(Mutex::new(Vec::new()));
    let list = received.clone();
    let _subscription = server.features().subscribe(Post(move |event: &WriteEvent| {
        list.lock().unwrap().push(format!("{} {:?}", event.name(), event.verb()));
    }));
    let received = || std::mem::take(&mut *received.lock().unwrap());
    let (flag, data) = (|| Some("F".to_owned()), |text: &str| Some(text.to_owned()));

    let made = raw.call(|client| client.create(flag(), Some(true), data(r#"{"a": 1}"#))).unwrap();
    assert!(made.meta.unwrap().created_date > Some(1_700_000_000));
    let [created] = &received()[..] else { panic!("not one") };
    assert!(created.starts_with("F Create { is_enabled: true, client_data: Some("), "{created}");
    raw.call(|client| client.set(flag(), Some(false))).unwrap();
    raw.call(|client| client.set(Some("NEW".to_owned()), Some(true))).unwrap();
    assert_eq!(received(), ["F Disable", "NEW Create { is_enabled: true, client_data: None }"]);
    raw.call(|client| client.set_meta(flag(), Some(FeatureFlagStoreMeta::new(None, None, None, None)))).unwrap();
    assert_eq!(received(), ["F Update"]);
    raw.call(|client| client.set_client_data(flag(), data(r#"{"b": NaN}"#))).unwrap();
    let [merged] = &received()[..] else { panic!("not one") };
    assert!(merged.starts_with("F SetClientData(") && merged.contains("NaN"), "{merged}");
    raw.call(|client| client.delete(flag())).unwrap();
    assert_eq!(received(), ["F Destroy"]);

    block_on(async {
        let version = ours.put(&FlagRecord::new("F", 1), Precondition::Absent.into()).await.unwrap();
        let version = ours.put(&FlagRecord::new("F", 2), Precondition::Unchanged(version).into()).await.unwrap();
        ours.put(&FlagRecord::new("F", 3), Precondition::Absent.into()).await.unwrap_err();
        ours.delete("F", Precondition::Unchanged(version).into()).await.unwrap();
    });
    let received = received();
    assert!(received[0].starts_with("F Create {"), "{received:?}");
    assert_eq!(received[1..], ["F Update", "F Destroy"]);
}

#[test]
fn a_subscriber_of_the_server_vetoes_writes() {
    let (server, mut raw, ours) = serve();
    let _subscription = server.features().subscribe(Pre(|event: &WriteEvent| match event.verb() {
        Verb::Create { .. } => Ok(()),
        _ => Err("flags stay as they are here".into()),
    }));
    raw.call(|client| client.create(Some("F".to_owned()), Some(true), None)).unwrap();
    let error = raw.call(|client| client.set(Some("F".to_owned()), Some(false))).unwrap_err();
    assert!(format!("{error:?}").contains("flags stay as they are here"), "{error:?}");
    let features = FeatureFlagClient::remote(ours);
    block_on(async {
        let error = features.destroy("F").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Vetoed);
        assert!(features.fetch("F").await.unwrap().unwrap().is_enabled());
    });
}
