//! The history: who is in it, what it keeps, and where it is missing.

use std::thread;
use std::time::{Duration, SystemTime};

use flipper::history::{Entry, FlagState, HistoryLimits, HistoryQuery};
use flipper::store::{LocalFeatureFlagStore, Precondition};
use flipper::{
    ErrorKind, FeatureFlagClient, FeatureFlagStore, FlagRecord, MirroredFeatureFlagStore, PostgresFeatureFlagStore,
};
use flipper_testkit::postgres::{PASSWORD, Pool, PoolMode, PostgresServer};
use flipper_testkit::{block_on, wait_until};
use futures_util::TryStreamExt;
use serde_json::json as value;

use crate::python::Python;
use crate::{flag, json, random_table, shared, store};

async fn installed(server: &PostgresServer, table: &str) -> PostgresFeatureFlagStore {
    let store = store(&server.url(), table);
    store.install_feed(true).await.unwrap();
    store
}

async fn all(store: &PostgresFeatureFlagStore) -> Vec<Entry> {
    store.history(&HistoryQuery::all()).await.unwrap().entries
}

/// Flag, verb and source, the newest first.
fn shown(entries: &[Entry]) -> Vec<(&str, &str, &str)> {
    entries.iter().map(|entry| (&*entry.name, &*entry.verb, entry.source())).collect()
}

pub(crate) fn table_of(server: &PostgresServer, table: &str) -> String {
    server.psql(&format!(
        "SELECT 'flipper.' || replace(p.proname, 'changed', 'history') FROM pg_trigger t JOIN pg_proc p ON p.oid = tgfoid \
         WHERE tgname = 'flipper_changed' AND tgrelid = '{table}'::regclass"
    ))
}

/// As the version before the history installed it.
fn install_without_history(server: &PostgresServer, store: &PostgresFeatureFlagStore, table: &str) {
    let script = block_on(store.feed_script(true)).unwrap();
    let mark = script.split("flipper.clock_").nth(1).unwrap().split_once(' ').unwrap().0;
    server.psql(&include_str!("feed_before_history.sql").replace("MARK", mark).replace("FLAGS", table));
}

#[tokio::test]
async fn every_writer_is_in_it() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = installed(&server, &table).await;
    let features = FeatureFlagClient::remote(store.clone());
    features.as_actor("alice").because("incident 42").create("F").await.unwrap();
    let enabled =
        r#"convert_to(replace(convert_from(item, 'UTF8'), '"is_enabled": false', '"is_enabled": true'), 'UTF8')"#;
    server.psql(&format!("UPDATE {table} SET item = {enabled} WHERE name = 'F'"));
    server.psql(&format!("UPDATE {table} SET name = 'G' WHERE name = 'F'"));
    server.psql(&format!("COPY {table} FROM stdin;\nC\t\\\\x7b7d\n\\.\n"));
    let two = format!(
        "BEGIN; DELETE FROM {table} WHERE name = 'C'; SAVEPOINT s; DELETE FROM {table}; ROLLBACK TO s; \
         INSERT INTO {table} SELECT 'H', {}; COMMIT;",
        json("H", true)
    );
    server.psql(&two);
    server.psql(&format!("BEGIN; DELETE FROM {table}; ROLLBACK"));
    let entries = all(&store).await;
    let outside = "outside: psql";
    let expected = [
        ("H", "create", outside),
        ("C", "destroy", outside),
        ("C", "create", outside),
        ("G", "create", outside),
        ("F", "destroy", outside),
        ("F", "enable", outside),
        ("F", "create", "program"),
    ];
    assert_eq!(shown(&entries), expected);
    assert_eq!((entries[6].actor(), entries[6].reason()), (Some("alice"), Some("incident 42")));
    assert!(entries[..6].iter().all(|entry| entry.actor() == Some("postgres")));
    assert_eq!(entries[5].before, entries[6].after);
    assert!(entries[2].after.as_ref().unwrap().is_err(), "unreadable");

    // Each flag has an entry, and comes back by it.
    server.psql(&format!("TRUNCATE {table}"));
    assert_eq!(shown(&all(&store).await)[..2], [("H", "destroy", outside), ("G", "destroy", outside)]);
    let destroyed = all(&store).await.remove(0);
    features.restore("H", &destroyed).await.unwrap();
    assert!(features.fetch("H").await.unwrap().unwrap().is_enabled());
    let restored = all(&store).await.remove(0);
    assert_eq!((restored.actor(), restored.source()), (None, "program"));
}

