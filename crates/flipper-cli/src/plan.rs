//! What has to be done so that one set of flags becomes another.

use std::collections::HashMap;
use std::sync::Arc;

use flipper::{FlagRecord, Stored, Version};
use futures_util::future::join_all;

use crate::diff::Difference;
use crate::failure::Done;
use crate::records::{Records, named};
use crate::store::Store;

/// How many flags are asked for at once.
const ASKED_AT_ONCE: usize = 256;

/// Where flags come from.
pub(crate) enum Source {
    File(Records),
    /// Ordered by name.
    Flags(Vec<(String, Arc<FlagRecord>)>),
}

impl Source {
    /// Those of a store that can be read, under the names they have there; and the others with the reason.
    pub(crate) fn of(flags: Vec<Stored>) -> (Self, Vec<(String, String)>) {
        let mut readable = Vec::with_capacity(flags.len());
        let mut corrupt = Vec::new();
        for flag in flags {
            match flag.record {
                Ok(record) if record.name() == flag.name => readable.push((flag.name, record)),
                Ok(record) => readable.push((flag.name.clone(), Arc::new(named(&record, &flag.name)))),
                Err(why) => corrupt.push((flag.name, why.reason().to_owned())),
            }
        }
        (Self::Flags(readable), corrupt)
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::File(records) => records.len(),
            Self::Flags(flags) => flags.len(),
        }
    }

    pub(crate) fn name(&self, index: usize) -> &str {
        match self {
            Self::File(records) => records.name(index),
            Self::Flags(flags) => &flags[index].0,
        }
    }

    /// The places of all, in the order of their names.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<_> = (0..self.len()).collect();
        order.sort_unstable_by(|a, b| self.name(*a).cmp(self.name(*b)));
        order
    }

    pub(crate) fn record(&self, index: usize) -> Done<FlagRecord> {
        match self {
            Self::File(records) => records.record(index),
            Self::Flags(flags) => Ok(FlagRecord::clone(&flags[index].1)),
        }
    }
}

/// The steps to take, each in the order of names.
#[derive(Default)]
pub(crate) struct Plan {
    /// Flags of the source that the target lacks, by their place.
    pub(crate) create: Vec<usize>,
    /// Those that are different there.
    pub(crate) change: Vec<usize>,
    /// Those that only the target has.
    pub(crate) only_there: Vec<(String, Version)>,
    pub(crate) unchanged: usize,
    target: HashMap<String, Stored>,
}

impl Plan {
    pub(crate) fn make(source: &Source, target: Vec<Stored>) -> Done<Self> {
        let mut target: HashMap<_, _> = target.into_iter().map(|flag| (flag.name.clone(), flag)).collect();
        let mut plan = Self::default();
        for index in source.order() {
            plan.compare(source, index, target.remove(source.name(index)), true)?;
        }
        plan.only_there = target.values().map(|flag| (flag.name.clone(), flag.version.clone())).collect();
        plan.only_there.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        plan.target.extend(target);
        Ok(plan)
    }

    /// As [`make`](Self::make), for a target of which only the source's flags matter. If it has none of a sample, all of it is read
    /// at once, which is fastest, and little where it is new. Else its flags are asked for one by one: memory holds those of one
    /// batch, and the differing ones if they are to be shown.
    pub(crate) async fn ask(source: &Source, target: &Store, keep: bool) -> Done<Self> {
        let order = source.order();
        let sample: Vec<_> = order.iter().step_by(order.len().div_ceil(ASKED_AT_ONCE).max(1)).copied().collect();
        // Of a few flags the sample is all, and they can as well be asked for.
        if order.len() > ASKED_AT_ONCE && get(source, target, &sample).await?.iter().all(Option::is_none) {
            return Self::make(source, target.list().await?);
        }
        let mut plan = Self::default();
        for batch in order.chunks(ASKED_AT_ONCE) {
            for (index, there) in batch.iter().zip(get(source, target, batch).await?) {
                plan.compare(source, *index, there, keep)?;
            }
        }
        Ok(plan)
    }

    fn compare(&mut self, source: &Source, index: usize, there: Option<Stored>, keep: bool) -> Done {
        let Some(there) = there else {
            self.create.push(index);
            return Ok(());
        };
        let record = source.record(index)?;
        if there.record.as_ref().is_ok_and(|known| **known == record) {
            self.unchanged += 1;
            return Ok(());
        }
        self.change.push(index);
        if keep {
            self.target.insert(there.name.clone(), there);
        }
        Ok(())
    }

    /// Whether the target has all of the source, and the same.
    pub(crate) fn is_empty(&self) -> bool {
        self.create.is_empty() && self.change.is_empty()
    }

    /// Tells of each difference, in the order of names; flags that only the target has are left out unless `destroy`.
    pub(crate) fn each(&self, source: &Source, destroy: bool, mut tell: impl FnMut(Difference<'_>) -> Done) -> Done {
        let mut steps: Vec<(&str, Option<usize>)> =
            self.create.iter().chain(&self.change).map(|index| (source.name(*index), Some(*index))).collect();
        if destroy {
            steps.extend(self.only_there.iter().map(|(name, _)| (name.as_str(), None)));
        }
        steps.sort_unstable_by_key(|(name, _)| *name);
        for (name, index) in steps {
            let before = self.target.get(name).and_then(|flag| flag.record.as_ref().ok());
            let after = index.map(|index| source.record(index)).transpose()?;
            tell(Difference { name, before: before.map(|record| &**record), after: after.as_ref() })?;
        }
        Ok(())
    }
}

/// The target's flags of these names, asked for at once.
async fn get(source: &Source, target: &Store, indexes: &[usize]) -> Done<Vec<Option<Stored>>> {
    let answers = join_all(indexes.iter().map(|index| target.inner.get(source.name(*index)))).await;
    answers.into_iter().collect::<flipper::Result<_>>().map_err(|error| target.failure(&error))
}
