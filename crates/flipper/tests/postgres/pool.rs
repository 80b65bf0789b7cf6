//! Behind pgbouncer.

use flipper::FeatureFlagStore;
use flipper::store::Precondition;
use flipper_testkit::postgres::{Pool, PoolMode};

use crate::{Follow, flag, random_table, shared, store};

#[tokio::test]
async fn notifications_through_a_pool_of_sessions() {
    let Some(server) = shared() else { return };
    let Some(pool) = Pool::start(&server, PoolMode::Session) else { return };
    let store = store(&pool.url(), &random_table());
    store.install_feed(true).await.unwrap();
    let mut follow = Follow::of(&store);
    follow.pushed().await;
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    follow.until("F", Some(true)).await;
}

#[tokio::test]
async fn a_pool_of_transactions_is_asked() {
    is_asked(PoolMode::Transaction).await;
}

/// The flags, and how they change, are read by statements of their own.
#[tokio::test]
async fn a_pool_of_statements_is_asked() {
    is_asked(PoolMode::Statement).await;
}

async fn is_asked(mode: PoolMode) {
    let Some(server) = shared() else { return };
    let Some(pool) = Pool::start(&server, mode) else { return };
    let table = random_table();
    store(&server.url(), &table).install_feed(true).await.unwrap();
    let store = store(&pool.url(), &table);
    let mut follow = Follow::of(&store);
    follow.polled().await;
    for round in 0..20 {
        let name = format!("F{round}");
        store.put(&flag(&name, true), Precondition::Absent.into()).await.unwrap();
        loop {
            use flipper::store::{Updates, WatchEvent};
            match follow.next().await {
                WatchEvent::Changed { flag, .. } if flag.name == name => break,
                WatchEvent::Following(by) => assert!(matches!(by, Updates::Poll { .. }), "{by:?}"),
                WatchEvent::Lost(error) => panic!("{error:?}"),
                _ => {}
            }
        }
    }
}