/// The user who logged in, whatever role it took since, and the program's name, if it has one.
#[tokio::test]
async fn another_program_is_known_by_its_user_and_name() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = installed(&server, &table).await;
    let user = random_table();
    server.psql(&format!("CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'; GRANT SELECT, INSERT, TRUNCATE ON {table} TO {user}, pg_monitor; GRANT pg_monitor TO {user}"));
    let (client, connection) = tokio_postgres::connect(&server.url_of(&user), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    for (sets, source) in [
        ("SET application_name = 'o''hara (nightly)'", "outside: o'hara (nightly)"),
        ("SET ROLE pg_monitor; SET application_name = ''", "outside"),
    ] {
        client.batch_execute(sets).await.unwrap();
        client.batch_execute(&format!("INSERT INTO {table} SELECT 'F', {}", json("F", true))).await.unwrap();
        client.batch_execute(&format!("TRUNCATE {table}")).await.unwrap();
        let entries = all(&store).await;
        for (entry, verb) in entries[..2].iter().zip(["destroy", "create"]) {
            assert_eq!((entry.actor(), entry.source(), &*entry.verb), (Some(&*user), source, verb));
        }
    }
}

/// What a write of ours sets ends with its transaction; other programs may set it too.
#[tokio::test]
async fn a_program_may_say_who_it_is() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = installed(&server, &table).await;
    let (client, connection) = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("SET flipper.actor = 'o''hara'; SET flipper.source = 'migration'").await.unwrap();
    client.batch_execute(&format!("INSERT INTO {table} SELECT 'F', {}", json("F", true))).await.unwrap();
    let entry = all(&store).await.remove(0);
    assert_eq!((entry.actor(), entry.source(), &*entry.verb), (Some("o'hara"), "migration", "create"));
    // What it says of itself is not completed by who it is to the server; but without a source it is another program.
    for (sets, actor, source) in [
        ("RESET flipper.actor", None, "migration"),
        ("SET flipper.actor = 'zoe'; RESET flipper.source; SET application_name = 'm'", Some("zoe"), "outside: m"),
    ] {
        client.batch_execute(&format!("{sets}; UPDATE {table} SET item = item")).await.unwrap();
        let entry = all(&store).await.remove(0);
        assert_eq!((entry.actor(), entry.source()), (actor, source));
    }
}

#[tokio::test]
async fn python_is_in_it() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = installed(&server, &table).await;
    let Some(mut python) = Python::start("postgres", server.port(), &table) else { return };
    python.ask(&value!(["create", "F", false, {}]));
    FeatureFlagClient::remote(store.clone()).enable("F").await.unwrap();
    python.ask(&value!(["disable", "F"]));
    python.ask(&value!(["destroy", "F"]));
    let found = all(&store).await;
    let expected = [("F", "destroy", "outside"), ("F", "disable", "outside"), ("F", "enable", "program")];
    assert_eq!(shown(&found)[..3], expected);
    assert_eq!(shown(&found).last(), Some(&("F", "create", "outside")));
    assert_eq!(found[0].actor(), Some("postgres"));
}

#[tokio::test]
async fn without_the_triggers_all_else_works() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = store(&server.url(), &table);
    let unsupported = async || {
        let error = store.history(&HistoryQuery::all()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
        assert!(error.to_string().contains("flipper postgres install"), "{error}");
        assert!(!store.capabilities().history);
    };
    unsupported().await;
    let features = FeatureFlagClient::remote(store.clone());
    features.as_actor("alice").create("F").await.unwrap();
    store.install_feed(false).await.unwrap();
    assert!(store.capabilities().history);
    features.enable("F").await.unwrap();
    // The client shows that it was created before.
    assert_eq!(shown(&all(&store).await), [("F", "enable", "program")]);
    // Again, which keeps it.
    store.install_feed(true).await.unwrap();
    assert_eq!(all(&store).await.len(), 1);
    let history = table_of(&server, &table);
    store.remove_feed().await.unwrap();
    unsupported().await;
    features.disable("F").await.unwrap();
    assert_eq!(server.psql(&format!("SELECT to_regclass('{history}') IS NULL")), "t");
}

