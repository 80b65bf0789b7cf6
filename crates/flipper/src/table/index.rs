//! From a name to its slot: reads are wait-free, and names are never removed.

use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;

use super::growth::Growth;
use super::slot::{Entry, Slot};
use super::slots::{CHUNK, Chunk, SlotRef};

const FIRST_GROUPS: usize = 8;
/// More than numbers of four bytes need.
const GENERATIONS: usize = 32;
/// Cells per word of tags.
const GROUP: usize = 8;

/// Open addressing in generations of doubling size. The next one is made by the writes before it is needed, a few steps each (`growth.rs`). Old
/// ones are kept, since a reader may be in one. All together they are as large as the current one.
///
/// On its own cache lines: writes to the table's lock must not slow down reads.
#[repr(align(128))]
pub(super) struct Index {
    hasher: RandomState,
    current: AtomicUsize,
    generations: [OnceLock<Generation>; GENERATIONS],
}

pub(super) struct Generation {
    pub(super) groups: Box<[Group]>,
    pub(super) chunks: Box<[OnceLock<Arc<Chunk>>]>,
}

/// A byte of each name's hash, or 0 for an empty cell, is its tag. A cell has the number of a slot.
#[repr(C)]
pub(super) struct Group {
    tags: AtomicU64,
    cells: [AtomicU32; GROUP],
}

impl Index {
    pub(super) fn new() -> Self {
        let index = Self {
            hasher: RandomState::default(),
            current: AtomicUsize::new(0),
            generations: [const { OnceLock::new() }; GENERATIONS],
        };
        index.generation();
        index
    }

    /// Nearly every search ends here. It has no call to come back from, so it saves no registers: a tenth of a check.
    #[inline]
    pub(super) fn look(&self, name: &str) -> Look<'_> {
        // Acquire: a reader that sees a generation's number sees everything in it.
        let generation = self.generations[self.current.load(Ordering::Acquire)].get();
        generation.map_or(Look::Unsure, |generation| generation.look(hash(&self.hasher, name), name))
    }

    #[inline]
    pub(super) fn get(&self, name: &str) -> Option<SlotRef<'_>> {
        match self.look(name) {
            Look::Found(slot) => Some(slot),
            Look::Missing => None,
            Look::Unsure => self.generation().search(hash(&self.hasher, name), name),
        }
    }

    /// One writer at a time.
    pub(super) fn insert(&self, growth: &mut Growth, name: &str, entry: Option<Arc<Entry>>) -> SlotRef<'_> {
        let current = self.current.load(Ordering::Relaxed);
        if growth.is_near(most(groups_of(current))) {
            growth.begin(current + 1);
        }
        self.step(growth);
        // Another one may have been begun, for more names.
        while growth.is_full(most(groups_of(self.current.load(Ordering::Relaxed)))) {
            self.step(growth);
        }
        let generation = self.generation();
        let number = growth.add();
        let slot = generation.slot_of(number, Chunk::new);
        slot.begin(name, entry);
        place(&generation.groups, self.hash(&slot), number);
        slot
    }

    /// Makes room for this many names in all, unless there is; returns whether there is. A part of it at a time.
    pub(super) fn make_room(&self, growth: &mut Growth, len: usize) -> bool {
        let mut wanted = self.current.load(Ordering::Relaxed);
        if len <= most(groups_of(wanted)) {
            return true;
        }
        while most(groups_of(wanted)) < len {
            wanted += 1;
        }
        growth.begin(wanted);
        (0..STEPS_OF_ROOM).for_each(|_| self.step(growth));
        len <= most(groups_of(self.current.load(Ordering::Relaxed)))
    }

    fn step(&self, growth: &mut Growth) {
        if let Some((number, next)) = growth.step(self.generation(), |slot| self.hash(slot)) {
            self.generations[number].get_or_init(|| next);
            // Release: a reader that sees the number sees the generation.
            self.current.store(number, Ordering::Release);
        }
    }

    /// In the order in which they were added.
    pub(super) fn slots(&self) -> impl Iterator<Item = SlotRef<'_>> {
        self.generation()
            .chunks
            .iter()
            .map_while(OnceLock::get)
            .flat_map(Chunk::slots)
            .take_while(|slot| slot.has_begun())
    }

    fn generation(&self) -> &Generation {
        let number = self.current.load(Ordering::Acquire);
        self.generations[number].get_or_init(|| Generation::new(groups_of(number), chunks_of(number)))
    }

    fn hash(&self, slot: &Slot) -> u64 {
        hash(&self.hasher, slot.name())
    }
}

