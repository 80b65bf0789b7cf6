use std::collections::BTreeSet;
use std::time::Duration;

use flipper::store::{Precondition, WatchEvent};
use flipper::{ErrorKind, FeatureFlagClient, FeatureFlagStore, S3FeatureFlagStore};
use flipper_testkit::s3::{KEY, Kind, READER, S3Proxy, S3Server, SECRET};
use flipper_testkit::{free_port, wait_until};

use crate::{Follow, client, flag, names, seaweedfs, store};

/// The names of the flags of the next `Reset`, after `Restored`.
async fn restored(follow: &mut Follow<'_>) -> Vec<String> {
    let mut flags = follow.restored().await;
    flags.sort_by(|a, b| a.name.cmp(&b.name));
    names(&flags).into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_server_that_is_killed_stopped_and_started_again() {
    let Some(mut server) = S3Server::start(Kind::SeaweedFs) else { return };
    let bucket = server.bucket();
    let store = store(server.port(), &bucket);
    let quick = store.clone().timeout(Duration::from_secs(1));
    store.put(&flag("A", true), Precondition::Absent.into()).await.unwrap();
    let features = FeatureFlagClient::new(store.clone());
    features.ready().await.unwrap();
    let mut follow = Follow::of(&quick);
    follow.reset().await;

    server.kill();
    assert_eq!(follow.lost().await.kind(), ErrorKind::Unavailable);
    let error = quick.put(&flag("B", true), Precondition::Any.into()).await.unwrap_err();
    assert_eq!((error.kind(), error.is_transient(), error.nothing_written()), (ErrorKind::Unavailable, true, true));
    assert!(features.is_enabled("A"), "the last known flags are kept");
    server.restart(&bucket);
    assert_eq!(restored(&mut follow).await, ["A"]);

    server.pause();
    assert_eq!(follow.lost().await.to_string(), format!("store did not answer in time: S3({bucket})"));
    let error = quick.put(&flag("B", true), Precondition::Any.into()).await.unwrap_err();
    assert_eq!((error.kind(), error.nothing_written()), (ErrorKind::Unavailable, false), "the write may still be done");
    server.resume();
    restored(&mut follow).await;
    store.put(&flag("C", true), Precondition::Any.into()).await.unwrap();
    assert!(follow.change("C").await.0.is_some());
    wait_until("the client has the new flag", || features.is_enabled("C"));
}

#[tokio::test]
async fn a_bucket_that_is_gone_is_an_outage() {
    let Some(server) = seaweedfs() else { return };
    let bucket = server.bucket();
    let store = store(server.port(), &bucket);
    store.put(&flag("A", true), Precondition::Absent.into()).await.unwrap();
    let features = FeatureFlagClient::new(store.clone());
    features.ready().await.unwrap();
    let mut follow = Follow::of(&store);
    follow.reset().await;
    assert_eq!(server.ask("DELETE", &format!("/{bucket}"), b"").status, 204);
    let lost = loop {
        // Its objects vanish before it does.
        match follow.next().await {
            WatchEvent::Lost(error) => break error,
            WatchEvent::Confirmed { .. }
            | WatchEvent::Compared { .. }
            | WatchEvent::Removed { .. }
            | WatchEvent::Following(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(lost.to_string().starts_with("the bucket does not exist"), "{lost}");
    for error in [
        store.get("A").await.unwrap_err(),
        store.list().await.unwrap_err(),
        store.put(&flag("B", true), Precondition::Any.into()).await.unwrap_err(),
        store.put(&flag("B", true), Precondition::Absent.into()).await.unwrap_err(),
        store.delete("A", Precondition::Any.into()).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(error.to_string().starts_with("the bucket does not exist"), "{error}");
    }
    wait_until("the client has noticed", || !features.status().is_live());
    wait_until("the server makes it again", || server.ask("PUT", &format!("/{bucket}"), b"").status == 200);
    restored(&mut follow).await;
}

#[tokio::test]
async fn credentials_that_the_server_refuses() {
    let Some(server) = seaweedfs() else { return };
    let bucket = server.bucket();
    let connect = |key: &str, secret: &str| {
        let client = client(server.port(), &bucket).with_access_key_id(key).with_secret_access_key(secret);
        S3FeatureFlagStore::new(client).unwrap().timeout(Duration::from_secs(20))
    };
    let writer = connect(KEY, SECRET);
    let version = writer.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();

    let reader = connect(READER, SECRET);
    assert!(reader.get("F").await.unwrap().is_some());
    for error in [
        reader.put(&flag("F", false), Precondition::Unchanged(version.clone()).into()).await.unwrap_err(),
        reader.put(&flag("G", false), Precondition::Any.into()).await.unwrap_err(),
        reader.delete("F", Precondition::Unchanged(version).into()).await.unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.nothing_written()), (ErrorKind::Unauthorized, true), "{error:?}");
    }
    for store in [connect(KEY, "wr0ng"), connect("n0body", SECRET)] {
        let mut follow = Follow::of(&store);
        for error in [store.list().await.unwrap_err(), store.get("F").await.unwrap_err(), follow.lost().await] {
            assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
            let shown = format!("{error} {error:?} {} {store:?}", error.chain());
            assert!(!shown.contains("wr0ng") && !shown.contains(SECRET), "{shown}");
        }
    }
    assert!(writer.get("F").await.unwrap().unwrap().record.unwrap().is_enabled());
}

#[tokio::test]
async fn each_refusal_is_named() {
    let Some(server) = seaweedfs() else { return };
    let (bucket, proxy) = (server.bucket(), S3Proxy::start(server.port()));
    let store = store(proxy.port(), &bucket);
    for (status, code, kind, words) in [
        (403, "RequestTimeTooSkewed", ErrorKind::Unauthorized, "clock"),
        (400, "ExpiredToken", ErrorKind::Unauthorized, "have expired"),
        (403, "AccessDenied", ErrorKind::Unauthorized, "do not allow"),
        (400, "AuthorizationHeaderMalformed", ErrorKind::InvalidInput, "region"),
        (301, "PermanentRedirect", ErrorKind::InvalidInput, "region"),
        (404, "NoSuchBucket", ErrorKind::Unavailable, "bucket does not exist"),
    ] {
        proxy.refuse("HTTP/1.1", status, code, usize::MAX);
        for error in [
            store.put(&flag("F", true), Precondition::Any.into()).await.unwrap_err(),
            store.get("F").await.unwrap_err(),
            store.list().await.unwrap_err(),
        ] {
            assert_eq!((error.kind(), error.nothing_written()), (kind, true), "{code}: {error:?}");
            assert!(error.to_string().contains(words) && error.chain().contains(code), "{}", error.chain());
            assert_eq!(error.store(), Some(format!("S3({bucket})").as_str()));
        }
        proxy.obey();
    }
    proxy.refuse("HTTP/1.1", 503, "SlowDown", usize::MAX);
    let error = store
        .clone()
        .timeout(Duration::from_secs(3))
        .put(&flag("F", true), Precondition::Any.into())
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.nothing_written()), (ErrorKind::Unavailable, true), "{error:?}");
    assert!(error.to_string().starts_with("the server is asked more often than it allows"), "{error}");
    proxy.obey();
    // The server may have done it before it failed.
    proxy.refuse("PUT ", 500, "InternalError", 1);
    let error = store.put(&flag("F", true), Precondition::Any.into()).await.unwrap_err();
    assert_eq!((error.kind(), error.nothing_written()), (ErrorKind::Unavailable, false));
    // What is no S3 server.
    proxy.refuse("HTTP/1.1", 404, "", usize::MAX);
    for error in [
        store.list().await.unwrap_err(),
        // A flag that is there.
        store.get("F").await.unwrap_err(),
        store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(error.to_string().contains("not from a server with S3's interface"), "{error}");
    }
}