/// No call but the watch asks for anything.
#[test]
fn a_follower_knows_whether_there_is_one() {
    let Some(server) = PostgresServer::start() else { return };
    let table = "feature_flags";
    let (store, other) = (store(&server.url(), table), store(&server.url(), table));
    block_on(other.put(&flag("F", false), Precondition::Absent.into())).unwrap();
    let mirror = MirroredFeatureFlagStore::new(store.clone());
    block_on(mirror.ready()).unwrap();
    let becomes = |there: bool| {
        wait_until(&format!("there is a history: {there}"), || store.capabilities().history == there);
    };
    becomes(false);
    block_on(other.install_feed(true)).unwrap();
    becomes(true);
    // It refuses to replace this one.
    block_on(other.remove_feed()).unwrap();
    becomes(false);
    install_without_history(&server, &other, table);
    let flips = || block_on(other.put(&flag("F", true), Precondition::Any.into())).is_ok();
    wait_until("a write through the old triggers", flips);
    wait_until("the follower has it", || {
        block_on(mirror.get("F")).unwrap().is_some_and(|flag| flag.record.unwrap().is_enabled())
    });
    becomes(false);
    block_on(other.install_feed(false)).unwrap();
    becomes(true);
    block_on(other.remove_feed()).unwrap();
    becomes(false);
}

/// What it has written stays, and is of no use as long as nothing is added.
#[tokio::test]
async fn who_asks_for_it_knows_whether_it_is_written() {
    let Some(server) = PostgresServer::start() else { return };
    let (asks, other) = (store(&server.url(), "feature_flags"), store(&server.url(), "feature_flags"));
    asks.list().await.unwrap();
    other.install_feed(true).await.unwrap();
    all(&asks).await;
    assert!(asks.capabilities().history);
    server.psql("ALTER TABLE feature_flags DISABLE TRIGGER flipper_changed");
    all(&asks).await;
    assert!(!asks.capabilities().history);
}

/// The triggers go with the table; its old name may be another table's.
#[tokio::test]
async fn a_table_that_was_renamed_is_truncated() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = installed(&server, &table).await;
    let history = table_of(&server, &table);
    let verbs = || {
        server.psql(&format!("SELECT string_agg(name || ' ' || (after IS NULL), ', ' ORDER BY number) FROM {history}"))
    };
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    server.psql(&format!("ALTER TABLE {table} RENAME TO {table}_old"));
    server.psql(&format!("TRUNCATE {table}_old"));
    server.psql(&format!("CREATE TABLE {table} AS SELECT 'G'::text AS name, 'g'::bytea AS item"));
    server.psql(&format!("TRUNCATE {table}_old"));
    assert_eq!(verbs(), "F false");
    server.psql(&format!("DROP TABLE {table}; ALTER TABLE {table}_old RENAME TO {table}"));
    store.put(&flag("H", true), Precondition::Absent.into()).await.unwrap();
    server.psql(&format!("TRUNCATE {table}"));
    assert_eq!(verbs(), "F false, H false, H true");
}

/// As where a clock was wrong: a search ends only after a thousand older entries in a row.
#[tokio::test]
async fn entries_between_older_ones_are_found() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = installed(&server, &table).await;
    let history = table_of(&server, &table);
    let write = |count: u32| {
        let rows =
            format!("INSERT INTO {table} SELECT 'F' || n, {} FROM generate_series(1, {count}) n", json("F", true));
        server.psql(&format!("{rows}; DELETE FROM {table}"));
    };
    let aged = |which: &str| {
        let first = format!("(SELECT min(number) FROM {history})");
        server.psql(&format!("UPDATE {history} SET at = now() - interval '2 hours' WHERE number - {first} {which}"));
    };
    write(20);
    aged("NOT IN (3, 30, 31, 39)");
    let hour = SystemTime::now().checked_sub(Duration::from_secs(3600));
    let features = FeatureFlagClient::remote(store.clone());
    for limit in [1, 2, 3, 100] {
        let query = HistoryQuery::all().since(hour).limit(limit);
        let mut found = Vec::new();
        let mut next = None;
        loop {
            let page = store.history(&query.clone().before(next)).await.unwrap();
            found.extend(page.entries);
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(found.len(), 4, "in pages of {limit}");
        assert!(found.iter().all(|entry| entry.before.is_some() || entry.after.is_some()), "{found:?}");
    }
    write(600);
    aged("> 39");
    let found: Vec<Entry> = features.entries(HistoryQuery::all().since(hour)).try_collect().await.unwrap();
    assert!(found.is_empty(), "{found:?}");
}

