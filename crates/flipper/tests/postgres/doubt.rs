//! Whatever may have taken flags back begins a doubt: `Lost`, then `Restored` and all flags.

use std::process::Command;
use std::time::Duration;

use flipper::FeatureFlagStore;
use flipper::store::Precondition;
use flipper_testkit::postgres::{PASSWORD, Pool, PoolMode, PostgresServer};
use flipper_testkit::{Harm, Relay, wait_until};

use crate::{Follow, eventually, flag, json, names, random_table, shared, store};

#[tokio::test]
async fn killed_and_restarted_with_its_data_and_without() {
    let Some(mut server) = PostgresServer::start() else { return };
    let store = store(&server.url(), "feature_flags");
    store.install_feed(true).await.unwrap();
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    let mut follow = Follow::of(&store);
    follow.pushed().await;
    server.restart();
    follow.lost().await;
    assert_eq!(names(&follow.restored().await), ["F"]);
    follow.pushed_again(&store).await;
    server.restart_empty();
    follow.lost().await;
    server.psql(&format!(
        "CREATE TABLE feature_flags (name text PRIMARY KEY, item bytea NOT NULL); INSERT INTO feature_flags SELECT 'G', {}",
        json("G", true)
    ));
    while names(&follow.restored().await) != ["G"] {}
}

impl Follow<'_> {
    /// The way does not change, so nothing says it again: a write shows that it works.
    async fn pushed_again(&mut self, store: &flipper::PostgresFeatureFlagStore) {
        eventually(async || store.put(&flag("F", false), Precondition::Any.into()).await).await;
        self.until("F", Some(false)).await;
    }
}

/// All else goes on. What such a session has not read fills the server's queue of notifications, which all databases share.
#[tokio::test]
async fn a_session_that_listens_and_hangs_is_replaced() {
    let Some(server) = PostgresServer::start() else { return };
    let store = store(&server.url(), "feature_flags").timeout(Duration::from_secs(5));
    store.install_feed(true).await.unwrap();
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    let mut follow = Follow::of(&store);
    follow.pushed().await;
    let queue_is_empty = || server.psql("SELECT pg_notification_queue_usage() = 0") == "t";
    let notify =
        || server.psql("SELECT count(pg_notify('other', repeat('x', 7000) || i)) FROM generate_series(1, 2000) AS i");
    notify();
    wait_until("the follower's session reads, and holds nothing back", queue_is_empty);

    let listening = "application_name = 'flipper' AND query LIKE '%to_regclass%'";
    let session = server.psql(&format!("SELECT pid FROM pg_stat_activity WHERE {listening}"));
    let signal = |signal: &str| {
        assert!(Command::new("kill").args([signal, &session]).status().unwrap().success());
    };
    signal("-STOP");
    server.psql(&format!("UPDATE feature_flags SET item = {}", json("F", false)));
    notify();
    assert!(!queue_is_empty());
    follow.lost().await;
    assert!(!follow.restored().await[0].record.as_ref().unwrap().is_enabled());
    follow.pushed_again(&store).await;
    signal("-CONT");
    wait_until("the old session has ended", queue_is_empty);
}

/// So changes are known in another way; the flags are others' all the same.
#[tokio::test]
async fn another_table_of_the_name_without_the_feed() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = store(&server.url(), &table);
    store.install_feed(true).await.unwrap();
    store.put(&flag("NEW", true), Precondition::Absent.into()).await.unwrap();
    let mut follow = Follow::of(&store);
    follow.pushed().await;
    let removal = store.feed_removal_script().await.unwrap().replace("COMMIT;", "");
    server.psql(&format!(
        "{removal} DROP TABLE {table}; CREATE TABLE {table} (name text PRIMARY KEY, item bytea NOT NULL); \
         INSERT INTO {table} SELECT 'OLD', {}; COMMIT",
        json("OLD", true)
    ));
    follow.lost().await;
    assert_eq!(names(&follow.restored().await), ["OLD"]);
}

