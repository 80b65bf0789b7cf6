//! The results, as Markdown and JSON.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use serde_json::{Value, json};

use crate::measure::Quartiles;
use crate::peer::Kind;
use crate::rows::{FLAT, MEMORY, Row};
use crate::versions::version;

/// The contestant that the others are compared with.
pub const FLIPPER: &str = "Flipper";

pub struct Figure {
    pub name: &'static str,
    pub kind: Kind,
    /// Nanoseconds of a check.
    pub ns: Quartiles,
    /// Times Flipper's; `None` where Flipper has no such check.
    pub ratio: Option<f64>,
}

pub struct Measured {
    pub row: &'static Row,
    pub figures: Vec<Figure>,
}

/// What the program `allocations` prints.
#[derive(Default)]
pub struct Allocations {
    /// Of a check, by row and contestant.
    pub checks: BTreeMap<String, BTreeMap<String, f64>>,
    /// Bytes of a flag, by contestant.
    pub bytes: BTreeMap<String, f64>,
}

impl Allocations {
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "checks": self.checks, "bytes": self.bytes })
    }

    /// # Errors
    ///
    /// If it is no such JSON.
    pub fn from_json(text: &[u8]) -> crate::Result<Self> {
        let mut value: Value = serde_json::from_slice(text)?;
        Ok(Self {
            checks: serde_json::from_value(value["checks"].take())?,
            bytes: serde_json::from_value(value["bytes"].take())?,
        })
    }
}

pub struct Report {
    /// Names and packages of all contestants.
    pub contestants: Vec<(&'static str, &'static str)>,
    pub rows: Vec<Measured>,
    pub allocations: Allocations,
    /// Rows that are missing for an error, and the error.
    pub failures: Vec<String>,
}

impl Measured {
    /// The fastest of the others, and its ratio.
    #[must_use]
    pub fn fastest_peer(&self) -> Option<(&'static str, f64)> {
        let peers = self.figures.iter().filter(|figure| figure.kind == Kind::Peer);
        peers.filter_map(|peer| Some((peer.name, peer.ratio?))).min_by(|one, other| one.1.total_cmp(&other.1))
    }
}

impl Report {
    #[must_use]
    pub fn to_json(&self) -> Value {
        let rows = self.rows.iter().map(|Measured { row, figures }| {
            let figures = figures.iter().map(|figure| {
                let Quartiles { low, median, high } = figure.ns;
                let allocations = self.allocations.checks.get(row.key).and_then(|of| of.get(figure.name));
                json!({
                    "name": figure.name, "low": low, "median": median, "high": high, "ratio": figure.ratio,
                    "allocations": allocations,
                })
            });
            json!({ "row": row.key, "title": row.title, "threads": row.threads, "figures": figures.collect::<Vec<_>>() })
        });
        let versions = self
            .contestants
            .iter()
            .map(|(name, package)| json!({ "name": name, "package": package, "version": version(package) }));
        json!({
            "unit": "nanoseconds", "contestants": versions.collect::<Vec<_>>(), "rows": rows.collect::<Vec<_>>(),
            "bytes": self.allocations.bytes, "failures": self.failures,
        })
    }

    fn row(&self, f: &mut Formatter<'_>, Measured { row, figures }: &Measured) -> fmt::Result {
        writeln!(f, "\n### {} (`{}`)\n", capital(row.title), row.key)?;
        writeln!(f, "| | ns | quartiles | × Flipper | allocations |\n|---|---|---|---|---|")?;
        let allocations = self.allocations.checks.get(row.key);
        for Figure { name, ns, ratio, .. } in figures {
            let ratio = ratio.map_or(String::new(), short);
            let allocations = allocations.and_then(|of| of.get(*name)).map_or(String::new(), |count| whole(*count));
            let (low, median, high) = (short(ns.low), short(ns.median), short(ns.high));
            writeln!(f, "| {name} | {median} | {low} – {high} | {ratio} | {allocations} |")?;
        }
        Ok(())
    }

    fn memory(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.allocations.bytes.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n### Bytes of a flag, 10,000 flags\n\n| | bytes | × Flipper |\n|---|---|---|")?;
        for (name, _) in &self.contestants {
            if let Some(bytes) = self.allocations.bytes.get(*name) {
                let ratio = self.allocations.bytes.get(FLIPPER).map_or(String::new(), |own| short(bytes / own));
                writeln!(f, "| {name} | {bytes:.0} | {ratio} |")?;
            }
        }
        Ok(())
    }

