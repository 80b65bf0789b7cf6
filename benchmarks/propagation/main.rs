//! From a write in one process until another one has it: each store, beside the least that a program without a library takes, and beside
//! the Python library. README.md says how.
//!
//! `scripts/bench propagation [STORE]... [--rounds N] [--write]`; `--write` writes the table and the plot beside this file.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and its panic is its report")]

mod bare;
mod plot;
mod report;
mod stores;
#[path = "../../crates/flipper-cli/tests/support/mod.rs"]
mod support;
mod way;

use std::fs;
use std::path::Path;

use flipper_testkit::child_role;
use report::Measured;

/// All of a store's ways take turns of so many writes.
const TURN: usize = 50;

fn main() {
    if let Some(role) = child_role() {
        return way::play(&role);
    }
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut take = |option: &str| {
        let place = arguments.iter().position(|argument| argument == option)?;
        Some(arguments.remove(place))
    };
    // `cargo test` leaves it out, and only checks that this runs.
    let is_whole = take("--bench").is_some();
    let writes_results = take("--write").is_some();
    let rounds = arguments.iter().position(|argument| argument == "--rounds").map(|place| {
        arguments.remove(place);
        arguments.remove(place).parse::<usize>().unwrap()
    });
    let known = stores::STORES.map(|store| store.key);
    let unknown = arguments.iter().find(|name| !known.contains(&name.as_str()));
    assert_eq!(unknown, None, "there are {known:?}");

    let began = report::Run::new();
    let mut found = Vec::new();
    for store in stores::STORES.iter().filter(|store| arguments.is_empty() || arguments.iter().any(|a| a == store.key))
    {
        let Some(mut ready) = (store.start)() else { continue };
        let turns = if is_whole { rounds.unwrap_or(store.rounds).div_ceil(TURN) } else { 1 };
        for _ in 0..turns {
            for way in &mut ready.ways {
                way.turn(if is_whole { TURN } else { 2 }, store.pause);
            }
        }
        let ways = ready.ways.into_iter().map(|way| (way.kind, way.times)).collect();
        let measured = Measured { title: store.title, ways };
        print!("{}{measured}", if found.is_empty() { report::HEAD } else { "" });
        found.push(measured);
    }
    let plot = plot::plot(&found);
    let lines: usize = found.iter().map(|measured| measured.ways.len()).sum();
    assert_eq!(plot.matches("<polyline").count(), lines);
    if writes_results {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benchmarks/propagation");
        fs::write(folder.join("results.md"), began.page(&found)).unwrap();
        fs::write(folder.join("results.svg"), plot).unwrap();
    }
}
