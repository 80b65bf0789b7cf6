//! What followers see, by the feed and without it.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use flipper::history::{HistoryLimits, HistoryQuery};
use flipper::store::{LocalFeatureFlagStore, Precondition, Updates, WatchEvent};
use flipper::{FeatureFlagStore, MirroredFeatureFlagStore, PostgresFeatureFlagStore};
use flipper_testkit::postgres::{PASSWORD, PostgresServer};
use flipper_testkit::{Harm, Relay, wait_until};

use crate::writes::tokio_postgres_session;
use crate::{Follow, flag, json, names, random_table, shared, store};

async fn fed(server: &PostgresServer, table: &str) -> PostgresFeatureFlagStore {
    let store = store(&server.url(), table);
    store.install_feed(true).await.unwrap();
    store
}

/// The feed's own table, whose name has the hash of this one's in it.
pub(crate) fn of_feed(server: &PostgresServer, table: &str, what: &str) -> String {
    let triggers = format!("SELECT tgfoid::regproc FROM pg_trigger WHERE tgrelid = '{table}'::regclass");
    let changed = server.psql(&format!("{triggers} AND tgname = 'flipper_changed'"));
    changed.trim().replace("changed_", &format!("{what}_"))
}

#[tokio::test]
async fn changes_of_any_writer_are_pushed() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = fed(&server, &table).await.poll_every(Duration::from_secs(600));
    let mut follow = Follow::of(&store);
    follow.pushed().await;
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    follow.until("F", Some(true)).await;
    server.psql(&format!("UPDATE {table} SET item = {} WHERE name = 'F'", json("F", false)));
    follow.until("F", Some(false)).await;
    server.psql(&format!("UPDATE {table} SET name = 'G' WHERE name = 'F'"));
    follow.until("G", Some(false)).await;
    server.psql(&format!("INSERT INTO {table} SELECT 'H', {}", json("H", true)));
    follow.until("H", Some(true)).await;
    server.psql(&format!("DELETE FROM {table} WHERE name = 'H'"));
    follow.until("H", None).await;
    server.psql(&format!("COPY {table} FROM stdin;\nC\t\\\\x7b7d\n\\.\n"));
    follow.until("C", None).await;
    assert!(store.get("C").await.unwrap().unwrap().record.is_err());
}

#[tokio::test]
async fn what_a_large_transaction_undoes_is_not_listed() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = fed(&server, &table).await;
    store.put(&flag("KEPT", true), Precondition::Absent.into()).await.unwrap();
    let mut follow = Follow::of(&store);
    follow.pushed().await;
    server.psql(&format!(
        "BEGIN; INSERT INTO {table} SELECT 'F' || n, {} FROM generate_series(1, 3000) n; \
         SAVEPOINT s; DELETE FROM {table} WHERE name = 'KEPT'; ROLLBACK TO s; \
         SAVEPOINT t; SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK TO t; DELETE FROM {table} WHERE name = 'F7'; COMMIT;",
        json("F", true)
    ));
    follow.until("F3000", Some(true)).await;
    // Undone, and so not in the list; the deletion is.
    assert_eq!(store.list().await.unwrap().len(), 3000);
    for (name, entries) in [("KEPT", 1), ("F7", 2)] {
        assert_eq!(store.history(&HistoryQuery::of(name)).await.unwrap().entries.len(), entries, "{name}");
    }
    store.put(&flag("LAST", true), Precondition::Absent.into()).await.unwrap();
    follow.until("LAST", Some(true)).await;
}

/// The list is the history, of which few entries are kept here: what a follower has not read may be trimmed. Time is under test: after half a minute
/// all rows are compared.
#[tokio::test]
async fn more_changes_than_the_history_keeps_are_seen() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = store(&server.url(), &table).history_limits(HistoryLimits::default().entries(2));
    store.install_feed(true).await.unwrap();
    let mut follow = Follow::of(&store);
    follow.pushed().await;
    for round in 0..3 {
        server.psql(&fifty(&table, round));
        see_fifty(&mut follow, round).await;
        let name = format!("F{round}_7");
        server.psql(&format!("DELETE FROM {table} WHERE name = '{name}'"));
        follow.until(&name, None).await;
    }
}

fn fifty(table: &str, round: usize) -> String {
    format!("INSERT INTO {table} SELECT 'F{round}_' || n, {} FROM generate_series(1, 50) n", json("F", true))
}

