//! Users who may do less.

use flipper::history::HistoryQuery;
use flipper::store::Precondition;
use flipper::{ErrorKind, FeatureFlagStore};
use flipper_testkit::postgres::{PASSWORD, PostgresServer};

use crate::feed::of_feed;
use crate::{Follow, flag, json, random_table, shared, store};

/// A role of its own, with these rights on the table.
fn role(server: &PostgresServer, table: &str, rights: &str) -> String {
    let role = random_table();
    server.psql(&format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'; GRANT {rights} ON {table} TO {role}"));
    server.url_of(&role)
}

#[tokio::test]
async fn who_may_read_may_follow() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let owner = store(&server.url(), &table);
    owner.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    let reader = store(&role(&server, &table, "SELECT"), &table);
    let mut follow = Follow::of(&reader);
    follow.until("F", Some(true)).await;
    owner.put(&flag("F", false), Precondition::Any.into()).await.unwrap();
    follow.until("F", Some(false)).await;
    // The installation gives the reader what it needs.
    owner.install_feed(true).await.unwrap();
    follow.pushed().await;
    owner.put(&flag("F", true), Precondition::Any.into()).await.unwrap();
    follow.until("F", Some(true)).await;
    let error = reader.put(&flag("F", false), Precondition::Any.into()).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unauthorized && error.nothing_written(), "{error:?}");
    assert_eq!(reader.delete("F", Precondition::Any.into()).await.unwrap_err().kind(), ErrorKind::Unauthorized);
    // One who came after it compares rows.
    let later = store(&role(&server, &table, "SELECT"), &table);
    let mut follow = Follow::of(&later);
    follow.polled().await;
    owner.put(&flag("F", false), Precondition::Any.into()).await.unwrap();
    follow.until("F", Some(false)).await;
}

/// Without the right to read who wrote what before.
#[tokio::test]
async fn three_columns_of_the_history_are_enough_to_follow() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let owner = store(&server.url(), &table);
    owner.install_feed(true).await.unwrap();
    let url = role(&server, &table, "SELECT");
    let user = url.split(['/', ':']).nth(3).unwrap();
    let (clock, history) = (of_feed(&server, &table, "clock"), of_feed(&server, &table, "history"));
    let grant = |columns: &str| {
        server.psql(&format!(
            "GRANT USAGE ON SCHEMA flipper TO {user}; GRANT SELECT (origin, reset_at, notifies) ON {clock} TO {user}; \
             GRANT SELECT ({columns}) ON {history} TO {user}"
        ));
    };
    grant("number, name");
    let reader = store(&url, &table);
    assert!(reader.feed_status().await.unwrap()[0].text.contains("may not read the list of changes"));
    Follow::of(&reader).polled().await;
    grant("at");
    let reader = store(&url, &table);
    assert!(reader.feed_status().await.unwrap()[0].text.contains("notifications arrive"));
    let mut follow = Follow::of(&reader);
    follow.pushed().await;
    for enabled in [true, false] {
        owner.put(&flag("F", enabled), Precondition::Any.into()).await.unwrap();
        follow.until("F", Some(enabled)).await;
    }
    assert_eq!(reader.history(&HistoryQuery::all()).await.unwrap_err().kind(), ErrorKind::Unauthorized);
}

#[tokio::test]
async fn a_writer_needs_no_right_on_the_feed() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let owner = store(&server.url(), &table);
    owner.install_feed(true).await.unwrap();
    let writer = store(&role(&server, &table, "SELECT, INSERT, UPDATE, DELETE"), &table);
    let mut follow = Follow::of(&owner);
    follow.pushed().await;
    writer.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    follow.until("F", Some(true)).await;
    writer.delete("F", Precondition::Any.into()).await.unwrap();
    follow.until("F", None).await;
}

#[tokio::test]
async fn without_the_right_to_install() {
    let Some(server) = shared() else { return };
    let table = random_table();
    store(&server.url(), &table).list().await.unwrap();
    let writer = store(&role(&server, &table, "SELECT, INSERT, UPDATE, DELETE"), &table);
    let error = writer.install_feed(true).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    // Nothing is half installed, and the owner can run what the writer prints.
    assert!(writer.feed_status().await.unwrap()[0].text.contains("no triggers"));
    server.psql(&writer.feed_script(true).await.unwrap());
    let mut follow = Follow::of(&writer);
    follow.pushed().await;
    let error = writer.remove_feed().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    server.psql(&writer.feed_removal_script().await.unwrap());
    follow.polled().await;
}

