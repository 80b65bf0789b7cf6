//! The writes of all clients go through one client of the server, which has subscribers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::{Arc, Mutex};

use flipper::evaluation::Operator;
use flipper::events::{Post, Pre, Verb, WriteEvent};
use flipper::store::Precondition;
use flipper::targeting::{Rule, Serve, Test, When};
use flipper::{
    ErrorKind, FeatureFlagClient, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore, ThriftRpcFeatureFlagStore,
    context,
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

#[test]
fn a_segment_of_a_hundred_thousand_callers_is_no_flag_for_python() {
    let (_server, mut raw, ours) = serve();
    // As long as UUIDs.
    let ids: Vec<_> = (0..100_000).map(|number| format!("{number:036}")).collect();
    let when = When::check("id", Test::Compare(Operator::In, ids.clone().into()));
    block_on(async {
        let features = FeatureFlagClient::remote(ours);
        features.set_segment("large", when.clone()).await.unwrap();
        features.create("F").enabled(true).await.unwrap();
        let rules = [Rule::new(Serve::On).when(When::Segment("large".into())), Rule::new(Serve::Off)];
        features.set_rules("F", rules).await.unwrap();
        for (id, expected) in [(&*ids[99_999], true), ("other", false)] {
            assert_eq!(features.fetch_enabled("F", &context! { id: id }).await.unwrap(), expected, "{id}");
        }
    });
    // It would find the flag on for all callers.
    let listed = raw.call(|client| client.list(None, None)).unwrap();
    let listed: Vec<_> = listed.into_iter().map(|item| (item.feature_name.unwrap(), item.is_enabled)).collect();
    assert_eq!(listed, [("F".to_owned(), Some(false))]);
    assert_eq!(raw.call(|client| client.get(Some("F".to_owned()))).unwrap().is_enabled, Some(false));
    assert_eq!(raw.call(|client| client.get(Some("segments/large".to_owned()))).unwrap().is_enabled, Some(false));
}