async fn see_fifty(follow: &mut Follow<'_>, round: usize) {
    let mut missing: HashSet<_> = (1..=50).map(|number| format!("F{round}_{number}")).collect();
    let began = Instant::now();
    while !missing.is_empty() {
        if let WatchEvent::Changed { flag, .. } = follow.next().await {
            missing.remove(&flag.name);
        }
    }
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
}

/// The last entry that a follower has read stands for all after it. Here it would stay, and they would not: a transaction of an older snapshot does
/// not see it, and another one holds it.
#[tokio::test]
async fn no_entry_is_trimmed_between_two_that_stay() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = store(&server.url(), &table).history_limits(HistoryLimits::default().entries(10));
    store.install_feed(true).await.unwrap();
    let mut follow = Follow::of(&store);
    follow.pushed().await;
    let session = tokio_postgres_session(&server).await;
    for (round, level) in ["REPEATABLE READ", "SERIALIZABLE", "READ COMMITTED"].into_iter().enumerate() {
        let before = format!("BEFORE {round}");
        session.batch_execute(&format!("BEGIN ISOLATION LEVEL {level}; SELECT 1 FROM {table}")).await.unwrap();
        store.put(&flag(&before, true), Precondition::Absent.into()).await.unwrap();
        follow.until(&before, Some(true)).await;
        session.batch_execute(&format!("{}; COMMIT", fifty(&table, round))).await.unwrap();
        see_fifty(&mut follow, round).await;
    }
    let history = of_feed(&server, &table, "history");
    store.put(&flag("HELD", true), Precondition::Absent.into()).await.unwrap();
    follow.until("HELD", Some(true)).await;
    session.batch_execute(&format!("BEGIN; SELECT FROM {history} WHERE name = 'HELD' FOR SHARE")).await.unwrap();
    server.psql(&fifty(&table, 3));
    see_fifty(&mut follow, 3).await;
    session.batch_execute("COMMIT").await.unwrap();
    server.psql(&fifty(&table, 4));
    see_fifty(&mut follow, 4).await;
    // What was left out until then is trimmed now.
    assert!(store.history(&HistoryQuery::all()).await.unwrap().entries.len() <= 11);
}

/// A number is drawn under a lock that lasts until the commit: a later one is never seen before.
#[tokio::test]
async fn numbers_are_in_the_order_of_the_commits() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = fed(&server, &table).await;
    let mut follow = Follow::of(&store);
    follow.pushed().await;
    let insert = |name: &str| format!("INSERT INTO {table} SELECT '{name}', {}", json("F", true));
    for (round, end) in ["COMMIT", "ROLLBACK TO s; COMMIT"].into_iter().enumerate() {
        let (first, second) = (tokio_postgres_session(&server).await, tokio_postgres_session(&server).await);
        let (one, other) = (format!("ONE {round}"), format!("OTHER {round}"));
        let begin = format!("BEGIN; SAVEPOINT s; {}; SET CONSTRAINTS ALL IMMEDIATE", insert(&one));
        first.batch_execute(&begin).await.unwrap();
        let waits = {
            let insert = insert(&other);
            tokio::spawn(async move { second.batch_execute(&insert).await })
        };
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(!waits.is_finished(), "the second commit has not waited");
        first.batch_execute(end).await.unwrap();
        waits.await.unwrap().unwrap();
        let began = Instant::now();
        if round == 0 {
            follow.until(&one, Some(true)).await;
        }
        follow.until(&other, Some(true)).await;
        assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    }
}

/// The numbers begin again, and reach that of the last change before a follower looks.
#[tokio::test]
async fn another_history_with_the_same_numbers_is_noticed() {
    let Some(server) = shared() else { return };
    let table = random_table();
    // It looks each second, as nothing notifies it.
    let store = store(&server.url(), &table).poll_every(Duration::from_secs(4));
    store.install_feed(false).await.unwrap();
    let mut follow = Follow::of(&store);
    follow.polled().await;
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    follow.until("F", Some(true)).await;
    store.put(&flag("F", false), Precondition::Any.into()).await.unwrap();
    follow.until("F", Some(false)).await;
    let history = of_feed(&server, &table, "history");
    server.psql(&format!(
        "BEGIN; TRUNCATE {history} RESTART IDENTITY; UPDATE {table} SET item = {}; \
         INSERT INTO {table} SELECT 'G', {json}; INSERT INTO {table} SELECT 'H', {json}; COMMIT",
        json("F", true),
        json = json("G", true)
    ));
    let error = follow.lost().await;
    assert!(error.chain().contains("another one"), "{error:?}");
    assert_eq!(names(&follow.restored().await), ["F", "G", "H"]);
}

