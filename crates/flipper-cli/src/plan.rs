use flipper::store::{Stored, Version};
use futures_util::StreamExt;
use futures_util::future::join_all;

use crate::diff::Difference;
use crate::failure::Done;
use crate::records::{Records, named};
use crate::store::Store;

/// Concurrent reads. A Consul agent takes 200 connections from one client.
pub(crate) const ASKED_AT_ONCE: usize = 128;

/// The steps that turn one set of flags into another, each list ordered by name.
#[derive(Default)]
pub(crate) struct Plan {
    /// Indexes of source flags that the target lacks.
    pub(crate) create: Vec<usize>,
    /// Indexes of source flags that differ in the target.
    pub(crate) change: Vec<usize>,
    pub(crate) only_in_target: Vec<(String, Version)>,
    pub(crate) unchanged: usize,
    /// Unreadable flags of the target, with the reason.
    pub(crate) unreadable: Vec<(String, String)>,
}

impl Plan {
    pub(crate) async fn make(source: &Records, target: &Store) -> Done<Self> {
        let mut plan = Self::default();
        let mut there = vec![false; source.len()];
        let mut flags = target.inner.stream();
        while let Some(flag) = flags.next().await {
            let flag = flag.map_err(|error| target.failure(&error))?;
            plan.compare(source, &mut there, flag)?;
        }
        Ok(plan.end(&there))
    }

    /// Compares only the flags of the source, with a read each if they are few.
    pub(crate) async fn ask(source: &Records, target: &Store) -> Done<Self> {
        if source.len() > ASKED_AT_ONCE {
            return Self::make(source, target).await;
        }
        let mut plan = Self::default();
        let mut there = vec![false; source.len()];
        let names: Vec<_> = (0..source.len()).map(|index| source.name(index)).collect();
        for flag in get(target, &names).await?.into_iter().flatten() {
            plan.compare(source, &mut there, flag)?;
        }
        Ok(plan.end(&there))
    }

    fn compare(&mut self, source: &Records, there: &mut [bool], flag: Stored) -> Done {
        if let Err(why) = &flag.record {
            self.unreadable.push((flag.name.clone(), why.reason().to_owned()));
        }
        let Some(index) = source.find(&flag.name) else {
            self.only_in_target.push((flag.name, flag.version));
            return Ok(());
        };
        there[index] = true;
        match &flag.record {
            Ok(known) if *named(known, &flag.name) == source.record(index)? => self.unchanged += 1,
            _ => self.change.push(index),
        }
        Ok(())
    }

    fn end(mut self, there: &[bool]) -> Self {
        self.create = (0..there.len()).filter(|index| !there[*index]).collect();
        self.change.sort_unstable();
        self.only_in_target.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        self.unreadable.sort_unstable();
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.create.is_empty() && self.change.is_empty()
    }

    /// Reports each difference, ordered by name; flags that only the target has are left out unless `destroy`.
    pub(crate) async fn each(
        &self,
        source: &Records,
        target: &Store,
        destroy: bool,
        mut report: impl FnMut(Difference<'_>) -> Done,
    ) -> Done {
        let mut steps: Vec<(&str, Option<usize>)> =
            self.create.iter().chain(&self.change).map(|index| (source.name(*index), Some(*index))).collect();
        if destroy {
            steps.extend(self.only_in_target.iter().map(|(name, _)| (name.as_str(), None)));
        }
        steps.sort_unstable_by_key(|(name, _)| *name);
        for batch in steps.chunks(ASKED_AT_ONCE) {
            let names: Vec<_> = batch.iter().map(|(name, _)| *name).collect();
            for ((name, index), before) in batch.iter().zip(get(target, &names).await?) {
                let before = before.and_then(|flag| flag.record.ok());
                let after = index.map(|index| source.record(index)).transpose()?;
                report(Difference { name, before: before.as_deref(), after: after.as_ref() })?;
            }
        }
        Ok(())
    }
}

pub(crate) async fn get(target: &Store, names: &[&str]) -> Done<Vec<Option<Stored>>> {
    let answers = join_all(names.iter().map(|name| target.inner.get(name))).await;
    answers.into_iter().collect::<flipper::Result<_>>().map_err(|error| target.failure(&error))
}
