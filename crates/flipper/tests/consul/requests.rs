use std::future::Future;

use flipper::FeatureFlagStore;
use flipper::store::Precondition;
use flipper_testkit::consul::{ConsulAgent, ConsulProxy, Fault};
use flipper_testkit::wait_until;

use crate::{Connect as _, Mirror, agent, bare, flag, make_lists_large, random_base, store, wait_for};

/// A store behind a proxy, with flags `F0` … `F9`, that waits for changes.
async fn behind(agent: &ConsulAgent, base: &str, large: bool) -> (Mirror, ConsulProxy) {
    for number in 0..10 {
        let name = format!("F{number}");
        agent.put(&format!("{base}/{name}"), flag(&name, false).to_json().as_bytes());
    }
    if large {
        make_lists_large(agent, base);
        // Readers watch the hint key only once it exists.
        store(agent, base).await.put(&flag("F0", false), Precondition::Any.into()).await.unwrap();
    }
    let proxy = ConsulProxy::start(agent.port(), Fault::None);
    let store = bare(&proxy.address()).base_key(base).unwrap().connect().await.unwrap();
    wait_until("it waits for changes", || count(&proxy.requests(), "&index=") >= if large { 2 } else { 1 });
    (store, proxy)
}

fn count(heads: &[String], text: &str) -> usize {
    heads.iter().filter(|head| head.lines().next().unwrap().contains(text)).count()
}

async fn asked(proxy: &ConsulProxy, done: impl Future<Output = ()>) -> (Vec<String>, Vec<String>) {
    let before = proxy.requests().len();
    done.await;
    (proxy.requests().split_off(before), proxy.bodies().split_off(before))
}

#[tokio::test]
async fn a_write_is_one_request() {
    let Some(agent) = agent() else { return };
    for large in [false, true] {
        let base = random_base();
        let (store, proxy) = behind(&agent, &base, large).await;
        let hint = format!(".{base}.changed");
        for round in 0..10 {
            let name = format!("F{round}");
            let (heads, bodies) = asked(&proxy, async {
                store.put(&flag(&name, true), Precondition::Any.into()).await.unwrap();
            })
            .await;
            assert_eq!(count(&heads, "PUT "), 1, "{heads:?}");
            let put = bodies.iter().find(|body| !body.is_empty()).unwrap();
            assert_eq!(
                (put.matches("\"Verb\"").count(), put.contains(&hint)),
                if large { (3, true) } else { (2, false) }
            );
            let (heads, _) = asked(&proxy, async {
                store.delete(&name, Precondition::Any.into()).await.unwrap();
            })
            .await;
            assert_eq!(count(&heads, "PUT "), 1, "{heads:?}");
        }
        assert_eq!(agent.get(&hint).is_some(), large);
    }
}

/// The answer to the pending query has the flag.
#[tokio::test]
async fn a_change_takes_one_request_with_few_flags() {
    let Some(agent) = agent() else { return };
    let base = random_base();
    let (here, proxy) = behind(&agent, &base, false).await;
    let writer = store(&agent, &base).await;
    let before = proxy.requests().len();
    for round in 0..20 {
        let (name, waiting) = (format!("F{}", round % 10), proxy.requests().len());
        writer.put(&flag(&name, round < 10), Precondition::Any.into()).await.unwrap();
        wait_for(&here, &name, Some(round < 10));
        wait_until("it waits for the next", || proxy.requests().len() > waiting);
    }
    let heads = proxy.requests().split_off(before);
    assert_eq!((heads.len(), count(&heads, "?recurse&")), (20, 20), "{heads:?}");
}

/// One waits for changes; all requests that do not overlap share the other.
#[tokio::test]
async fn connections_are_kept() {
    let Some(agent) = agent() else { return };
    let (store, proxy) = behind(&agent, &random_base(), false).await;
    for round in 0..20 {
        store.put(&flag("F0", round % 2 == 0), Precondition::Any.into()).await.unwrap();
        store.get("F0").await.unwrap();
        store.list().await.unwrap();
    }
    // What shortens the history, now and then, overlaps with other requests.
    assert!((2..=3).contains(&proxy.connected()), "{}", proxy.connected());
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_not_used() {
    let Some(agent) = agent() else { return };
    let (store, proxy) = behind(&agent, &random_base(), false).await;
    for round in 0..20 {
        store.put(&flag("F0", round % 2 == 0), Precondition::Any.into()).await.unwrap();
        let (connected, asked) = (proxy.connected(), proxy.requests().len());
        // Breaks all connections; the one that waits for changes notices first.
        proxy.fault(Fault::None);
        wait_until("a new connection waits for changes", || {
            proxy.connected() > connected && count(&proxy.requests()[asked..], "&index=") > 0
        });
    }
}
