use flipper::events::Change;
use flipper::store::{LocalFeatureFlagStore, Precondition, Updates};
use flipper::{FeatureFlagClient, FeatureFlagStore};
use flipper_testkit::consul::{ConsulProxy, Fault};
use flipper_testkit::{Child, Role, wait_until};
use futures_util::StreamExt;

use crate::{Connect as _, agent, bare, flag, make_lists_large, names, random_base, state, store, wait_for};

const CREATED: usize = 1_000;
const DESTROYED: usize = 500;

pub(crate) fn change(role: &Role) {
    let [address, base] = &*role.arguments else { panic!("{:?}", role.arguments) };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let features = FeatureFlagClient::new(bare(address).base_key(base).unwrap().connect().await.unwrap());
        for number in 0..CREATED {
            features.create(format!("F{number:04}")).enabled(number % 2 == 0).await.unwrap();
        }
        for number in 0..DESTROYED {
            features.destroy(&format!("F{number:04}")).await.unwrap();
        }
        role.say("done");
        role.hear();
    });
}

#[tokio::test]
async fn foreign_creations_and_deletions_arrive() {
    let Some(agent) = agent() else { return };
    let base = random_base();
    let store = store(&agent, &base).await;
    let child = Child::spawn("change", &[&agent.address(), &base]);
    child.expect("done");
    wait_until("the same flags are here", || store.table().list().len() == CREATED - DESTROYED);
    let (here, there) = (store.table().list(), store.list().await.unwrap());
    assert_eq!(names(&here), names(&there));
    for (here, there) in here.iter().zip(&there) {
        assert_eq!((&here.version, &here.record), (&there.version, &there.record));
    }
    assert!(store.status().is_live());
    assert_eq!(store.status().updates, Updates::Push);
}

#[tokio::test]
async fn own_writes_are_in_memory_when_they_return() {
    let Some(agent) = agent() else { return };
    let base = random_base();
    let features = FeatureFlagClient::new(store(&agent, &base).await);
    for round in 0..50 {
        let name = format!("F{round}");
        features.create(&name).enabled(true).await.unwrap();
        assert!(features.is_enabled(&name));
        features.disable(&name).await.unwrap();
        assert!(!features.is_enabled(&name) && features.exists(&name));
        features.destroy(&name).await.unwrap();
        assert!(!features.exists(&name));
    }
}

#[tokio::test]
async fn an_older_state_never_replaces_an_own_write() {
    let Some(agent) = agent() else { return };
    let base = random_base();
    let store = store(&agent, &base).await;
    let features = FeatureFlagClient::new(store.clone());
    features.create("F").await.unwrap();
    let mut changes = features.changes();
    for round in 1..=200_u64 {
        features.set_client_data("F", serde_json::json!({ "round": round })).await.unwrap();
    }
    features.create("LAST").await.unwrap();
    let mut last = 0;
    loop {
        match changes.next().await.unwrap() {
            Change::Set { name, record } if name == "F" => {
                let round = record.client_data().get("round").and_then(flipper::json::Json::as_i64).unwrap_or(0);
                assert!(round >= last, "{round} after {last}");
                last = round;
            }
            Change::Set { name, .. } if name == "LAST" => break,
            _ => {}
        }
    }
    assert_eq!(last, 200);
}

/// Both fall between two answers, which are then identical.
#[tokio::test]
async fn an_own_flag_that_is_deleted_at_once_goes_missing() {
    let Some(agent) = agent() else { return };
    for flags in [0, 200] {
        let base = random_base();
        for number in 0..flags {
            agent.put(&format!("{base}/N{number}"), flag("N", true).to_json().as_bytes());
        }
        let proxy = ConsulProxy::start(agent.port(), Fault::None);
        let here = bare(&proxy.address()).base_key(&base).unwrap().connect().await.unwrap();
        let there = store(&agent, &base).await;
        for round in 0..5 {
            proxy.hold("?recurse");
            let name = format!("F{round}");
            here.put(&flag(&name, true), Precondition::Absent.into()).await.unwrap();
            if round % 2 == 0 {
                agent.delete(&format!("{base}/{name}"));
            } else {
                there.delete(&name, Precondition::Any.into()).await.unwrap();
            }
            proxy.release();
            wait_for(&here, &name, None);
        }
        assert!(here.status().is_live());
    }
}

