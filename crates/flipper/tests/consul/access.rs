//! Tokens: what they allow, and what happens when their rights change.

use std::time::Duration;

use flipper::history::HistoryQuery;
use flipper::store::Precondition;
use flipper::{ConsulClient, ConsulFeatureFlagStore, ErrorKind, FeatureFlagStore};
use flipper_testkit::consul::{ConsulAgent, ConsulProxy, Fault, MASTER_TOKEN};
use flipper_testkit::wait_until;
use futures_util::StreamExt;

use crate::{Connect as _, Mirror, flag, names, stale, state, wait_for, wait_until_live};

const TOKEN: &str = "bbbbbbbb-0000-0000-0000-000000000001";
const READ: &str = r#"key_prefix "features/" { policy = "read" }"#;
const WRITE: &str =
    r#"key_prefix "features/" { policy = "write" } key_prefix ".features.history/" { policy = "write" }"#;
/// As before there was a history.
const WRITE_FLAGS: &str = r#"key_prefix "features/" { policy = "write" }"#;

fn guarded(rules: &str) -> Option<ConsulAgent> {
    let agent = ConsulAgent::options().acl().start()?;
    agent.policy("flags", rules);
    agent.token(TOKEN, "flags");
    Some(agent)
}

async fn open(agent: &ConsulAgent, token: &str) -> flipper::Result<Mirror> {
    let client = ConsulClient::builder().address(agent.address()).token(token).build()?;
    // Consul checks a token's rights when a request begins.
    ConsulFeatureFlagStore::new(client).wait(Duration::from_millis(200)).connect().await
}

fn put(agent: &ConsulAgent, name: &str, enabled: bool) {
    agent.put(&format!("features/{name}"), flag(name, enabled).to_json().as_bytes());
}

fn wait_until_refused(store: &Mirror) {
    wait_until("it is stale for want of access", || stale(store).is_some_and(|reason| reason.contains("token")));
    assert!(!stale(store).unwrap().contains(TOKEN));
}

#[tokio::test]
async fn a_token_that_may_only_read() {
    let Some(agent) = guarded(READ) else { return };
    put(&agent, "F", true);
    agent.put("elsewhere/F", b"");
    let store = open(&agent, TOKEN).await.unwrap();
    assert_eq!(state(&store, "F"), Some(true));
    put(&agent, "F", false);
    wait_for(&store, "F", Some(false));
    for refused in [
        store.put(&flag("F", true), Precondition::Any.into()).await.unwrap_err(),
        store.put(&flag("G", true), Precondition::Absent.into()).await.unwrap_err(),
        store.delete("F", Precondition::Any.into()).await.unwrap_err(),
        open(&agent, "no-such-token").await.unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::Unauthorized, "{refused:?}");
        assert!(!refused.is_transient() && !format!("{refused:?}").contains("no-such-token"), "{refused:?}");
    }
    assert_eq!(state(&store, "F"), Some(false));
    let client = ConsulClient::builder().address(agent.address()).token(TOKEN).build().unwrap();
    let elsewhere = ConsulFeatureFlagStore::new(client).base_key("elsewhere").unwrap().connect().await.unwrap_err();
    assert_eq!(elsewhere.kind(), ErrorKind::Unauthorized);
}

