//! Flags with prerequisites, whose answers are kept as those of other flags: their checks read one byte, too.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::slot::{Entry, Slot};
use super::slots::{SlotHandle, SlotRef};

/// By the name of a prerequisite the flags that need it. Within the table's lock.
#[derive(Default)]
pub(super) struct Dependents(HashMap<Box<str>, Slots, RandomState>);

/// By their addresses: a flag may have thousands.
type Slots = HashMap<usize, SlotHandle, RandomState>;

impl Dependents {
    /// Replaces the entry of a slot. Until the flags that need it have their new answers they are evaluated, so that none is on for a moment
    /// longer than what it needs.
    pub(super) fn set(&mut self, slot: SlotRef<'_>, entry: Option<Arc<Entry>>) {
        let before = slot.entry().clone();
        for name in needs(before.as_deref()) {
            if let Some(dependents) = self.0.get_mut(name) {
                dependents.remove(&address(&slot));
            }
        }
        if let Some(entry) = &entry {
            self.add(slot, entry);
        }
        let all = self.of(slot.name());
        all.iter().for_each(|dependent| dependent.evaluate_meanwhile());
        slot.set(entry);
        // Each pass settles at least one more, if it can be settled at all.
        for _ in 0..all.len() {
            let changed = all.iter().filter(|dependent| dependent.settle()).count();
            if changed == 0 {
                break;
            }
        }
    }

    /// What a slot needs.
    pub(super) fn add(&mut self, slot: SlotRef<'_>, entry: &Entry) {
        for name in needs(Some(entry)) {
            self.0.entry(name.into()).or_default().insert(address(&slot), slot.to_handle());
        }
    }

    /// Those that need a flag, and those that need these, each once.
    fn of(&self, name: &str) -> Vec<SlotHandle> {
        let mut all: Vec<SlotHandle> = Vec::new();
        if self.0.is_empty() {
            return all;
        }
        // There may be thousands.
        let mut known: HashSet<usize, RandomState> = HashSet::default();
        let mut add = |all: &mut Vec<SlotHandle>, name: &str| {
            let dependents = self.0.get(name).into_iter().flatten();
            all.extend(dependents.filter(|(address, _)| known.insert(**address)).map(|(_, slot)| slot.clone()));
        };
        add(&mut all, name);
        let mut next = 0;
        while let Some(slot) = all.get(next).cloned() {
            add(&mut all, slot.name());
            next += 1;
        }
        all
    }
}

fn address(slot: &Slot) -> usize {
    std::ptr::from_ref(slot).addr()
}

fn needs(entry: Option<&Entry>) -> impl Iterator<Item = &str> {
    let record = entry.and_then(Entry::whole);
    record.into_iter().flat_map(|record| record.prerequisites()).map(|prerequisite| &*prerequisite.flag)
}
