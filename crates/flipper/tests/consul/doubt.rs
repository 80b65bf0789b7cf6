//! When the watch emits `Lost` and `Confirmed`; a proxy that only ends a query causes no `Lost`.

use std::pin::pin;
use std::time::{Duration, Instant};

use flipper::store::{Precondition, Watch, WatchEvent};
use flipper::{ConsulClient, ConsulFeatureFlagStore, FeatureFlagStore};
use flipper_testkit::PATIENCE;
use flipper_testkit::consul::{ConsulAgent, ConsulProxy, Fault};
use futures_util::StreamExt;

use crate::{agent, bare, flag, random_base, store};

const WAIT: Duration = Duration::from_millis(1200);

/// How long a busy machine may keep a test from its processor.
const LATE: Duration = Duration::from_secs(3);

fn following(proxy: &ConsulProxy, base: &str) -> ConsulFeatureFlagStore {
    bare(&proxy.address()).base_key(base).unwrap().wait(WAIT)
}

/// The first event for which `of` returns a value.
async fn next<T>(watch: &mut Watch<'_>, mut of: impl FnMut(WatchEvent) -> Option<T>) -> T {
    let mut found = pin!(async {
        loop {
            if let Some(found) = of(watch.next().await.unwrap()) {
                return found;
            }
        }
    });
    tokio::time::timeout(PATIENCE, &mut found).await.unwrap()
}

fn refuse_lost(event: &WatchEvent) {
    assert!(!matches!(event, WatchEvent::Lost(_)), "{event:?}");
}

/// Load balancers do this, many of them after 60 s.
#[tokio::test]
async fn a_proxy_that_ends_queries_is_no_outage() {
    let Some(agent) = agent() else { return };
    for end in [Some(504), Some(502), Some(503), None] {
        let base = random_base();
        let proxy = ConsulProxy::start(agent.port(), Fault::EndWaits(Duration::from_millis(400), end));
        let remote = following(&proxy, &base).wait(Duration::from_secs(10));
        let writer = store(&agent, &base).await;
        // An empty folder has the index of all keys, which other tests change.
        writer.put(&flag("F", false), Precondition::Any.into()).await.unwrap();
        let mut watch = remote.watch();
        // After each query that ends early comes a list. On a busy machine one may take so long that it is an outage, but not each.
        let mut in_a_row = 0;
        for _ in 0..40 {
            in_a_row = next(&mut watch, |event| match event {
                WatchEvent::Reset { .. } => Some(in_a_row + 1),
                WatchEvent::Lost(_) => Some(0),
                _ => None,
            })
            .await;
            if in_a_row == 4 {
                break;
            }
        }
        assert_eq!(in_a_row, 4, "lists after queries that end with {end:?}");
        writer.put(&flag("F", true), Precondition::Any.into()).await.unwrap();
        next(&mut watch, |event| match event {
            WatchEvent::Changed { flag, .. } => flag.record.unwrap().is_enabled().then_some(()),
            WatchEvent::Reset { flags, .. } => flags[0].record.as_ref().unwrap().is_enabled().then_some(()),
            _ => None,
        })
        .await;
    }
}

#[tokio::test]
async fn a_proxy_that_refuses_to_wait_causes_no_busy_loop() {
    let Some(agent) = agent() else { return };
    let base = random_base();
    store(&agent, &base).await.put(&flag("F", false), Precondition::Any.into()).await.unwrap();
    let proxy = ConsulProxy::start(agent.port(), Fault::EndWaits(Duration::from_millis(1), Some(504)));
    let remote = following(&proxy, &base);
    let mut watch = remote.watch();
    let mut reset = async || {
        next(&mut watch, |event| matches!(event, WatchEvent::Reset { .. }).then_some(())).await;
    };
    reset().await;
    reset().await;
    let before = proxy.requests().len();
    let forever = async {
        loop {
            reset().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(1), forever).await.is_err());
    // The pauses are random, up to 50 ms, 100 ms, 200 ms …; a loop without pauses makes hundreds.
    let requests = proxy.requests().len() - before;
    assert!(requests < 60, "{requests} requests in a second");
}