/// As in a copy of the schema alone: a write makes it again, so no program's writes fail.
#[tokio::test]
async fn the_row_that_orders_all_is_missing() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = fed(&server, &table).await;
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    let mut follow = Follow::of(&store);
    follow.pushed().await;
    let clock = of_feed(&server, &table, "clock");
    let update = format!("UPDATE {table} SET item = {}", json("F", false));
    server.psql(&format!("BEGIN; TRUNCATE {clock}; {update}; COMMIT"));
    follow.until("F", Some(false)).await;
    follow.pushed().await;
    assert_eq!(server.psql(&format!("SELECT count(*) FROM {clock}")).trim(), "1");
}

/// Its triggers write into the feed of the name that it had.
#[tokio::test]
async fn two_tables_change_their_names() {
    let Some(server) = shared() else { return };
    let (one, other) = (random_table(), random_table());
    let stores = [fed(&server, &one).await, fed(&server, &other).await];
    for store in &stores {
        store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    }
    server.psql(&format!(
        "BEGIN; ALTER TABLE {one} RENAME TO {one}_x; ALTER TABLE {other} RENAME TO {one}; ALTER TABLE {one}_x RENAME TO {other}; COMMIT"
    ));
    let mut follow = Follow::of(&stores[0]);
    follow.polled().await;
    let began = Instant::now();
    server.psql(&format!("UPDATE {one} SET item = {}", json("F", false)));
    follow.until("F", Some(false)).await;
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    stores[0].install_feed(true).await.unwrap();
    follow.pushed().await;
    server.psql(&format!("UPDATE {one} SET item = {}", json("F", true)));
    follow.until("F", Some(true)).await;
}

/// In `REPEATABLE READ` a commit neither fails nor makes another fail: the clock's row is locked, and not written, and such a commit trims nothing.
#[tokio::test]
async fn transactions_of_one_snapshot_write_different_flags() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = store(&server.url(), &table).history_limits(HistoryLimits::default().entries(1));
    store.install_feed(true).await.unwrap();
    let mut follow = Follow::of(&store);
    follow.pushed().await;
    for level in ["REPEATABLE READ", "SERIALIZABLE"] {
        let mut sessions = Vec::new();
        for name in ["FIRST", "SECOND"] {
            let (name, session) = (format!("{name} {level}"), tokio_postgres_session(&server).await);
            let insert = format!("INSERT INTO {table} SELECT '{name}', {}", json("F", true));
            session.batch_execute(&format!("BEGIN ISOLATION LEVEL {level}; {insert}")).await.unwrap();
            sessions.push((session, name));
        }
        for (session, name) in sessions {
            session.batch_execute("COMMIT").await.unwrap();
            follow.until(&name, Some(true)).await;
        }
    }
}

#[tokio::test]
async fn a_commit_that_is_late_is_not_missed() {
    let Some(server) = shared() else { return };
    let table = random_table();
    for fed in [true, false] {
        let store = store(&server.url(), &table);
        if fed {
            store.install_feed(true).await.unwrap();
        } else {
            store.remove_feed().await.unwrap();
        }
        let mut follow = Follow::of(&store);
        if fed {
            follow.pushed().await;
        } else {
            follow.polled().await;
        }
        let mut sessions = Vec::new();
        for name in ["FIRST", "SECOND", "THIRD"] {
            let session = tokio_postgres_session(&server).await;
            let insert = format!("INSERT INTO {table} SELECT '{name}_{fed}', {}", json(name, true));
            session.batch_execute(&format!("BEGIN; SAVEPOINT s; {insert}; RELEASE s")).await.unwrap();
            sessions.push((session, format!("{name}_{fed}")));
        }
        for place in [1, 0, 2] {
            let (session, name) = &sessions[place];
            session.batch_execute("COMMIT").await.unwrap();
            follow.until(name, Some(true)).await;
        }
    }
}

#[tokio::test]
async fn all_flags_are_truncated() {
    let Some(server) = shared() else { return };
    let table = random_table();
    for fed in [true, false] {
        let store = store(&server.url(), &table);
        if fed {
            store.install_feed(true).await.unwrap();
        } else {
            store.remove_feed().await.unwrap();
        }
        let mut follow = Follow::of(&store);
        for round in 0..3 {
            store.put(&flag("F", true), Precondition::Any.into()).await.unwrap();
            store.put(&flag("G", true), Precondition::Any.into()).await.unwrap();
            follow.until("G", Some(true)).await;
            server.psql(&format!("TRUNCATE {table}"));
            follow.until("G", None).await;
            let name = format!("NEW{round}");
            store.put(&flag(&name, true), Precondition::Any.into()).await.unwrap();
            follow.until(&name, Some(true)).await;
        }
    }
}

