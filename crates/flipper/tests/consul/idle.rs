//! How often the store asks Consul while nothing changes.

use std::time::{Duration, Instant};

use flipper::FeatureFlagStore;
use flipper::store::Precondition;
use flipper_testkit::consul::{ConsulAgent, ConsulProxy, Fault};
use flipper_testkit::wait_until;

use crate::{Connect as _, bare, flag, random_base, store};

/// The requests after the first `from`, once there are `count`, and the time until then.
fn asked(proxy: &ConsulProxy, from: usize, count: usize) -> (Vec<String>, Duration) {
    let began = Instant::now();
    wait_until("the requests are made", || proxy.requests().len() >= from + count);
    let heads = proxy.requests().split_off(from);
    (heads.iter().map(|head| head.lines().next().unwrap().to_owned()).collect(), began.elapsed())
}

#[tokio::test]
async fn no_more_than_two_requests_in_each_wait() {
    // Without flags, Consul answers whenever any key changes: no other test may write.
    let Some(agent) = ConsulAgent::start() else { return };
    for (flags, queries) in [(0, 1), (1, 1), (150, 2)] {
        let (base, wait) = (random_base(), Duration::from_millis(500));
        let writer = store(&agent, &base).await;
        for number in 0..flags {
            writer.put(&flag(&format!("F{number}"), true), Precondition::Any.into()).await.unwrap();
        }
        drop(writer);
        let proxy = ConsulProxy::start(agent.port(), Fault::None);
        let store = bare(&proxy.address()).base_key(&base).unwrap().wait(wait).connect().await.unwrap();
        let waits = |kind: &str| proxy.requests().iter().any(|head| head.contains(kind) && head.contains("&index="));
        wait_until("it waits for changes", || waits("?recurse") && (queries == 1 || waits(".changed?")));
        let (asked, took) = asked(&proxy, proxy.requests().len(), 6 * queries);
        assert!(asked.iter().all(|line| line.contains("&wait=500ms")), "{asked:?}");
        // Each kind of query asks at most once in `wait`.
        assert!(took >= wait * 5, "{asked:?} took {took:?}");
        drop(store);
    }
}

#[tokio::test]
async fn consul_is_asked_to_wait_for_a_minute() {
    let Some(agent) = ConsulAgent::start() else { return };
    let proxy = ConsulProxy::start(agent.port(), Fault::None);
    let store = bare(&proxy.address())
        .base_key(random_base())
        .unwrap()
        .wait(Duration::from_secs(3600))
        .connect()
        .await
        .unwrap();
    wait_until("it waits", || proxy.requests().iter().any(|head| head.contains("&wait=60000ms")));
    // The first list, the check of the rights to the base key, and the query that waits.
    assert_eq!(proxy.requests().len(), 3, "{:?}", proxy.requests());
    drop(store);
}

/// Without flags, Consul answers when any key of its store changes.
#[tokio::test]
async fn changes_of_foreign_keys_cause_no_busy_loop() {
    let Some(agent) = ConsulAgent::start() else { return };
    let proxy = ConsulProxy::start(agent.port(), Fault::None);
    let store = bare(&proxy.address()).connect().await.unwrap();
    let began = Instant::now();
    for number in 0..2_000 {
        agent.put("features-other", number.to_string().as_bytes());
    }
    let (took, asked) = (began.elapsed(), proxy.requests().len());
    // Pauses of at most 1 ms, 2 ms, 4 ms … up to a second, and half of that in the mean.
    let most = 20 + 3 * usize::try_from(took.as_secs()).unwrap();
    assert!(asked <= most, "{asked} requests in {took:?}");
    agent.put("features/F", flag("F", true).to_json().as_bytes());
    crate::wait_for(&store, "F", Some(true));
}
