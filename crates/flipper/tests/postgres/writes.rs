use std::time::Duration;

use flipper::history::{Cause, HistoryQuery};
use flipper::store::{Precondition, WriteOptions};
use flipper::{ErrorKind, FeatureFlagStore, FlagRecord};
use flipper_testkit::postgres::PostgresServer;

use crate::feed::of_feed;
use crate::{Follow, eventually, flag, random_table, shared, store};

#[tokio::test]
async fn a_table_that_we_make_takes_long_names() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = store(&server.url(), &table);
    let long = "N".repeat(200);
    store.put(&flag(&long, true), Precondition::Absent.into()).await.unwrap();
    assert!(store.get(&long).await.unwrap().is_some());
    assert!(server.psql(&format!("SELECT item FROM {table}")).starts_with("\\x7b22666561"));
}

#[tokio::test]
async fn a_table_of_python_takes_forty_characters() {
    let Some(server) = shared() else { return };
    let table = random_table();
    server.psql(&format!("CREATE TABLE {table} (name varchar(40) PRIMARY KEY, item bytea NOT NULL)"));
    let store = store(&server.url(), &table);
    let fits = "é".repeat(40);
    store.put(&flag(&fits, true), Precondition::Absent.into()).await.unwrap();
    for name in ["é".repeat(41), format!("{}  ", "x".repeat(40))] {
        let error = store.put(&flag(&name, true), Precondition::Any.into()).await.unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidName && error.nothing_written(), "{error:?}");
        let one = std::slice::from_ref(&flag(&name, true)).to_vec();
        let all = store.put_all(&[one[0].clone(), flag("G", true)], Precondition::Any.into()).await;
        assert_eq!(all[0].as_ref().unwrap_err().kind(), ErrorKind::InvalidName);
        assert!(all[1].is_ok());
    }
    store.put(&flag("spaces  ", true), Precondition::Absent.into()).await.unwrap();
    assert_eq!(store.list().await.unwrap().len(), 3);
}

#[tokio::test]
async fn names_of_table_and_columns_are_ours_to_choose() {
    let Some(server) = shared() else { return };
    let (schema, table) = (random_table(), "my \"flags\".old");
    server.psql(&format!("CREATE SCHEMA {schema}"));
    let store = store(&server.url(), table).schema(&schema).columns("the name", "Item");
    store.install_feed(true).await.unwrap();
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    assert_eq!(store.list().await.unwrap().len(), 1);
    let count = server.psql(&format!("SELECT count(\"the name\") FROM {schema}.\"my \"\"flags\"\".old\""));
    assert_eq!(count, "1");
    let error = crate::store(&server.url(), "a$b").get("F").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_table_is_not_made_unless_asked() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = store(&server.url(), &table).create_table(false);
    let error = store.list().await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.to_string().contains("no table"), "{error}");
    assert_eq!(server.psql(&format!("SELECT to_regclass('{table}') IS NULL")), "t");
}

/// One that raises an error shows whether it was called.
#[tokio::test]
async fn the_feeds_function_writes_where_it_can_be_trusted() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let found = || store(&server.url(), &table);
    // One is open before there is a function, and one follows.
    let (ours, another) = (found(), found());
    ours.list().await.unwrap();
    let mut follow = Follow::of(&another);
    follow.polled().await;
    ours.install_feed(true).await.unwrap();
    follow.pushed().await;
    let first = ours.put(&flag("F", false), Precondition::Absent.into()).await.unwrap();
    let alice = Cause::default().with_actor("alice").unwrap();
    let alice = WriteOptions::from(Precondition::Unchanged(first.clone())).with_cause(alice);
    let second = ours.put(&flag("F", true), alice).await.unwrap();
    let error = ours.put(&flag("F", false), Precondition::Unchanged(first).into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let entries = ours.history(&HistoryQuery::of("F")).await.unwrap().entries;
    assert_eq!((entries.len(), entries[0].actor()), (2, Some("alice")));

    let function = format!("{}(text, bytea, bytea, text, text)", of_feed(&server, &table, "replace"));
    let body = "RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'it was called'; END $$";
    server.psql(&format!("CREATE OR REPLACE FUNCTION {function} {body}"));
    for store in [&ours, &another, &found()] {
        let unchanged = Precondition::Unchanged(second.clone());
        let error = store.put(&flag("F", false), unchanged.into()).await.unwrap_err();
        assert!(error.nothing_written() && error.chain().contains("it was called"), "{error:?}");
    }
    // Not one of another owner than the trigger's, who has no part in writes so far.
    let other = random_table();
    server.psql(&format!("CREATE ROLE {other}; ALTER FUNCTION {function} OWNER TO {other}"));
    let third = found().put(&flag("F", false), Precondition::Unchanged(second).into()).await.unwrap();
    // As while it is removed from under a process that has called it.
    server.psql(&format!("DROP FUNCTION {function}"));
    let fourth = ours.put(&flag("F", true), Precondition::Unchanged(third.clone()).into()).await.unwrap();
    let error = ours.put(&flag("F", false), Precondition::Unchanged(third).into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    ours.delete("F", Precondition::Unchanged(fourth).into()).await.unwrap();
}

#[tokio::test]
async fn a_row_that_another_transaction_holds() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = store(&server.url(), &table).timeout(Duration::from_secs(8));
    let version = store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    let holder = tokio_postgres_session(&server).await;
    holder.batch_execute(&format!("BEGIN; SELECT FROM {table} WHERE name = 'F' FOR UPDATE")).await.unwrap();
    let error = store.put(&flag("F", false), Precondition::Unchanged(version.clone()).into()).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.nothing_written(), "{error:?}");
    // Others do not wait for it.
    store.put(&flag("G", true), Precondition::Absent.into()).await.unwrap();
    assert!(store.get("F").await.unwrap().is_some());
    holder.batch_execute("ROLLBACK").await.unwrap();
    store.put(&flag("F", false), Precondition::Unchanged(version).into()).await.unwrap();
}

