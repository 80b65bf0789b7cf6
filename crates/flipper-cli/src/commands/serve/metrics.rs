//! What `/metrics` has of replicas, Thrift, tokens and certificates.

use std::fmt::Write;
use std::sync::Arc;

use flipper::ReplicaStatus;
use flipper_thrift::Server;

use super::guard::Guard;
use super::served::Served;
use super::store::Replicated;

pub(super) fn of(
    served: Arc<Served>,
    replicated: Option<Replicated>,
    thrift: Option<Arc<Server>>,
    guard: Arc<Guard>,
) -> impl Fn() -> String {
    move || {
        let mut text = String::new();
        let mut metric = |name: &str, kind: &str, help: &str, values: &[(String, u64)]| {
            // Writing to a string never fails.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in values {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        };
        if let Some(replicas) = replicated.as_ref().map(Replicated::replicas) {
            let mut gauge = |name: &str, help: &str, value: fn(&ReplicaStatus) -> usize| {
                let labels = |status: &ReplicaStatus| format!("{{replica=\"{}\"}}", label(&status.store));
                let values: Vec<_> = replicas.iter().map(|status| (labels(status), value(status) as u64)).collect();
                metric(name, "gauge", help, &values);
            };
            let help = "1 while the replica has all flags of the store.";
            gauge("flipper_replica_in_step", help, |status| usize::from(status.is_in_step()));
            gauge("flipper_replica_pending", "Flags that have not arrived yet.", |status| status.pending.len());
            gauge("flipper_replica_refused", "Flags that cannot be copied.", |status| status.refused.len());
            let help = "Flags that only the replica has, since too many vanished at once.";
            gauge("flipper_replica_kept", help, |status| status.kept.len());
        }
        let mut gauge = |name: &str, help: &str, value: usize| {
            metric(name, "gauge", help, &[(String::new(), value as u64)]);
        };
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
            let calls: Vec<_> = served
                .calls
                .all()
                .map(|(call, outcome, count)| (format!("{{call=\"{call}\",outcome=\"{outcome}\"}}"), count))
                .collect();
            metric("flipper_store_calls_total", "counter", "Calls of the store by Thrift clients.", &calls);
        }
        text
    }
}

fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