/// And the functions may be another user's than the new table.
#[test]
fn an_installation_of_the_version_before_is_completed() {
    let Some(server) = PostgresServer::start() else { return };
    server.psql(&format!("CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'; GRANT CREATE ON DATABASE postgres TO app"));
    server.psql("GRANT CREATE ON SCHEMA public TO app");
    let app = store(&server.url_of("app"), "feature_flags");
    block_on(app.put(&flag("F", false), Precondition::Absent.into())).unwrap();
    let table = "feature_flags";
    install_without_history(&server, &app, table);
    server.psql(
        "DO $$ DECLARE f record; BEGIN \
         FOR f IN SELECT oid::regprocedure AS name FROM pg_proc WHERE pronamespace = 'flipper'::regnamespace LOOP \
         EXECUTE format('ALTER FUNCTION %s OWNER TO app', f.name); END LOOP; \
         FOR f IN SELECT oid::regclass AS name FROM pg_class WHERE relnamespace = 'flipper'::regnamespace AND relkind = 'r' LOOP \
         EXECUTE format('ALTER TABLE %s OWNER TO app', f.name); END LOOP; END $$",
    );
    let features = FeatureFlagClient::remote(store(&server.url_of("app"), table));
    block_on(features.enable("F")).unwrap();
    let owner = store(&server.url(), table);
    let error = block_on(owner.history(&HistoryQuery::all())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    let checks = block_on(owner.inspect());
    let check = checks.iter().find(|check| check.what == "history").unwrap();
    assert!(check.text.contains("older version"), "{check:?}");

    block_on(owner.install_feed(true)).unwrap();
    block_on(features.disable("F")).unwrap();
    assert_eq!(shown(&block_on(all(&owner))), [("F", "disable", "program")]);
    server.psql("TRUNCATE feature_flags");
    assert_eq!(shown(&block_on(all(&owner)))[0], ("F", "destroy", "outside: psql"));
}

#[tokio::test]
async fn triggers_that_do_not_know_other_programs_go_on() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = store(&server.url(), &table);
    store.list().await.unwrap();
    // As the version before wrote nothing for them.
    let script = store.feed_script(true).await.unwrap();
    let script = script.replace("session_user", "NULL::text").replace("'outside'", "NULL::text");
    server.psql(&script.replace("flipper.cause", "flipper.nothing"));
    let insert = || server.psql(&format!("INSERT INTO {table} SELECT 'F' || gen_random_uuid(), {}", json("F", true)));
    insert();
    let entry = all(&store).await.remove(0);
    assert_eq!((entry.actor(), entry.source(), entry.cause.is_none()), (None, "outside", true));
    let history = async || {
        let checks = store.feed_status().await.unwrap();
        checks.into_iter().find(|check| check.what == "history").unwrap().text
    };
    assert!(history().await.contains("older version"), "{}", history().await);
    store.install_feed(true).await.unwrap();
    assert_eq!(history().await, "every write is in it");
    insert();
    let sources: Vec<_> = all(&store).await.iter().map(|entry| entry.source().to_owned()).collect();
    assert_eq!(sources, ["outside: psql", "outside"]);
}

