use flipper::store::Precondition;
use flipper::{FeatureFlagClient, FeatureFlagStore};
use flipper_testkit::{Child, Role, run_together};
use serde_json::json;

use crate::{Connect as _, agent, bare, flag, random_base, store};

const PROCESSES: usize = 8;
const MERGES: usize = 200;

pub(crate) fn merge(role: &Role) {
    let [address, base, writer, merges] = &*role.arguments else { panic!("{:?}", role.arguments) };
    let merges: usize = merges.parse().unwrap();
    if merges == 0 {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let features = FeatureFlagClient::new(bare(address).base_key(base).unwrap().connect().await.unwrap());
        role.say("ready");
        role.hear();
        for number in 0..merges {
            if number % 10 == 0 {
                role.say("on it");
            }
            let data = json!({ format!("{writer}-{number}"): number });
            loop {
                match features.set_client_data("F", data.clone()).await {
                    // Other writers came first for ten seconds.
                    Err(error) if error.is_transient() => {}
                    other => break other.unwrap(),
                }
            }
        }
    });
}

#[tokio::test]
async fn no_merge_of_eight_processes_is_lost() {
    let Some(agent) = agent() else { return };
    let base = random_base();
    let store = store(&agent, &base).await;
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    let writers = (0..PROCESSES).map(|writer| writer.to_string());
    let merges = MERGES.to_string();
    run_together(writers.map(|writer| Child::spawn("merge", &[&agent.address(), &base, &writer, &merges])).collect());
    let stored = store.get("F").await.unwrap().unwrap().record.unwrap();
    for writer in 0..PROCESSES {
        for number in 0..MERGES {
            let key = format!("{writer}-{number}");
            assert!(stored.client_data().get(&key).is_some(), "{key} is lost");
        }
    }
}
