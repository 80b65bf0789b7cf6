//! Every behaviour of the traits: without hints, as with few flags; with hints; and where the token forbids them.

use std::sync::Arc;

use flipper::conformance::TwoConnections;
use flipper::{ConsulClient, ConsulFeatureFlagStore, FeatureFlagStore};
use flipper_testkit::consul::ConsulAgent;

use crate::{Connect as _, Mirror, Shared, agent, make_lists_large, random_base, store};

type Agent = Arc<ConsulAgent>;

async fn one_connection(prepare: impl Fn(&ConsulAgent, &str)) -> Option<(Mirror, Agent)> {
    let (agent, base) = (agent()?, random_base());
    prepare(&agent, &base);
    Some((store(&agent, &base).await, agent))
}

type Two = TwoConnections<Mirror, Mirror>;

async fn two_connections(prepare: impl Fn(&ConsulAgent, &str)) -> Option<(Two, Agent)> {
    let (agent, base) = (agent()?, random_base());
    prepare(&agent, &base);
    Some((TwoConnections::new(store(&agent, &base).await, store(&agent, &base).await), agent))
}

fn remote(agent: &ConsulAgent, base: &str) -> impl FeatureFlagStore + use<> {
    let client = ConsulClient::builder().address(agent.address()).build().unwrap();
    ConsulFeatureFlagStore::new(client).base_key(base).unwrap()
}

flipper::local_store_conformance_tests!(one_connection, async || one_connection(|_, _| {}).await);
flipper::local_store_conformance_tests!(with_hints, async || one_connection(make_lists_large).await);
flipper::store_conformance_tests!(two_connections, async || two_connections(|_, _| {}).await);
flipper::store_conformance_tests!(two_connections_with_hints, async || two_connections(make_lists_large).await);
flipper::store_conformance_tests!(remotely, async || {
    let agent = agent()?;
    Some((remote(&agent, &random_base()), agent))
});
flipper::store_conformance_tests!(without_a_history, async || {
    let agent = agent()?;
    let client = ConsulClient::builder().address(agent.address()).build().unwrap();
    let store = ConsulFeatureFlagStore::new(client).base_key(random_base()).unwrap();
    Some((store.without_history(), agent))
});
flipper::store_conformance_tests!(remotely_and_in_memory, async || {
    let (agent, base) = (agent()?, random_base());
    Some((TwoConnections::new(store(&agent, &base).await, remote(&agent, &base)), agent))
});

static GUARDED: Shared<ConsulAgent> = Shared::new();

flipper::local_store_conformance_tests!(with_hints_forbidden, async || {
    let agent = GUARDED.get(|| ConsulAgent::options().acl().start())?;
    let base = random_base();
    let rules =
        format!(r#"key_prefix "{base}" {{ policy = "write" }} key_prefix ".{base}.history/" {{ policy = "write" }}"#);
    let token = format!("aaaaaaaa-0000-0000-0000-{:012x}", fastrand::u64(..1 << 48));
    agent.policy(&base, &rules);
    agent.token(&token, &base);
    make_lists_large(&agent, &base);
    let client = ConsulClient::builder().address(agent.address()).token(token).build().unwrap();
    Some((ConsulFeatureFlagStore::new(client).base_key(base).unwrap().connect().await.unwrap(), agent))
});

mod corrupt {
    use super::*;

    flipper::local_corrupt_conformance_tests!(
        values,
        async || one_connection(|_, _| {}).await,
        async |store: &Mirror, name: &str, value: &[u8]| {
            let shown = store.to_string();
            let base = shown.strip_prefix("Mirrored(Consul(").unwrap().strip_suffix("))").unwrap();
            agent().unwrap().put(&format!("{base}/{name}"), value);
        },
    );
}
