use flipper::FeatureFlagStore;
use flipper::store::{LocalFeatureFlagStore, Precondition};

use crate::{agent, flag, names, random_base, state, store, wait_for};

#[tokio::test]
async fn only_keys_one_level_under_the_base_key_are_flags() {
    let Some(agent) = agent() else { return };
    let base = random_base();
    let value = flag("F", true).to_json();
    for key in ["-other/x", "", "/F", "/a/b", "/folder/", "/", "x"] {
        agent.put(&format!("{base}{key}"), value.as_bytes());
    }
    agent.put(&format!("{base}/empty/"), b"");
    let store = store(&agent, &base).await;
    assert_eq!(names(&store.table().list()), ["F"]);
    assert_eq!(names(&store.list().await.unwrap()), ["F"]);
    for name in ["a/b", "folder/", ""] {
        assert!(store.get(name).await.unwrap().is_none());
    }
    agent.put(&format!("{base}-other/y"), b"no flag at all");
    agent.put(&format!("{base}/late/"), b"");
    agent.put(&format!("{base}/G"), flag("G", true).to_json().as_bytes());
    wait_for(&store, "G", Some(true));
    assert_eq!(names(&store.table().list()), ["F", "G"]);
    assert!(store.status().is_live() && store.status().corrupt.is_empty());
}

#[tokio::test]
async fn a_value_that_is_no_flag_is_reported_and_the_others_go_on() {
    let Some(agent) = agent() else { return };
    let base = random_base();
    let store = store(&agent, &base).await;
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    agent.put(&format!("{base}/BROKEN"), b"hello");
    flipper_testkit::wait_until("it is reported", || !store.status().corrupt.is_empty());
    assert!(store.status().corrupt.contains_key("BROKEN"));
    assert!(store.status().is_live());
    store.put(&flag("F", false), Precondition::Any.into()).await.unwrap();
    assert_eq!(state(&store, "F"), Some(false));
    agent.delete(&format!("{base}/BROKEN"));
    flipper_testkit::wait_until("it is not reported any more", || store.status().corrupt.is_empty());
}

#[tokio::test]
async fn names_that_a_path_cannot_hold() {
    let Some(agent) = agent() else { return };
    let base = random_base();
    let (here, there) = (store(&agent, &base).await, store(&agent, &base).await);
    for name in ["..", ".", "a b", "%2e", "a+b?c#d&e=f", "é*", "\u{10ffff}", "\u{a0}", "\"quoted\\\""] {
        here.put(&flag(name, true), Precondition::Absent.into()).await.unwrap();
        wait_for(&there, name, Some(true));
        assert!(there.get(name).await.unwrap().is_some(), "{name}");
        here.delete(name, Precondition::Any.into()).await.unwrap();
        wait_for(&there, name, None);
        assert!(there.get(name).await.unwrap().is_none(), "{name}");
    }
    assert!(here.delete("..", Precondition::Absent.into()).await.is_ok());
}