#[tokio::test]
async fn a_writer_needs_no_right_on_it_and_a_reader_does() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let owner = installed(&server, &table).await;
    let role = |rights: &str| {
        let role = random_table();
        server.psql(&format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'; GRANT {rights} ON {table} TO {role}"));
        (store(&server.url_of(&role), &table), role)
    };
    let (writer, writer_role) = role("SELECT, INSERT, UPDATE, DELETE");
    writer.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    writer.delete("F", Precondition::Any.into()).await.unwrap();
    assert_eq!(shown(&all(&owner).await), [("F", "destroy", "outside: flipper"), ("F", "create", "outside: flipper")]);
    // Who came after the installation may not read it, and is shown why.
    let error = writer.history(&HistoryQuery::all()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    assert!(error.to_string().contains("GRANT SELECT ON flipper.history_"), "{error}");
    owner.install_feed(true).await.unwrap();
    assert_eq!(all(&writer).await.len(), 2);
    // And may not change it.
    let history = table_of(&server, &table);
    let denied = server
        .psql(&format!("SELECT has_table_privilege('{writer_role}', '{history}', 'INSERT, UPDATE, DELETE, TRUNCATE')"));
    assert_eq!(denied, "f");
    let (reader, _) = role("SELECT");
    let error = reader.put(&flag("F", true), Precondition::Any.into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    assert_eq!(all(&owner).await.len(), 2);
}

#[tokio::test]
async fn it_is_bounded_for_all_writers() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let limited = |limits: HistoryLimits| store(&server.url(), &table).history_limits(limits);
    let store = limited(HistoryLimits::default().entries(20));
    store.install_feed(false).await.unwrap();
    for round in 0..50 {
        store.put(&flag("OURS", round % 2 == 0), Precondition::Any.into()).await.unwrap();
    }
    assert_eq!(all(&store).await.len(), 20);
    server.psql(&format!("INSERT INTO {table} SELECT 'F' || n, {} FROM generate_series(1, 100) n", json("F", true)));
    let entries = all(&store).await;
    assert_eq!((entries.len(), &*entries[0].name), (20, "F100"));

    limited(HistoryLimits::default().entries(20).age(Duration::from_secs(3600))).install_feed(false).await.unwrap();
    let history = table_of(&server, &table);
    server.psql(&format!("UPDATE {history} SET at = at - interval '2 hours' WHERE name <> 'F100'"));
    store.put(&flag("OURS", true), Precondition::Any.into()).await.unwrap();
    assert_eq!(
        shown(&all(&store).await),
        [("OURS", "enable", "outside: flipper"), ("F100", "create", "outside: psql")]
    );
    // Without limits of its own, as the command, an installation leaves them as they are.
    crate::store(&server.url(), &table).install_feed(true).await.unwrap();
    let limits = server.psql(&format!("SELECT entries || ' ' || age FROM {}", history.replace("history", "clock")));
    assert_eq!(limits, "20 01:00:00");
    // Of any length, without an error in a write.
    limited(HistoryLimits::default().age(Duration::MAX)).install_feed(false).await.unwrap();
    for _ in 0..200 {
        store.put(&flag("OURS", true), Precondition::Any.into()).await.unwrap();
    }
    assert_eq!(all(&store).await.len(), 100, "a page");
}

/// An idle transaction has deleted what our write would delete, and holds it.
#[tokio::test]
async fn a_write_waits_for_nothing_in_it() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = store(&server.url(), &table).history_limits(HistoryLimits::default().entries(2));
    store.install_feed(false).await.unwrap();
    for round in 0..4 {
        store.put(&flag("F", round % 2 == 0), Precondition::Any.into()).await.unwrap();
    }
    let holder = crate::writes::tokio_postgres_session(&server).await;
    let history = table_of(&server, &table);
    holder.batch_execute(&format!("BEGIN; DELETE FROM {history}")).await.unwrap();
    store.put(&flag("F", true), Precondition::Any.into()).await.unwrap();
    holder.batch_execute("ROLLBACK").await.unwrap();
    store.put(&flag("F", false), Precondition::Any.into()).await.unwrap();
    assert_eq!(all(&store).await.len(), 2);
}

#[tokio::test]
async fn what_cannot_be_asked_for() {
    let Some(server) = shared() else { return };
    let store = installed(&server, &random_table()).await;
    let before = |id: &str| HistoryQuery::all().before(Some(flipper::history::EntryId::new(id)));
    for id in ["", "x", "1-0", "99999999999999999999"] {
        let error = store.history(&before(id)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    }
    for query in [HistoryQuery::of("a\0b"), HistoryQuery::of(""), before("-5")] {
        assert!(store.history(&query).await.unwrap().entries.is_empty());
    }
    store.put(&flag("F", true), Precondition::Any.into()).await.unwrap();
    let ages = [Duration::ZERO, Duration::from_secs(u64::MAX >> 2), Duration::from_secs(1 << 34)];
    let times = ages.map(|age| SystemTime::UNIX_EPOCH.checked_add(age)).into_iter().flatten();
    for (at, since) in times.chain(SystemTime::UNIX_EPOCH.checked_sub(Duration::from_secs(1 << 40))).enumerate() {
        let page = store.history(&HistoryQuery::all().since(Some(since))).await.unwrap();
        assert_eq!(page.entries.len(), usize::from(since <= SystemTime::now()), "{at}: {since:?}");
    }
}

#[test]
fn eight_writers_leave_a_history_that_replays() {
    const WRITERS: usize = 8;
    const MERGES: usize = 200;
    let Some(server) = shared() else { return };
    let Some(pool) = Pool::start(&server, PoolMode::Transaction) else { return };
    let table = random_table();
    let limits = HistoryLimits::default();
    let first = store(&server.url(), &table).history_limits(limits);
    block_on(first.install_feed(true)).unwrap();
    let first = FeatureFlagClient::remote(first);
    block_on(first.create("F")).unwrap();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let url = if writer.is_multiple_of(2) { server.url() } else { pool.url() };
            let features =
                FeatureFlagClient::builder().write_timeout(Duration::from_secs(120)).build_remote(store(&url, &table));
            scope.spawn(move || {
                let features = features.as_actor(format!("writer {writer}"));
                for number in 0..MERGES {
                    block_on(features.set_client_data("F", value!({ format!("{writer}-{number}"): number }))).unwrap();
                }
            });
        }
    });
    let entries: Vec<Entry> = block_on(first.history("F").try_collect()).unwrap();
    assert_eq!(entries.len(), WRITERS * MERGES + 1);
    let mut state: FlagState = None;
    for entry in entries.iter().rev() {
        assert_eq!(entry.before, state, "{entry:?} must begin with what the previous entry left");
        state.clone_from(&entry.after);
    }
    assert_eq!(state, block_on(first.fetch("F")).unwrap().map(Ok));
    for writer in 0..WRITERS {
        let actor = format!("writer {writer}");
        assert_eq!(entries.iter().filter(|entry| entry.actor() == Some(&actor)).count(), MERGES);
    }
}

