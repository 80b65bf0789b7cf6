//! The flags and segments that a flag's answer depends on.

use flipper::__words::needs_of;
use flipper::{FeatureFlagClient, FlagRecord};

use super::super::draft::Fault;
use super::without_flag;
use crate::app::App;
use crate::problem::Problem;

/// As many as a check asks.
const MOST: usize = 1000;

/// Those in memory, each once, without the flag itself.
pub(in super::super) fn linked(app: &App, record: &FlagRecord) -> Vec<FlagRecord> {
    let (mut wanted, mut found) = (needs_of(record), Vec::<FlagRecord>::new());
    while let Some(name) = wanted.pop() {
        let is_known = name == record.name() || found.iter().any(|other| other.name() == name);
        if is_known || found.len() >= MOST {
            continue;
        }
        if let Some(Ok(other)) = app.store.table().get(&name).map(|stored| stored.record) {
            wanted.extend(needs_of(&other));
            found.push(flipper::__exchange::named(&other, &name).into_owned());
        }
    }
    found
}

/// What is wrong with the flags that a change would need, beside the field that names them.
pub(in super::super) async fn must_exist(
    features: &FeatureFlagClient,
    after: &FlagRecord,
    before: &FlagRecord,
) -> Result<(), Result<Fault, Problem>> {
    let alone = |record: &FlagRecord, is_of_rules: bool| {
        let mut alone = FlagRecord::new(record.name(), 0);
        if is_of_rules {
            alone.set_rules(record.rules().to_vec());
        } else {
            alone.set_prerequisites(record.prerequisites().to_vec());
        }
        alone
    };
    for (field, is_of_rules) in [("rules", true), ("prerequisites", false)] {
        let (after, before) = (alone(after, is_of_rules), alone(before, is_of_rules));
        features.check_links(&after, Some(&before)).await.map_err(|error| match error.kind() {
            flipper::ErrorKind::InvalidInput => Ok(Fault::new(field, without_flag(&error, after.name()))),
            _ => Err(error.into()),
        })?;
    }
    Ok(())
}