/// Each of the two rights that it takes is missing once; neither removes it again.
#[tokio::test]
async fn who_is_not_the_owner_may_install_and_not_remove() {
    let Some(server) = PostgresServer::start() else { return };
    let table = "feature_flags";
    let owner = store(&server.url(), table);
    owner.put(&flag("F", false), Precondition::Absent.into()).await.unwrap();
    let create = |url: &str| {
        let user = url.split("//").nth(1).unwrap().split(':').next().unwrap();
        server.psql(&format!("GRANT CREATE ON DATABASE postgres TO {user}"));
    };
    let [without_create, without_trigger, installer] =
        ["SELECT, TRIGGER", "SELECT", "SELECT, TRIGGER"].map(|rights| role(&server, table, rights));
    create(&without_trigger);
    create(&installer);
    for (url, missing) in [(without_create, "for database postgres"), (without_trigger, "for table feature_flags")] {
        let error = store(&url, table).install_feed(true).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
        assert!(error.chain().contains(missing), "{}", error.chain());
        assert_eq!(
            server.psql("SELECT count(*) FROM pg_namespace WHERE nspname = 'flipper'"),
            "0",
            "it has left something"
        );
    }

    let installer = store(&installer, table);
    installer.install_feed(true).await.unwrap();
    let status = installer.feed_status().await.unwrap();
    let texts: Vec<_> = status.iter().map(|check| &*check.text).collect();
    assert!(texts.contains(&"changes are listed, and notifications arrive"), "{texts:?}");
    // Triggers for these writers are the owner's to enable.
    assert!(
        texts.contains(&"writers with `session_replication_role = replica` are seen within half a minute"),
        "{texts:?}"
    );
    let mut follow = Follow::of(&installer);
    follow.pushed().await;
    owner.put(&flag("F", true), Precondition::Any.into()).await.unwrap();
    follow.until("F", Some(true)).await;
    server.psql(&format!("TRUNCATE {table}"));
    follow.until("F", None).await;
    assert_eq!(installer.history(&HistoryQuery::all()).await.unwrap().entries.len(), 2);

    let error = installer.remove_feed().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    assert!(error.chain().contains("must be owner of relation feature_flags"), "{}", error.chain());
    assert_eq!(installer.history(&HistoryQuery::all()).await.unwrap().entries.len(), 2);
    owner.remove_feed().await.unwrap();
    follow.polled().await;
}