#[tokio::test]
async fn writes_without_this_library_arrive() {
    let Some(agent) = agent() else { return };
    let base = random_base();
    let store = store(&agent, &base).await;
    let key = format!("{base}/F");
    for enabled in [true, false, true] {
        agent.put(&key, flag("F", enabled).to_json().as_bytes());
        wait_for(&store, "F", Some(enabled));
    }
    agent.delete(&key);
    wait_for(&store, "F", None);
    agent.put(&key, flag("F", true).to_json().as_bytes());
    wait_for(&store, "F", Some(true));
    agent.ask("DELETE", &format!("/v1/kv/{base}?recurse"), b"");
    wait_for(&store, "F", None);
    assert!(store.status().is_live());
}

/// The proxy holds back the answer with all flags, so only the hint can bring the change.
#[tokio::test]
async fn a_change_among_many_flags_comes_by_the_hint() {
    let Some(agent) = agent() else { return };
    let base = random_base();
    for number in 0..140 {
        let name = format!("F{number}");
        agent.put(&format!("{base}/{name}"), flag(&name, false).to_json().as_bytes());
    }
    let proxy = ConsulProxy::start(agent.port(), Fault::None);
    let here = bare(&proxy.address()).base_key(&base).unwrap().connect().await.unwrap();
    let writer = store(&agent, &base).await;
    writer.put(&flag("F0", true), Precondition::Any.into()).await.unwrap();
    wait_for(&here, "F0", Some(true));
    let waits_for_hint = || {
        proxy
            .requests()
            .iter()
            .any(|head| head.contains(&format!("/v1/kv/.{base}.changed?")) && head.contains("index="))
    };
    wait_until("it waits for the hint", waits_for_hint);
    let before = proxy.requests().len();
    proxy.hold("?recurse");
    for round in 1..20 {
        let name = format!("F{round}");
        writer.put(&flag(&name, true), Precondition::Any.into()).await.unwrap();
        wait_for(&here, &name, Some(true));
        writer.delete(&name, Precondition::Any.into()).await.unwrap();
        wait_for(&here, &name, None);
    }
    let reads =
        proxy.requests()[before..].iter().filter(|head| head.starts_with(&format!("GET /v1/kv/{base}/F"))).count();
    assert!(reads >= 38, "{reads} flags were read one by one");
    // Only the list of all flags shows a write that is not through this library.
    agent.put(&format!("{base}/F30"), flag("F30", true).to_json().as_bytes());
    proxy.release();
    wait_for(&here, "F30", Some(true));
    assert_eq!(state(&here, "F1"), None);
    assert_eq!(names(&here.table().list()), names(&here.list().await.unwrap()));
}

#[tokio::test]
async fn a_hint_lies_beside_the_base_key() {
    let Some(agent) = agent() else { return };
    let base = random_base();
    make_lists_large(&agent, &format!("{base}/features"));
    let store = store(&agent, &format!("{base}/features")).await;
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    let hint = agent.get(&format!("{base}/.features.changed")).unwrap();
    assert!(hint.ends_with(" F\n"), "{hint:?}");
    // A name that no hint can carry is deleted without one, and affects no other flag.
    store.delete("a\nb", Precondition::Any.into()).await.unwrap();
    store.put(&flag("G", true), Precondition::Absent.into()).await.unwrap();
    assert!(agent.get(&format!("{base}/.features.changed")).unwrap().contains(" G\n"));
    store.delete("G", Precondition::Any.into()).await.unwrap();
    // What the Python library takes for its flags.
    let keys = agent.ask("GET", &format!("/v1/kv/{base}/features/?keys"), b"").body;
    assert_eq!(keys.matches('"').count(), 2, "{keys}");
}
