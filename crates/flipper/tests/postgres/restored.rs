//! A table, a database and a server of an earlier time come back under a follower.

use std::fs;
use std::process::Command;
use std::time::Instant;

use flipper::FeatureFlagStore;
use flipper::store::{Precondition, WatchEvent};
use flipper_testkit::postgres::{Pool, PoolMode, PostgresServer};
use flipper_testkit::wait_until;

use crate::writes::tokio_postgres_session;
use crate::{Follow, eventually, flag, json, names, random_table, shared, store};

#[tokio::test]
async fn the_table_is_dropped_and_restored_from_an_older_dump() {
    let Some(server) = shared() else { return };
    for fed in [true, false] {
        let table = random_table();
        let store = store(&server.url(), &table);
        if fed {
            store.install_feed(true).await.unwrap();
        }
        store.put(&flag("OLD", true), Precondition::Absent.into()).await.unwrap();
        let dump = server.dump(&["--clean", "--if-exists", "-t", &table]);
        store.put(&flag("NEW", true), Precondition::Absent.into()).await.unwrap();
        let mut follow = Follow::of(&store);
        follow.until("NEW", Some(true)).await;
        // The dump has the triggers, and our schema is still there.
        server.psql(&dump);
        follow.lost().await;
        while names(&follow.restored().await) != ["OLD"] {}
        eventually(async || store.put(&flag("OLD", false), Precondition::Any.into()).await).await;
        follow.until("OLD", Some(false)).await;
    }
}

#[tokio::test]
async fn rows_are_restored_with_their_triggers_disabled() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = store(&server.url(), &table);
    store.install_feed(true).await.unwrap();
    store.put(&flag("OLD", true), Precondition::Absent.into()).await.unwrap();
    let dump = server.dump(&["--data-only", "--disable-triggers", "-t", &table]);
    store.put(&flag("OLD", false), Precondition::Any.into()).await.unwrap();
    let mut follow = Follow::of(&store);
    follow.pushed().await;
    server.psql(&format!("TRUNCATE {table}; {dump}"));
    follow.until("OLD", Some(true)).await;
}

/// Transaction ids, sequences and the feed's numbers go back, and then stand for other writes.
#[tokio::test]
async fn the_server_goes_back_to_an_older_copy_of_its_files() {
    let Some(mut server) = PostgresServer::start() else { return };
    let stores = ["fed", "plain"].map(|table| store(&server.url(), table));
    stores[0].install_feed(true).await.unwrap();
    for store in &stores {
        store.put(&flag("OLD", true), Precondition::Absent.into()).await.unwrap();
    }
    let (data, copy) = (server.folder().join("data"), server.folder().join("copy"));
    server.kill();
    assert!(Command::new("cp").arg("-a").args([&data, &copy]).status().unwrap().success());
    server.restart();
    for store in &stores {
        eventually(async || store.put(&flag("OLD", false), Precondition::Any.into()).await).await;
        store.put(&flag("NEW", true), Precondition::Absent.into()).await.unwrap();
    }
    let mut follows = stores.each_ref().map(|store| Follow::of(store));
    for follow in &mut follows {
        follow.until("NEW", Some(true)).await;
    }
    server.kill();
    fs::remove_dir_all(&data).unwrap();
    fs::rename(&copy, &data).unwrap();
    server.restart();
    for (store, follow) in stores.iter().zip(&mut follows) {
        follow.lost().await;
        let flags = follow.restored().await;
        assert_eq!(names(&flags), ["OLD"]);
        assert!(flags[0].record.as_ref().unwrap().is_enabled());
        // As many writes as were lost.
        for name in ["OTHER", "LAST"] {
            eventually(async || store.put(&flag(name, true), Precondition::Any.into()).await).await;
        }
        follow.until("LAST", Some(true)).await;
    }
}

/// Its tables have the numbers of those that they are copies of, and the pool's clients notice nothing.
#[tokio::test]
async fn the_database_is_replaced_by_an_older_copy_behind_a_pool() {
    let Some(server) = PostgresServer::start() else { return };
    let Some(pool) = Pool::start(&server, PoolMode::Transaction) else { return };
    server.psql("CREATE DATABASE shop");
    let shop = |url: String| format!("{}/shop", url.strip_suffix("/postgres").unwrap());
    let direct = store(&shop(server.url()), "feature_flags");
    direct.install_feed(true).await.unwrap();
    direct.put(&flag("OLD", true), Precondition::Absent.into()).await.unwrap();
    direct.close().await.unwrap();
    let end = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = 'shop'";
    server.psql(end);
    server.psql("CREATE DATABASE older TEMPLATE shop");
    let store = store(&shop(pool.url()), "feature_flags");
    store.put(&flag("NEW", true), Precondition::Absent.into()).await.unwrap();
    let mut follow = Follow::of(&store);
    follow.until("NEW", Some(true)).await;
    pool.pause();
    // The copy's numbers are further than the follower's.
    for _ in 0..10 {
        server.psql("\\c older\nUPDATE feature_flags SET item = item");
    }
    server.psql(&format!("{end}; ALTER DATABASE shop RENAME TO newer"));
    server.psql("ALTER DATABASE older RENAME TO shop");
    pool.resume();
    follow.lost().await;
    assert_eq!(names(&follow.restored().await), ["OLD"]);
}

/// No transaction ends, which a follower without the feed asks first.
#[tokio::test]
async fn a_pool_leads_to_another_database_of_the_silent_server() {
    let Some(server) = PostgresServer::options().set("autovacuum=off").start() else { return };
    let Some(pool) = Pool::start(&server, PoolMode::Transaction) else { return };
    let store = store(&pool.url(), "feature_flags");
    store.put(&flag("OLD", true), Precondition::Absent.into()).await.unwrap();
    pool.pause();
    server.psql("\\c template1\nCREATE DATABASE older TEMPLATE postgres");
    pool.resume();
    store.put(&flag("NEW", true), Precondition::Absent.into()).await.unwrap();
    let mut follow = Follow::of(&store);
    follow.until("NEW", Some(true)).await;
    for _ in 0..3 {
        follow.confirmed_after(Instant::now()).await;
    }
    pool.lead_to_database(&server, "older");
    let moved = Instant::now();
    let lost = follow.find(|event| match event {
        WatchEvent::Confirmed { at, .. } => {
            assert!(at < moved, "flags of another database were confirmed");
            None
        }
        event => matches!(event, WatchEvent::Lost(_)).then_some(()),
    });
    lost.await;
    assert_eq!(names(&follow.restored().await), ["OLD"]);
}

/// As `pg_restore --clean --single-transaction` does it.
#[tokio::test]
async fn the_table_is_replaced_while_a_follower_starts() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = store(&server.url(), &table);
    store.put(&flag("OLD", true), Precondition::Absent.into()).await.unwrap();
    let restore = tokio_postgres_session(&server).await;
    let replace = format!(
        "BEGIN; DROP TABLE {table}; CREATE TABLE {table} (name text PRIMARY KEY, item bytea NOT NULL); \
         INSERT INTO {table} SELECT 'F', {}",
        json("F", true)
    );
    restore.batch_execute(&replace).await.unwrap();
    let mut follow = Follow::of(&store);
    let flags = async {
        wait_until("the follower waits", || {
            let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
            server.psql(&format!("{waits} AND query LIKE '%{table}%'")) == "1"
        });
        restore.batch_execute("COMMIT").await.unwrap();
    };
    let (flags, ()) = futures_util::future::join(follow.reset(), flags).await;
    assert_eq!(names(&flags), ["F"]);
}
