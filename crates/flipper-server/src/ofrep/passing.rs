//! Whether an answer may change while no flag does.

use std::collections::HashSet;
use std::sync::Arc;

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
    own || (!record.prerequisites().is_empty() && may_pass_by_others(record, table))
}

/// Whether a flag that this one needs may pass, however it answers now. Each is looked at once, and its name copied once: thousands of flags may
/// need each other.
fn may_pass_by_others(record: &FlagRecord, table: &FlagTable) -> bool {
    let mut seen: HashSet<String> = HashSet::new();
    let mut waiting: Vec<Arc<FlagRecord>> = Vec::new();
    let mut current: Option<Arc<FlagRecord>> = None;
    loop {
        for needed in current.as_deref().unwrap_or(record).prerequisites() {
            if seen.contains(&needed.flag) {
                continue;
            }
            if seen.len() >= MOST {
                return true;
            }
            seen.insert(needed.flag.clone());
            if let Some(Ok(other)) = table.get(&needed.flag).map(|stored| stored.record) {
                if may_pass(&other) {
                    return true;
                }
                waiting.push(other);
            }
        }
        match waiting.pop() {
            Some(next) => current = Some(next),
            None => return false,
        }
    }
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

#[cfg(test)]
mod tests {
    use flipper::store::{LocalFeatureFlagStore, Precondition};
    use flipper::targeting::Prerequisite;
    use flipper::{FeatureFlagStore, MemoryFeatureFlagStore};
    use flipper_testkit::block_on;

    use super::*;

    fn put(store: &MemoryFeatureFlagStore, name: String, needed: impl Iterator<Item = String>) -> FlagRecord {
        let mut record = FlagRecord::new(name, 1);
        record.set_prerequisites(needed.map(Prerequisite::new).collect());
        block_on(store.put(&record, Precondition::Any.into())).unwrap();
        record
    }

    #[test]
    fn others_are_looked_at_once() {
        let store = MemoryFeatureFlagStore::new();
        // Each needs all after it, by 2 to the power of 50 ways, and a missing one.
        let name = |number: usize| format!("f{number}");
        let flags: Vec<_> = (0..50).map(|flag| put(&store, name(flag), (flag + 1..51).map(name))).collect();
        assert!(!may_pass_by_others(&flags[0], store.table()));
        let mut last = flags[49].clone();
        last.set_bucketer(flipper::bucketing::PercentageBucketer::new(0.5).into());
        block_on(store.put(&last, Precondition::Any.into())).unwrap();
        assert!(may_pass_by_others(&flags[0], store.table()), "by chance");
        // Too many to look at.
        for (count, expected) in [(MOST, false), (MOST + 1, true)] {
            let wide = put(&store, "wide".to_owned(), (0..count).map(|flag| format!("w{flag}")));
            assert_eq!(may_pass_by_others(&wide, store.table()), expected, "{count}");
        }
        // A circle ends.
        let circle = put(&store, "circle".to_owned(), ["circle".to_owned()].into_iter());
        assert!(!may_pass_by_others(&circle, store.table()));
    }
}