#[tokio::test]
async fn the_table_is_missing_for_a_while() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = store(&server.url(), &table);
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    let mut follow = Follow::of(&store);
    follow.until("F", Some(true)).await;
    server.psql(&format!("ALTER TABLE {table} RENAME TO {table}_away"));
    let error = follow.lost().await;
    assert!(error.chain().contains("missing"), "{error:?}");
    // It was there, so it is not made again: that would hinder a restore.
    let error = store.put(&flag("F", false), Precondition::Any.into()).await.unwrap_err();
    assert!(error.kind() == flipper::ErrorKind::Unavailable && error.nothing_written(), "{error:?}");
    server.psql(&format!("ALTER TABLE {table}_away RENAME TO {table}"));
    assert_eq!(names(&follow.restored().await), ["F"]);
}

/// The feed's numbers go back with the database.
#[tokio::test]
async fn the_list_of_changes_goes_back() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = store(&server.url(), &table);
    store.install_feed(true).await.unwrap();
    for round in 0..5 {
        store.put(&flag("F", round % 2 == 0), Precondition::Any.into()).await.unwrap();
    }
    let mut follow = Follow::of(&store);
    follow.pushed().await;
    let history = server.psql(&format!(
        "SELECT 'flipper.' || replace(p.proname, 'changed', 'history') FROM pg_trigger t JOIN pg_proc p ON p.oid = tgfoid \
         WHERE tgname = 'flipper_changed' AND tgrelid = '{table}'::regclass"
    ));
    for undo in [format!("DELETE FROM {history} WHERE number > 2"), format!("TRUNCATE {history} RESTART IDENTITY")] {
        server.psql(&undo);
        let error = follow.lost().await;
        assert!(error.chain().contains("went back"), "{error:?}");
        assert_eq!(names(&follow.restored().await), ["F"]);
        for enabled in [false, true] {
            store.put(&flag("F", enabled), Precondition::Any.into()).await.unwrap();
            follow.until("F", Some(enabled)).await;
        }
    }
}

#[tokio::test]
async fn a_failover_that_loses_acknowledged_writes() {
    let Some(primary) = PostgresServer::start() else { return };
    let Some(pool) = Pool::start(&primary, PoolMode::Transaction) else { return };
    let store = store(&pool.url(), "feature_flags");
    store.install_feed(true).await.unwrap();
    store.put(&flag("KEPT", true), Precondition::Absent.into()).await.unwrap();
    let relay = Relay::start(primary.port());
    let standby = primary.standby_through(relay.port());
    wait_until("the standby has the flag", || standby.psql("SELECT count(*) FROM feature_flags") == "1");
    let mut follow = Follow::of(&store);
    follow.until("KEPT", Some(true)).await;
    relay.harm(Harm::Refuse);
    wait_until("the standby is alone", || standby.psql("SELECT count(*) FROM pg_stat_wal_receiver") == "0");
    let lost = store.put(&flag("LOST", true), Precondition::Absent.into()).await.unwrap();
    store.put(&flag("KEPT", false), Precondition::Any.into()).await.unwrap();
    follow.until("KEPT", Some(false)).await;
    standby.promote();
    pool.lead_to(&standby);
    follow.lost().await;
    let flags = follow.restored().await;
    assert_eq!(names(&flags), ["KEPT"]);
    assert!(flags[0].record.as_ref().unwrap().is_enabled());
    // Its version holds for nothing.
    let written = eventually(async || {
        match store.put(&flag("LOST", false), Precondition::Unchanged(lost.clone()).into()).await {
            Err(error) if error.kind() == flipper::ErrorKind::Conflict => Ok(()),
            other => Err(other.err().unwrap()),
        }
    });
    written.await;
    store.put(&flag("KEPT", false), Precondition::Any.into()).await.unwrap();
    follow.until("KEPT", Some(false)).await;
}

