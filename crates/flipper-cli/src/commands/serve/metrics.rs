//! What `/metrics` has of Thrift, tokens and certificates.

use std::fmt::Write;
use std::sync::Arc;

use flipper_thrift::Server;

use super::guard::Guard;
use super::served::Served;

pub(super) fn of(served: Arc<Served>, thrift: Option<Arc<Server>>, guard: Arc<Guard>) -> impl Fn() -> String {
    move || {
        let mut text = String::new();
        let mut metric = |name: &str, kind: &str, help: &str, values: &[(String, u64)]| {
            // Writing to a string never fails.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in values {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        };
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
