//! Who changed what, over Thrift.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use flipper::history::{Entry, HistoryQuery};
use flipper::store::Precondition;
use flipper::{
    CachedFeatureFlagStore, ErrorKind, FeatureFlagClient, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore,
    MirroredFeatureFlagStore, ThriftRpcFeatureFlagStore,
};
use flipper_thrift::Server;
use flipper_thrift_protocol::feature_flag_store::{FeatureFlagStoreMeta, WriteCause, WritePrecondition};
use futures_util::TryStreamExt;
use support::{Raw, block_on};

fn serve() -> (Server, Raw, ThriftRpcFeatureFlagStore) {
    let server = Server::start("127.0.0.1:0", MemoryFeatureFlagStore::new()).unwrap();
    let address = server.local_addr();
    let ours = ThriftRpcFeatureFlagStore::new("127.0.0.1", address.port());
    (server, Raw::connect(address), ours)
}

fn shown(entry: &Entry) -> (&str, Option<&str>, Option<&str>, &str) {
    (&entry.verb, entry.actor(), entry.reason(), entry.source())
}

#[test]
fn writes_of_all_clients() {
    let (_server, mut raw, ours) = serve();
    let flag = || Some("F".to_owned());
    raw.call(|client| client.create(flag(), Some(false), None)).unwrap();
    raw.call(|client| client.set(flag(), Some(true))).unwrap();
    raw.call(|client| client.set_meta(flag(), Some(FeatureFlagStoreMeta::new(None, None, None, None)))).unwrap();
    // As a client of before the history writes.
    let text = FlagRecord::new("F", 1).to_json();
    let any = |cause| Some(WritePrecondition { absent: None, unchanged: None, cause });
    raw.call(|client| client.compare_and_set(flag(), any(None), Some(text))).unwrap();
    // A newer client's verb.
    let cause = WriteCause { verb: Some("flip".into()), actor: None, reason: Some("new".into()), source: None };
    raw.call(|client| client.compare_and_set(flag(), any(Some(cause.clone())), None)).unwrap();
    let features = FeatureFlagClient::remote(ours).as_actor("alice").because("инцидент\n42").with_source("command");
    let entries: Vec<Entry> = block_on(async {
        features.create("F").await.unwrap();
        features.enable("F").await.unwrap();
        features.history("F").try_collect().await.unwrap()
    });
    let (alice, why) = (Some("alice"), Some("инцидент\n42"));
    assert_eq!(
        entries.iter().map(shown).collect::<Vec<_>>(),
        [
            ("enable", alice, why, "command"),
            ("create", alice, why, "command"),
            ("destroy", None, Some("new"), "thrift"),
            ("update", None, None, "outside"),
            ("update", None, None, "thrift"),
            ("enable", None, None, "thrift"),
            ("create", None, None, "thrift"),
        ]
    );
    let mut refused = |cause: WriteCause| {
        let refused = raw.call(|client| client.compare_and_set(flag(), any(Some(cause)), None));
        format!("{:?}", refused.unwrap_err())
    };
    let long = WriteCause { reason: Some("x".repeat(4097)), ..cause.clone() };
    assert_eq!(
        [refused(long), refused(WriteCause { actor: Some(String::new()), ..cause.clone() })]
            .map(|refused| (refused.contains("more than 4096"), refused.contains("actor is empty"))),
        [(true, false), (false, true)]
    );
}

#[test]
fn through_wrappers() {
    let (_server, _, ours) = serve();
    assert!(!ours.capabilities().history, "nothing was asked yet");
    let mirrored = MirroredFeatureFlagStore::new(ours.clone());
    block_on(flipper::store::LocalFeatureFlagStore::ready(&mirrored)).unwrap();
    assert!(mirrored.capabilities().history && ours.capabilities().history, "`Watch` says it");
    let cached = FeatureFlagClient::remote(CachedFeatureFlagStore::new(ours));
    let features = FeatureFlagClient::new(mirrored).as_actor("alice");
    block_on(async {
        features.create("A").await.unwrap();
        features.because("on").enable("A").await.unwrap();
        let last = cached.history("A").try_next().await.unwrap().unwrap();
        assert_eq!(shown(&last), ("enable", Some("alice"), Some("on"), "program"));
        cached.restore("A", &last).await.unwrap();
        let again = features.restore("A", &last).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::Conflict, "{again:?}");
    });
}

/// Large flags make pages short, and none is left out.
#[test]
fn large_entries_come_in_short_pages() {
    let (_server, _, store) = serve();
    block_on(async {
        for number in 0..30 {
            let mut record = FlagRecord::new("LARGE", 1);
            record.set_client_data([("text", "x".repeat(200_000)), ("n", number.to_string())].into_iter().collect());
            store.put(&record, Precondition::Any.into()).await.unwrap();
        }
        let page = store.history(&HistoryQuery::of("LARGE")).await.unwrap();
        assert!((1..30).contains(&page.entries.len()) && page.next.is_some(), "{}", page.entries.len());
        let all: Vec<Entry> = FeatureFlagClient::remote(store).history("LARGE").try_collect().await.unwrap();
        assert_eq!(all.len(), 30);
        assert!(all.windows(2).all(|pair| pair[0].before == pair[1].after));
    });
}

#[test]
fn wrong_questions() {
    let (_server, mut raw, ours) = serve();
    let refused = raw.call(|client| client.history(None, None, None, Some(-1))).unwrap_err();
    assert!(format!("{refused:?}").contains("limit is negative"), "{refused:?}");
    let page = raw.call(|client| client.history(None, None, None, None)).unwrap();
    assert_eq!(page.entries.map(|entries| entries.len()), Some(0));
    raw.call(|client| client.set(Some("F".into()), Some(true))).unwrap();
    let page = raw.call(|client| client.history(Some(String::new()), Some(0), Some(String::new()), Some(0))).unwrap();
    assert_eq!(page.entries.map(|entries| entries.len()), Some(1), "as clients in C++ and Go ask for all");
    let query = HistoryQuery::all().before(Some(flipper::history::EntryId::new("x")));
    let refused = block_on(ours.history(&query)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{refused:?}");
}