#[tokio::test]
async fn the_primary_of_several_hosts_is_found() {
    let Some(mut primary) = PostgresServer::start() else { return };
    let first = store(&primary.url(), "feature_flags");
    first.install_feed(true).await.unwrap();
    first.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    let standby = primary.standby();
    let both = |wanted: &str| {
        format!(
            "postgresql://postgres:{}@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs={wanted}",
            flipper_testkit::postgres::PASSWORD,
            standby.port(),
            primary.port()
        )
    };
    for wanted in ["read-write", "primary"] {
        let store = store(&both(wanted), "feature_flags");
        store.put(&flag("F", false), Precondition::Any.into()).await.unwrap();
    }
    for wanted in ["standby", "prefer-standby", "read-only"] {
        let store = store(&both(wanted), "feature_flags");
        let error = store.put(&flag("F", false), Precondition::Any.into()).await.unwrap_err();
        assert!(error.nothing_written() && error.chain().contains("standby"), "{error:?}");
    }
    let store = store(&both("read-write"), "feature_flags");
    let mut follow = Follow::of(&store);
    follow.pushed().await;
    wait_until("the standby has the write", || {
        standby.psql("SELECT convert_from(item, 'UTF8') FROM feature_flags").contains("\"is_enabled\": false")
    });
    primary.kill();
    follow.lost().await;
    standby.promote();
    assert_eq!(names(&follow.restored().await), ["F"]);
    eventually(async || store.put(&flag("F", true), Precondition::Any.into()).await).await;
    follow.until("F", Some(true)).await;
}

#[tokio::test]
async fn a_standby_is_followed_until_it_is_alone() {
    let Some(mut primary) = PostgresServer::start() else { return };
    let writer = store(&primary.url(), "feature_flags");
    writer.install_feed(true).await.unwrap();
    writer.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    let standby = primary.standby();
    let reader = store(&standby.url(), "feature_flags");
    let mut follow = Follow::of(&reader);
    follow.until("F", Some(true)).await;
    writer.put(&flag("F", false), Precondition::Any.into()).await.unwrap();
    follow.until("F", Some(false)).await;
    let error = reader.put(&flag("F", true), Precondition::Any.into()).await.unwrap_err();
    assert!(error.kind() == flipper::ErrorKind::Unavailable && error.nothing_written(), "{error:?}");
    // Nor is anything sent to a server of another kind than is wanted.
    let picky = store(&format!("{}?target_session_attrs=primary", standby.url()), "feature_flags");
    let error = picky.put(&flag("F", true), Precondition::Any.into()).await.unwrap_err();
    assert!(error.nothing_written() && error.chain().contains("is a standby"), "{error:?}");
    primary.kill();
    let error = follow.lost().await;
    assert!(error.chain().contains("primary"), "{error:?}");
    // Reads go on.
    assert!(reader.get("F").await.unwrap().is_some());
    standby.promote();
    follow.restored().await;
    eventually(async || reader.put(&flag("F", true), Precondition::Any.into()).await).await;
    follow.until("F", Some(true)).await;
}

/// It does not see when the standby last heard from its primary.
#[tokio::test]
async fn a_user_of_a_standby_whose_primary_falls_silent() {
    let Some(primary) = PostgresServer::options().set("wal_receiver_timeout=5s").start() else { return };
    let owner = store(&primary.url(), "feature_flags");
    owner.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    primary.psql(&format!("CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'; GRANT SELECT ON feature_flags TO app"));
    let relay = Relay::start(primary.port());
    let standby = primary.standby_through(relay.port());
    let reader = store(&standby.url_of("app"), "feature_flags");
    let mut follow = Follow::of(&reader);
    follow.until("F", Some(true)).await;
    let checks = reader.inspect().await;
    assert!(checks.iter().any(|check| check.what == "primary" && check.text.contains("after 5s")), "{checks:?}");
    let checks = store(&standby.url(), "feature_flags").inspect().await;
    assert!(checks.iter().all(|check| check.what != "primary"), "{checks:?}");
    relay.harm(Harm::Delay(Duration::from_secs(3600)));
    let error = follow.lost().await;
    assert!(error.chain().contains("primary"), "{error:?}");
}