#[tokio::test]
async fn a_throttled_request_is_sent_again() {
    let Some(server) = seaweedfs() else { return };
    let (bucket, proxy) = (server.bucket(), S3Proxy::start(server.port()));
    let store = store(proxy.port(), &bucket);
    proxy.refuse("PUT ", 503, "SlowDown", 2);
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    proxy.refuse("GET ", 503, "SlowDown", 2);
    assert_eq!(store.list().await.unwrap().len(), 1);
    proxy.refuse("GET ", 500, "InternalError", 2);
    assert_eq!(store.list().await.unwrap().len(), 1);

    let mut follow = Follow::of(&store);
    follow.reset().await;
    proxy.refuse("GET ", 503, "SlowDown", 3);
    store.put(&flag("F", false), Precondition::Any.into()).await.unwrap();
    loop {
        match follow.next().await {
            WatchEvent::Changed { .. } => break,
            WatchEvent::Lost(error) => panic!("{error:?}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_list_that_breaks_off_is_none() {
    let Some(server) = seaweedfs() else { return };
    let (bucket, proxy) = (server.bucket(), S3Proxy::start(server.port()));
    let store = store(proxy.port(), &bucket);
    let flags: Vec<_> = (0..1001).map(|number| flag(&format!("F{number:04}"), true)).collect();
    assert!(store.put_all(&flags, Precondition::Any.into()).await.iter().all(Result::is_ok));
    let mut follow = Follow::of(&store);
    assert_eq!(follow.reset().await.len(), flags.len());
    // The first page alone would delete a flag.
    proxy.refuse("continuation-token", 403, "AccessDenied", usize::MAX);
    loop {
        match follow.next().await {
            WatchEvent::Lost(error) => break assert_eq!(error.kind(), ErrorKind::Unauthorized),
            WatchEvent::Removed { name, .. } => panic!("{name} was not deleted"),
            _ => {}
        }
    }
    assert!(store.list().await.is_err());
    proxy.obey();
    assert_eq!(restored(&mut follow).await.len(), flags.len());
}

/// Flags come and go between the pages of a list, and between it and the reads.
#[tokio::test]
async fn a_bucket_that_is_written_while_it_is_listed() {
    const ROUNDS: usize = 40;
    let Some(server) = seaweedfs() else { return };
    let bucket = server.bucket();
    let store = store(server.port(), &bucket);
    let steady: BTreeSet<_> = (0..1001).map(|number| format!("F{number:04}")).collect();
    let flags: Vec<_> = steady.iter().map(|name| flag(name, true)).collect();
    assert!(store.put_all(&flags, Precondition::Any.into()).await.iter().all(Result::is_ok));
    let mut follow = Follow::of(&store);
    let mut held: BTreeSet<_> = follow.reset().await.into_iter().map(|flag| flag.name).collect();
    assert_eq!(held, steady);

    let writer = std::thread::spawn(move || {
        for round in 0..ROUNDS {
            // Before, among and behind the others, on both pages.
            for place in ["A", "F0500_", "G"] {
                let path = |round: usize| format!("/{bucket}/{place}{round:02}");
                let text = flag(&format!("{place}{round:02}"), true).to_json();
                assert_eq!(server.ask("PUT", &path(round), text.as_bytes()).status, 200);
                if round > 0 {
                    assert_eq!(server.ask("DELETE", &path(round - 1), b"").status, 204);
                }
            }
        }
    });
    let last = ["A", "F0500_", "G"].map(|place| format!("{place}{:02}", ROUNDS - 1));
    let wanted: BTreeSet<_> = steady.iter().chain(&last).cloned().collect();
    while held != wanted {
        match follow.next().await {
            WatchEvent::Changed { flag, .. } => _ = held.insert(flag.name),
            WatchEvent::Removed { name, .. } => {
                assert!(!steady.contains(&name), "{name} was not deleted");
                held.remove(&name);
            }
            WatchEvent::Lost(error) => panic!("{error:?}"),
            _ => {}
        }
    }
    writer.join().unwrap();
}

#[tokio::test]
async fn no_server_at_all() {
    let store = store(free_port(), "flags").timeout(Duration::from_secs(5));
    let error = store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap_err();
    assert_eq!((error.kind(), error.nothing_written()), (ErrorKind::Unavailable, true), "{error:?}");
    assert!(error.chain().contains("refused"), "{}", error.chain());
}
