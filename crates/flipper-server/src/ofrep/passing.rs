//! Whether an answer may change while no flag does.

use flipper::bucketing::AnyPercentage;
use flipper::evaluation::Reason;
use flipper::store::FlagTable;
use flipper::targeting::Serve;
use flipper::{Bucketer, FlagRecord};

/// Flags that are looked at for one answer, as many as a check asks.
const MOST: usize = 1000;

/// A schedule does not count: the answer's text changes with each turn, and so does its tag.
pub(super) fn is_passing(reason: &Reason, record: &FlagRecord, table: &FlagTable) -> bool {
    let own = match reason {
        Reason::Disabled | Reason::Scheduled { .. } => return false,
        Reason::Random { percentage } => (*percentage > 0.0 && *percentage < 1.0) || has_ramp(record),
        Reason::Bucket { .. } | Reason::NoBucketAttribute { .. } => has_ramp(record),
        Reason::Rule { index, share: Some(_), .. } => has_ramp_in(record, *index),
        // It may look at the clock.
        Reason::CustomBucketer { .. } => true,
        _ => false,
    };
    own || may_pass_by_others(record, table)
}

/// Whether a flag that this one needs may pass, however it answers now.
fn may_pass_by_others(record: &FlagRecord, table: &FlagTable) -> bool {
    let names = |record: &FlagRecord| record.prerequisites().iter().map(|needed| needed.flag.clone()).collect();
    let mut wanted: Vec<String> = names(record);
    let mut seen: Vec<String> = Vec::new();
    while let Some(name) = wanted.pop() {
        if seen.contains(&name) {
            continue;
        }
        if seen.len() >= MOST {
            return true;
        }
        if let Some(Ok(needed)) = table.get(&name).map(|stored| stored.record) {
            if may_pass(&needed) {
                return true;
            }
            wanted.extend::<Vec<_>>(names(&needed));
        }
        seen.push(name);
    }
    false
}

fn may_pass(record: &FlagRecord) -> bool {
    let by_chance = matches!(record.bucketer(), Bucketer::Percentage(_) | Bucketer::Custom(_));
    by_chance || has_ramp(record) || (0..record.rules().len()).any(|index| has_ramp_in(record, index))
}

fn has_ramp(record: &FlagRecord) -> bool {
    let percentage = match record.bucketer() {
        Bucketer::Percentage(bucketer) => bucketer.percentage(),
        Bucketer::ConsistentHash(bucketer) => bucketer.percentage(),
        Bucketer::Salted(bucketer) => bucketer.percentage(),
        _ => return false,
    };
    matches!(percentage, AnyPercentage::Ramp(_))
}

fn has_ramp_in(record: &FlagRecord, rule: usize) -> bool {
    let serve = record.rules().get(rule).map(|rule| &rule.serve);
    matches!(serve, Some(Serve::Share { percentage: AnyPercentage::Ramp(_), .. }))
}