#[tokio::test]
async fn without_the_feed_rows_are_compared() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = store(&server.url(), &table);
    let mut follow = Follow::of(&store);
    follow.polled().await;
    // On, off and on again is a change, though the content is as before.
    for enabled in [true, false, true] {
        store.put(&flag("F", enabled), Precondition::Any.into()).await.unwrap();
        follow.until("F", Some(enabled)).await;
    }
    store.delete("F", Precondition::Any.into()).await.unwrap();
    follow.until("F", None).await;
}

#[tokio::test]
async fn the_feed_comes_and_goes_under_a_follower() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = store(&server.url(), &table);
    let mut follow = Follow::of(&store);
    follow.polled().await;
    let mut round = 0;
    let mut write = async |follow: &mut Follow<'_>| {
        round += 1;
        let name = format!("F{round}");
        store.put(&flag(&name, true), Precondition::Absent.into()).await.unwrap();
        follow.until(&name, Some(true)).await;
    };
    write(&mut follow).await;
    store.install_feed(true).await.unwrap();
    follow.pushed().await;
    write(&mut follow).await;
    // Again, which changes nothing.
    store.install_feed(true).await.unwrap();
    write(&mut follow).await;
    for (undo, redo) in [
        (
            format!("ALTER TABLE {table} DISABLE TRIGGER flipper_changed"),
            format!("ALTER TABLE {table} ENABLE ALWAYS TRIGGER flipper_changed"),
        ),
        (format!("ALTER TABLE {table} DISABLE TRIGGER ALL"), format!("ALTER TABLE {table} ENABLE TRIGGER ALL")),
        (format!("DROP TRIGGER flipper_truncated ON {table}"), String::new()),
    ] {
        server.psql(&undo);
        follow.polled().await;
        write(&mut follow).await;
        match redo.as_str() {
            "" => store.install_feed(true).await.unwrap(),
            redo => _ = server.psql(redo),
        }
        follow.pushed().await;
        write(&mut follow).await;
    }
    store.remove_feed().await.unwrap();
    follow.polled().await;
    write(&mut follow).await;
    store.install_feed(false).await.unwrap();
    follow.polled().await;
    write(&mut follow).await;
}

#[tokio::test]
async fn writers_in_replication_are_seen_if_the_owner_installs() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = fed(&server, &table).await;
    let mut follow = Follow::of(&store);
    follow.pushed().await;
    server
        .psql(&format!("SET session_replication_role = replica; INSERT INTO {table} SELECT 'F', {}", json("F", true)));
    follow.until("F", Some(true)).await;
}

/// Between the poll that finds all flags removed and the read of all.
#[tokio::test]
async fn a_trigger_is_disabled_while_all_flags_are_read() {
    let Some(server) = PostgresServer::start() else { return };
    let relay = Relay::start(server.port());
    let store = fed(&server, "feature_flags").await;
    let reader =
        crate::store(&server.url().replace(&server.port().to_string(), &relay.port().to_string()), "feature_flags");
    let mut follow = Follow::of(&reader);
    follow.pushed().await;
    relay.harm(Harm::Delay(Duration::from_secs(2)));
    let truncated = server.psql("TRUNCATE feature_flags; SELECT clock_timestamp()");
    wait_until("the poll is answered", || {
        let polls = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'flipper' AND state = 'idle'";
        server.psql(&format!("{polls} AND query_start > '{truncated}' AND query LIKE '%clock%'")) != "0"
    });
    server.psql("ALTER TABLE feature_flags DISABLE TRIGGER flipper_changed");
    relay.harm(Harm::None);
    follow.polled().await;
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    follow.until("F", Some(true)).await;
}

