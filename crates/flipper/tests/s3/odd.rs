//! Objects that are no flags: each concerns itself alone.

use flipper::store::{Precondition, WatchEvent};
use flipper::{ErrorKind, FeatureFlagStore};
use flipper_testkit::s3::{S3Proxy, S3Server};
use futures_util::TryStreamExt;

use crate::{Follow, flag, moto, names, seaweedfs, store};

fn put(server: &S3Server, bucket: &str, key: &str, headers: &str, body: &[u8]) {
    let reply = server.ask_with("PUT", &format!("/{bucket}/{key}"), headers, body);
    assert_eq!(reply.status, 200, "{key}: {reply:?}");
}

#[tokio::test]
async fn odd_objects_hide_no_flag() {
    let Some(server) = moto() else { return };
    let bucket = server.bucket();
    let text = flag("F", true).to_json();
    for key in ["F", "a//b", "a/../b", "folder/", "d%5Ce", "%C3%A9%20%2B%25%7E*%27()"] {
        put(server, &bucket, key, "", text.as_bytes());
    }
    put(server, &bucket, "page.html", "", b"<html>");
    put(server, &bucket, "large", "", &vec![b' '; (1 << 20) + 1]);
    put(server, &bucket, "archived", "x-amz-storage-class: GLACIER\r\n", text.as_bytes());
    put(server, &bucket, "other/base/key", "", text.as_bytes());
    put(server, &bucket, "deep/F", "", flag("deep/F", true).to_json().as_bytes());
    let store = store(server.port(), &bucket);
    let listed = store.list().await.unwrap();
    assert_eq!(names(&listed), ["F", "archived", "deep/F", "large", "page.html", "é +%~*'()"]);
    for found in &listed {
        let (is_flag, read) = (found.record.is_ok(), store.get(&found.name).await.unwrap().unwrap());
        assert_eq!(is_flag, ["F", "deep/F", "é +%~*'()"].contains(&found.name.as_str()), "{found:?}");
        assert_eq!((&read.version, &read.record), (&found.version, &found.record), "{}", found.name);
    }
    let why = |name: &str| listed.iter().find(|flag| flag.name == name).unwrap().record.clone().unwrap_err();
    assert!(why("archived").reason().contains("InvalidObjectState"), "{:?}", why("archived"));
    assert!(why("large").reason().contains("1048577 bytes"), "{:?}", why("large"));
    let streamed: Vec<_> = store.stream().try_collect().await.unwrap();
    assert_eq!(streamed.len(), listed.len());

    // They are followed, and replaced, as any.
    let mut follow = Follow::of(&store);
    assert_eq!(follow.reset().await.len(), listed.len());
    let version = store.get("large").await.unwrap().unwrap().version;
    store.put(&flag("large", true), Precondition::Unchanged(version).into()).await.unwrap();
    assert!(follow.change("large").await.0.unwrap().record.is_ok());
    // What belongs to another base key stays as it is.
    assert!(store.get("other/base/key").await.unwrap().is_none());
    let error = store.put(&flag("other/base/key", true), Precondition::Any.into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidName);
    store.delete("other/base/key", Precondition::Any.into()).await.unwrap();
    assert_eq!(server.ask("GET", &format!("/{bucket}/other/base/key"), b"").status, 200);
}

#[tokio::test]
async fn names_that_servers_read_as_others_are_refused() {
    let Some(server) = seaweedfs() else { return };
    let bucket = server.bucket();
    let store = store(server.port(), &bucket);
    store.put(&flag("a/b", true), Precondition::Absent.into()).await.unwrap();
    for name in ["a//b", "/a/b", "a/b/", "a/./b", "x/../a/b", r"a\b", ".", "", "a\nb", &"x".repeat(1025)] {
        assert!(store.get(name).await.unwrap().is_none(), "{name:?}");
        let error = store.put(&flag(name, false), Precondition::Any.into()).await.unwrap_err();
        assert_eq!((error.kind(), error.nothing_written()), (ErrorKind::InvalidName, true), "{name:?}");
        store.delete(name, Precondition::Any.into()).await.unwrap();
    }
    assert!(store.get("a/b").await.unwrap().unwrap().record.unwrap().is_enabled());
}

#[tokio::test]
async fn a_flag_over_the_limit_is_refused() {
    let Some(server) = seaweedfs() else { return };
    let store = store(server.port(), &server.bucket());
    let mut record = flag("F", true);
    record.set_client_data([("pad", "x".repeat(1 << 20))].into_iter().collect());
    let error = store.put(&record, Precondition::Any.into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(store.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_object_that_turns_odd_is_one_corrupt_flag() {
    let Some(server) = moto() else { return };
    let bucket = server.bucket();
    let store = store(server.port(), &bucket);
    for name in ["A", "B"] {
        store.put(&flag(name, true), Precondition::Absent.into()).await.unwrap();
    }
    let mut follow = Follow::of(&store);
    follow.reset().await;
    put(server, &bucket, "A", "x-amz-storage-class: GLACIER\r\n", b"{}");
    let (odd, _) = follow.change("A").await;
    assert!(odd.unwrap().record.is_err());
    store.put(&flag("B", false), Precondition::Any.into()).await.unwrap();
    loop {
        match follow.next().await {
            WatchEvent::Changed { flag, .. } if flag.name == "B" => break,
            WatchEvent::Lost(error) => panic!("{error:?}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn an_object_that_may_not_be_read_is_one_corrupt_flag_and_all_of_them_an_error() {
    let Some(server) = seaweedfs() else { return };
    let (bucket, proxy) = (server.bucket(), S3Proxy::start(server.port()));
    let store = store(proxy.port(), &bucket);
    for name in ["A", "B"] {
        store.put(&flag(name, true), Precondition::Absent.into()).await.unwrap();
    }
    let mut follow = Follow::of(&store);
    follow.reset().await;
    proxy.refuse(&format!("GET /{bucket}/A"), 403, "AccessDenied", usize::MAX);
    let listed = store.list().await.unwrap();
    assert_eq!(names(&listed), ["A", "B"]);
    assert!(listed[0].record.as_ref().unwrap_err().reason().contains("AccessDenied") && listed[1].record.is_ok());
    store.put(&flag("A", false), Precondition::Any.into()).await.unwrap();
    assert!(follow.change("A").await.0.unwrap().record.is_err());
    proxy.refuse(&format!("GET /{bucket}/B"), 403, "AccessDenied", usize::MAX);
    assert_eq!(store.list().await.unwrap_err().kind(), ErrorKind::Unauthorized);
    store.put(&flag("B", false), Precondition::Any.into()).await.unwrap();
    assert_eq!(follow.lost().await.kind(), ErrorKind::Unauthorized);
}