/// What a first look shows.
pub(crate) enum Look<'a> {
    Found(SlotRef<'a>),
    Missing,
    /// Only [`Index::get`] knows.
    Unsure,
}

/// Without the end of a string, which `hash_one` adds: it takes a second multiplication, and nothing follows.
#[inline]
fn hash(hasher: &RandomState, name: &str) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(name.as_bytes());
    hasher.finish()
}

/// Some tens of microseconds.
const STEPS_OF_ROOM: usize = 256;

pub(super) const fn groups_of(generation: usize) -> usize {
    FIRST_GROUPS << generation
}

pub(super) const fn chunks_of(generation: usize) -> usize {
    most(groups_of(generation)).div_ceil(CHUNK)
}

/// Five eighths of the cells, so nearly every search ends in its first group. With three quarters a search for a missing name took twice as
/// long; half was no faster.
const fn most(groups: usize) -> usize {
    groups * GROUP / 8 * 5
}

impl Group {
    pub(super) const fn new() -> Self {
        Self { tags: AtomicU64::new(0), cells: [const { AtomicU32::new(0) }; GROUP] }
    }
}

impl Generation {
    fn new(groups: usize, chunks: usize) -> Self {
        let groups = std::iter::repeat_with(Group::new).take(groups).collect();
        let chunks = std::iter::repeat_with(OnceLock::new).take(chunks).collect();
        Self { groups, chunks }
    }

    pub(super) fn slot_of(&self, number: usize, chunk: impl FnOnce() -> Arc<Chunk>) -> SlotRef<'_> {
        SlotRef::new(self.chunks[number / CHUNK].get_or_init(chunk), number)
    }

    #[inline]
    fn look(&self, hash: u64, name: &str) -> Look<'_> {
        let Some(group) = self.groups.get(start(&self.groups, hash)) else { return Look::Unsure };
        // Acquire: a reader that sees a tag sees its cell, and the slot.
        let tags = group.tags.load(Ordering::Acquire);
        let found = bytes_equal(tags, tag(hash));
        if found == 0 {
            return if empty_bytes(tags) == 0 { Look::Unsure } else { Look::Missing };
        }
        match self.slot_in(group, found) {
            Some(slot) if slot.has_short_name(name) => Look::Found(slot),
            _ => Look::Unsure,
        }
    }

    #[cold]
    fn search(&self, hash: u64, name: &str) -> Option<SlotRef<'_>> {
        let mut at = start(&self.groups, hash);
        // Ends: some cells are always empty.
        loop {
            let group = &self.groups[at];
            let tags = group.tags.load(Ordering::Acquire);
            let mut found = bytes_equal(tags, tag(hash));
            while found != 0 {
                if let Some(slot) = self.slot_in(group, found).filter(|slot| slot.has_name(name)) {
                    return Some(slot);
                }
                found &= found - 1;
            }
            if empty_bytes(tags) != 0 {
                return None;
            }
            at = next(&self.groups, at);
        }
    }

    /// Of the first of these tags.
    #[inline]
    fn slot_in(&self, group: &Group, found: u64) -> Option<SlotRef<'_>> {
        let number = group.cells[first_byte(found) % GROUP].load(Ordering::Relaxed) as usize;
        Some(SlotRef::new(self.chunks.get(number / CHUNK)?.get()?, number))
    }
}

/// One writer at a time, and not when full.
pub(super) fn place(groups: &[Group], hash: u64, number: usize) {
    let mut at = start(groups, hash);
    loop {
        let group = &groups[at];
        let tags = group.tags.load(Ordering::Relaxed);
        let free = first_byte(empty_bytes(tags));
        if let Some(cell) = group.cells.get(free) {
            #[expect(clippy::cast_possible_truncation, reason = "memory ends before, at 64 bytes each")]
            cell.store(number as u32, Ordering::Relaxed);
            group.tags.store(tags | (tag(hash) << (free * 8)), Ordering::Release);
            return;
        }
        at = next(groups, at);
    }
}

#[inline]
fn start(groups: &[Group], hash: u64) -> usize {
    // `foldhash` mixes into all bits.
    #[expect(clippy::cast_possible_truncation, reason = "more groups than that do not fit the memory")]
    let low = hash as usize;
    low & (groups.len() - 1)
}

