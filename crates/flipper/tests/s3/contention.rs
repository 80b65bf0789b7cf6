use std::time::Duration;

use flipper::store::Precondition;
use flipper::{ErrorKind, FeatureFlagClient, FeatureFlagStore};
use flipper_testkit::s3::S3Proxy;
use serde_json::json;

use crate::{flag, moto, seaweedfs, store};

const WRITERS: usize = 8;
const MERGES: usize = 50;

#[test]
fn no_merge_is_lost() {
    let Some(server) = seaweedfs() else { return };
    let bucket = server.bucket();
    let client = || {
        FeatureFlagClient::builder().write_timeout(Duration::from_secs(60)).build_remote(store(server.port(), &bucket))
    };
    futures_executor::block_on(async { client().create("F").await.unwrap() });
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let features = client();
            scope.spawn(move || {
                futures_executor::block_on(async {
                    for merge in 0..MERGES {
                        let key = format!("{writer}-{merge}");
                        features.set_client_data("F", json!({ key: merge })).await.unwrap();
                    }
                });
            });
        }
    });
    let stored = futures_executor::block_on(store(server.port(), &bucket).get("F")).unwrap().unwrap();
    assert_eq!(stored.record.unwrap().client_data().as_object().unwrap().len(), WRITERS * MERGES);
}

#[tokio::test]
async fn a_pending_write_of_the_object_is_waited_for() {
    let Some(server) = seaweedfs() else { return };
    let (bucket, proxy) = (server.bucket(), S3Proxy::start(server.port()));
    let store = store(proxy.port(), &bucket);
    let version = store.put(&flag("F", false), Precondition::Absent.into()).await.unwrap();
    proxy.refuse("PUT ", 409, "ConditionalRequestConflict", 2);
    store.put(&flag("F", true), Precondition::Unchanged(version).into()).await.unwrap();
    assert!(store.get("F").await.unwrap().unwrap().record.unwrap().is_enabled());
}

#[tokio::test]
async fn a_missing_flag_is_a_conflict_by_either_status() {
    for server in [seaweedfs(), moto()] {
        let Some(server) = server else { return };
        let store = store(server.port(), &server.bucket());
        let version = store.put(&flag("F", false), Precondition::Absent.into()).await.unwrap();
        store.delete("F", Precondition::Any.into()).await.unwrap();
        for ended in [
            store.put(&flag("F", true), Precondition::Unchanged(version.clone()).into()).await,
            store.delete("F", Precondition::Unchanged(version).into()).await,
        ] {
            assert_eq!(ended.unwrap_err().kind(), ErrorKind::Conflict);
        }
        assert!(store.get("F").await.unwrap().is_none());
    }
}

/// Its ETag is the same, so that a writer who read it before may still write.
#[tokio::test]
async fn a_flag_that_is_changed_back_is_unchanged() {
    let Some(server) = seaweedfs() else { return };
    let store = store(server.port(), &server.bucket());
    let on = store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    let off = store.put(&flag("F", false), Precondition::Unchanged(on.clone()).into()).await.unwrap();
    assert_ne!(on, off);
    assert_eq!(store.put(&flag("F", true), Precondition::Unchanged(off).into()).await.unwrap(), on);
    store.put(&flag("F", false), Precondition::Unchanged(on).into()).await.unwrap();
}
