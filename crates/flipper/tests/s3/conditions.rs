//! Servers that ignore the conditions of writes, which a proxy makes of moto.

use flipper::store::Precondition;
use flipper::{ErrorKind, FeatureFlagStore};
use flipper_testkit::s3::{S3Proxy, S3Server};

use crate::{flag, moto, names, seaweedfs, store};

const PROBE: &str = "flipper-conditional-writes";

/// Of all objects.
fn keys(server: &S3Server, bucket: &str) -> Vec<String> {
    let list = server.ask("GET", &format!("/{bucket}?list-type=2"), b"").body;
    list.split("<Key>").skip(1).filter_map(|rest| Some(rest.split_once("</Key>")?.0.to_owned())).collect()
}

#[tokio::test]
async fn a_server_that_ignores_conditions_is_refused() {
    let Some(server) = moto() else { return };
    let (bucket, proxy) = (server.bucket(), S3Proxy::start(server.port()));
    proxy.ignore_conditions("PUT");
    let store = store(proxy.port(), &bucket);
    let error = store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap_err();
    assert_eq!((error.kind(), error.nothing_written()), (ErrorKind::Unsupported, true), "{error:?}");
    assert!(error.to_string().contains("unconditional_writes"), "{error}");
    // Nothing is left in the bucket, which is all flags. The probe was sent once, as two requests.
    assert_eq!(keys(server, &bucket), Vec::<String>::new());
    assert!(store.put(&flag("F", true), Precondition::Absent.into()).await.is_err());
    assert_eq!(proxy.count(&format!("PUT /{bucket}/")), 2);

    // Who wants no condition needs none.
    let version = store.put(&flag("F", false), Precondition::Any.into()).await.unwrap();
    let error = store.put(&flag("F", true), Precondition::Unchanged(version).into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(names(&store.list().await.unwrap()), ["F"]);
}

#[tokio::test]
async fn each_condition_is_tried_apart() {
    let Some(server) = moto() else { return };
    for ignored in ["if-none-match", "if-match"] {
        let (bucket, proxy) = (server.bucket(), S3Proxy::start(server.port()));
        proxy.remove("PUT", ignored);
        let store = store(proxy.port(), &bucket);
        let version = store.put(&flag("F", false), Precondition::Any.into()).await.unwrap();
        let create = store.put(&flag("G", true), Precondition::Absent.into()).await;
        let change = store.put(&flag("F", true), Precondition::Unchanged(version).into()).await;
        let (kept, refused) = if ignored == "if-match" { (create, change) } else { (change, create) };
        kept.unwrap();
        let error = refused.unwrap_err();
        assert_eq!((error.kind(), error.nothing_written()), (ErrorKind::Unsupported, true), "{ignored}: {error:?}");
        assert!(!keys(server, &bucket).iter().any(|key| key.starts_with("flipper")), "{ignored}");
    }
}

/// The object by which they try the server is the same.
#[tokio::test]
async fn many_stores_try_the_server_at_once() {
    let Some(server) = seaweedfs() else { return };
    let bucket = server.bucket();
    let puts = (0..8).map(|number| {
        let store = store(server.port(), &bucket);
        async move { store.put(&flag(&format!("F{number}"), true), Precondition::Absent.into()).await.map(drop) }
    });
    let results = futures_util::future::join_all(puts).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let created: Vec<_> = (0..8).map(|number| format!("F{number}")).collect();
    assert_eq!(keys(server, &bucket), created);
}

/// Which a user without the right to delete leaves behind.
#[tokio::test]
async fn what_a_probe_has_left_is_no_flag() {
    let Some(server) = moto() else { return };
    let (bucket, proxy) = (server.bucket(), S3Proxy::start(server.port()));
    proxy.refuse("DELETE ", 403, "AccessDenied", usize::MAX);
    let first = store(proxy.port(), &bucket);
    first.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    assert_eq!(keys(server, &bucket), ["F", PROBE]);
    assert_eq!(names(&first.list().await.unwrap()), ["F"]);
    assert!(first.get(PROBE).await.unwrap().is_none());
    let error = first.put(&flag(PROBE, true), Precondition::Any.into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidName);
    let before = proxy.count("PUT ");
    store(proxy.port(), &bucket).put(&flag("G", true), Precondition::Absent.into()).await.unwrap();
    assert_eq!(proxy.count("PUT ") - before, 2, "it shows at once");
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
    proxy.refuse("if-none-match", 501, "NotImplemented", usize::MAX);
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
    proxy.refuse("if-none-match", 500, "InternalError", 1);
    let error = store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
}