/// Consul answers as for an empty store: 404 with an index.
#[tokio::test]
async fn narrowed_while_watching() {
    let Some(agent) = guarded(READ) else { return };
    put(&agent, "F", true);
    put(&agent, "G", true);
    let store = open(&agent, TOKEN).await.unwrap();
    for changed_meanwhile in [false, true] {
        agent.policy("flags", r#"key_prefix "other/" { policy = "read" }"#);
        if changed_meanwhile {
            put(&agent, "F", false);
        }
        wait_until_refused(&store);
        assert_eq!(store.list().await.unwrap_err().kind(), ErrorKind::Unauthorized, "an empty list for hidden flags");
        assert_eq!(names(&flipper::store::LocalFeatureFlagStore::table(&store).list()), ["F", "G"]);
        // The query that was pending when the policy changed still has the old rights.
        assert!(state(&store, "F").is_some());
        agent.policy("flags", READ);
        wait_until_live(&store);
        wait_for(&store, "F", Some(!changed_meanwhile));
    }
    // With some of the flags hidden.
    for changed_meanwhile in [false, true] {
        agent.policy("flags", r#"key "features/G" { policy = "read" }"#);
        if changed_meanwhile {
            put(&agent, "G", false);
        }
        wait_until_refused(&store);
        assert_eq!(state(&store, "F"), Some(false));
        agent.policy("flags", READ);
        wait_until_live(&store);
    }
    agent.delete("features/F");
    wait_for(&store, "F", None);
    agent.delete("features/G");
    wait_for(&store, "G", None);
    assert!(flipper::store::LocalFeatureFlagStore::status(&store).is_live());
}

#[tokio::test]
async fn revoked_while_watching() {
    let Some(agent) = guarded(WRITE) else { return };
    let store = open(&agent, TOKEN).await.unwrap();
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    agent.revoke(TOKEN);
    wait_until_refused(&store);
    assert_eq!(state(&store, "F"), Some(true));
    let error = store.put(&flag("F", false), Precondition::Any.into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    put(&agent, "F", false);
    agent.token(TOKEN, "flags");
    wait_until_live(&store);
    wait_for(&store, "F", Some(false));
    store.put(&flag("F", true), Precondition::Any.into()).await.unwrap();
}

#[tokio::test]
async fn without_the_right_to_the_hint() {
    let Some(agent) = guarded(WRITE) else { return };
    for number in 0..200 {
        put(&agent, &format!("F{number}"), false);
    }
    let (writer, reader) = (open(&agent, TOKEN).await.unwrap(), open(&agent, TOKEN).await.unwrap());
    let privileged = open(&agent, MASTER_TOKEN).await.unwrap();
    for round in 0..5 {
        let name = format!("F{round}");
        writer.put(&flag(&name, true), Precondition::Any.into()).await.unwrap();
        wait_for(&reader, &name, Some(true));
        wait_for(&privileged, &name, Some(true));
    }
    assert!(agent.get(".features.changed").is_none());
    privileged.put(&flag("F9", true), Precondition::Any.into()).await.unwrap();
    assert!(agent.get(".features.changed").is_some());
    wait_for(&reader, "F9", Some(true));
    let version = writer.put(&flag("F0", false), Precondition::Any.into()).await.unwrap();
    writer.delete("F0", Precondition::Unchanged(version.clone()).into()).await.unwrap();
    wait_for(&reader, "F0", None);
    let gone = writer.delete("F0", Precondition::Unchanged(version).into()).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::Conflict);
    assert!(flipper::store::LocalFeatureFlagStore::status(&reader).is_live());
}

#[tokio::test]
async fn without_the_right_to_the_history() {
    let Some(agent) = guarded(WRITE_FLAGS) else { return };
    for many in [false, true] {
        if many {
            for number in 0..200 {
                put(&agent, &format!("F{number}"), false);
            }
        }
        let store = open(&agent, TOKEN).await.unwrap();
        for refused in [
            store.put(&flag("NEW", true), Precondition::Absent.into()).await.unwrap_err(),
            store.put(&flag("NEW", true), Precondition::Any.into()).await.unwrap_err(),
            store.history(&HistoryQuery::all()).await.unwrap_err(),
            store.history(&HistoryQuery::of("NEW")).await.unwrap_err(),
        ] {
            assert_eq!(refused.kind(), ErrorKind::Unauthorized, "{refused:?}");
            let text = refused.to_string();
            assert!(text.contains(r#"`key_prefix ".features.history/"`"#) && text.contains("`?history=off`"), "{text}");
        }
        assert!(agent.get("features/NEW").is_none());
        let checks = store.inspect().await;
        assert!(checks.iter().any(|check| check.what == "history" && check.text.contains("may not")), "{checks:?}");
    }
    let client = ConsulClient::builder().address(agent.address()).token(TOKEN).build().unwrap();
    let store = ConsulFeatureFlagStore::new(client).without_history();
    store.put(&flag("NEW", true), Precondition::Absent.into()).await.unwrap();
    assert_eq!(store.history(&HistoryQuery::all()).await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(!store.capabilities().history);
    // Who may only read the flags may not read who changed them.
    agent.policy("flags", WRITE);
    let store = open(&agent, TOKEN).await.unwrap();
    store.put(&flag("NEW", false), Precondition::Any.into()).await.unwrap();
    assert_eq!(store.history(&HistoryQuery::all()).await.unwrap().entries.len(), 1);
}

/// Consul leaves out what the token may not read; before 1.11 without a sign of it.
#[tokio::test]
async fn a_partial_list_is_an_error() {
    let Some(agent) = guarded(r#"key "features/F" { policy = "read" }"#) else { return };
    put(&agent, "F", true);
    put(&agent, "G", true);
    let remote = |address: String| {
        let client = ConsulClient::builder().address(address).token(TOKEN).build().unwrap();
        ConsulFeatureFlagStore::new(client)
    };
    let store = remote(agent.address());
    assert!(store.get("F").await.unwrap().is_some());
    assert_eq!(store.list().await.unwrap_err().kind(), ErrorKind::Unauthorized);
    let streamed: Vec<_> = store.stream().collect().await;
    assert!(streamed.iter().all(Result::is_err) && !streamed.is_empty());
    assert_eq!(open(&agent, TOKEN).await.unwrap_err().kind(), ErrorKind::Unauthorized);
    // Newer Consuls report in a header that they left keys out.
    agent.policy("flags", READ);
    assert_eq!(names(&store.list().await.unwrap()), ["F", "G"]);
    let filtered = Fault::Headers("X-Consul-Results-Filtered-By-ACLs: true\r\n".to_owned());
    let proxy = ConsulProxy::start(agent.port(), filtered);
    let error = remote(proxy.address()).list().await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unauthorized && error.to_string().contains("left out"), "{error}");
}
