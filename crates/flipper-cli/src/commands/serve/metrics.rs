//! `/metrics`, in the text format of Prometheus.

use std::fmt::Write;
use std::time::UNIX_EPOCH;

use flipper::{FeatureFlagStore, ReplicaStatus};
use flipper_thrift::Server;

use super::ready::stale_for;
use super::served::Served;

pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4";

pub(super) fn text(served: &Served, server: &Server) -> String {
    let flags = served.store.table().list();
    let enabled = flags.iter().filter(|flag| flag.record.as_ref().is_ok_and(|record| record.is_enabled())).count();
    let corrupt = flags.iter().filter(|flag| flag.record.is_err()).count();
    let status = served.store.status();
    let synced =
        status.last_sync.and_then(|sync| sync.duration_since(UNIX_EPOCH).ok()).map_or(0.0, |sync| sync.as_secs_f64());

    let mut text = String::new();
    let mut metric = |name: &str, kind: &str, help: &str, values: &[(String, f64)]| {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in values {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let one = |value: f64| [(String::new(), value)];
    let version = format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    metric("flipper_build_info", "gauge", "The version that runs.", &[(version, 1.0)]);
    metric("flipper_flags", "gauge", "Flags in memory.", &one(flags.len() as f64));
    metric("flipper_flags_enabled", "gauge", "Flags in memory that are on.", &one(enabled as f64));
    metric("flipper_flags_corrupt", "gauge", "Flags whose stored value cannot be read.", &one(corrupt as f64));
    metric(
        "flipper_store_live",
        "gauge",
        "1 while flags are live, 0 while they are stale.",
        &one(f64::from(u8::from(status.is_live()))),
    );
    metric(
        "flipper_store_last_sync_timestamp_seconds",
        "gauge",
        "When the store last confirmed the flags; 0 before the first time.",
        &one(synced),
    );
    metric(
        "flipper_store_stale_seconds",
        "gauge",
        "For how long the store has not confirmed the flags; 0 while they are current.",
        &one(stale_for(&status).as_secs_f64()),
    );
    let identity = status.identity.unwrap_or_else(|| served.identity());
    let (place, epoch) = (label(identity.place()), label(identity.epoch().unwrap_or_default()));
    let store = format!("{{store=\"{place}\",epoch=\"{epoch}\"}}");
    metric("flipper_store_info", "gauge", "The store of the flags, and which start of its server.", &[(store, 1.0)]);
    let replicas = served.replicas();
    if !replicas.is_empty() {
        let of = |value: fn(&ReplicaStatus) -> usize| -> Vec<_> {
            let labels = |status: &ReplicaStatus| format!("{{replica=\"{}\"}}", label(&status.store));
            replicas.iter().map(|status| (labels(status), value(status) as f64)).collect()
        };
        metric(
            "flipper_replica_in_step",
            "gauge",
            "1 while the replica has all flags of the store.",
            &of(|status| usize::from(status.is_in_step())),
        );
        metric(
            "flipper_replica_pending",
            "gauge",
            "Flags that have not arrived yet.",
            &of(|status| status.pending.len()),
        );
        metric("flipper_replica_refused", "gauge", "Flags that cannot be copied.", &of(|status| status.refused.len()));
        metric(
            "flipper_replica_kept",
            "gauge",
            "Flags that only the replica has, since too many vanished at once.",
            &of(|status| status.kept.len()),
        );
    }
    metric("flipper_thrift_connections", "gauge", "Open Thrift connections.", &one(server.connections() as f64));
    let calls: Vec<_> = served
        .calls
        .all()
        .map(|(call, outcome, count)| (format!("{{call=\"{call}\",outcome=\"{outcome}\"}}"), count as f64))
        .collect();
    metric("flipper_store_calls_total", "counter", "Calls of the store by Thrift clients.", &calls);
    text
}

fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
