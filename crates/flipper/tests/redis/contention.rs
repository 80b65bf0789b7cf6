use std::time::Duration;

use flipper::{FeatureFlagClient, FeatureFlagStore, RedisFeatureFlagStore};
use flipper_testkit::redis::RedisServer;
use serde_json::json;

use crate::store;

const WRITERS: usize = 8;
const MERGES: usize = 200;

#[test]
fn no_merge_is_lost() {
    let Some(server) = RedisServer::start() else { return };
    let url = server.url();
    let client = |url: &str| {
        let store = RedisFeatureFlagStore::from_url(url).unwrap().timeout(Duration::from_secs(20));
        FeatureFlagClient::builder().write_timeout(Duration::from_secs(60)).build_remote(store)
    };
    futures_executor::block_on(async { client(&url).create("F").await.unwrap() });
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let url = &url;
            scope.spawn(move || {
                let features = client(url);
                futures_executor::block_on(async {
                    for merge in 0..MERGES {
                        let key = format!("{writer}-{merge}");
                        features.set_client_data("F", json!({ key: merge })).await.unwrap();
                    }
                });
            });
        }
    });
    let store = RedisFeatureFlagStore::from_url(&url).unwrap();
    let stored = futures_executor::block_on(store.get("F")).unwrap().unwrap();
    assert_eq!(stored.record.unwrap().client_data().as_object().unwrap().len(), WRITERS * MERGES);
}

#[tokio::test]
async fn a_change_is_two_commands() {
    let Some(server) = RedisServer::start() else { return };
    let features = FeatureFlagClient::remote(store(&server.url()));
    features.create("F").await.unwrap();
    features.enable("F").await.unwrap();
    let count = || ["get", "set", "evalsha", "eval"].map(|command| server.calls(command));
    let before = count();
    let commands = || {
        let stats = server.command(&["INFO", "commandstats"]);
        let calls = stats.text().lines().filter_map(|line| line.split_once(":calls=")?.1.split(',').next());
        calls.map(|calls| calls.parse::<u64>().unwrap()).sum::<u64>()
    };
    let all_before = commands();
    features.disable("F").await.unwrap();
    let after = count();
    // We send GET and EVALSHA; the script itself runs a GET and a SET.
    let [get, set, evalsha, eval] = std::array::from_fn(|index| after[index] - before[index]);
    assert_eq!([get, set, evalsha, eval], [2, 1, 1, 0]);
    // And an XADD for the history, at times an XRANGE. The other five are the INFO calls of this test.
    assert!(commands() - all_before <= 6 + 5, "{}", commands() - all_before);
}

#[tokio::test]
async fn a_script_that_the_server_forgot_is_sent_again() {
    let Some(server) = RedisServer::start() else { return };
    let features = FeatureFlagClient::remote(store(&server.url()).timeout(Duration::from_secs(5)));
    features.create("F").await.unwrap();
    server.command(&["SCRIPT", "FLUSH"]);
    features.enable("F").await.unwrap();
    assert_eq!(server.calls("eval"), 2);
}
