//! How often Consul is asked while nothing changes.

use std::time::{Duration, Instant};

use flipper::FeatureFlagStore;
use flipper::store::Precondition;
use flipper_testkit::consul::{ConsulAgent, ConsulProxy, Fault};
use flipper_testkit::wait_until;

use crate::{Connect as _, bare, flag, random_base, store};

/// What was asked since, and how long it took until there was so much.
fn asked(proxy: &ConsulProxy, from: usize, count: usize) -> (Vec<String>, Duration) {
    let began = Instant::now();
    wait_until("it was asked so often", || proxy.requests().len() >= from + count);
    let heads = proxy.requests().split_off(from);
    (heads.iter().map(|head| head.lines().next().unwrap().to_owned()).collect(), began.elapsed())
}

#[tokio::test]
async fn no_more_than_two_requests_in_each_wait() {
    // With no flag, Consul answers whenever any key changes: nobody else may write.
    let Some(agent) = ConsulAgent::start() else { return };
    for (flags, queries) in [(0, 1), (1, 1), (150, 2)] {
        let (base, wait) = (random_base(), Duration::from_millis(500));
        let writer = store(&agent, &base).await;
        for number in 0..flags {
            writer.put(&flag(&format!("F{number}"), true), Precondition::Any).await.unwrap();
        }
        drop(writer);
        let proxy = ConsulProxy::start(agent.port(), Fault::None);
        let store = bare(&proxy.address()).base_key(&base).unwrap().wait(wait).connect().await.unwrap();
        // The first of each kind.
        let waits = |kind: &str| proxy.requests().iter().any(|head| head.contains(kind) && head.contains("&index="));
        wait_until("it waits for changes", || waits("?recurse") && (queries == 1 || waits(".changed?")));
        let (asked, took) = asked(&proxy, proxy.requests().len(), 6 * queries);
        assert!(asked.iter().all(|line| line.contains("&wait=500ms")), "{asked:?}");
        // Each kind of query takes its turn once in `wait`, at the most.
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
    // The first list, and whether an empty one is to be believed.
    assert_eq!(proxy.requests().len(), 3, "{:?}", proxy.requests());
    drop(store);
}

/// With no flag, Consul answers each time any key of its store changes.
#[tokio::test]
async fn the_changes_of_others_do_not_make_it_ask_without_end() {
    let Some(agent) = ConsulAgent::start() else { return };
    let proxy = ConsulProxy::start(agent.port(), Fault::None);
    let store = bare(&proxy.address()).connect().await.unwrap();
    let began = Instant::now();
    for number in 0..2_000 {
        agent.put("features-other", number.to_string().as_bytes());
    }
    let (took, asked) = (began.elapsed(), proxy.requests().len());
    // 1 ms, 2 ms, 4 ms … up to a second between two.
    let most = 15 + usize::try_from(took.as_secs()).unwrap();
    assert!(asked <= most, "{asked} requests in {took:?}");
    agent.put("features/F", flag("F", true).to_json().as_bytes());
    crate::wait_for(&store, "F", Some(true));
}
