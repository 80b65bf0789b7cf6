use std::time::{Duration, Instant};

use flipper::store::{Precondition, Updates, WatchEvent};
use flipper::{FeatureFlagClient, FeatureFlagStore};
use flipper_testkit::s3::S3Proxy;
use flipper_testkit::wait_until;

use crate::{Follow, flag, names, random, seaweedfs, store};

/// The bound is the time itself that is under test; the requests are few, so that a busy machine keeps it.
#[tokio::test]
async fn a_foreign_change_is_seen_within_the_period() {
    const PERIOD: Duration = Duration::from_secs(5);
    let Some(server) = seaweedfs() else { return };
    let bucket = server.bucket();
    let store = store(server.port(), &bucket).poll_every(PERIOD);
    let mut follow = Follow::of(&store);
    follow.reset().await;
    let text = flag("F", true).to_json();
    let written = Instant::now();
    assert_eq!(server.ask("PUT", &format!("/{bucket}/F"), text.as_bytes()).status, 200);
    let (changed, read_at) = follow.change("F").await;
    assert!(changed.is_some() && read_at.is_some());
    assert!(written.elapsed() <= PERIOD.mul_f64(1.2), "{:?}", written.elapsed());
}

#[tokio::test]
async fn a_period_is_a_request_for_each_thousand_flags_and_one_for_each_change() {
    const FLAGS: usize = 10_000;
    let Some(server) = seaweedfs() else { return };
    let bucket = server.bucket();
    let flags: Vec<_> = (0..FLAGS).map(|number| flag(&format!("F{number:05}"), false)).collect();
    let writer = store(server.port(), &bucket);
    assert!(writer.put_all(&flags, Precondition::Any.into()).await.iter().all(Result::is_ok));

    let proxy = S3Proxy::start(server.port());
    let reader = store(proxy.port(), &bucket).poll_every(Duration::from_millis(500));
    let mut follow = Follow::of(&reader);
    assert_eq!(follow.reset().await.len(), FLAGS);
    let gets = proxy.count(&format!("GET /{bucket}/F"));
    writer.put(&flag("F00007", true), Precondition::Any.into()).await.unwrap();
    let mut periods = 0;
    let before = proxy.count("list-type=2");
    let mut is_seen = false;
    while periods < 2 || !is_seen {
        match follow.next().await {
            WatchEvent::Compared { versions } => {
                assert_eq!(versions.len(), FLAGS);
                periods += 1;
            }
            WatchEvent::Changed { flag, .. } => is_seen |= flag.name == "F00007",
            _ => {}
        }
    }
    // A period may have begun before, and one since.
    let lists = proxy.count("list-type=2") - before;
    assert!((10 * (periods - 1)..=10 * (periods + 1)).contains(&lists), "{lists} lists in {periods} periods");
    assert_eq!(proxy.count(&format!("GET /{bucket}/F")) - gets, 1);
}

#[tokio::test]
async fn a_write_under_a_prefix_is_hinted() {
    let Some(server) = seaweedfs() else { return };
    let (bucket, prefix) = (server.bucket(), random("shop/features"));
    let connect = || store(server.port(), &bucket).prefix(&prefix).unwrap().poll_every(Duration::from_secs(3600));
    let (writer, reader) = (connect(), connect());
    writer.put(&flag("A", false), Precondition::Absent.into()).await.unwrap();
    let mut follow = Follow::of(&reader);
    assert_eq!(names(&follow.reset().await), ["A"]);
    // None of these is in a list before an hour has passed.
    let version = writer.put(&flag("A", true), Precondition::Any.into()).await.unwrap();
    assert_eq!(follow.change("A").await.0.unwrap().version, version);
    writer.delete("A", Precondition::Any.into()).await.unwrap();
    assert!(follow.change("A").await.0.is_none());
    let many: Vec<_> = (0..40).map(|number| flag(&format!("F{number}"), true)).collect();
    assert!(writer.put_all(&many, Precondition::Absent.into()).await.iter().all(Result::is_ok));
    assert!(follow.change(many[0].name()).await.0.is_some());
    // The hints are beside the prefix.
    assert_eq!(reader.list().await.unwrap().len(), many.len());
    let hints = server.ask("GET", &format!("/{bucket}?list-type=2&prefix=shop/."), b"");
    assert!(
        hints.body.contains(&format!("<Key>{}</Key>", prefix.replace("shop/", "shop/.") + ".changed")),
        "{hints:?}"
    );
}

/// Lists cost money. The time that passes is under test.
#[tokio::test]
async fn writes_of_many_flags_bring_few_lists_forward() {
    const ROUNDS: usize = 6;
    let Some(server) = seaweedfs() else { return };
    let (bucket, proxy) = (server.bucket(), S3Proxy::start(server.port()));
    let connect = |port: u16| store(port, &bucket).prefix("features").unwrap().poll_every(Duration::from_secs(3600));
    let (writer, features) = (connect(server.port()), FeatureFlagClient::new(connect(proxy.port())));
    features.ready().await.unwrap();
    let (began, before) = (Instant::now(), proxy.count("list-type=2"));
    let looks = || proxy.count(&format!("GET /{bucket}/.features.changed"));
    for round in 0..ROUNDS {
        let many: Vec<_> = (0..20).map(|number| flag(&format!("F{round}-{number}"), true)).collect();
        assert!(writer.put_all(&many, Precondition::Absent.into()).await.iter().all(Result::is_ok));
        let seen = looks();
        wait_until("the hint is read", || looks() > seen);
    }
    wait_until("all flags are here", || features.exists(&format!("F{}-19", ROUNDS - 1)));
    let (lists, seconds) = (proxy.count("list-type=2") - before, began.elapsed().as_secs());
    assert!(lists <= 2 + usize::try_from(seconds).unwrap() / 5, "{lists} lists in {seconds} s");
}

#[tokio::test]
async fn a_writer_who_may_not_write_hints_still_writes() {
    let Some(server) = seaweedfs() else { return };
    let (bucket, proxy) = (server.bucket(), S3Proxy::start(server.port()));
    proxy.refuse("changed", 403, "AccessDenied", usize::MAX);
    let store = store(proxy.port(), &bucket).prefix("features").unwrap();
    store.put(&flag("A", true), Precondition::Absent.into()).await.unwrap();
    store.put(&flag("B", true), Precondition::Absent.into()).await.unwrap();
    assert_eq!(proxy.count(&format!("PUT /{bucket}/.features.changed")), 1, "it is not tried again");
    assert_eq!(names(&store.list().await.unwrap()), ["A", "B"]);
}

#[tokio::test]
async fn a_client_follows_the_bucket() {
    let Some(server) = seaweedfs() else { return };
    let bucket = server.bucket();
    let features = FeatureFlagClient::new(store(server.port(), &bucket));
    features.ready().await.unwrap();
    features.create("OWN").enabled(true).await.unwrap();
    assert!(features.is_enabled("OWN"));
    let put = |enabled| server.ask("PUT", &format!("/{bucket}/FOREIGN"), flag("FOREIGN", enabled).to_json().as_bytes());
    put(true);
    wait_until("the foreign flag is on", || features.is_enabled("FOREIGN"));
    put(false);
    wait_until("it is off", || !features.is_enabled("FOREIGN"));
    assert!(features.is_enabled("OWN"));
    server.ask("DELETE", &format!("/{bucket}/OWN"), b"");
    wait_until("the deleted flag is off", || !features.is_enabled("OWN"));
    let status = features.status();
    assert!(status.is_live(), "{status:?}");
    assert_eq!(status.updates, Updates::Poll { every: Duration::from_millis(100) });
}
