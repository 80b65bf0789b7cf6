use std::time::{Duration, Instant};

use flipper::store::Precondition;
use flipper::{ConsulClient, ConsulFeatureFlagStore, ErrorKind, FeatureFlagClient, FeatureFlagStore};
use flipper_testkit::consul::{ConsulAgent, ConsulProxy, Fault};
use flipper_testkit::{PATIENCE, wait_until};

use crate::{
    Connect as _, Mirror, agent, bare, flag, names, random_base, stale, state, wait_for, wait_until_live,
    wait_until_stale,
};

#[tokio::test]
async fn killed_and_restarted_with_its_data() {
    let Some(mut agent) = ConsulAgent::start() else { return };
    let store = bare(&agent.address()).connect().await.unwrap();
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    agent.kill();
    wait_until_stale(&store);
    assert_eq!(state(&store, "F"), Some(true));
    let error = store.put(&flag("F", false), Precondition::Any.into()).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.is_transient(), "{error:?}");
    agent.restart();
    // Also a write before the watch follows again.
    agent.put("features/F", flag("F", false).to_json().as_bytes());
    wait_until_live(&store);
    wait_for(&store, "F", Some(false));
    store.put(&flag("F", true), Precondition::Any.into()).await.unwrap();
    assert_eq!(state(&store, "F"), Some(true));
    agent.put("features/G", flag("G", true).to_json().as_bytes());
    wait_for(&store, "G", Some(true));
}

#[tokio::test]
async fn many_writes_end_with_the_agent() {
    let Some(agent) = agent() else { return };
    let proxy = ConsulProxy::start(agent.port(), Fault::Answer(500, String::new(), "no cluster leader".to_owned()));
    let client = ConsulClient::builder().address(proxy.address()).build().unwrap();
    let store = ConsulFeatureFlagStore::new(client).base_key(random_base()).unwrap();
    let flags: Vec<_> = (0..1000).map(|number| flag(&format!("F{number}"), true)).collect();
    let results = store.put_all(&flags, Precondition::Any.into()).await;
    assert_eq!(results.len(), flags.len());
    for (result, flag) in results.iter().zip(&flags) {
        let error = result.as_ref().unwrap_err();
        assert_eq!((error.kind(), error.flag()), (ErrorKind::Unavailable, Some(flag.name())));
        assert_eq!(error.to_string().matches("flag ").count(), 1, "{error}");
    }
    let requests = proxy.requests().len();
    assert!(requests < 100, "{requests} requests, though the first showed the failure");
}

