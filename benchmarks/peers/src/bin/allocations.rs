//! Counts allocations of a check and bytes of a flag in the rows that the arguments name, and prints them as JSON.
//!
//! A program of its own: a counting allocator is slower, and would slow down those libraries that allocate.
#![expect(clippy::print_stdout, reason = "a report is what this program is for")]

use std::env;
use std::sync::Arc;
use std::time::Duration;

use allocation_counter::measure;
use flipper_peers::measure::calibrate;
use flipper_peers::peer::{Batch, Peer};
use flipper_peers::report::Allocations;
use flipper_peers::rows::{MEMORY, ROWS, Row};
use flipper_peers::{Result, peers};

/// For as many checks as take this long: some allocate in few of them only.
const TIME: Duration = Duration::from_millis(5);

fn main() -> Result<()> {
    let keys: Vec<String> = env::args().skip(1).collect();
    let mut found = Allocations::default();
    for row in ROWS.iter().filter(|row| keys.iter().any(|key| key == row.key)) {
        for peer in peers::all() {
            count(row, &*peer, &mut found)?;
        }
    }
    println!("{}", found.to_json());
    Ok(())
}

fn count(row: &Row, peer: &dyn Peer, found: &mut Allocations) -> Result<()> {
    let scenario = Arc::new((row.scenario)());
    let mut batch: Result<Option<Batch>> = Ok(None);
    // With one check: some libraries load the flags in it.
    let loaded = measure(|| {
        batch = peer.prepare(&scenario);
        if let Ok(Some(batch)) = &batch {
            batch(0, 1);
        }
    });
    let Some(batch) = batch? else { return Ok(()) };
    if row.key == MEMORY {
        let mut scaffolding = Ok(None);
        let other = measure(|| scaffolding = peer.scaffolding(&scenario).map(Some));
        scaffolding?;
        let bytes = (loaded.bytes_current - other.bytes_current) as f64 / scenario.flags.len() as f64;
        found.bytes.insert(peer.name().into(), bytes);
    }
    let checks = calibrate(&batch, TIME);
    let counted = measure(|| {
        batch(0, checks);
    });
    let row = found.checks.entry(row.key.into()).or_default();
    row.insert(peer.name().into(), counted.count_total as f64 / checks as f64);
    Ok(())
}