/// What a notification begins waits a little for others of this process's own writes.
#[tokio::test]
async fn another_programs_change_comes_while_this_process_writes_all_the_time() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = fed(&server, &table).await.poll_every(Duration::from_secs(600));
    let mut follow = Follow::of(&store);
    follow.pushed().await;
    let own = async {
        for enabled in [true, false].into_iter().cycle() {
            store.put(&flag("OWN", enabled), Precondition::Any.into()).await.unwrap();
        }
    };
    let foreign = async {
        for enabled in [true, false, true] {
            let write =
                format!("DELETE FROM {table} WHERE name = 'F'; INSERT INTO {table} SELECT 'F', {}", json("F", enabled));
            let server = server.clone();
            tokio::task::spawn_blocking(move || server.psql(&write)).await.unwrap();
            follow.until("F", Some(enabled)).await;
        }
    };
    tokio::select! {
        () = foreign => {}
        () = own => {}
    }
}

/// The poll that it begins confirms nothing, so the next one comes no later than it would have come.
#[tokio::test]
async fn a_notification_delays_no_confirmation() {
    let Some(server) = shared() else { return };
    let (table, every) = (random_table(), Duration::from_secs(4));
    let store = fed(&server, &table).await.poll_every(every);
    let mut follow = Follow::of(&store);
    follow.pushed().await;
    let confirmed = |event| if let WatchEvent::Confirmed { at, .. } = event { Some(at) } else { None };
    let mut times = vec![follow.find(confirmed).await];
    tokio::time::sleep(every * 7 / 8).await;
    server.psql(&format!("INSERT INTO {table} SELECT 'F', {}", json("F", true)));
    let mut is_changed = false;
    follow
        .find(|event| {
            is_changed |= matches!(event, WatchEvent::Changed { .. });
            times.extend(confirmed(event));
            (is_changed && times.len() > 1).then_some(())
        })
        .await;
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] < every * 3 / 2), "{times:?}");
}

/// A brief poll, which each change begins, does not ask for the triggers.
#[tokio::test]
async fn a_trigger_is_disabled_while_flags_change() {
    let Some(server) = PostgresServer::start() else { return };
    let store = fed(&server, "feature_flags").await;
    store.put(&flag("OTHER", true), Precondition::Absent.into()).await.unwrap();
    let mut follow = Follow::of(&store);
    follow.pushed().await;
    let change = "DO $$ BEGIN WHILE to_regclass('enough') IS NULL LOOP \
         UPDATE feature_flags SET item = item WHERE name = 'OTHER'; COMMIT; PERFORM pg_sleep(0.05); END LOOP; END $$";
    let session = tokio_postgres_session(&server).await;
    let writer = tokio::spawn(async move { session.batch_execute(change).await });
    let disabled = Instant::now();
    server.psql("ALTER TABLE feature_flags DISABLE TRIGGER flipper_truncated");
    follow.polled().await;
    // Before the comparison of all rows, which each half minute begins.
    assert!(disabled.elapsed() < Duration::from_secs(20), "{:?}", disabled.elapsed());
    assert!(!writer.is_finished());
    server.psql("TRUNCATE feature_flags");
    follow.until("OTHER", None).await;
    server.psql("CREATE TABLE enough ()");
    writer.await.unwrap().unwrap();
}

/// A brief poll reads some of the next changes, and leaves what it does not understand to a whole one. None waits for the clock.
#[tokio::test]
async fn one_notification_is_of_one_change_or_of_many() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = fed(&server, &table).await.poll_every(Duration::from_secs(600));
    let mut follow = Follow::of(&store);
    follow.pushed().await;
    let put = |name: &str, enabled| {
        let delete = format!("DELETE FROM {table} WHERE name = '{name}'");
        format!("{delete}; INSERT INTO {table} SELECT '{name}', {};", json(name, enabled))
    };
    server.psql(&put("F", true));
    follow.until("F", Some(true)).await;
    // The numbers of what is rolled back are given to nothing else.
    for changes in [1, 20] {
        let undone: String = (0..changes).map(|number| put(&format!("UNDONE{number}"), true)).collect();
        server.psql(&format!("BEGIN; {undone} SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK; {}", put("F", false)));
        follow.until("F", Some(false)).await;
        server.psql(&put("F", true));
        follow.until("F", Some(true)).await;
    }
    for changes in [2, 7, 8, 9, 40] {
        let many: String = (0..changes).map(|number| put(&format!("F{number}"), changes % 2 == 0)).collect();
        server.psql(&format!("BEGIN; {many} {}{}{} COMMIT", put("F", true), put("F", false), put("F", true)));
        for number in 0..changes {
            follow.until(&format!("F{number}"), Some(changes % 2 == 0)).await;
        }
        follow.until("F", Some(true)).await;
        server.psql(&format!("DELETE FROM {table} WHERE name LIKE 'F_%'"));
        follow.until(&format!("F{}", changes - 1), None).await;
    }
}