#[tokio::test]
async fn killed_and_restarted_empty() {
    let Some(mut agent) = ConsulAgent::start() else { return };
    let store = bare(&agent.address()).connect().await.unwrap();
    for round in 0..30 {
        store.put(&flag("F", round % 2 == 0), Precondition::Any.into()).await.unwrap();
    }
    let before = store.put(&flag("G", true), Precondition::Any.into()).await.unwrap();
    agent.restart_empty();
    wait_until("the flags are in doubt", || stale(&store).is_some_and(|reason| reason.contains("2 of 2 flags")));
    assert_eq!(state(&store, "F"), Some(false));
    // The index starts over, and a write counts all the same.
    let after = store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    assert!(after.as_ordered() < before.as_ordered());
    assert_eq!(state(&store, "F"), Some(true));
    agent.put("features/F", flag("F", false).to_json().as_bytes());
    wait_for(&store, "F", Some(false));
    assert_eq!(names(&store.list().await.unwrap()), ["F"]);
    // A version from before the restart matches nothing.
    let error = store.put(&flag("G", true), Precondition::Unchanged(before).into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    agent.put("features/G", flag("G", true).to_json().as_bytes());
    wait_until_live(&store);
}

#[tokio::test]
async fn stopped_and_continued() {
    let Some(agent) = ConsulAgent::start() else { return };
    let timeout = Duration::from_millis(500);
    let client = ConsulClient::builder().address(agent.address()).timeout(timeout).build().unwrap();
    let store = ConsulFeatureFlagStore::new(client).wait(Duration::from_secs(1)).connect().await.unwrap();
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    agent.pause();
    let stopped = Instant::now();
    // Without a write, only the missing answer shows it.
    wait_until_stale(&store);
    assert!(stopped.elapsed() < PATIENCE);
    let began = Instant::now();
    let error = store.put(&flag("F", false), Precondition::Any.into()).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.is_transient(), "{error:?}");
    assert!(began.elapsed() < PATIENCE);
    assert_eq!(state(&store, "F"), Some(true));
    agent.resume();
    wait_until_live(&store);
    // The outcome of the write is unknown; memory must come to what Consul has.
    let deadline = Instant::now() + PATIENCE;
    let there = async || Some(store.get("F").await.ok()??.record.ok()?.is_enabled());
    while there().await.is_none_or(|there| state(&store, "F") != Some(there)) {
        assert!(Instant::now() < deadline, "memory does not have what Consul has");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A failed write shows that the pending query will not be answered either.
#[tokio::test]
async fn a_write_that_fails_makes_it_stale() {
    let Some(agent) = ConsulAgent::start() else { return };
    let client = ConsulClient::builder().address(agent.address()).timeout(Duration::from_millis(300)).build().unwrap();
    let store = ConsulFeatureFlagStore::new(client).connect().await.unwrap();
    agent.pause();
    let failed = store.put(&flag("F", true), Precondition::Any.into()).await;
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Unavailable);
    // Long before the query's wait of a minute is over.
    wait_until_stale(&store);
    agent.resume();
    wait_until_live(&store);
}

#[tokio::test]
async fn faults_of_a_proxy() {
    let Some(agent) = agent() else { return };
    let base = random_base();
    let proxy = ConsulProxy::start(agent.port(), Fault::None);
    let store = bare(&proxy.address()).base_key(&base).unwrap().connect().await.unwrap();
    let features = FeatureFlagClient::new(store.clone());
    features.create("F").enabled(true).await.unwrap();
    let index = "X-Consul-Index: 1000000\r\n";
    let no_error = |text: &str| Fault::Answer(200, index.to_owned(), text.to_owned());
    let faults = [
        Fault::Answer(500, String::new(), "rpc error making call: EOF".to_owned()),
        Fault::Answer(503, index.to_owned(), String::new()),
        Fault::Answer(429, String::new(), "slow down".to_owned()),
        Fault::Answer(404, String::new(), "no such page".to_owned()),
        Fault::Answer(301, "Location: /elsewhere\r\n".to_owned(), String::new()),
        Fault::Half,
        no_error("<html>"),
        no_error("{"),
        no_error("[{\"Key\": 7}]"),
        no_error(&format!("[{{\"Key\": \"{base}/F\", \"ModifyIndex\": 9, \"Value\": \"%\"}}]")),
        Fault::Answer(200, "X-Consul-Index: many\r\n".to_owned(), "[]".to_owned()),
    ];
    for (round, fault) in faults.into_iter().enumerate() {
        let before = proxy.requests().len();
        proxy.fault(fault.clone());
        wait_until_stale(&store);
        // The second request shows that the first answer was processed.
        wait_until("the fault is met twice", || {
            proxy.requests()[before..].iter().filter(|head| head.contains("?recurse")).count() >= 2
        });
        assert!(features.is_enabled("F"), "{fault:?}");
        let refused = features.disable("F").await;
        assert!(refused.is_err(), "{fault:?}");
        assert!(features.is_enabled("F"), "{fault:?}");
        let name = format!("N{round}");
        agent.put(&format!("{base}/{name}"), flag(&name, true).to_json().as_bytes());
        proxy.fault(Fault::None);
        wait_for(&store, &name, Some(true));
        wait_until_live(&store);
        // The outcome of a write is unknown if its answer cannot be read.
        let there = features.fetch_enabled("F", &flipper::context! {}).await.unwrap();
        wait_for(&store, "F", Some(there));
        features.enable("F").await.unwrap();
    }
}

#[tokio::test]
async fn an_agent_that_is_away_causes_no_busy_loop() {
    let proxy = ConsulProxy::start(1, Fault::Answer(500, String::new(), String::new()));
    let store = Mirror::new(bare(&proxy.address()));
    wait_until("it tries again", || proxy.requests().len() >= 3);
    let before = proxy.requests().len();
    tokio::time::sleep(Duration::from_secs(1)).await;
    // The pauses are random, up to 50 ms, 100 ms, 200 ms …: some five attempts fit, and a loop without pauses makes thousands.
    let attempts = proxy.requests().len() - before;
    assert!(attempts < 30, "{attempts} attempts in a second");
    drop(store);
}

#[tokio::test]
async fn a_flag_that_is_too_large() {
    let Some(agent) = agent() else { return };
    let base = random_base();
    let proxy = ConsulProxy::start(agent.port(), Fault::None);
    let store = bare(&proxy.address()).base_key(&base).unwrap().connect().await.unwrap();
    let with = |bytes: usize| {
        let mut record = flag("F", true);
        let mut data = flipper::json::Object::new();
        data.insert("text", "x".repeat(bytes));
        record.set_client_data(data);
        record
    };
    let asked = proxy.requests().iter().filter(|head| head.starts_with("PUT")).count();
    let error = store.put(&with(512 * 1024), Precondition::Any.into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("524288"), "{error}");
    assert_eq!(proxy.requests().iter().filter(|head| head.starts_with("PUT")).count(), asked);
    // Fits into a key, but not into a transaction.
    for bytes in [390 * 1024, 511 * 1024] {
        let record = with(bytes);
        let version = store.put(&record, Precondition::Any.into()).await.unwrap();
        let found = store.get("F").await.unwrap().unwrap();
        assert_eq!(found.version, version);
        assert_eq!(found.record.unwrap().to_json(), record.to_json());
        let conflict = store.put(&record, Precondition::Absent.into()).await.unwrap_err();
        assert_eq!(conflict.kind(), ErrorKind::Conflict);
        let newer = store.put(&flag("F", false), Precondition::Unchanged(version.clone()).into()).await.unwrap();
        let conflict = store.put(&record, Precondition::Unchanged(version).into()).await.unwrap_err();
        assert_eq!(conflict.kind(), ErrorKind::Conflict);
        store.delete("F", Precondition::Unchanged(newer).into()).await.unwrap();
    }
}
