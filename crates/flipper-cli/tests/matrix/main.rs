//! The matrix: every store, through every layer, in every situation, with every writer. See "The matrix" in DESIGN.md.
//!
//! Without arguments it runs a quick selection; `scripts/matrix` runs all.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

mod backends;
mod busy;
mod cells;
mod conductor;
mod damaged;
mod dependents;
mod ending;
mod failover;
mod faults;
mod histories;
mod invariants;
mod layers;
mod ledger;
mod merges;
mod random;
mod resources;
mod sabotage;
mod scene;
mod soak;
#[path = "../support/mod.rs"]
mod support;
mod watcher;
mod writers;

use std::any::Any;
use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use self::cells::{Layer, Scene, Situation};
use self::conductor::Plan;
use self::scene::{Report, Size, percentile};

const QUICK: Size = Size { flags: 8, flips: 40, faults: 1, merges: 25, soak: Duration::ZERO };
const FULL: Size = Size { flags: 40, flips: 400, faults: 2, merges: 200, soak: Duration::ZERO };

struct Arguments {
    all: bool,
    list: bool,
    filter: String,
    /// A bare word, as for all tests, may select none.
    must_match: bool,
    seed: u64,
    jobs: usize,
    /// Minutes of a soak, instead of the cells.
    soak: Option<u64>,
    self_test: bool,
    /// One store of a soak, in its own process, and its seconds.
    store: Option<String>,
    seconds: u64,
}

impl Arguments {
    fn read() -> Result<Self, String> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut read = Self {
            all: false,
            list: false,
            filter: String::new(),
            must_match: false,
            seed: now.as_secs(),
            jobs: 3,
            soak: None,
            self_test: false,
            store: None,
            seconds: 0,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} wants a value"));
            let number = |text: String| text.parse().map_err(|_| format!("{text} is no number"));
            match argument.as_str() {
                "--all" => read.all = true,
                "--list" => read.list = true,
                "--filter" => (read.filter, read.must_match) = (value()?, true),
                "--seed" => read.seed = number(value()?)?,
                "--soak" => read.soak = Some(number(value()?)?),
                "--self-test" => read.self_test = true,
                "--scene" => read.store = Some(value()?),
                "--seconds" => read.seconds = number(value()?)?,
                "--jobs" => read.jobs = usize::try_from(number(value()?)?).unwrap_or(1),
                "--quiet" | "-q" | "--nocapture" => {}
                "--test-threads" => _ = value()?,
                text if !text.starts_with('-') => text.clone_into(&mut read.filter),
                other => {
                    return Err(format!(
                        "unknown argument {other}; known are --all, --list, --filter, --seed, --jobs, --soak, --self-test"
                    ));
                }
            }
        }
        Ok(read)
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::read() {
        Ok(arguments) => arguments,
        Err(what) => {
            println!("{what}");
            return ExitCode::from(2);
        }
    };
    if let Some(store) = &arguments.store {
        return soak::play(store, Duration::from_secs(arguments.seconds), arguments.seed);
    }
    if let Some(minutes) = arguments.soak {
        let Arguments { seed, jobs, filter, .. } = arguments;
        return conductor::run(&Plan { minutes, seed, jobs, filter });
    }
    if arguments.self_test {
        return sabotage::run(false);
    }
    let (mut scenes, mut impossible) = (VecDeque::new(), Vec::new());
    for scene in Scene::all().filter(|scene| arguments.all || scene.is_quick()) {
        let mut layers = Vec::new();
        let wanted = |layer: &Layer| {
            (arguments.all || scene.is_quick_in(*layer)) && scene.cell(*layer).contains(&arguments.filter)
        };
        for &layer in Layer::ALL.iter().filter(|layer| wanted(layer)) {
            match scene.impossible(layer) {
                None => layers.push(layer),
                Some(why) => impossible.push((scene.cell(layer), why)),
            }
        }
        if !layers.is_empty() {
            scenes.push_back((scene, layers));
        }
    }
    if arguments.must_match && scenes.is_empty() && impossible.is_empty() {
        println!("no cell has {:?} in its name; --list lists all", arguments.filter);
        return ExitCode::from(2);
    }
    if arguments.list {
        scenes
            .iter()
            .flat_map(|(scene, layers)| layers.iter().map(|layer| scene.cell(*layer)))
            .for_each(|cell| println!("{cell}"));
        impossible.iter().for_each(|(cell, why)| println!("{cell}: not possible: {why}"));
        return ExitCode::SUCCESS;
    }
    println!("matrix: seed {}, {} scenes", arguments.seed, scenes.len());
    let began = Instant::now();
    let (waiting, reports) = (Mutex::new(scenes), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let Some((scene, layers)) = waiting.lock().unwrap().pop_front() else { return };
                    let done = play(scene, &layers, &arguments);
                    reports.lock().unwrap().extend(done);
                }
            });
        }
    });
    let mut code = summary(&reports.into_inner().unwrap(), &impossible, &arguments, began.elapsed());
    if !arguments.all && arguments.filter.is_empty() && sabotage::run(true) != ExitCode::SUCCESS {
        code = ExitCode::FAILURE;
    }
    code
}

