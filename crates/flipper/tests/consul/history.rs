//! The history: its order, what it keeps, and other programs' writes.

use std::thread;
use std::time::Duration;

use flipper::history::{Entry, EntryId, FlagState, HistoryLimits, HistoryQuery};
use flipper::json::Object;
use flipper::store::{LocalFeatureFlagStore, Precondition, WriteOptions};
use flipper::{ConsulFeatureFlagStore, ErrorKind, FeatureFlagClient, FeatureFlagStore, FlagRecord};
use flipper_testkit::consul::{ConsulAgent, ConsulProxy, Fault};
use flipper_testkit::{block_on, wait_until};
use futures_util::TryStreamExt;
use serde_json::json;

use crate::{agent, bare, flag, random_base, store, wait_for};

fn remote(agent: &ConsulAgent, base: &str) -> ConsulFeatureFlagStore {
    bare(&agent.address()).base_key(base).unwrap()
}

async fn entries(store: &impl FeatureFlagStore) -> Vec<Entry> {
    store.history(&HistoryQuery::all()).await.unwrap().entries
}

fn shown(entries: &[Entry]) -> Vec<(&str, &str)> {
    entries.iter().map(|entry| (&*entry.verb, entry.source())).collect()
}

/// Also of a flag that this process has never read, and of one from before there was a history.
#[tokio::test]
async fn what_other_programs_write_is_a_gap() {
    let Some(agent) = agent() else { return };
    let base = random_base();
    let key = format!("{base}/F");
    agent.put(&key, flag("F", false).to_json().as_bytes());
    let features = FeatureFlagClient::remote(remote(&agent, &base));
    let all = async || -> Vec<Entry> { features.history("F").try_collect().await.unwrap() };
    assert!(all().await.is_empty());
    features.as_actor("alice").enable("F").await.unwrap();
    assert_eq!(shown(&all().await), [("enable", "program")]);
    assert_eq!(all().await[0].before, Some(Ok(flag("F", false).into())));
    // Past the library, whose process has the flag in memory.
    agent.put(&key, flag("F", false).to_json().as_bytes());
    assert_eq!(shown(&all().await), [("disable", "outside"), ("enable", "program")]);
    remote(&agent, &base).put(&flag("F", true), Precondition::Any.into()).await.unwrap();
    agent.delete(&key);
    features.create("F").await.unwrap();
    let found = all().await;
    let expected = [
        ("create", "program"),
        ("destroy", "outside"),
        // By a store without a cause.
        ("enable", "outside"),
        ("disable", "outside"),
        ("enable", "program"),
    ];
    assert_eq!(shown(&found), expected);
    // What another program has destroyed comes back.
    features.destroy("F").await.unwrap();
    features.restore("F", &all().await[0]).await.unwrap();
    assert!(features.fetch("F").await.unwrap().is_some());
}

/// A write without a condition compares too: its entry has the flag as it was.
#[tokio::test]
async fn writes_without_a_condition_are_repeated() {
    let Some(agent) = agent() else { return };
    let base = random_base();
    let (one, other) = (remote(&agent, &base), remote(&agent, &base));
    for round in 0..10 {
        one.put(&flag("F", round % 2 == 0), Precondition::Any.into()).await.unwrap();
        other.put(&flag("F", round % 2 == 1), Precondition::Any.into()).await.unwrap();
    }
    other.delete("F", Precondition::Any.into()).await.unwrap();
    one.delete("F", Precondition::Any.into()).await.unwrap();
    one.put(&flag("F", true), Precondition::Any.into()).await.unwrap();
    let mut state: FlagState = None;
    let all = entries(&one).await;
    assert_eq!(all.len(), 22);
    for entry in all.iter().rev() {
        assert_eq!(entry.before, state);
        state.clone_from(&entry.after);
    }
}

