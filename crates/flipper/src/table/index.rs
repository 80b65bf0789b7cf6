//! The map from a name to its slot: wait-free to read, and names are only ever added.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;

use super::slot::Slot;

/// A place in a generation: set once, then never changed, so that readers need no lock and no reclamation.
type Cell = OnceLock<(u64, Arc<Slot>)>;

const FIRST_CAPACITY: usize = 64;
/// More doublings than memory has room for.
const GENERATIONS: usize = 40;

/// Open addressing in generations of doubling size. A full generation is copied into the next one, and stays: a reader may
/// still be in it. All old ones together are as large as the current one.
#[derive(Debug)]
pub(super) struct Index {
    hasher: RandomState,
    current: AtomicUsize,
    generations: [OnceLock<Box<[Cell]>>; GENERATIONS],
}

impl Index {
    pub(super) fn new() -> Self {
        let index = Self {
            hasher: RandomState::default(),
            current: AtomicUsize::new(0),
            generations: [const { OnceLock::new() }; GENERATIONS],
        };
        index.cells(0);
        index
    }

    pub(super) fn get(&self, name: &str) -> Option<&Arc<Slot>> {
        let hash = self.hasher.hash_one(name);
        // Acquire: whoever sees a generation's number sees all that was copied into it.
        let cells = self.generations[self.current.load(Ordering::Acquire)].get()?;
        let mask = cells.len() - 1;
        let mut at = start(hash) & mask;
        // Ends, since no generation is ever more than half full.
        while let Some((other, slot)) = cells[at].get() {
            if *other == hash && slot.name() == name {
                return Some(slot);
            }
            at = (at + 1) & mask;
        }
        None
    }

    /// Adds a slot for a name that has none. One writer at a time: `len` is how many slots there are.
    pub(super) fn insert(&self, slot: Arc<Slot>, len: usize) {
        let hash = self.hasher.hash_one(slot.name());
        let mut generation = self.current.load(Ordering::Relaxed);
        if (len + 1) * 2 > self.cells(generation).len() {
            let new = self.cells(generation + 1);
            for (hash, slot) in self.cells(generation).iter().filter_map(OnceLock::get) {
                place(new, *hash, slot.clone());
            }
            generation += 1;
            self.current.store(generation, Ordering::Release);
        }
        place(self.cells(generation), hash, slot);
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        let cells = self.cells(self.current.load(Ordering::Acquire));
        cells.iter().filter_map(|cell| cell.get().map(|(_, slot)| slot))
    }

    fn cells(&self, generation: usize) -> &[Cell] {
        self.generations[generation]
            .get_or_init(|| std::iter::repeat_with(Cell::new).take(FIRST_CAPACITY << generation).collect())
    }
}

/// Where a name's probing starts. `foldhash` mixes into all bits, so the low ones serve.
fn start(hash: u64) -> usize {
    usize::try_from(hash & 0xffff_ffff).unwrap_or(0)
}

fn place(cells: &[Cell], hash: u64, slot: Arc<Slot>) {
    let mask = cells.len() - 1;
    let mut at = start(hash) & mask;
    let mut entry = (hash, slot);
    while let Err(back) = cells[at].set(entry) {
        entry = back;
        at = (at + 1) & mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_name_through_all_generations() {
        let index = Index::new();
        for number in 0..10_000 {
            let name = format!("FLAG_{number}");
            assert!(index.get(&name).is_none());
            index.insert(Arc::new(Slot::new(&name)), number);
            assert_eq!(index.get(&name).unwrap().name(), name);
        }
        for number in 0..10_000 {
            assert!(index.get(&format!("FLAG_{number}")).is_some());
        }
        assert_eq!(index.slots().count(), 10_000);
        assert!(index.get("FLAG_10000").is_none());
    }
}
