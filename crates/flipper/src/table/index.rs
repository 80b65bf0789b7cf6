//! From a name to its slot: reads are wait-free, and names are never removed.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;

use super::slot::Slot;

const FIRST_GROUPS: usize = 8;
/// More than memory has room for.
const GENERATIONS: usize = 40;
/// Cells per word of tags; both fill two cache lines.
const GROUP: usize = 7;

/// Open addressing in generations of doubling size. A full one is copied into the next and kept, since a reader may be in it. All old ones
/// together are as large as the current one.
///
/// On its own cache lines: writes to the table's lock must not slow down reads.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Index {
    hasher: RandomState,
    current: AtomicUsize,
    generations: [OnceLock<Box<Generation>>; GENERATIONS],
}

impl Index {
    pub(super) fn new() -> Self {
        let index = Self {
            hasher: RandomState::default(),
            current: AtomicUsize::new(0),
            generations: [const { OnceLock::new() }; GENERATIONS],
        };
        index.generation(0);
        index
    }

    #[inline]
    pub(super) fn get(&self, name: &str) -> Option<&Arc<Slot>> {
        let hash = self.hasher.hash_one(name);
        // Acquire: a reader that sees a generation's number sees everything in it.
        find(self.generations[self.current.load(Ordering::Acquire)].get()?, hash, name)
    }

    /// One writer at a time; `len` is the number of slots.
    pub(super) fn insert(&self, slot: Arc<Slot>, len: usize) {
        self.make_room(len + 1);
        let generation = self.generation(self.current.load(Ordering::Relaxed));
        place(generation, self.hasher.hash_one(slot.name()), slot);
    }

    /// Room for this many names in all, in one step. One writer at a time.
    pub(super) fn make_room(&self, len: usize) {
        let current = self.current.load(Ordering::Relaxed);
        let mut wanted = current;
        while most(FIRST_GROUPS << wanted) < len {
            wanted += 1;
        }
        if wanted > current {
            let new = self.generation(wanted);
            // A clone waits for all reads before it; so some slots are read before any is cloned.
            let mut slots = self.slots().map(|slot| (self.hasher.hash_one(slot.name()), slot));
            let mut batch = Vec::with_capacity(COPIED_AT_ONCE);
            loop {
                batch.extend(slots.by_ref().take(COPIED_AT_ONCE));
                if batch.is_empty() {
                    break;
                }
                for (hash, slot) in batch.drain(..) {
                    place(new, hash, slot.clone());
                }
            }
            self.current.store(wanted, Ordering::Release);
        }
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        let groups = self.generation(self.current.load(Ordering::Acquire));
        groups.iter().flat_map(|group| &group.cells).filter_map(OnceLock::get)
    }

    fn generation(&self, number: usize) -> &Generation {
        self.generations[number]
            .get_or_init(|| std::iter::repeat_with(Group::new).take(FIRST_GROUPS << number).collect())
    }
}

const COPIED_AT_ONCE: usize = 64;

type Generation = [Group];

/// A byte of each name's hash, or 0 for an empty cell, is its tag. One or two cache lines show a slot, or its absence.
#[derive(Debug)]
#[repr(C, align(128))]
struct Group {
    tags: AtomicU64,
    /// Set once, so readers need no lock and no reclamation.
    cells: [OnceLock<Arc<Slot>>; GROUP],
}

impl Group {
    const fn new() -> Self {
        Self { tags: AtomicU64::new(0), cells: [const { OnceLock::new() }; GROUP] }
    }
}

/// Five eighths of the cells, so nearly every search ends in its first group. With three quarters a search for a missing name took twice as
/// long; half was no faster.
const fn most(groups: usize) -> usize {
    groups * GROUP / 8 * 5
}