#[tokio::test]
async fn without_the_right_to_make_the_table() {
    let Some(server) = shared() else { return };
    let user = random_table();
    server.psql(&format!("CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'"));
    let table = random_table();
    let store_of_user = store(&server.url_of(&user), &table);
    let error = store_of_user.list().await.unwrap_err();
    assert!(error.to_string().contains("may not make it"), "{error}");
    // Once it is there, nothing is made.
    store(&server.url(), &table).list().await.unwrap();
    assert_eq!(store_of_user.list().await.unwrap_err().kind(), ErrorKind::Unauthorized);
    server.psql(&format!("GRANT SELECT ON {table} TO {user}"));
    assert!(store_of_user.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_right_that_is_taken_away_for_a_while() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let owner = store(&server.url(), &table);
    owner.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    let url = role(&server, &table, "SELECT");
    let user = url.split("//").nth(1).unwrap().split(':').next().unwrap();
    let reader = store(&url, &table);
    let mut follow = Follow::of(&reader);
    follow.until("F", Some(true)).await;
    server.psql(&format!("REVOKE SELECT ON {table} FROM {user}"));
    assert_eq!(follow.lost().await.kind(), ErrorKind::Unauthorized);
    owner.put(&flag("F", false), Precondition::Any.into()).await.unwrap();
    server.psql(&format!("GRANT SELECT ON {table} TO {user}"));
    let flags = follow.restored().await;
    assert!(!flags[0].record.as_ref().unwrap().is_enabled());
}

/// Which only saves the comparison of all rows.
#[tokio::test]
async fn without_the_right_to_ask_which_transactions_ended() {
    let Some(server) = PostgresServer::start() else { return };
    let owner = store(&server.url(), "feature_flags");
    owner.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    server.psql("REVOKE EXECUTE ON FUNCTION pg_current_snapshot() FROM PUBLIC");
    let reader = store(&role(&server, "feature_flags", "SELECT"), "feature_flags");
    let mut follow = Follow::of(&reader);
    follow.until("F", Some(true)).await;
    owner.put(&flag("F", false), Precondition::Any.into()).await.unwrap();
    follow.until("F", Some(false)).await;
}

/// What they add to the feed would run with the rights of who installs it.
#[tokio::test]
async fn a_feed_that_others_have_prepared_is_not_trusted() {
    let Some(server) = PostgresServer::start() else { return };
    let store = store(&server.url(), "feature_flags");
    store.list().await.unwrap();
    server.psql(&format!(
        "CREATE ROLE eve LOGIN PASSWORD '{PASSWORD}'; CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'; \
         GRANT CREATE ON DATABASE postgres TO eve, app; CREATE SCHEMA flipper AUTHORIZATION eve"
    ));
    let error = store.install_feed(true).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
    assert!(error.chain().contains("the schema flipper belongs to eve"), "{error:?}");
    server.psql("DROP SCHEMA flipper");
    store.install_feed(true).await.unwrap();
    let clock = server.psql("SELECT relname FROM pg_class WHERE relname LIKE 'clock_%' AND relkind = 'r'");
    server.psql(&format!("ALTER TABLE flipper.{clock} OWNER TO eve"));
    let error = store.install_feed(true).await.unwrap_err();
    assert!(error.chain().contains(&format!("the table flipper.{clock} belongs to eve")), "{error:?}");
    // The owner of the flags may have installed it.
    server.psql(&format!("ALTER TABLE flipper.{clock} OWNER TO app; ALTER TABLE feature_flags OWNER TO app"));
    store.install_feed(true).await.unwrap();
}

/// A writer of flags has a type of its own, in the schema that PostgreSQL looks into first, whose check would run in our functions.
#[tokio::test]
async fn a_writer_gains_no_right_by_a_type_of_its_own() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let owner = store(&server.url(), &table);
    owner.install_feed(true).await.unwrap();
    let url = role(&server, &table, "SELECT, INSERT, UPDATE, DELETE, TRUNCATE");
    let (writer, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    writer
        .batch_execute(
            "CREATE TEMP TABLE ran_as (who pg_catalog.text);
             CREATE FUNCTION pg_temp.note() RETURNS boolean LANGUAGE plpgsql AS
             'BEGIN INSERT INTO pg_temp.ran_as VALUES (current_user); RETURN true; END';
             CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (pg_temp.note())",
        )
        .await
        .unwrap();
    let insert = format!("INSERT INTO {table} SELECT 'F', {}", json("F", true));
    for write in [insert, format!("UPDATE {table} SET item = item"), format!("TRUNCATE {table}")] {
        writer.batch_execute(&write).await.unwrap();
    }
    let ran = writer.query("SELECT who FROM pg_temp.ran_as WHERE who <> session_user", &[]).await.unwrap();
    assert!(ran.is_empty(), "as {}", ran[0].get::<_, String>(0));
    assert_eq!(owner.history(&HistoryQuery::all()).await.unwrap().entries.len(), 3);

    // What an older version has installed is found.
    let is_found = async || owner.feed_status().await.unwrap().into_iter().any(|check| check.what == "functions");
    assert!(!is_found().await);
    let function = server.psql(&format!(
        "SELECT tgfoid::regprocedure FROM pg_trigger WHERE tgname = 'flipper_changed' AND tgrelid = '{table}'::regclass"
    ));
    server.psql(&format!("ALTER FUNCTION {function} SET search_path = ''"));
    assert!(is_found().await);
    owner.install_feed(true).await.unwrap();
    assert!(!is_found().await);
}