#[tokio::test]
async fn a_rule_of_the_table_refuses_a_flag() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = store(&server.url(), &table);
    store.list().await.unwrap();
    server.psql(&format!("ALTER TABLE {table} ADD CHECK (name <> 'NO')"));
    let error = store.put(&flag("NO", true), Precondition::Any.into()).await.unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidInput && error.nothing_written(), "{error:?}");
    store.put(&flag("YES", true), Precondition::Any.into()).await.unwrap();
}

/// Its answer waits for a standby that is away.
#[tokio::test]
async fn a_commit_whose_answer_never_comes_is_unknown() {
    let Some(server) = PostgresServer::start() else { return };
    let store = store(&server.url(), "feature_flags").timeout(Duration::from_secs(8));
    let version = store.put(&flag("F", false), Precondition::Absent.into()).await.unwrap();
    server.psql("ALTER SYSTEM SET synchronous_standby_names = 'away'");
    server.psql("SELECT pg_reload_conf()");
    flipper_testkit::wait_until("the setting is read", || server.psql("SHOW synchronous_standby_names") == "away");
    let error = store.put(&flag("F", true), Precondition::Unchanged(version).into()).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && !error.nothing_written(), "{error:?}");
    server.psql("ALTER SYSTEM RESET synchronous_standby_names");
    server.psql("SELECT pg_reload_conf()");
    // Read again: it happened.
    let found = async || Ok(store.get("F").await?.unwrap().record.unwrap().is_enabled());
    while !eventually(found).await {}
}

#[tokio::test]
async fn killed_and_restarted() {
    let Some(mut server) = PostgresServer::start() else { return };
    let store = store(&server.url(), "feature_flags");
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    server.kill();
    let error = store.get("F").await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.is_transient(), "{error:?}");
    let error = store.put(&flag("F", false), Precondition::Any.into()).await.unwrap_err();
    // It could not even be sent.
    assert!(error.kind() == ErrorKind::Unavailable && error.nothing_written(), "{error:?}");
    server.restart();
    assert!(eventually(async || store.get("F").await).await.unwrap().record.unwrap().is_enabled());
    store.put(&flag("F", false), Precondition::Any.into()).await.unwrap();
}

#[tokio::test]
async fn idle_sessions_that_the_server_ends() {
    let Some(server) = PostgresServer::options().set("idle_session_timeout=1000").start() else { return };
    let store = store(&server.url(), "feature_flags");
    store.install_feed(true).await.unwrap();
    // Many at once: the server's word may come before a write is sent, after it, and between the two.
    let writers = (0..8).map(async |writer| {
        let store = crate::store(&server.url(), "feature_flags");
        let name = format!("F{writer}");
        for round in 0..6 {
            store.put(&flag(&name, round % 2 == 0), Precondition::Any.into()).await.unwrap();
            // About when the server ends the session; any moment must do.
            tokio::time::sleep(Duration::from_millis(975 + 5 * writer)).await;
        }
    });
    futures_util::future::join_all(writers).await;
    // None of them twice.
    let history = crate::history::table_of(&server, "feature_flags");
    let entries =
        format!("SELECT string_agg(n::text, '') FROM (SELECT count(*) AS n FROM {history} GROUP BY name) AS f");
    assert_eq!(server.psql(&entries), "6".repeat(8));
    let mut follow = crate::Follow::of(&store);
    follow.reset().await;
    // More than twice that time, without a doubt.
    tokio::time::sleep(Duration::from_secs(3)).await;
    store.put(&FlagRecord::new("LAST", 0), Precondition::Any.into()).await.unwrap();
    follow.until("LAST", Some(false)).await;
}

#[tokio::test]
async fn all_backends_are_ended() {
    let Some(server) = PostgresServer::start() else { return };
    let store = store(&server.url(), "feature_flags");
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    for _ in 0..5 {
        server.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'flipper'");
        // A read is repeated.
        assert!(store.get("F").await.unwrap().is_some());
    }
}

/// Unlike one that the server never read.
#[tokio::test]
async fn a_write_that_waits_when_its_backend_is_ended_is_not_sent_again() {
    let Some(server) = PostgresServer::start() else { return };
    let store = store(&server.url(), "feature_flags");
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    let holder = tokio_postgres_session(&server).await;
    holder.batch_execute("BEGIN; SELECT FROM feature_flags WHERE name = 'F' FOR UPDATE").await.unwrap();
    let ending = async {
        let waiting = "FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        while server.psql(&format!("SELECT count(*) {waiting}")) == "0" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server.psql(&format!("SELECT pg_terminate_backend(pid) {waiting}"));
    };
    let record = flag("F", false);
    let (written, ()) = futures_util::future::join(store.put(&record, Precondition::Any.into()), ending).await;
    let error = written.unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && !error.nothing_written(), "{error:?}");
    holder.batch_execute("ROLLBACK").await.unwrap();
    assert!(store.get("F").await.unwrap().unwrap().record.unwrap().is_enabled());
}

pub(crate) async fn tokio_postgres_session(server: &PostgresServer) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}