#[tokio::test]
async fn an_entry_takes_no_request_of_its_own() {
    let Some(agent) = agent() else { return };
    let base = random_base();
    let proxy = ConsulProxy::start(agent.port(), Fault::None);
    let features = FeatureFlagClient::remote(bare(&proxy.address()).base_key(&base).unwrap());
    // Now and then, a write also looks for what is too much.
    let asked = || {
        let mut heads = proxy.requests();
        heads.retain(|head| !head.contains("?keys"));
        heads.iter().map(|head| head.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    features.create("F").await.unwrap();
    features.enable("F").await.unwrap();
    features.destroy("F").await.unwrap();
    // A read and a write each, as without a history; a creation reads nothing.
    assert_eq!(asked(), ["PUT", "GET", "PUT", "GET", "PUT"], "{:?}", proxy.requests());
}

#[tokio::test]
async fn it_is_bounded() {
    let Some(agent) = agent() else { return };
    let base = random_base();
    let kept = |limits: HistoryLimits| remote(&agent, &base).history_limits(limits);
    let store = kept(HistoryLimits::default().entries(10));
    for round in 0..30 {
        store.put(&flag(&format!("F{}", round % 3), true), Precondition::Any.into()).await.unwrap();
    }
    let count = async || entries(&store).await.len();
    wait_until("the rest is deleted", || block_on(count()) == 10);
    let all = entries(&store).await;
    assert_eq!(&*all[0].name, "F2");
    // Another program's key is no entry.
    agent.put(&format!(".{base}.history/note"), b"hello");
    agent.put(&format!(".{base}.history/00/other"), b"{}");
    assert_eq!(entries(&store).await, all);
    let old = kept(HistoryLimits::default().entries(10).age(Duration::ZERO));
    tokio::time::sleep(Duration::from_millis(5)).await;
    old.put(&flag("F0", true), Precondition::Any.into()).await.unwrap();
    wait_until("all are too old", || block_on(count()) <= 1);
    for key in ["note", "00/other"] {
        assert!(agent.get(&format!(".{base}.history/{key}")).is_some(), "{key}");
    }
}

/// Of a writer whose clock was behind, after others.
#[tokio::test]
async fn an_old_entry_behind_younger_ones_costs_little() {
    let Some(agent) = agent() else { return };
    let base = random_base();
    let proxy = ConsulProxy::start(agent.port(), Fault::None);
    let store = bare(&proxy.address()).base_key(&base).unwrap().history_limits(HistoryLimits::default().entries(15));
    let asked = |what: &str| {
        let heads = proxy.requests();
        heads.iter().filter(|head| head.lines().next().is_some_and(|line| line.contains(what))).count()
    };
    for round in 0..10 {
        let before = asked("?keys");
        store.put(&flag("F", round % 2 == 0), Precondition::Any.into()).await.unwrap();
        wait_until("it is looked through", || asked("?keys") > before);
        if round == 2 {
            agent.put(&format!(".{base}.history/0123456789abcdef/0000000000010123456789abcdef"), b"{}");
        }
    }
    assert!((1..=2).contains(&asked("?recurse")), "{:?}", proxy.requests());
}

#[tokio::test]
async fn large_flags() {
    let Some(agent) = agent() else { return };
    let base = random_base();
    let store = store(&agent, &base).await;
    for (kilobytes, has_entry, has_states) in [(60, true, true), (200, true, false), (500, false, false)] {
        let name = format!("F{kilobytes}");
        let mut record = FlagRecord::new(&name, 0);
        let data: Object = [("text", "x".repeat(kilobytes * 1000))].into_iter().collect();
        record.set_client_data(data);
        store.put(&record, Precondition::Absent.into()).await.unwrap();
        record.set_enabled(true);
        store.put(&record, Precondition::Any.into()).await.unwrap();
        assert!(store.get(&name).await.unwrap().unwrap().record.unwrap().is_enabled());
        let entries = store.history(&HistoryQuery::of(&name)).await.unwrap().entries;
        assert_eq!(entries.len(), if has_entry { 2 } else { 0 }, "{kilobytes}");
        for entry in entries {
            assert_eq!(entry.after.is_some_and(|state| state.is_ok()), has_states, "{kilobytes}");
        }
        store.delete(&name, Precondition::Any.into()).await.unwrap();
        assert!(store.get(&name).await.unwrap().is_none());
        let entries = store.history(&HistoryQuery::of(&name)).await.unwrap().entries;
        assert_eq!((entries[0].after.is_none(), entries.len()), (true, if has_entry { 3 } else { 1 }), "{kilobytes}");
    }
}

/// Its keys are beside those that are followed.
#[tokio::test]
async fn followers_do_not_see_it() {
    let Some(agent) = agent() else { return };
    let base = format!("{}/features", random_base());
    let (here, writer) = (store(&agent, &base).await, remote(&agent, &base));
    for round in 0..20 {
        writer.put(&flag("F", round % 2 == 0), Precondition::Any.into()).await.unwrap();
        wait_for(&here, "F", Some(round % 2 == 0));
    }
    let folder = base.replace("/features", "/.features.history/");
    let status = here.status();
    for _ in 0..20 {
        agent.put(&format!("{folder}noise"), b"");
    }
    assert_eq!((here.table().list().len(), entries(&writer).await.len()), (1, 20));
    assert!(here.status().is_live() && status.corrupt.is_empty());
    assert_eq!(here.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_asked_for() {
    let Some(agent) = agent() else { return };
    let store = remote(&agent, &random_base());
    let before = |id: &str| HistoryQuery::all().before(Some(EntryId::new(id)));
    for id in ["", "x", "-1", "99999999999999999999"] {
        let error = store.history(&before(id)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    }
    let off = ConsulFeatureFlagStore::from_url("consul://127.0.0.1:1/features?history=off").unwrap();
    assert_eq!(off.history(&HistoryQuery::all()).await.unwrap_err().kind(), ErrorKind::Unsupported);
    let error = ConsulFeatureFlagStore::from_url("consul://127.0.0.1:1/features?history=no").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

/// The key of an entry has a hash of the name.
#[tokio::test]
async fn names_of_any_kind_have_entries() {
    let Some(agent) = agent() else { return };
    let store = remote(&agent, &random_base());
    for name in ["..", "é*", "\"quoted\\\"", "a b", &"N".repeat(255)] {
        store.put(&flag(name, true), WriteOptions::from(Precondition::Any)).await.unwrap();
        let found = store.history(&HistoryQuery::of(name)).await.unwrap().entries;
        assert_eq!((found.len(), &*found[0].name), (1, name));
    }
}

#[test]
fn eight_writers_leave_a_history_that_replays() {
    const WRITERS: usize = 8;
    const MERGES: usize = 200;
    let Some(agent) = agent() else { return };
    let base = random_base();
    let open = || remote(&agent, &base).history_limits(HistoryLimits::default().entries(10_000));
    let first = FeatureFlagClient::remote(open());
    block_on(first.create("F")).unwrap();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let features = FeatureFlagClient::builder().write_timeout(Duration::from_secs(120)).build_remote(open());
            scope.spawn(move || {
                let features = features.as_actor(format!("writer {writer}"));
                for number in 0..MERGES {
                    let data = json!({ format!("{writer}"): number });
                    // Other writers came first all the time.
                    while let Err(error) = block_on(features.set_client_data("F", data.clone())) {
                        assert!(error.is_transient(), "{error:?}");
                    }
                }
            });
        }
    });
    // Each page reads all that is kept of the flag.
    let entries: Vec<Entry> = block_on(first.entries(HistoryQuery::of("F").limit(1000)).try_collect()).unwrap();
    assert_eq!(entries.len(), WRITERS * MERGES + 1);
    let mut state: FlagState = None;
    for entry in entries.iter().rev() {
        assert_eq!(entry.before, state, "{entry:?} must begin with what the previous entry left");
        state.clone_from(&entry.after);
    }
    assert_eq!(state, block_on(first.fetch("F")).unwrap().map(Ok));
}
