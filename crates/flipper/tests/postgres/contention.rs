use std::time::Duration;

use flipper::client::Remote;
use flipper::{FeatureFlagClient, FeatureFlagStore, PostgresFeatureFlagStore};
use flipper_testkit::postgres::{Pool, PoolMode};
use flipper_testkit::{Child, block_on, child_role, run_together};
use serde_json::json;

use crate::{random_table, shared, store};

const WRITERS: usize = 8;
const MERGES: usize = 200;

fn client(url: &str, table: &str) -> FeatureFlagClient<Remote> {
    let store = PostgresFeatureFlagStore::from_url(url).unwrap().table(table).timeout(Duration::from_secs(30));
    FeatureFlagClient::builder().write_timeout(Duration::from_secs(120)).build_remote(store)
}

#[test]
fn no_merge_of_eight_processes_is_lost() {
    let Some(server) = shared() else { return };
    let Some(pool) = Pool::start(&server, PoolMode::Transaction) else { return };
    let table = random_table();
    block_on(store(&server.url(), &table).install_feed(true)).unwrap();
    block_on(async { client(&server.url(), &table).create("F").await.unwrap() });
    let child = |writer: usize| {
        let url = if writer.is_multiple_of(2) { server.url() } else { pool.url() };
        Child::spawn("merge", &[&url, &table, &writer.to_string()])
    };
    run_together((0..WRITERS).map(child).collect());
    let stored = block_on(store(&server.url(), &table).get("F")).unwrap().unwrap();
    assert_eq!(stored.record.unwrap().client_data().as_object().unwrap().len(), WRITERS * MERGES);
}

pub(crate) fn child() {
    let Some(role) = child_role() else {
        return Child::spawn("greet", &["hello"]).expect("hello");
    };
    if role.name == "greet" {
        return role.say(&role.arguments[0]);
    }
    let [url, table, writer] = &role.arguments[..] else { panic!("{role:?}") };
    let features = client(url, table);
    block_on(features.fetch("F")).unwrap();
    role.say("ready");
    role.hear();
    for merge in 0..MERGES {
        block_on(features.set_client_data("F", json!({ format!("{writer}-{merge}"): merge }))).unwrap();
        if merge % 10 == 0 {
            role.say("on it");
        }
    }
}
