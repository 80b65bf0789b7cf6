//! Files that are renewed while the store runs: tokens and certificates.

use std::fs;
use std::path::Path;
use std::time::Duration;

use flipper::store::Precondition;
use flipper::{ConsulClient, ConsulFeatureFlagStore, FeatureFlagStore};
use flipper_testkit::consul::{ConsulAgent, ConsulProxy, Fault};
use flipper_testkit::wait_until;

use crate::{Connect as _, Mirror, flag, stale, state, wait_for, wait_until_live};

const OLD: &str = "cccccccc-0000-0000-0000-000000000001";
const NEW: &str = "cccccccc-0000-0000-0000-000000000002";
const RULES: &str =
    r#"key_prefix "features/" { policy = "write" } key_prefix ".features.history/" { policy = "write" }"#;

/// Replaces a file as mounted secrets are: by pointing its link at another one.
fn renew(file: &Path, text: &[u8]) {
    let next = file.with_extension(format!("{:x}", fastrand::u64(..)));
    fs::write(&next, text).unwrap();
    let link = file.with_extension("link");
    std::os::unix::fs::symlink(&next, &link).unwrap();
    fs::rename(&link, file).unwrap();
}

#[tokio::test]
async fn a_token_file_is_read_again() {
    let Some(agent) = ConsulAgent::options().acl().start() else { return };
    agent.policy("flags", RULES);
    agent.token(OLD, "flags");
    agent.token(NEW, "flags");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    renew(&file, OLD.as_bytes());
    let proxy = ConsulProxy::start(agent.port(), Fault::None);
    let client = ConsulClient::builder().address(proxy.address()).token_file(&file).build().unwrap();
    let store = ConsulFeatureFlagStore::new(client).wait(Duration::from_millis(200)).connect().await.unwrap();
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    // Before the old token ends: no request fails.
    renew(&file, format!("{NEW}\n").as_bytes());
    wait_until("the new token is used", || proxy.requests().last().unwrap().contains(NEW));
    agent.revoke(OLD);
    store.put(&flag("F", false), Precondition::Any.into()).await.unwrap();
    assert!(stale(&store).is_none());
    agent.revoke(NEW);
    wait_until("it is stale", || stale(&store).is_some());
    assert!(!stale(&store).unwrap().contains(NEW));
    agent.token(OLD, "flags");
    renew(&file, OLD.as_bytes());
    wait_until_live(&store);
    store.put(&flag("F", true), Precondition::Any.into()).await.unwrap();
    // A file that is missing for a moment takes no token away.
    fs::remove_file(&file).unwrap();
    store.put(&flag("F", false), Precondition::Any.into()).await.unwrap();
    assert_eq!(state(&store, "F"), Some(false));
}

/// At first the client's certificate is of an authority that the server does not trust.
#[tokio::test]
async fn certificates_are_read_again() {
    let Some(agent) = ConsulAgent::options().tls().start() else { return };
    let other = ConsulAgent::options().tls().start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let renew_from = |agent: &ConsulAgent| {
        for name in ["ca.crt", "client.crt", "client.key"] {
            renew(&file(name), &fs::read(agent.file(name)).unwrap());
        }
    };
    renew_from(&other);
    let client = ConsulClient::builder()
        .address(agent.tls_address())
        .ca_file(file("ca.crt"))
        .client_cert(file("client.crt"))
        .client_key(file("client.key"))
        .build()
        .unwrap();
    let store = Mirror::new(ConsulFeatureFlagStore::new(client));
    wait_until("it is refused", || stale(&store).is_some_and(|reason| reason.contains("certificate")));
    renew_from(&agent);
    wait_until_live(&store);
    agent.put("features/F", flag("F", true).to_json().as_bytes());
    wait_for(&store, "F", Some(true));
}
