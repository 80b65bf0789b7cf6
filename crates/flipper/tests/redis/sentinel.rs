use flipper::store::Precondition;
use flipper::{FeatureFlagStore, RedisFeatureFlagStore};
use flipper_testkit::redis::RedisSentinel;
use redis::sentinel::{SentinelClient, SentinelServerType};

use crate::{Follow, flag, names};

#[tokio::test]
async fn the_new_primary_is_followed() {
    let Some(mut set) = RedisSentinel::start() else { return };
    let client = SentinelClient::build(set.urls(), set.service(), None, SentinelServerType::Master).unwrap();
    let store = RedisFeatureFlagStore::new(client);
    store.put(&flag("F", false), Precondition::Absent.into()).await.unwrap();
    assert_eq!(set.first_primary().command(&["WAIT", "1", "5000"]), flipper_testkit::redis::Reply::Number(1));
    let mut follow = Follow::of(&store);
    assert_eq!(names(&follow.reset().await.0), ["F"]);
    set.first_primary().kill();
    follow.lost().await;
    set.wait_for_failover();
    assert_eq!(names(&follow.reset().await.0), ["F"]);
    store.put(&flag("F", true), Precondition::Any.into()).await.unwrap();
    follow.until("F", Some(true)).await;
    assert!(set.first_replica().command(&["GET", "features/F"]).text().contains("true"));
}