/// A list with the same flags and a lower index is not an older state; a list with other flags is.
#[tokio::test]
async fn an_index_that_goes_back_is_lost_at_once() {
    let item = |index: u64| format!(r#"[{{"Key": "features/F", "ModifyIndex": {index}, "Value": "e30="}}]"#);
    let answer = |index: u64, text: String| Fault::Answer(200, format!("X-Consul-Index: {index}\r\n"), text);
    let proxy = ConsulProxy::start(1, answer(20, item(20)));
    let remote = bare(&proxy.address()).wait(Duration::from_millis(100));
    let mut watch = remote.watch();
    next(&mut watch, |event| matches!(event, WatchEvent::Reset { .. }).then_some(())).await;
    proxy.fault(answer(19, item(20)));
    next(&mut watch, |event| {
        refuse_lost(&event);
        matches!(event, WatchEvent::Reset { .. }).then_some(())
    })
    .await;
    proxy.fault(answer(15, item(15)));
    let mut losses = Vec::new();
    next(&mut watch, |event| match event {
        WatchEvent::Lost(error) => {
            losses.push(error.to_string());
            None
        }
        WatchEvent::Reset { .. } if losses.is_empty() => None,
        WatchEvent::Reset { flags, .. } => (flags[0].version.as_ordered() == Some(15)).then_some(()),
        WatchEvent::Changed { .. } | WatchEvent::Removed { .. } => panic!("{event:?} before `Lost`"),
        _ => None,
    })
    .await;
    assert_eq!(losses.len(), 1, "{losses:?}");
}

#[tokio::test]
async fn a_new_reason_is_reported() {
    let proxy = ConsulProxy::start(1, Fault::Answer(500, String::new(), "No cluster leader".to_owned()));
    let remote = bare(&proxy.address());
    let mut watch = remote.watch();
    let mut lost = async |what: &str| {
        next(&mut watch, |event| match event {
            WatchEvent::Lost(error) => format!("{error} {error:?}").contains(what).then_some(()),
            _ => None,
        })
        .await;
    };
    lost("No cluster leader").await;
    proxy.fault(Fault::Answer(500, String::new(), "not ready to serve consistent reads".to_owned()));
    lost("not ready").await;
}

/// A confirmation is true at its time, and is renewed before it ends.
#[tokio::test]
async fn confirmed_while_nothing_changes_and_lost_when_the_agent_stops() {
    let Some(agent) = ConsulAgent::start() else { return };
    let timeout = Duration::from_millis(500);
    let client = ConsulClient::builder().address(agent.address()).timeout(timeout).build().unwrap();
    let remote = ConsulFeatureFlagStore::new(client).wait(WAIT);
    agent.put("features/F", flag("F", true).to_json().as_bytes());
    let mut watch = remote.watch();
    let confirmed = |event: WatchEvent| match event {
        WatchEvent::Confirmed { at, valid_for } => Some((at, valid_for)),
        WatchEvent::Lost(error) => panic!("{error}"),
        _ => None,
    };
    let (mut last, mut valid_for) = next(&mut watch, confirmed).await;
    for _ in 0..3 {
        let (at, longer) = next(&mut watch, confirmed).await;
        let now = Instant::now();
        assert!(at > last && at < now && now < last + valid_for, "{:?} after {:?}", at - last, valid_for);
        // Consul adds up to a sixteenth of the wait.
        assert!(now - at < WAIT / 8 + timeout + LATE, "{:?}", now - at);
        (last, valid_for) = (at, longer);
    }
    agent.pause();
    let stopped = Instant::now();
    next(&mut watch, |event| matches!(event, WatchEvent::Lost(_)).then_some(())).await;
    assert!(stopped.elapsed() < WAIT * 17 / 16 + timeout * 2 + LATE, "{:?}", stopped.elapsed());
    agent.resume();
    next(&mut watch, |event| {
        matches!(event, WatchEvent::Serving(identity) if identity.epoch().is_some()).then_some(())
    })
    .await;
    next(&mut watch, confirmed).await;
}
