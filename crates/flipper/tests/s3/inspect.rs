use flipper::store::{Check, Finding, Precondition};
use flipper::{FeatureFlagStore, S3FeatureFlagStore};
use flipper_testkit::s3::{READER, S3Proxy, SECRET};

use crate::{client, flag, moto, seaweedfs, store};

fn check<'a>(checks: &'a [Check], what: &str) -> &'a Check {
    checks.iter().find(|check| check.what == what).unwrap_or_else(|| panic!("no {what} in {checks:?}"))
}

#[tokio::test]
async fn a_bucket_that_is_well() {
    let Some(server) = seaweedfs() else { return };
    let (bucket, proxy) = (server.bucket(), S3Proxy::start(server.port()));
    let store = store(proxy.port(), &bucket).prefix("features").unwrap();
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    let before = proxy.count("PUT /");
    let checks = store.inspect().await;
    for what in ["reachable", "transport", "identity", "rights", "clock", "push", "flags"] {
        assert_eq!(check(&checks, what).finding, Finding::Fine, "{checks:?}");
    }
    let identity = format!("s3://{bucket}/features?endpoint=http://127.0.0.1:{}", proxy.port());
    assert_eq!(check(&checks, "identity").text, identity);
    assert_eq!(check(&checks, "flags").text, "1, of which 0 cannot be read");
    assert_eq!(proxy.count("PUT /"), before, "it writes nothing");
}

#[tokio::test]
async fn who_may_only_read() {
    let Some(server) = seaweedfs() else { return };
    let bucket = server.bucket();
    let client = client(server.port(), &bucket).with_access_key_id(READER).with_secret_access_key(SECRET);
    let checks = S3FeatureFlagStore::new(client).unwrap().inspect().await;
    let rights = check(&checks, "rights");
    assert_eq!((rights.finding, rights.text.as_str()), (Finding::Problem, "may list, not delete"), "{checks:?}");
}

#[tokio::test]
async fn what_is_wrong() {
    let Some(server) = moto() else { return };
    let (bucket, proxy) = (server.bucket(), S3Proxy::start(server.port()));
    let store = store(proxy.port(), &bucket);
    proxy.ignore_conditions("DELETE");
    let checks = store.inspect().await;
    let rights = check(&checks, "rights");
    assert_eq!(rights.finding, Finding::Problem);
    assert!(rights.hint.as_ref().unwrap().contains("unconditional_writes"));
    proxy.refuse("GET ", 403, "RequestTimeTooSkewed", usize::MAX);
    let checks = store.inspect().await;
    assert_eq!(check(&checks, "reachable").finding, Finding::Fault);
    assert!(check(&checks, "reachable").text.contains("clock"), "{checks:?}");
}