/// As with a server that is slow for a moment when the follower connects.
#[tokio::test]
async fn notifications_that_arrive_later_are_used() {
    let Some(server) = PostgresServer::start() else { return };
    let store = fed(&server, "feature_flags").await;
    server.psql(&format!("CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'; GRANT SELECT ON feature_flags TO app"));
    store.install_feed(true).await.unwrap();
    server.psql("REVOKE EXECUTE ON FUNCTION pg_notify FROM PUBLIC");
    let reader = crate::store(&server.url_of("app"), "feature_flags");
    let mut follow = Follow::of(&reader);
    follow.polled().await;
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    follow.until("F", Some(true)).await;
    server.psql("GRANT EXECUTE ON FUNCTION pg_notify TO PUBLIC");
    follow.pushed().await;
}

/// Only the comparison of all rows, each half minute, finds what triggers of another user than the owner miss; and without the feed what changes
/// without a transaction, as by this policy.
#[tokio::test]
async fn what_nothing_shows_is_seen_within_half_a_minute() {
    let Some(server) = PostgresServer::options().set("autovacuum=off").start() else { return };
    let store = fed(&server, "fed").await;
    server.psql(&format!(
        "ALTER TABLE fed ENABLE TRIGGER flipper_changed; CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'; \
         CREATE TABLE plain (name text PRIMARY KEY, item bytea NOT NULL); GRANT SELECT ON plain TO app; \
         CREATE POLICY locked ON plain USING (EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory')); \
         ALTER TABLE plain ENABLE ROW LEVEL SECURITY; INSERT INTO plain SELECT 'F', {}",
        json("F", true)
    ));
    let plain = crate::store(&server.url_of("app"), "plain");
    let (mut follow, mut follow_plain) = (Follow::of(&store), Follow::of(&plain));
    follow.pushed().await;
    server.psql(&format!("SET session_replication_role = replica; INSERT INTO fed SELECT 'F', {}", json("F", true)));
    let silent = Instant::now();
    for _ in 0..2 {
        follow_plain.confirmed_after(silent).await;
    }
    let session = tokio_postgres_session(&server).await;
    session.batch_execute("SELECT pg_advisory_lock(1)").await.unwrap();
    follow.until("F", Some(true)).await;
    follow_plain.until("F", Some(true)).await;
}

#[tokio::test]
async fn a_mirror_says_how_changes_arrive() {
    let Some(server) = shared() else { return };
    let store = fed(&server, &random_table()).await;
    let mirror = MirroredFeatureFlagStore::new(store.clone());
    mirror.ready().await.unwrap();
    wait_until("changes are pushed", || mirror.status().updates == Updates::Push);
    assert!(mirror.status().is_live());
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    wait_until("the mirror has the flag", || mirror.table().get("F").is_some());
    store.remove_feed().await.unwrap();
    wait_until("rows are compared", || matches!(mirror.status().updates, Updates::Poll { .. }));
    assert!(mirror.status().identity.unwrap().epoch().is_some());
}

/// A server whose processes stand still answers nothing, and its connections stay open.
#[tokio::test]
async fn stopped_until_it_is_noticed() {
    let Some(server) = PostgresServer::start() else { return };
    let patient = fed(&server, "feature_flags").await;
    patient.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    let store = patient.clone().timeout(Duration::from_secs(5));
    let mut follow = Follow::of(&store);
    follow.pushed().await;
    server.pause();
    let error = store.get("F").await.unwrap_err();
    assert_eq!(error.kind(), flipper::ErrorKind::Unavailable, "{error:?}");
    follow.lost().await;
    server.resume();
    assert_eq!(names(&follow.restored().await), ["F"]);
    crate::eventually(async || patient.put(&flag("F", false), Precondition::Any.into()).await).await;
    follow.until("F", Some(false)).await;
}

#[tokio::test]
async fn nothing_is_written_by_following() {
    let Some(server) = PostgresServer::start() else { return };
    let store = store(&server.url(), "feature_flags");
    store.install_feed(true).await.unwrap();
    let mut follow = Follow::of(&store);
    follow.pushed().await;
    let rows = || server.psql("SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables");
    let (before, mut confirmed) = (rows(), 0);
    while confirmed < 10 {
        confirmed += u32::from(matches!(follow.next().await, WatchEvent::Confirmed { .. }));
    }
    server.psql("SELECT pg_stat_force_next_flush()");
    assert_eq!(rows(), before);
}
