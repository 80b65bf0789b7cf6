//! Times all contestants in all rows. `--help` lists the options.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a report is what this program is for")]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use flipper_peers::measure::{self, Effort, QUICK, WHOLE, quartiles, ratio};
use flipper_peers::peer::Peer;
use flipper_peers::report::{Allocations, FLIPPER, Figure, Measured, Report};
use flipper_peers::rows::{ROWS, Row, verify};
use flipper_peers::{Result, peers, svg};
use serde::{Deserialize, Serialize};

const QUICK_OPTION: &str = "--quick";
/// Before the key of a row: this process is a load.
const LOAD: &str = "--load";
const HELP: &str = "scripts/bench peers [--rows ROW,ROW] [--quick] [--json FILE] [--svg FILE]";

struct Options {
    rows: Vec<&'static Row>,
    load: Option<&'static Row>,
    quick: bool,
    json: Option<String>,
    svg: Option<String>,
}

impl Options {
    /// `None` if the options ask for help.
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Option<Self>> {
        let mut options = Self { rows: ROWS.iter().collect(), load: None, quick: false, json: None, svg: None };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                QUICK_OPTION => options.quick = true,
                LOAD => options.load = Some(find(&value()?)?),
                "--json" => options.json = Some(value()?),
                "--svg" => options.svg = Some(value()?),
                "--rows" => options.rows = value()?.split(',').map(find).collect::<Result<_>>()?,
                "--help" | "-h" => return Ok(None),
                _ => return Err(format!("there is no option {argument}").into()),
            }
        }
        Ok(Some(options))
    }

    fn effort(&self) -> Effort {
        if self.quick { QUICK } else { WHOLE }
    }
}

fn find(key: &str) -> Result<&'static Row> {
    let keys = || ROWS.iter().map(|row| row.key).collect::<Vec<_>>().join(", ");
    ROWS.iter().find(|row| row.key == key).ok_or_else(|| format!("there is no row {key}, but {}", keys()).into())
}

/// Each load is a process, as the place of flags and contexts in memory decides how many of them the processor's cache holds.
fn measured(
    peers: &[Box<dyn Peer>],
    row: &'static Row,
    options: &Options,
    failures: &mut Vec<String>,
) -> Result<Measured> {
    let mut found: Vec<_> = peers.iter().map(|peer| (peer, Vec::new())).collect();
    for _ in 0..options.effort().loads {
        let mut load = Command::new(env::current_exe()?);
        load.args([LOAD, row.key]).args(options.quick.then_some(QUICK_OPTION));
        let load: Load = serde_json::from_slice(&output(&mut load)?)?;
        found.iter_mut().for_each(|(peer, ns)| ns.extend(load.ns.get(peer.name()).into_iter().flatten()));
        let new = load.failures.into_iter().filter(|failure| !failures.contains(failure)).collect::<Vec<_>>();
        failures.extend(new);
    }
    found.retain(|(_, ns)| !ns.is_empty());
    let own = found.iter().find(|(peer, _)| peer.name() == FLIPPER).map(|(_, ns)| ns.clone());
    let figures = found.iter().map(|(peer, ns)| Figure {
        name: peer.name(),
        kind: peer.kind(),
        ns: quartiles(ns),
        ratio: own.as_ref().map(|own| ratio(ns, own)),
    });
    Ok(Measured { row, figures: figures.collect() })
}

#[derive(Default, Deserialize, Serialize)]
struct Load {
    /// Of each round, by contestant.
    ns: BTreeMap<String, Vec<f64>>,
    failures: Vec<String>,
}

impl Load {
    fn new(row: &Row, effort: Effort) -> Self {
        let scenario = Arc::new((row.scenario)());
        let mut load = Self::default();
        let (mut names, mut batches) = (Vec::new(), Vec::new());
        for peer in peers::all() {
            let batch = peer.prepare(&scenario).and_then(|batch| {
                batch.iter().try_for_each(|batch| verify(&scenario, batch))?;
                Ok(batch)
            });
            match batch {
                Ok(Some(batch)) => {
                    names.push(peer.name().to_owned());
                    batches.push(batch);
                }
                Ok(None) => {}
                Err(error) => load.failures.push(format!("{}, {}: {error}", row.key, peer.name())),
            }
        }
        load.ns = names.into_iter().zip(measure::rounds(&batches, row.threads, effort)).collect();
        load
    }
}

fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output()?;
    if output.status.success() { Ok(output.stdout) } else { Err(String::from_utf8_lossy(&output.stderr).into()) }
}

/// Another program, as its allocator is slower.
fn allocations(rows: &[&'static Row]) -> Result<Allocations> {
    let keys = rows.iter().map(|row| row.key);
    Allocations::from_json(&output(Command::new(env::current_exe()?.with_file_name("allocations")).args(keys))?)
}

fn main() -> Result<ExitCode> {
    let Some(options) = Options::read(env::args().skip(1))? else {
        println!("{HELP}\n\nRows:");
        ROWS.iter().for_each(|row| println!("  {:14} {}", row.key, row.title));
        return Ok(ExitCode::SUCCESS);
    };
    if let Some(row) = options.load {
        println!("{}", serde_json::to_string(&Load::new(row, options.effort()))?);
        return Ok(ExitCode::SUCCESS);
    }
    let peers = peers::all();
    let mut failures = Vec::new();
    let mut rows = Vec::new();
    for row in &options.rows {
        eprintln!("{}", row.title);
        rows.push(measured(&peers, row, &options, &mut failures)?);
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
