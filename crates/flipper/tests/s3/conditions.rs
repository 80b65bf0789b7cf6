//! Servers that ignore the conditions of writes, which a proxy makes of moto.

use flipper::store::Precondition;
use flipper::{ErrorKind, FeatureFlagStore};
use flipper_testkit::s3::S3Proxy;

use crate::{flag, moto, names, seaweedfs, store};

#[tokio::test]
async fn a_server_that_ignores_conditions_is_refused() {
    let Some(server) = moto() else { return };
    let (bucket, proxy) = (server.bucket(), S3Proxy::start(server.port()));
    proxy.ignore_conditions("PUT");
    let store = store(proxy.port(), &bucket);
    let error = store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap_err();
    assert_eq!((error.kind(), error.nothing_written()), (ErrorKind::Unsupported, true), "{error:?}");
    assert!(error.to_string().contains("unconditional_writes"), "{error}");
    // Nothing is left in the bucket, which is all flags. The probe was sent once.
    assert!(store.list().await.unwrap().is_empty());
    assert!(store.put(&flag("F", true), Precondition::Absent.into()).await.is_err());
    assert_eq!(proxy.count(&format!("PUT /{bucket}/")), 1);

    // Who wants no condition needs none.
    let version = store.put(&flag("F", false), Precondition::Any.into()).await.unwrap();
    let error = store.put(&flag("F", true), Precondition::Unchanged(version).into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(names(&store.list().await.unwrap()), ["F"]);
}

#[tokio::test]
async fn unconditional_writes_compare_before_they_write() {
    let Some(server) = moto() else { return };
    let (bucket, proxy) = (server.bucket(), S3Proxy::start(server.port()));
    proxy.ignore_conditions("PUT");
    proxy.ignore_conditions("DELETE");
    let store = store(proxy.port(), &bucket).unconditional_writes(true);
    let first = store.put(&flag("F", false), Precondition::Absent.into()).await.unwrap();
    let second = store.put(&flag("F", true), Precondition::Unchanged(first.clone()).into()).await.unwrap();
    for (enabled, when) in [(false, Precondition::Absent), (false, Precondition::Unchanged(first.clone()))] {
        assert_eq!(store.put(&flag("F", enabled), when.into()).await.unwrap_err().kind(), ErrorKind::Conflict);
    }
    let error = store.delete("F", Precondition::Unchanged(first).into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    store.delete("F", Precondition::Unchanged(second).into()).await.unwrap();
    assert!(store.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn deletions_are_probed_apart() {
    let Some(server) = moto() else { return };
    let (bucket, proxy) = (server.bucket(), S3Proxy::start(server.port()));
    proxy.ignore_conditions("DELETE");
    let store = store(proxy.port(), &bucket);
    let version = store.put(&flag("F", false), Precondition::Absent.into()).await.unwrap();
    let version = store.put(&flag("F", true), Precondition::Unchanged(version).into()).await.unwrap();
    let error = store.delete("F", Precondition::Unchanged(version).into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert!(store.get("F").await.unwrap().is_some());
    store.delete("F", Precondition::Any.into()).await.unwrap();
    assert!(store.get("F").await.unwrap().is_none());
}

#[tokio::test]
async fn a_server_that_answers_not_implemented_has_no_conditions() {
    let Some(server) = moto() else { return };
    let (bucket, proxy) = (server.bucket(), S3Proxy::start(server.port()));
    proxy.refuse("if-match", 501, "NotImplemented", usize::MAX);
    let error = store(proxy.port(), &bucket).put(&flag("F", true), Precondition::Absent.into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("unconditional_writes"), "{error}");
}

#[tokio::test]
async fn a_probe_that_is_refused_says_nothing_of_the_server() {
    let Some(server) = moto() else { return };
    let (bucket, proxy) = (server.bucket(), S3Proxy::start(server.port()));
    proxy.ignore_conditions("PUT");
    proxy.ignore_conditions("DELETE");
    let store = store(proxy.port(), &bucket);
    let version = store.put(&flag("F", false), Precondition::Any.into()).await.unwrap();
    // The credentials have expired, for the probe and the write.
    proxy.refuse("PUT ", 403, "AccessDenied", 2);
    proxy.refuse("DELETE ", 403, "AccessDenied", 2);
    let put =
        async || store.put(&flag("F", true), Precondition::Unchanged(version.clone()).into()).await.unwrap_err().kind();
    let delete = async || store.delete("F", Precondition::Unchanged(version.clone()).into()).await.unwrap_err().kind();
    assert_eq!((put().await, delete().await), (ErrorKind::Unauthorized, ErrorKind::Unauthorized));
    assert_eq!((put().await, delete().await), (ErrorKind::Unsupported, ErrorKind::Unsupported));
}

#[tokio::test]
async fn a_failed_probe_is_sent_again() {
    let Some(server) = seaweedfs() else { return };
    let (bucket, proxy) = (server.bucket(), S3Proxy::start(server.port()));
    let store = store(proxy.port(), &bucket);
    proxy.refuse("if-match", 500, "InternalError", 1);
    let error = store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
}
