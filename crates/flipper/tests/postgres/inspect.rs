use flipper::FeatureFlagStore;
use flipper::store::{Check, Finding};
use flipper_testkit::postgres::{PASSWORD, Pool, PoolMode, PostgresServer};

use crate::{random_table, shared, store};

fn find<'a>(checks: &'a [Check], what: &str) -> &'a Check {
    checks.iter().find(|check| check.what == what).unwrap_or_else(|| panic!("{checks:?}"))
}

#[tokio::test]
async fn what_a_doctor_finds() {
    let Some(server) = shared() else { return };
    let table = random_table();
    let store = store(&server.url(), &table);
    let checks = store.inspect().await;
    assert_eq!(find(&checks, "table").finding, Finding::Problem);
    assert!(find(&checks, "version").text.starts_with("PostgreSQL "));
    store.list().await.unwrap();
    let checks = store.inspect().await;
    assert!(find(&checks, "push").hint.as_ref().unwrap().contains("flipper postgres install"), "{checks:?}");
    store.install_feed(true).await.unwrap();
    let checks = store.inspect().await;
    assert!(checks.iter().all(|check| check.finding == Finding::Fine), "{checks:?}");
    assert!(find(&checks, "push").text.contains("notifications arrive"));
    assert_eq!(find(&checks, "transport").text, "no TLS, within this host");
    server.psql(&format!("ALTER TABLE {table} DISABLE TRIGGER flipper_changed"));
    assert!(find(&store.inspect().await, "push").text.contains("disabled"));
}

#[tokio::test]
async fn what_a_doctor_finds_behind_a_pool_and_with_few_rights() {
    let Some(server) = shared() else { return };
    let Some(pool) = Pool::start(&server, PoolMode::Transaction) else { return };
    let table = random_table();
    let pooled = store(&pool.url(), &table);
    pooled.install_feed(true).await.unwrap();
    let checks = pooled.inspect().await;
    assert!(find(&checks, "push").text.contains("no notification arrives"), "{checks:?}");
    let user = random_table();
    server.psql(&format!("CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'; GRANT SELECT ON {table} TO {user}"));
    let checks = store(&server.url_of(&user), &table).inspect().await;
    let rights = find(&checks, "rights");
    assert_eq!(rights.finding, Finding::Problem);
    assert!(rights.text.contains("INSERT, UPDATE, DELETE"), "{rights:?}");
    assert!(find(&checks, "push").hint.as_ref().unwrap().contains("GRANT USAGE ON SCHEMA flipper"));
}

#[tokio::test]
async fn no_server_at_all() {
    let checks = store("postgresql://u:secret@127.0.0.1:1/d", "t").inspect().await;
    assert_eq!((checks.len(), checks[0].what, checks[0].finding), (1, "reachable", Finding::Fault));
    assert!(!checks[0].text.contains("secret"));
}

#[tokio::test]
async fn a_standby_takes_no_writes() {
    let Some(primary) = PostgresServer::start() else { return };
    store(&primary.url(), "feature_flags").install_feed(true).await.unwrap();
    let standby = primary.standby();
    let checks = store(&standby.url(), "feature_flags").inspect().await;
    assert!(find(&checks, "kind").text.contains("standby"), "{checks:?}");
    assert!(find(&checks, "push").text.contains("no notification"), "{checks:?}");
}