/// Runs one scene. A failure of the whole scene counts for each cell.
fn play(scene: Scene, layers: &[Layer], arguments: &Arguments) -> Vec<Report> {
    let size = if arguments.all { FULL } else { QUICK };
    let began = Instant::now();
    let done = std::panic::catch_unwind(|| match scene.situation {
        Situation::Merges => merges::run(scene, layers, size),
        _ => scene::run(scene, layers, size, arguments.seed),
    });
    let failed = |what: &str| {
        let report = |layer: &Layer| {
            let wrong = vec![what.to_owned()];
            Report { cell: scene.cell(*layer), seen: 0, of: 0, took: Vec::new(), wrong }
        };
        layers.iter().map(report).collect()
    };
    let reports: Vec<Report> = match done {
        Ok(Some(reports)) => reports,
        Ok(None) => failed("a program is missing; scripts/setup installs it"),
        Err(panic) => failed(&format!("panicked: {}", message(&*panic))),
    };
    for report in &reports {
        let took = |hundredths| percentile(&report.took, hundredths).unwrap_or_default();
        // The quick selection prints only failures, as other tests do.
        if report.wrong.is_empty() && !arguments.all {
            continue;
        }
        let verdict = if report.wrong.is_empty() { "ok    " } else { "FAILED" };
        let (seen, of, seconds) = (report.seen, report.of, began.elapsed().as_secs());
        println!("{verdict} {:<44} {seen}/{of}, p50 {:.0?}, p99 {:.0?}, {seconds} s", report.cell, took(50), took(99));
        report.wrong.iter().for_each(|wrong| println!("         {wrong}"));
    }
    reports
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

fn summary(reports: &[Report], impossible: &[(String, &str)], arguments: &Arguments, took: Duration) -> ExitCode {
    println!("\n{:<8} {:<15} {:>6} {:>6} {:>13}  not possible", "store", "situation", "cells", "failed", "flips seen");
    for store in cells::Store::ALL {
        for situation in Situation::ALL {
            let is_row = |cell: &str| {
                let mut parts = cell.split('/');
                parts.next() == Some(store.name()) && parts.nth(1) == Some(situation.name())
            };
            let row: Vec<_> = reports.iter().filter(|report| is_row(&report.cell)).collect();
            let not: Vec<_> = impossible.iter().filter(|(cell, _)| is_row(cell)).collect();
            if row.is_empty() && not.is_empty() {
                continue;
            }
            let failed = row.iter().filter(|report| !report.wrong.is_empty()).count();
            let (seen, of) = row.iter().fold((0, 0), |(seen, of), report| (seen + report.seen, of + report.of));
            let flips = format!("{seen}/{of}");
            let not = not.first().map(|(_, why)| format!("{} cells: {why}", not.len())).unwrap_or_default();
            println!("{:<8} {:<15} {:>6} {failed:>6} {flips:>13}  {not}", store.name(), situation.name(), row.len());
        }
    }
    let failed: Vec<_> = reports.iter().filter(|report| !report.wrong.is_empty()).collect();
    let (cells, seconds, seed) = (reports.len(), took.as_secs(), arguments.seed);
    println!("\n{cells} cells in {seconds} s, {} not possible, {} failed; seed {seed}", impossible.len(), failed.len());
    for report in &failed {
        println!(
            "repeat: scripts/matrix {}--seed {seed} --filter {}",
            if arguments.all { "" } else { "--quick " },
            report.cell
        );
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