    fn goals(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n### Beside the fastest other library\n\n| row | fastest | × Flipper | goal | |\n|---|---|---|---|---|"
        )?;
        for measured in &self.rows {
            let Some((name, ratio)) = measured.fastest_peer() else { continue };
            let goal = measured.row.goal;
            writeln!(
                f,
                "| {} | {name} | {} | {goal} × | {} |",
                measured.row.title,
                short(ratio),
                verdict(ratio >= goal)
            )?;
        }
        let (few, many, most) = FLAT;
        if let (Some(few), Some(many)) = (self.own(few), self.own(many)) {
            let times = many / few;
            let (times, verdict) = (short(times), verdict(times <= most));
            writeln!(
                f,
                "\nFlipper's check of 10,000 flags takes {times} × that of 10; goal: at most {most} ×, {verdict}"
            )?;
        }
        Ok(())
    }

    /// Flipper's median in this row.
    fn own(&self, key: &str) -> Option<f64> {
        let measured = self.rows.iter().find(|measured| measured.row.key == key)?;
        measured.figures.iter().find(|figure| figure.name == FLIPPER).map(|figure| figure.ns.median)
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "| | package | version |\n|---|---|---|")?;
        for (name, package) in &self.contestants {
            writeln!(f, "| {name} | `{package}` | {} |", version(package).unwrap_or("?"))?;
        }
        for measured in &self.rows {
            self.row(f, measured)?;
        }
        if self.rows.iter().any(|measured| measured.row.key == MEMORY) {
            self.memory(f)?;
        }
        self.goals(f)?;
        for failure in &self.failures {
            writeln!(f, "\nFAILED: {failure}")?;
        }
        Ok(())
    }
}

const fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "MISSED" }
}

/// Three digits.
#[must_use]
pub fn short(value: f64) -> String {
    match value {
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => grouped(value.round() as u64),
    }
}

fn whole(count: f64) -> String {
    if count.fract() < 0.005 { grouped(count as u64) } else { format!("{count:.2}") }
}

fn grouped(number: u64) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", grouped(number / 1_000), number % 1_000) }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::ROWS;

    #[test]
    fn numbers_have_three_digits() {
        let texts = [0.1, 9.994, 12.34, 123.4, 9_999.6, 1_234_567.0].map(short);
        assert_eq!(texts, ["0.10", "9.99", "12.3", "123", "10,000", "1,234,567"]);
    }

    #[test]
    fn a_missed_goal_is_named() {
        let figure = |name, kind, median, ratio| {
            let ns = Quartiles { low: median, median, high: median };
            Figure { name, kind, ns, ratio: Some(ratio) }
        };
        let row = |key, own: f64, ratio| {
            let figures = vec![figure(FLIPPER, Kind::Own, own, 1.0), figure("other", Kind::Peer, own * ratio, ratio)];
            Measured { row: ROWS.iter().find(|row| row.key == key).unwrap(), figures }
        };
        let rows = vec![row("plain-10", 10.0, 5.5), row("plain-10000", 21.0, 4.5), row("variants", 10.0, 0.5)];
        let allocations = Allocations::default();
        let text = Report { contestants: Vec::new(), rows, allocations, failures: Vec::new() }.to_string();
        let lines: Vec<_> = text.lines().filter(|line| line.contains("met") || line.contains("MISSED")).collect();
        assert_eq!(
            lines,
            [
                "| check by name, 10 flags | other | 5.50 | 5 × | met |",
                "| check by name, 10,000 flags | other | 4.50 | 5 × | MISSED |",
                "| three variants, by user | other | 0.50 | 1 × | MISSED |",
                "Flipper's check of 10,000 flags takes 2.10 × that of 10; goal: at most 2 ×, MISSED",
            ]
        );
    }

    #[test]
    fn allocations_survive_json() {
        let mut allocations = Allocations::default();
        allocations.bytes.insert("a".into(), 1.5);
        allocations.checks.entry("row".into()).or_default().insert("a".into(), 0.25);
        let read = Allocations::from_json(allocations.to_json().to_string().as_bytes()).unwrap();
        assert_eq!((read.bytes, read.checks), (allocations.bytes, allocations.checks));
        assert!(Allocations::from_json(b"{}").is_err());
    }
}
