//! The results, as Markdown.

use std::fmt::{self, Display, Formatter, Write};
use std::process::Command;

use hdrhistogram::Histogram;

use crate::way::Kind;

pub(crate) struct Measured {
    pub(crate) title: &'static str,
    pub(crate) ways: Vec<(Kind, Histogram<u64>)>,
}

pub(crate) const HEAD: &str = "| | | p50 | p99 | max | × limit, p50 | × limit, p99 |\n|---|---|--:|--:|--:|--:|--:|\n";

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "Flipper",
            Self::Limit => "limit",
            Self::Python => "the Python library",
        }
    }
}

impl Display for Measured {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let limit = self.ways.iter().find(|(kind, _)| *kind == Kind::Limit).map(|(_, times)| times);
        for (number, (kind, times)) in self.ways.iter().enumerate() {
            let title = if number == 0 { self.title } else { "" };
            write!(f, "| {title} | {} ", kind.name())?;
            let parts = [0.5, 0.99].map(|part| (part, times.value_at_quantile(part)));
            for nanoseconds in parts.iter().map(|part| part.1).chain([times.max()]) {
                write!(f, "| {} ", time(nanoseconds))?;
            }
            for (part, nanoseconds) in parts {
                match limit.filter(|_| *kind != Kind::Limit) {
                    Some(limit) => {
                        write!(f, "| {} ", short(nanoseconds as f64 / limit.value_at_quantile(part) as f64))?;
                    }
                    None => write!(f, "| ")?,
                }
            }
            writeln!(f, "|")?;
        }
        Ok(())
    }
}

fn time(nanoseconds: u64) -> String {
    match nanoseconds as f64 / 1e3 {
        microseconds if microseconds < 1e3 => format!("{} µs", short(microseconds)),
        microseconds => format!("{} ms", short(microseconds / 1e3)),
    }
}

fn short(value: f64) -> String {
    match value {
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

/// What the page says of the run.
pub(crate) struct Run {
    date: String,
    /// Before it began.
    load: String,
    processor: String,
}

impl Run {
    pub(crate) fn new() -> Self {
        let read = |file| std::fs::read_to_string(file).unwrap_or_default();
        let model = read("/proc/cpuinfo");
        let model = model.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        Self {
            date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
            processor: format!("{cores} × {}", model.unwrap_or("an unknown processor")),
        }
    }

    pub(crate) fn page(&self, found: &[Measured]) -> String {
        let Self { date, load, processor } = self;
        let mut page = format!(
            "# A run\n\n`scripts/bench propagation --write`, {date}, {processor}, a load of {load} before it began. Versions: {}. \
             [How it is measured](README.md).\n\n{HEAD}",
            versions()
        );
        for measured in found {
            // Writing to a string does not fail.
            let _ = write!(page, "{measured}");
        }
        let writes = found.iter().map(|measured| {
            format!("{} {}", measured.title, measured.ways.first().map_or(0, |(_, times)| times.len()))
        });
        let writes = writes.collect::<Vec<_>>().join(", ");
        page + &format!(
            "\nWrites of each: {writes}.\n\n![From a write to another process, by part of the writes](results.svg)\n"
        )
    }
}

/// Of the servers, as they print it.
fn versions() -> String {
    let consul = flipper_testkit::consul::consul().map(|path| path.display().to_string());
    let first = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output().ok()?;
        let line = String::from_utf8(output.stdout).ok()?;
        // Then come hashes of its build.
        Some(line.lines().next()?.split(" sha=").next()?.to_owned())
    };
    let found = [
        Some(format!("SQLite {}", rusqlite::version())),
        first("redis-server", "--version"),
        consul.and_then(|consul| first(&consul, "version")),
        first("psql", "--version"),
        first("rustc", "--version"),
    ];
    found.into_iter().flatten().collect::<Vec<_>>().join("; ")
}
