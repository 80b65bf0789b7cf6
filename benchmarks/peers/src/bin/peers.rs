//! Times all contestants in all rows. `--help` lists the options.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a report is what this program is for")]

use std::env;
use std::fs;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use flipper_peers::measure::{self, Effort, QUICK, WHOLE, quartiles, ratio};
use flipper_peers::peer::{Batch, Peer};
use flipper_peers::report::{Allocations, FLIPPER, Figure, Measured, Report};
use flipper_peers::rows::{ROWS, Row, verify};
use flipper_peers::scenario::Scenario;
use flipper_peers::{Result, peers, svg};

const HELP: &str = "scripts/bench peers [--rows ROW,ROW] [--quick] [--json FILE] [--svg FILE]";

struct Options {
    rows: Vec<&'static Row>,
    effort: Effort,
    json: Option<String>,
    svg: Option<String>,
}

impl Options {
    /// `None` if the options ask for help.
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Option<Self>> {
        let mut options = Self { rows: ROWS.iter().collect(), effort: WHOLE, json: None, svg: None };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--quick" => options.effort = QUICK,
                "--json" => options.json = Some(value()?),
                "--svg" => options.svg = Some(value()?),
                "--rows" => options.rows = value()?.split(',').map(find).collect::<Result<_>>()?,
                "--help" | "-h" => return Ok(None),
                _ => return Err(format!("there is no option {argument}").into()),
            }
        }
        Ok(Some(options))
    }
}

fn find(key: &str) -> Result<&'static Row> {
    let keys = || ROWS.iter().map(|row| row.key).collect::<Vec<_>>().join(", ");
    ROWS.iter().find(|row| row.key == key).ok_or_else(|| format!("there is no row {key}, but {}", keys()).into())
}

fn measured(peers: &[Box<dyn Peer>], row: &'static Row, effort: Effort, failures: &mut Vec<String>) -> Measured {
    let scenario = Arc::new((row.scenario)());
    let mut found: Vec<_> = peers.iter().map(|peer| (peer, Vec::new())).collect();
    for load in 0..effort.loads {
        let mut batches = Vec::new();
        found.retain(|(peer, _)| match peer.prepare(&scenario).and_then(|batch| right(&scenario, batch, load == 0)) {
            Ok(batch) => {
                let has = batch.is_some();
                batches.extend(batch);
                has
            }
            Err(error) => {
                failures.push(format!("{}, {}: {error}", row.key, peer.name()));
                false
            }
        });
        let rounds = measure::rounds(&batches, row.threads, effort);
        found.iter_mut().zip(rounds).for_each(|((_, ns), rounds)| ns.extend(rounds));
    }
    let own = found.iter().find(|(peer, _)| peer.name() == FLIPPER).map(|(_, ns)| ns.clone());
    let figures = found.iter().map(|(peer, ns)| Figure {
        name: peer.name(),
        kind: peer.kind(),
        ns: quartiles(ns),
        ratio: own.as_ref().map(|own| ratio(ns, own)),
    });
    Measured { row, figures: figures.collect() }
}

fn right(scenario: &Scenario, batch: Option<Batch>, check: bool) -> Result<Option<Batch>> {
    batch.iter().filter(|_| check).try_for_each(|batch| verify(scenario, batch))?;
    Ok(batch)
}

/// Another program, as its allocator is slower.
fn allocations(rows: &[&'static Row]) -> Result<Allocations> {
    let keys: Vec<_> = rows.iter().map(|row| row.key).collect();
    let output = Command::new(env::current_exe()?.with_file_name("allocations")).args(keys).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Allocations::from_json(&output.stdout)
}

fn main() -> Result<ExitCode> {
    let Some(options) = Options::read(env::args().skip(1))? else {
        println!("{HELP}\n\nRows:");
        ROWS.iter().for_each(|row| println!("  {:14} {}", row.key, row.title));
        return Ok(ExitCode::SUCCESS);
    };
    let peers = peers::all();
    let mut failures = Vec::new();
    let mut rows = Vec::new();
    for row in &options.rows {
        eprintln!("{}", row.title);
        rows.push(measured(&peers, row, options.effort, &mut failures));
    }
    let allocations = allocations(&options.rows).unwrap_or_else(|error| {
        failures.push(format!("allocations: {error}"));
        Allocations::default()
    });
    let contestants = peers.iter().map(|peer| (peer.name(), peer.package())).collect();
    let report = Report { contestants, rows, allocations, failures };
    print!("{report}");
    if let Some(file) = options.json {
        fs::write(file, format!("{:#}\n", report.to_json()))?;
    }
    if let Some(file) = options.svg {
        fs::write(file, svg::plot(&report.rows))?;
    }
    Ok(if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
