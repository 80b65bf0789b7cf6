use std::time::{Duration, Instant, SystemTime};

use hyper::header::DATE;

use super::ConsulFeatureFlagStore;
use super::agent::Agent;
use super::errors;
use super::kv::{Operation, Read, Transaction};
use crate::error::{Error, ErrorKind};
use crate::inspection::{Check, Finding};
use crate::store::FeatureFlagStore;
use crate::stores::date;

/// Then times in logs and flags are hard to compare.
const SKEW: Duration = Duration::from_secs(5);

pub(super) async fn inspect(store: &ConsulFeatureFlagStore) -> Vec<Check> {
    let began = Instant::now();
    let read = store.client.get(store.keys.prefix(), Read::Confirmed).await;
    let took = began.elapsed();
    let mut checks = vec![transport(store), Check::fine("identity", store.identity().to_string())];
    match &read {
        Err(error) if error.kind() != ErrorKind::Unauthorized => {
            checks.insert(0, Check::fault("reachable", error.chain()));
            return checks;
        }
        _ => checks.insert(0, Check::fine("reachable", format!("{} ms", took.as_millis()))),
    }
    let agent = store.client.agent().await;
    checks.push(version(&agent));
    checks.push(kind(store, &agent).await);
    checks.push(rights(store, read.is_ok()).await);
    checks.extend(history(store).await);
    checks.push(Check::fine(
        "push",
        format!("blocking queries, answered after {} s at the latest", store.wait.as_secs_f32()),
    ));
    checks.extend(clock(store).await);
    checks.push(flags(store).await);
    checks
}

fn transport(store: &ConsulFeatureFlagStore) -> Check {
    let address = store.client.address();
    let (finding, text) = match (address.starts_with("http://"), store.client.has_token()) {
        (false, _) => (Finding::Fine, "TLS, or a Unix socket"),
        (true, false) => (Finding::Fine, "no TLS, and no token"),
        (true, true) if store.client.inner.is_private => (Finding::Fine, "no TLS, within this host"),
        (true, true) => (Finding::Problem, "the token goes to another host in the clear"),
    };
    let check = Check::new("transport", finding, text);
    if finding == Finding::Fine { check } else { check.hint("use `tls=true`") }
}

fn version(agent: &Result<Agent, Error>) -> Check {
    match agent {
        Ok(agent) => Check::fine("version", format!("Consul {}", agent.version)),
        Err(_) => Check::fine("version", "not known: the token does not allow `agent_prefix \"\"` to be read"),
    }
}

async fn kind(store: &ConsulFeatureFlagStore, agent: &Result<Agent, Error>) -> Check {
    let text = async |path: &str| {
        let answer = store.client.ask(path).await.ok()?;
        Some(String::from_utf8_lossy(&answer.body).into_owned())
    };
    let who = match agent {
        Ok(agent) if agent.server => format!("a server of datacenter {}", agent.datacenter),
        Ok(agent) => format!("a client agent of datacenter {}", agent.datacenter),
        Err(_) => "an agent".to_owned(),
    };
    let servers = text("/v1/status/peers").await.map_or(0, |peers| peers.matches(':').count());
    let leader = text("/v1/status/leader").await.is_some_and(|leader| leader.contains(':'));
    match (leader, servers) {
        (false, _) => Check::fault("kind", format!("{who}, which knows of no leader")),
        (true, 1) => Check::fine("kind", format!("{who}, one server in all")),
        (true, servers) => Check::fine("kind", format!("{who}, {servers} servers")),
    }
}

/// By an impossible transaction, which Consul refuses without the right to write, before it fails.
async fn rights(store: &ConsulFeatureFlagStore, reads: bool) -> Check {
    if !reads {
        return Check::fault("rights", "the token may not read the base key")
            .hint(format!("allow `key_prefix \"{}\"` with the policy `read`", store.keys.prefix()));
    }
    let text = match may_write(store, store.keys.prefix()).await {
        Some(true) => "may read and write",
        Some(false) => "may read, not write",
        None => "may read; whether it may write is not known",
    };
    Check::fine("rights", text)
}

async fn history(store: &ConsulFeatureFlagStore) -> Option<Check> {
    store.history_limits?;
    let prefix = super::history::prefix(store.keys.base());
    let check = match may_write(store, &prefix).await {
        Some(false) => Check::problem("history", "the token may not write it, and so no flag")
            .hint(format!("allow `key_prefix \"{prefix}\"` with the policy `write`, or set `?history=off`")),
        _ => Check::fine("history", "every write of this library is in it"),
    };
    Some(check)
}

async fn may_write(store: &ConsulFeatureFlagStore, key: &str) -> Option<bool> {
    let impossible = vec![Operation::check(key, u64::MAX), Operation::set(key, b"", None)];
    match store.client.transact(impossible).await {
        Ok(Transaction::Refused(failures)) => Some(!failures.iter().any(|failure| errors::is_refusal(&failure.what))),
        Err(error) if error.kind() == ErrorKind::Unauthorized => Some(false),
        _ => None,
    }
}

async fn clock(store: &ConsulFeatureFlagStore) -> Option<Check> {
    let asked = SystemTime::now();
    let answer = store.client.ask("/v1/status/leader").await.ok()?;
    let there = date::parse(answer.header(DATE.as_str())?)?;
    // `Date` has whole seconds.
    let here = asked + asked.elapsed().unwrap_or_default() / 2;
    let ahead = there > here;
    let apart = here.duration_since(there).or_else(|_| there.duration_since(here)).ok()?;
    if apart <= SKEW {
        return Some(Check::fine("clock", "as here, within 5 s"));
    }
    let text = format!("the agent's clock is {} s {} ours", apart.as_secs(), if ahead { "ahead of" } else { "behind" });
    Some(Check::problem("clock", text).hint("set both by NTP"))
}

async fn flags(store: &ConsulFeatureFlagStore) -> Check {
    match store.list().await {
        Ok(flags) => {
            let unreadable = flags.iter().filter(|flag| flag.record.is_err()).count();
            let finding = if unreadable == 0 { Finding::Fine } else { Finding::Problem };
            Check::new("flags", finding, format!("{}, of which {unreadable} cannot be read", flags.len()))
        }
        Err(error) => Check::fault("flags", error.chain()),
    }
}
