use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use flipper_thrift_protocol::feature_flag_store::ServerDescription;

use super::ThriftRpcFeatureFlagStore;
use super::connection::CallError;
use crate::inspection::Check;
use crate::store::FeatureFlagStore;

/// Ramps and creation times depend on the clocks of all writers.
const CLOCKS_DIFFER: Duration = Duration::from_secs(2);

pub(super) async fn inspect(store: &ThriftRpcFeatureFlagStore) -> Vec<Check> {
    let (called, clock) = (Instant::now(), now_ms());
    let described = store.shared.pool.call(true, |client| client.describe()).await;
    let took = called.elapsed();
    match described {
        Ok(server) => {
            let mut checks = vec![reachable(took), Check::fine("kind", "has Flipper's own calls")];
            describe(&server, clock, took, &mut checks);
            checks
        }
        Err(CallError::UnknownMethod) => undescribed(store).await,
        Err(CallError::Failed(error)) => vec![Check::fault("reachable", error.chain())],
    }
}

fn reachable(took: Duration) -> Check {
    Check::fine("reachable", format!("answers in {:.1} ms", took.as_secs_f64() * 1000.0))
}

fn describe(server: &ServerDescription, clock: i64, took: Duration, checks: &mut Vec<Check>) {
    if let Some(version) = &server.version {
        checks.push(Check::fine("version", version));
    }
    let (start, behind) = (server.server.as_deref().unwrap_or("unknown"), server.store.as_deref());
    checks.push(Check::fine(
        "identity",
        match behind {
            Some(store) => format!("serves {store}; this start is {start}"),
            None => format!("this start is {start}"),
        },
    ));
    let age = Duration::from_millis(u64::try_from(server.confirmed_ms_ago.unwrap_or_default()).unwrap_or_default());
    checks.push(match &server.lost {
        Some(reason) => Check::fault(
            "flags",
            format!("the server's flags are those of its store of {:.1} s ago: {reason}", age.as_secs_f64()),
        )
        .hint("look at the store behind the server"),
        None => Check::fine("flags", "the server's flags are those of its store"),
    });
    checks.push(Check::fine("push", "the server reports changes as they come to it"));
    if let Some(theirs) = server.clock_ms {
        let middle = clock.saturating_add(i64::try_from(took.as_millis() / 2).unwrap_or_default());
        let difference = Duration::from_millis(theirs.abs_diff(middle));
        let text = format!("differs from ours by {:.1} s", difference.as_secs_f64());
        checks.push(match difference > CLOCKS_DIFFER + took {
            true => Check::problem("clock", text).hint("ramps go by the clock: set both by NTP"),
            false => Check::fine("clock", text),
        });
    }
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

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis());
    i64::try_from(now).unwrap_or(i64::MAX)
}
