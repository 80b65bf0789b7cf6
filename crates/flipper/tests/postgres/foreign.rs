//! The Python library and this one on the same table, and rows that are no flags.

use flipper::bucketing::{Percentage, PercentageBucketer};
use flipper::history::HistoryQuery;
use flipper::store::Precondition;
use flipper::{Condition, ErrorKind, FeatureFlagClient, FeatureFlagStore, context};
use flipper_testkit::postgres::PostgresServer;
use serde_json::json;

use crate::python::Python;
use crate::{Follow, flag, random_table, shared, store};

#[tokio::test]
async fn python_reads_what_rust_writes() {
    let Some(server) = shared() else { return };
    let table = random_table();
    // Python's own table.
    let Some(mut python) = Python::start("postgres", server.port(), &table) else { return };
    assert_eq!(python.ask(&json!(["list"])), json!([]));
    let features = FeatureFlagClient::remote(store(&server.url(), &table));

    features.create("F é").enabled(true).client_data(json!({"team": "café", "n": 1.5})).await.unwrap();
    assert_eq!(python.ask(&json!(["is_enabled", "F é", {}])), json!(true));
    assert_eq!(python.ask(&json!(["get_client_data", "F é"])), json!({"team": "café", "n": 1.5}));
    features.add_condition("F é", Condition::new().gt("user_id", 10)).await.unwrap();
    assert_eq!(python.ask(&json!(["is_enabled", "F é", {"user_id": 11}])), json!(true));
    assert_eq!(python.ask(&json!(["is_enabled", "F é", {"user_id": 10}])), json!(false));
    features.set_bucketer("F é", PercentageBucketer::new(Percentage::new(0.25))).await.unwrap();
    assert_eq!(python.ask(&json!(["get_meta", "F é"]))["bucketer"]["percentage"]["value"], json!(0.25));
    assert_eq!(python.ask(&json!(["list"])), json!(["F é"]));
    features.destroy("F é").await.unwrap();
    assert_eq!(python.ask(&json!(["exists", "F é"])), json!(false));
}

#[tokio::test]
async fn rust_reads_what_python_writes() {
    let Some(server) = shared() else { return };
    let table = random_table();
    // Ours, which Python finds.
    let store = store(&server.url(), &table);
    store.install_feed(true).await.unwrap();
    let Some(mut python) = Python::start("postgres", server.port(), &table) else { return };
    let features = FeatureFlagClient::remote(store.clone());
    let mut follow = Follow::of(&store);
    follow.pushed().await;

    python.ask(&json!(["create", "F", true, {"team": "café"}]));
    follow.until("F", Some(true)).await;
    let record = store.get("F").await.unwrap().unwrap().record.unwrap();
    // Byte for byte what Python would write.
    let text = server.psql(&format!("SELECT convert_from(item, 'UTF8') FROM {table}"));
    assert_eq!(record.to_json(), text);
    python.ask(&json!(["disable", "F"]));
    follow.until("F", Some(false)).await;
    python.ask(&json!(["enable", "F"]));
    follow.until("F", Some(true)).await;

    python.ask(&json!(["add_condition", "F", {"plan__in": ["pro", "team"]}]));
    assert!(features.fetch_enabled("F", &context! { plan: "pro" }).await.unwrap());
    assert!(!features.fetch_enabled("F", &context! { plan: "free" }).await.unwrap());
    python.ask(&json!(["set_percentage", "F", 0.0]));
    assert!(!features.fetch_enabled("F", &context! {}).await.unwrap());
    features.set_client_data("F", json!({"rust": 1})).await.unwrap();
    python.ask(&json!(["set_client_data", "F", {"python": 2}]));
    features.set_client_data("F", json!({"rust": 3})).await.unwrap();
    assert_eq!(python.ask(&json!(["get_client_data", "F"])), json!({"team": "café", "rust": 3, "python": 2}));
    python.ask(&json!(["destroy", "F"]));
    follow.until("F", None).await;
}

