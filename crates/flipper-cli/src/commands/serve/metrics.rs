//! What `/metrics` has of replicas, Thrift, tokens and certificates.

use std::sync::Arc;

use flipper::ReplicaStatus;
use flipper_server::Metrics;
use flipper_thrift::Server;

use super::guard::Guard;
use super::served::Served;
use crate::store::Replicated;

pub(super) fn of(
    served: Arc<Served>,
    replicated: Option<Replicated>,
    thrift: Option<Arc<Server>>,
    guard: Arc<Guard>,
) -> impl Fn(&mut Metrics) {
    move |metrics| {
        if let Some(replicas) = replicated.as_ref().map(Replicated::replicas) {
            let mut gauge = |name: &str, help: &str, value: fn(&ReplicaStatus) -> usize| {
                let values = replicas.iter().map(|status| ([("replica", &*status.store)], value(status) as f64));
                metrics.gauges(name, help, values);
            };
            let help = "1 while the replica has all flags of the store.";
            gauge("flipper_replica_in_step", help, |status| usize::from(status.is_in_step()));
            gauge("flipper_replica_pending", "Flags that have not arrived yet.", |status| status.pending.len());
            gauge("flipper_replica_refused", "Flags that cannot be copied.", |status| status.refused.len());
            let help = "Flags that only the replica has, since too many vanished at once.";
            gauge("flipper_replica_kept", help, |status| status.kept.len());
        }
        let mut gauge = |name: &str, help: &str, value: usize| metrics.gauge(name, help, value as f64);
        if let Some(server) = &thrift {
            gauge("flipper_thrift_connections", "Open Thrift connections.", server.connections());
        }
        if let Some(tokens) = &guard.tokens {
            gauge("flipper_tokens", "Tokens that are valid.", tokens.valid());
            let help = "0 while the file of tokens cannot be read again.";
            gauge("flipper_tokens_readable", help, usize::from(tokens.error().is_none()));
        }
        if let Some(tls) = &guard.tls {
            let help = "0 while the files of the certificate cannot be read again.";
            gauge("flipper_tls_usable", help, usize::from(tls.error().is_none()));
        }
        if thrift.is_some() {
            let calls = served.calls.all();
            let calls = calls.map(|(call, outcome, count)| ([("call", call), ("outcome", outcome)], count as f64));
            metrics.counters("flipper_store_calls_total", "Calls of the store by Thrift clients.", calls);
        }
    }
}