#[inline]
fn next(groups: &[Group], at: usize) -> usize {
    (at + 1) & (groups.len() - 1)
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
    !tags & HIGH_BITS
}

#[inline]
const fn first_byte(high_bits: u64) -> usize {
    high_bits.trailing_zeros() as usize / 8
}
#[cfg(test)]
mod tests {
    use super::*;

    fn filled(names: usize) -> (Index, Growth) {
        let (index, mut growth) = (Index::new(), Growth::default());
        for number in 0..names {
            let name = format!("FLAG_{number}");
            assert!(index.get(&name).is_none());
            index.insert(&mut growth, &name, None);
            assert_eq!(index.get(&name).unwrap().name(), name);
        }
        (index, growth)
    }

    #[test]
    fn finds_every_name_through_all_generations() {
        let (index, _) = filled(10_000);
        for number in 0..10_000 {
            assert!(index.get(&format!("FLAG_{number}")).is_some());
        }
        let names: Vec<_> = index.slots().map(|slot| slot.name().to_owned()).collect();
        assert_eq!(names, (0..10_000).map(|number| format!("FLAG_{number}")).collect::<Vec<_>>());
        assert!(index.get("FLAG_10000").is_none());
    }

    /// Whatever the size, one write moves no more than a few names, and the next generation is there before the old one is full.
    #[test]
    fn a_write_moves_few_names() {
        let (index, mut growth) = (Index::new(), Growth::default());
        let (mut most_moved, mut grown) = (0, 0);
        for number in 0..200_000 {
            let (moved, generation) = (growth.moved(), index.current.load(Ordering::Relaxed));
            index.insert(&mut growth, &format!("FLAG_{number}"), None);
            most_moved = most_moved.max(growth.moved() - moved);
            assert!(growth.len() <= most(groups_of(generation)), "full at {number}");
            grown += usize::from(index.current.load(Ordering::Relaxed) != generation);
        }
        assert_eq!((most_moved, grown), (super::super::growth::AT_ONCE, 13));
    }

    #[test]
    fn room_is_made_in_parts() {
        let (index, mut growth) = filled(3_000);
        let mut most_moved = 0;
        let mut parts = 0;
        loop {
            let moved = growth.moved();
            let is_done = index.make_room(&mut growth, 100_000);
            most_moved = most_moved.max(growth.moved() - moved);
            parts += 1;
            if is_done {
                break;
            }
            // A write between two parts.
            index.insert(&mut growth, &format!("BETWEEN_{parts}"), None);
        }
        assert!(parts > 10 && most_moved <= STEPS_OF_ROOM * super::super::growth::AT_ONCE);
        assert!((0..3_000).all(|number| index.get(&format!("FLAG_{number}")).is_some()));
        assert!((1..parts).all(|part| index.get(&format!("BETWEEN_{part}")).is_some()));
        let generation = index.current.load(Ordering::Relaxed);
        for number in 3_000..100_000 - parts {
            index.insert(&mut growth, &format!("FLAG_{number}"), None);
        }
        assert!(index.current.load(Ordering::Relaxed) <= generation + 1);
        assert!(index.make_room(&mut growth, 1), "there is room");
    }

    #[test]
    fn names_with_one_hash_are_distinguished_across_groups() {
        let generation = Generation::new(4, 1);
        let names: Vec<_> = (0..21).map(|number| format!("FLAG_{number}")).collect();
        for (number, name) in names.iter().enumerate() {
            assert!(generation.search(u64::MAX, name).is_none());
            generation.slot_of(number, Chunk::new).begin(name, None);
            place(&generation.groups, u64::MAX, number);
            for name in &names[..=number] {
                assert_eq!(generation.search(u64::MAX, name).unwrap().name(), name);
            }
        }
        assert!(generation.search(u64::MAX, "FLAG_21").is_none());
    }

    #[test]
    fn tags_are_found_in_any_cell() {
        for hash in [0, 1 << 57, 77 << 57, u64::MAX] {
            for cell in 0..GROUP {
                let others = (LOW_BITS * tag(3 << 57)) & !(0xff << (cell * 8));
                let tags = others | (tag(hash) << (cell * 8));
                assert_eq!(first_byte(bytes_equal(tags, tag(hash))), cell);
                assert_eq!(empty_bytes(tags), 0);
                assert_eq!(first_byte(empty_bytes(others)), cell);
            }
        }
    }
}