#[tokio::test]
async fn python_writes_between_our_read_and_our_write() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = store(&server.url(), &table);
    let version = store.put(&flag("F", false), Precondition::Absent.into()).await.unwrap();
    let Some(mut python) = Python::start("postgres", server.port(), &table) else { return };
    python.ask(&json!(["enable", "F"]));
    let error = store.put(&flag("F", false), Precondition::Unchanged(version.clone()).into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let error = store.delete("F", Precondition::Unchanged(version).into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(python.ask(&json!(["is_enabled", "F", {}])), json!(true));
}

#[tokio::test]
async fn rows_that_are_no_flags() {
    let Some(server) = shared() else { return };
    let table = random_table();
    server.psql(&format!("CREATE TABLE {table} (name text PRIMARY KEY, item bytea)"));
    let store = store(&server.url(), &table);
    store.install_feed(true).await.unwrap();
    let mut follow = Follow::of(&store);
    follow.pushed().await;
    // A lone surrogate is text that Python's JSON reads.
    let surrogate =
        flag("SURROGATE", true).to_json().replace("\"client_data\": {}", "\"client_data\": {\"a\": \"\\\\ud800\"}");
    server.psql(&format!(
        "INSERT INTO {table} VALUES ('NULL', NULL), ('EMPTY', ''), ('NOISE', '\\xfffe00'), ('', '{{}}'), \
         ('SURROGATE', '{surrogate}')"
    ));
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    follow.until("F", Some(true)).await;
    let flags = store.list().await.unwrap();
    let readable: Vec<_> = flags.iter().filter(|flag| flag.record.is_ok()).map(|flag| flag.name.as_str()).collect();
    assert_eq!((flags.len(), readable), (6, vec!["F", "SURROGATE"]));
    store.put(&flag("NOISE", true), Precondition::Any.into()).await.unwrap();
    follow.until("NOISE", Some(true)).await;
    let version = store.get("NULL").await.unwrap().unwrap().version;
    store.put(&flag("NULL", true), Precondition::Unchanged(version).into()).await.unwrap();
    follow.until("NULL", Some(true)).await;
    store.delete("EMPTY", Precondition::Any.into()).await.unwrap();
    follow.until("EMPTY", None).await;
}

/// Rows of two partitions may have the same place, and here the same writer.
#[tokio::test]
async fn changes_in_partitions_are_seen() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let part = |number| {
        format!("CREATE TABLE {table}_{number} PARTITION OF {table} FOR VALUES WITH (MODULUS 2, REMAINDER {number})")
    };
    server.psql(&format!(
        "CREATE TABLE {table} (name varchar(255) PRIMARY KEY, item bytea NOT NULL) PARTITION BY HASH (name); {}; {}",
        part(0),
        part(1)
    ));
    let row = |name: &str| format!("INSERT INTO {table} VALUES ('{name}', {})", crate::json(name, false));
    server.psql(&format!("BEGIN; {}; {}; COMMIT", row("a"), row("x1")));
    for number in 0..2 {
        assert_eq!(server.psql(&format!("SELECT ctid FROM {table}_{number}")), "(0,1)");
    }
    let store = store(&server.url(), &table);
    let mut follow = Follow::of(&store);
    assert_eq!(follow.reset().await.len(), 2);
    let on = |name: &str| format!("UPDATE {table} SET item = {} WHERE name = '{name}'", crate::json(name, true));
    server.psql(&format!("BEGIN; {}; {}; COMMIT", on("a"), on("x1")));
    follow.until("a", Some(true)).await;
}

/// Of an application that commits in two phases.
#[tokio::test]
async fn a_transaction_that_is_prepared() {
    let Some(server) = PostgresServer::options().set("max_prepared_transactions=5").start() else { return };
    let store = store(&server.url(), "feature_flags");
    store.install_feed(true).await.unwrap();
    let prepare = |name: &str| {
        let insert = format!("INSERT INTO feature_flags SELECT '{name}', {}", crate::json(name, true));
        server.try_psql(&format!("BEGIN; {insert}; PREPARE TRANSACTION '{name}'"))
    };
    let refused = prepare("F").unwrap_err();
    assert!(
        refused.contains("cannot PREPARE a transaction that has executed LISTEN, UNLISTEN, or NOTIFY"),
        "{refused}"
    );
    assert!(store.list().await.unwrap().is_empty());

    store.install_feed(false).await.unwrap();
    let mut follow = Follow::of(&store);
    follow.polled().await;
    prepare("F").unwrap();
    // Until it ends, no other transaction that writes flags can commit.
    let other = format!("SET lock_timeout = '100ms'; INSERT INTO feature_flags SELECT 'G', {}", crate::json("G", true));
    let waits = server.try_psql(&other).unwrap_err();
    assert!(waits.contains("lock timeout"), "{waits}");
    server.psql("COMMIT PREPARED 'F'");
    follow.until("F", Some(true)).await;
    server.psql(&other);
    follow.until("G", Some(true)).await;
    prepare("H").unwrap();
    server.psql("ROLLBACK PREPARED 'H'");
    let entries = store.history(&HistoryQuery::all()).await.unwrap().entries;
    assert_eq!(entries.iter().map(|entry| &*entry.name).collect::<Vec<_>>(), ["G", "F"]);
}