/// Each shape of query, over many more entries than a page.
#[test]
fn pages_are_read_by_an_index() {
    let Some(server) = PostgresServer::options()
        .set("shared_preload_libraries=auto_explain")
        .set("auto_explain.log_min_duration=0")
        .start()
    else {
        return;
    };
    let store = store(&server.url(), "feature_flags");
    let records: Vec<_> = (0..500).map(|number| FlagRecord::new(format!("F{number}"), 0)).collect();
    block_on(async {
        store.install_feed(false).await.unwrap();
        for _ in 0..20 {
            for done in store.put_all(&records, Precondition::Any.into()).await {
                done.unwrap();
            }
        }
    });
    server.psql("ANALYZE");
    let log = || std::fs::read_to_string(server.folder().join("log")).unwrap();
    let marked = log().len();
    block_on(async {
        let page = store.history(&HistoryQuery::all()).await.unwrap();
        let since = page.entries[0].at;
        for query in [
            HistoryQuery::all().before(page.next),
            HistoryQuery::of("F7"),
            HistoryQuery::of("F7").since(Some(since)),
            HistoryQuery::all().since(Some(since - Duration::from_secs(3600))),
        ] {
            store.history(&query).await.unwrap();
        }
    });
    let plans = || log()[marked..].matches("LIMIT $2").count();
    flipper_testkit::wait_until("the plans are logged", || plans() >= 5);
    let log = log();
    let plans: Vec<&str> = log[marked..].split("Query Text: SELECT h.number").skip(1).collect();
    assert_eq!(plans.len(), 5);
    for plan in plans {
        let plan = plan.split("LOG:").next().unwrap();
        // The few entries of one flag may be sorted.
        let sorts = plan.contains("Sort") && !plan.contains("h.name =");
        assert!(plan.contains("Index Scan") && !sorts && !plan.contains("Seq Scan"), "{plan}");
    }
}

/// A write stays one statement, and so one round trip.
#[test]
fn a_write_is_one_statement() {
    let logged = PostgresServer::options().set("log_min_duration_statement=0").set("log_line_prefix=%a ");
    let Some(server) = logged.start() else { return };
    let store = store(&server.url(), "feature_flags");
    let log = || std::fs::read_to_string(server.folder().join("log")).unwrap();
    let statements = |log: &str| log.lines().filter(|line| line.contains("ms  execute")).count();
    block_on(async {
        store.install_feed(true).await.unwrap();
        let version = store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
        let before = log().len();
        let version = store.put(&flag("F", false), Precondition::Unchanged(version).into()).await.unwrap();
        store.put(&flag("G", false), Precondition::Absent.into()).await.unwrap();
        store.delete("F", Precondition::Unchanged(version).into()).await.unwrap();
        flipper_testkit::wait_until("they are logged", || log()[before..].contains("DELETE FROM"));
        assert_eq!(statements(&log()[before..]), 3, "{}", &log()[before..]);
        assert_eq!(all(&store).await.len(), 4);
    });
}
