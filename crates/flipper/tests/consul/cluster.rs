use flipper::store::{LocalFeatureFlagStore, Precondition};
use flipper::stores::ConsulConsistency;
use flipper::{ConsulClient, ConsulFeatureFlagStore, ErrorKind, FeatureFlagClient, FeatureFlagStore};
use flipper_testkit::consul::ConsulCluster;
use flipper_testkit::wait_until;
use futures_util::{FutureExt, StreamExt};

use crate::{Connect as _, bare, flag, names, state, wait_for, wait_until_live};

#[tokio::test]
async fn the_leader_is_lost() {
    let Some(mut cluster) = ConsulCluster::start() else { return };
    let leader = cluster.leader(&[0, 1, 2]);
    let [one, two] = [(leader + 1) % 3, (leader + 2) % 3];
    let address = |index: usize| cluster.agents()[index].address();
    let here = bare(&address(one)).connect().await.unwrap();
    let there = bare(&address(two)).connect().await.unwrap();
    let client = ConsulClient::builder().address(address(one)).consistency(ConsulConsistency::Stale).build().unwrap();
    let stale = ConsulFeatureFlagStore::new(client).connect().await.unwrap();
    here.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    wait_for(&there, "F", Some(true));
    wait_for(&stale, "F", Some(true));

    cluster.agent_mut(leader).kill();
    let failed = here.put(&flag("F", false), Precondition::Any.into()).await;
    if let Err(error) = &failed {
        assert!(error.kind() == ErrorKind::Unavailable && error.is_transient(), "{error:?}");
    }
    assert!(state(&there, "F").is_some() && state(&stale, "F").is_some());
    let next = cluster.leader(&[one, two]);
    wait_until("writes are taken", || {
        futures_executor::block_on(there.put(&flag("G", true), Precondition::Any.into())).is_ok()
    });
    for store in [&here, &there, &stale] {
        wait_until_live(store);
        wait_for(store, "G", Some(true));
        assert_eq!(names(&store.table().list()), ["F", "G"]);
    }

    // A single server elects no leader.
    let last = if next == one { two } else { one };
    cluster.agent_mut(next).kill();
    let store = if last == one { &here } else { &there };
    wait_until("writes fail", || {
        match futures_executor::block_on(store.put(&flag("H", true), Precondition::Any.into())) {
            Ok(_) => false,
            Err(error) => {
                assert!(error.kind() == ErrorKind::Unavailable && error.is_transient(), "{error:?}");
                true
            }
        }
    });
    wait_until("it is stale", || !store.status().is_live());
    assert_eq!(state(store, "G"), Some(true));

    cluster.agent_mut(next).restart();
    cluster.agent_mut(leader).restart();
    wait_until_live(&here);
    wait_until_live(&there);
    here.put(&flag("LAST", true), Precondition::Any.into()).await.unwrap();
    for store in [&here, &there, &stale] {
        wait_for(store, "LAST", Some(true));
        wait_until_live(store);
        assert_eq!(names(&store.table().list()), names(&here.list().await.unwrap()));
    }
}

/// A new leader may not have applied all of its log, and a server that restarts has applied none of it.
#[tokio::test]
async fn a_new_leader_causes_no_change() {
    let Some(mut cluster) = ConsulCluster::start() else { return };
    let flags: Vec<_> = (0..100).map(|number| format!("F{number:02}")).collect();
    let mut stores = Vec::new();
    for agent in cluster.agents() {
        let client = |consistency| ConsulClient::builder().address(agent.address()).consistency(consistency).build();
        for consistency in [ConsulConsistency::Default, ConsulConsistency::Stale] {
            let builder = ConsulFeatureFlagStore::new(client(consistency).unwrap());
            stores.push(builder.wait(std::time::Duration::from_secs(1)).connect().await.unwrap());
        }
    }
    for round in 0..4 {
        let leader = cluster.leader(&[0, 1, 2]);
        for _ in 0..10 {
            let texts: Vec<_> =
                flags.iter().map(|name| (format!("features/{name}"), flag(name, round % 2 == 0).to_json())).collect();
            cluster.agents()[leader].put_all(&texts);
        }
        let last = cluster.agents()[leader].ask("GET", "/v1/kv/features/F99", b"").body;
        for store in &stores {
            wait_until("all is here", || {
                store.table().get("F99").is_some_and(|flag| {
                    last.contains(&format!("\"ModifyIndex\":{},", flag.version.as_ordered().unwrap()))
                        || last.contains(&format!("\"ModifyIndex\":{}}}", flag.version.as_ordered().unwrap()))
                })
            });
            wait_until_live(store);
        }
        let mut changes: Vec<_> = stores.iter().map(|store| FeatureFlagClient::new(store.clone()).changes()).collect();
        cluster.agent_mut(leader).restart();
        let _ = cluster.leader(&[0, 1, 2]);
        for (store, changes) in stores.iter().zip(&mut changes) {
            wait_until_live(store);
            let change = changes.next().now_or_never();
            assert!(change.is_none(), "round {round}: {change:?}");
            assert_eq!(names(&store.table().list()), flags);
        }
    }
}
