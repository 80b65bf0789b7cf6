//! A store that is away: answers go on, and say so.

use std::sync::Arc;

use flipper::{MirroredFeatureFlagStore, RedisFeatureFlagStore};
use flipper_testkit::redis::RedisServer;
use flipper_testkit::{free_port, wait_until};
use serde_json::json;

use crate::support::{Client, Server};

fn mirror(url: &str) -> Arc<MirroredFeatureFlagStore<RedisFeatureFlagStore>> {
    Arc::new(MirroredFeatureFlagStore::new(RedisFeatureFlagStore::from_url(url).unwrap()))
}

#[test]
fn answers_go_on_without_the_store_and_say_that_they_are_stale() {
    let Some(mut redis) = RedisServer::start() else { return };
    let server = Server::over(mirror(&redis.url()), |app, _| app);
    server.block_on(server.features.ready()).unwrap();
    server.flag("F", r#"{"a":1}"#, |_| {});
    let mut http = server.http();
    let (single, bulk) = (http.evaluate("F", "{}"), http.bulk(&[], "{}"));
    assert_eq!((single.header("flipper-stale"), bulk.header("flipper-stale")), (None, None));
    redis.kill();
    wait_until("the server notices", || !server.features.status().is_live());
    let stale = http.evaluate("F", "{}");
    assert_eq!((stale.status, stale.header("flipper-stale")), (200, Some("true")));
    assert_eq!(stale.json()["metadata"], json!({ "flipper.reason_code": "enabled", "flipper.stale": true }));
    assert_eq!(stale.json()["reason"], "STATIC");
    let stale = http.bulk(&[], "{}");
    assert_eq!((stale.status, stale.header("flipper-stale")), (200, Some("true")));
    assert_eq!(stale.json()["metadata"], json!({ "flipper.stale": true }));
    // No flag has changed.
    assert_eq!(stale.json()["flags"], bulk.json()["flags"]);
    for mut client in Client::all(&server.url()) {
        let details = client.details("integer", "F/a", &json!(7), &json!({}));
        assert_eq!((&details["value"], &details["errorCode"]), (&json!(1), &json!(null)), "{}", client.name);
    }
    redis.restart();
    wait_until("it is back", || server.features.status().is_live());
    assert_eq!(http.bulk(&[], "{}").header("flipper-stale"), None);
}

#[test]
fn before_the_first_flags_it_is_not_ready() {
    let server = Server::over(mirror(&format!("redis://127.0.0.1:{}", free_port())), |app, _| app);
    let mut http = server.http();
    let answer = http.evaluate("F", "{}");
    answer.is_error(503, "F", "PROVIDER_NOT_READY", "not in memory yet");
    assert_eq!(answer.header("retry-after"), Some("1"));
    let bulk = http.bulk(&[], "{}");
    bulk.is_error(503, "", "PROVIDER_NOT_READY", "not in memory yet");
    assert!(!bulk.text.contains("127.0.0.1"), "where the store is concerns no client");
    for mut client in Client::all(&server.url()) {
        let details = client.details("boolean", "F", &json!(true), &json!({}));
        assert_eq!((&details["value"], &details["reason"]), (&json!(true), &json!("ERROR")), "{}", client.name);
    }
}
