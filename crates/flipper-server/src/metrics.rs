use std::fmt::Write;

/// Writes `/metrics`, in the text format of Prometheus.
///
/// ```
/// use std::sync::Arc;
/// use flipper::MemoryFeatureFlagStore;
/// use flipper_server::{App, Metrics};
///
/// let app = App::new(Arc::new(MemoryFeatureFlagStore::new())).metrics_of(Arc::new(|metrics: &mut Metrics| {
///     metrics.gauge("shop_carts", "Open carts.", 7.0);
///     metrics.counters("shop_orders_total", "Orders.", [([("country", "de")], 5.0), ([("country", "at")], 2.0)]);
/// }));
/// ```
#[derive(Debug, Default)]
pub struct Metrics(String);

impl Metrics {
    /// A value that goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.gauges(name, help, [([], value)]);
    }

    /// Such values by their labels.
    pub fn gauges<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = ([(&'a str, &'a str); N], f64)>,
    ) {
        self.add(name, "gauge", help, values);
    }

    /// Values that only go up, by their labels.
    pub fn counters<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = ([(&'a str, &'a str); N], f64)>,
    ) {
        self.add(name, "counter", help, values);
    }

    fn add<'a, const N: usize>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        values: impl IntoIterator<Item = ([(&'a str, &'a str); N], f64)>,
    ) {
        // Writing to a string never fails.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in values {
            let labels: Vec<_> = labels.iter().map(|(label, text)| format!("{label}=\"{}\"", escaped(text))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
