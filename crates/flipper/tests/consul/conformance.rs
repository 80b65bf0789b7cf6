//! Every behaviour of the traits: without hints, as few flags have none; with them; and where the token forbids them.

use std::sync::Arc;

use flipper::conformance::TwoConnections;
use flipper::{
    ConsulClient, ConsulFeatureFlagStore, FeatureFlagStore, LocalFeatureFlagStore, MemoryFeatureFlagStore, Stored,
    Version,
};
use flipper_testkit::consul::ConsulAgent;

use crate::{Connect as _, Shared, agent, make_lists_large, random_base, store};

type Any = Box<dyn LocalFeatureFlagStore>;

/// Where there is no agent, which has been said aloud, the tests are those of the memory store.
async fn on<T>(running: Option<Arc<T>>, open: impl AsyncFnOnce(&T) -> Any) -> (Any, Option<Arc<T>>) {
    match running {
        Some(running) => (open(&running).await, Some(running)),
        None => (Box::new(MemoryFeatureFlagStore::new()), None),
    }
}

flipper::local_store_conformance_tests!(one_connection, async || {
    on(agent(), async |agent| Box::new(store(agent, &random_base()).await) as Any).await
});

flipper::local_store_conformance_tests!(with_hints, async || {
    on(agent(), async |agent| {
        let base = random_base();
        make_lists_large(agent, &base);
        Box::new(store(agent, &base).await) as Any
    })
    .await
});

flipper::store_conformance_tests!(two_connections, async || { two_connections(|_, _| {}).await });

flipper::store_conformance_tests!(two_connections_with_hints, async || { two_connections(make_lists_large).await });

async fn two_connections(prepare: impl Fn(&ConsulAgent, &str)) -> (TwoConnections<Any, Any>, Option<Arc<ConsulAgent>>) {
    let base = random_base();
    let running = agent();
    running.iter().for_each(|agent| prepare(agent, &base));
    let one = on(running.clone(), async |agent| Box::new(store(agent, &base).await) as Any).await.0;
    let other = on(running.clone(), async |agent| Box::new(store(agent, &base).await) as Any).await.0;
    (TwoConnections::new(one, other), running)
}

/// As [`on`], for a store without memory.
fn remote(running: Option<Arc<ConsulAgent>>, base: &str) -> (Box<dyn FeatureFlagStore>, Option<Arc<ConsulAgent>>) {
    let store: Box<dyn FeatureFlagStore> = match &running {
        Some(agent) => {
            let client = ConsulClient::builder().address(agent.address()).build().unwrap();
            Box::new(ConsulFeatureFlagStore::new(client).base_key(base).unwrap())
        }
        None => Box::new(MemoryFeatureFlagStore::new()),
    };
    (store, running)
}

flipper::store_conformance_tests!(remote, async || remote(agent(), &random_base()));

flipper::store_conformance_tests!(with_and_remote, async || {
    let base = random_base();
    let Some(running) = agent() else {
        let (store, _) = remote(None, &base);
        return (store, None);
    };
    let one = store(&running, &base).await;
    let (other, running) = remote(Some(running), &base);
    (Box::new(TwoConnections::new(one, other)) as Box<dyn FeatureFlagStore>, running)
});

static GUARDED: Shared<ConsulAgent> = Shared::new();
const TOKEN: &str = "aaaaaaaa-0000-0000-0000-000000000001";

flipper::local_store_conformance_tests!(with_hints_forbidden, async || {
    let running = GUARDED.get(|| {
        let agent = ConsulAgent::options().acl().start()?;
        agent.policy("flags", r#"key_prefix "test-" { policy = "write" }"#);
        agent.token(TOKEN, "flags");
        Some(agent)
    });
    on(running, async |agent| {
        let base = random_base();
        make_lists_large(agent, &base);
        let client = ConsulClient::builder().address(agent.address()).token(TOKEN).build().unwrap();
        Box::new(ConsulFeatureFlagStore::new(client).base_key(base).unwrap().connect().await.unwrap()) as Any
    })
    .await
});

mod corrupt {
    use super::*;

    flipper::local_corrupt_conformance_tests!(
        values,
        async || on(agent(), async |agent| Box::new(store(agent, &random_base()).await) as Any).await,
        async |store: &Any, name: &str, value: &[u8]| {
            let shown = store.to_string();
            match shown.strip_prefix("Mirrored(Consul(").and_then(|rest| rest.strip_suffix("))")) {
                Some(base) => agent().unwrap().put(&format!("{base}/{name}"), value),
                None => {
                    store.table().apply(Stored::from_json(name, Version::ordered(0), value));
                }
            }
        },
    );
}
