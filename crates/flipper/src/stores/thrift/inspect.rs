use std::sync::atomic::Ordering;
use std::time::Instant;

use flipper_thrift_protocol::feature_flag_store::ServerDescription;

use super::ThriftRpcFeatureFlagStore;
use super::connection::CallError;
use crate::inspection::Check;
use crate::store::FeatureFlagStore;
use crate::stores::served::{Description, describe, now_ms, reachable};

pub(super) async fn inspect(store: &ThriftRpcFeatureFlagStore) -> Vec<Check> {
    let (called, clock) = (Instant::now(), now_ms());
    let described = store.shared.pool.call(true, |client| client.describe()).await;
    let took = called.elapsed();
    if let Ok(server) = &described {
        store.shared.has_history.store(server.history.unwrap_or_default(), Ordering::Relaxed);
    }
    match described {
        Ok(server) => describe(&description(server), clock, took),
        Err(CallError::UnknownMethod) => undescribed(store).await,
        Err(CallError::Failed(error)) => vec![Check::fault("reachable", error.chain())],
    }
}

fn description(server: ServerDescription) -> Description {
    let ServerDescription { server, store, lost, confirmed_ms_ago, version, clock_ms, history: _ } = server;
    let confirmed_ms_ago = u64::try_from(confirmed_ms_ago.unwrap_or_default()).unwrap_or_default();
    Description { version, server, store, lost, confirmed_ms_ago, clock_ms }
}

/// Another implementation, or an older server of ours.
async fn undescribed(store: &ThriftRpcFeatureFlagStore) -> Vec<Check> {
    let called = Instant::now();
    let flags = store.list().await;
    let kind = match store.is_legacy() {
        true => Check::problem(
            "kind",
            "knows only the calls of the Python library: writes of several clients at once can be lost",
        )
        .hint("`flipper serve` has compare-and-set and reports changes"),
        false => Check::problem("kind", "an earlier server of Flipper's, which does not describe itself"),
    };
    let push = match store.is_legacy() {
        true => Check::problem("push", "all flags are asked for once a second"),
        false => Check::fine("push", "the server reports changes as they come to it"),
    };
    match flags {
        Ok(flags) => {
            vec![reachable(called.elapsed()), kind, Check::fine("flags", flags.len().to_string()), push]
        }
        Err(error) => vec![Check::fault("reachable", error.chain())],
    }
}
