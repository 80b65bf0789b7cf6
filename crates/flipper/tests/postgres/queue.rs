//! The server's queue of notifications fills up, as when a session that listens stays in a transaction: then no commit that notifies succeeds.
//! 8 GiB would take minutes. So the test replaces the function that says how full it is.

use flipper::FeatureFlagStore;
use flipper::store::{Finding, Precondition};
use flipper_testkit::postgres::PostgresServer;

use crate::{Follow, flag, json, store};

fn full_to(server: &PostgresServer, share: f64) {
    // A simple one in SQL: the server would still call one of its own instead.
    server.psql(&format!(
        "CREATE OR REPLACE FUNCTION pg_catalog.pg_notification_queue_usage() RETURNS double precision \
         LANGUAGE sql VOLATILE AS 'SELECT {share}::double precision'"
    ));
}

#[tokio::test]
async fn writers_do_not_notify_when_the_queue_fills_up_and_followers_see_all() {
    let Some(server) = PostgresServer::start() else { return };
    let store = store(&server.url(), "flags");
    store.install_feed(true).await.unwrap();
    let mut follow = Follow::of(&store);
    follow.pushed().await;
    let channel =
        server.psql("SELECT replace(proname, 'changed_', 'flipper_') FROM pg_proc WHERE proname ~ '^changed_'");
    let notifies =
        |what: &str| server.psql(&format!("LISTEN {channel}; {what}")).contains(&format!("notification \"{channel}\""));
    assert!(notifies(&format!("INSERT INTO flags SELECT 'F', {}", json("F", false))));
    follow.until("F", Some(false)).await;
    full_to(&server, 0.6);
    assert!(!notifies(&format!("UPDATE flags SET item = {} WHERE name = 'F'", json("F", true))));
    follow.until("F", Some(true)).await;
    store.put(&flag("F", false), Precondition::Any.into()).await.unwrap();
    follow.until("F", Some(false)).await;
    let checks = store.inspect().await;
    let queue = checks.iter().find(|check| check.what == "queue").unwrap();
    assert!(queue.finding == Finding::Problem && queue.text.contains("60 %"), "{queue:?}");
    assert!(!notifies("TRUNCATE flags"));
    follow.until("F", None).await;
    full_to(&server, 0.4);
    assert!(notifies(&format!("INSERT INTO flags SELECT 'F', {}", json("F", true))));
    follow.until("F", Some(true)).await;
}