#[inline]
fn find<'a>(generation: &'a Generation, hash: u64, name: &str) -> Option<&'a Arc<Slot>> {
    let wanted = tag(hash);
    let mut at = start(generation, hash);
    // Ends: some cells are always empty.
    loop {
        let group = &generation[at];
        // Acquire: a reader that sees a tag sees its cell.
        let tags = group.tags.load(Ordering::Acquire);
        let mut found = bytes_equal(tags, wanted);
        while found != 0 {
            let cell = group.cells.get(first_byte(found)).and_then(OnceLock::get);
            if let Some(slot) = cell.filter(|slot| slot.has_name(name)) {
                return Some(slot);
            }
            found &= found - 1;
        }
        if empty_bytes(tags) != 0 {
            return None;
        }
        at = next(generation, at);
    }
}

/// One writer at a time, and not when full.
fn place(generation: &Generation, hash: u64, slot: Arc<Slot>) {
    let mut at = start(generation, hash);
    loop {
        let group = &generation[at];
        let tags = group.tags.load(Ordering::Relaxed);
        if let Some(cell) = group.cells.get(first_byte(empty_bytes(tags))) {
            // Without a tag it is empty, and this sets it.
            cell.get_or_init(|| slot);
            group.tags.store(tags | (tag(hash) << (first_byte(empty_bytes(tags)) * 8)), Ordering::Release);
            return;
        }
        at = next(generation, at);
    }
}

#[inline]
fn start(generation: &Generation, hash: u64) -> usize {
    // `foldhash` mixes into all bits.
    #[expect(clippy::cast_possible_truncation, reason = "more groups than that do not fit the memory")]
    let low = hash as usize;
    low & (generation.len() - 1)
}

#[inline]
fn next(generation: &Generation, at: usize) -> usize {
    (at + 1) & (generation.len() - 1)
}

const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = LOW_BITS << 7;

/// Never 0. The low bits choose the group.
#[inline]
const fn tag(hash: u64) -> u64 {
    (hash >> 57) | 0x80
}

/// The high bit of each equal byte. By carry the byte above may have it too; names are compared anyway.
#[inline]
const fn bytes_equal(tags: u64, tag: u64) -> u64 {
    let differing = tags ^ (LOW_BITS * tag);
    differing.wrapping_sub(LOW_BITS) & !differing & HIGH_BITS
}

/// The high bit of each tag that is 0.
#[inline]
const fn empty_bytes(tags: u64) -> u64 {
    !tags & (HIGH_BITS >> 8)
}

#[inline]
const fn first_byte(high_bits: u64) -> usize {
    high_bits.trailing_zeros() as usize / 8
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
            index.insert(Arc::new(Slot::new(&name, None)), number);
            assert_eq!(index.get(&name).unwrap().name(), name);
        }
        for number in 0..10_000 {
            assert!(index.get(&format!("FLAG_{number}")).is_some());
        }
        assert_eq!(index.slots().count(), 10_000);
        assert!(index.get("FLAG_10000").is_none());
    }

    #[test]
    fn names_with_one_hash_are_distinguished_across_groups() {
        let generation: Vec<_> = std::iter::repeat_with(Group::new).take(4).collect();
        let names: Vec<_> = (0..21).map(|number| format!("FLAG_{number}")).collect();
        for (number, name) in names.iter().enumerate() {
            assert!(find(&generation, u64::MAX, name).is_none());
            place(&generation, u64::MAX, Arc::new(Slot::new(name, None)));
            for name in &names[..=number] {
                assert_eq!(find(&generation, u64::MAX, name).unwrap().name(), name);
            }
        }
        assert!(find(&generation, u64::MAX, "FLAG_21").is_none());
    }

    #[test]
    fn tags_are_found_in_any_cell() {
        for hash in [0, 1 << 57, 77 << 57, u64::MAX] {
            for cell in 0..GROUP {
                let others = (LOW_BITS * tag(3 << 57)) >> 8 & !(0xff << (cell * 8));
                let tags = others | (tag(hash) << (cell * 8));
                assert_eq!(first_byte(bytes_equal(tags, tag(hash))), cell);
                assert_eq!(empty_bytes(tags), 0);
                assert_eq!(first_byte(empty_bytes(others)), cell);
            }
        }
        assert_eq!(size_of::<Group>(), 128);
    }
}
