//! From a name to its slot: reads are wait-free, and names are never removed.

use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;

use super::generation::{GENERATIONS, Generation, Look, chunks_of, groups_of, most, place};
use super::growth::Growth;
use super::slot::{Entry, Slot};
use super::slots::{Chunk, SlotRef};

/// Some tens of microseconds.
const STEPS_OF_ROOM: usize = 256;

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

    /// A call, which a check makes in two registers: inlined, its answer would go through memory.
    #[inline(never)]
    pub(super) fn get(&self, name: &str) -> Option<SlotRef<'_>> {
        // Acquire: a reader that sees a generation's number sees everything in it.
        let generation = self.generations[self.current.load(Ordering::Acquire) % GENERATIONS].get()?;
        let hash = hash(&self.hasher, name);
        match generation.look(hash, name) {
            Look::Found(slot) => Some(slot),
            Look::Missing => None,
            Look::Unsure => generation.search(hash, name),
        }
    }

    /// One writer at a time.
    pub(super) fn insert(&self, growth: &mut Growth, name: &str, entry: Option<Arc<Entry>>) -> SlotRef<'_> {
        let current = self.current.load(Ordering::Relaxed);
        if growth.is_near(most(current)) {
            growth.begin(current + 1);
        }
        self.step(growth);
        // `make_room` may have begun a larger one, which takes more steps than there are names left in this one: the name that finds it full makes
        // the rest.
        while growth.is_full(most(self.current.load(Ordering::Relaxed))) {
            self.step(growth);
        }
        let generation = self.generation();
        let number = growth.add();
        let slot = generation.slot_of(number, Chunk::new);
        slot.begin(name, entry);
        place(&generation.groups, hash(&self.hasher, name), number);
        slot
    }

    /// Makes room for this many names in all, unless there is; returns whether there is. A part of it at a time.
    pub(super) fn make_room(&self, growth: &mut Growth, len: usize) -> bool {
        let mut wanted = self.current.load(Ordering::Relaxed);
        if len <= most(wanted) {
            return true;
        }
        while most(wanted) < len {
            wanted += 1;
        }
        growth.begin(wanted);
        (0..STEPS_OF_ROOM).for_each(|_| self.step(growth));
        len <= most(self.current.load(Ordering::Relaxed))
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

/// Of names of a usual length in two or three steps, without a call and without a loop.
#[inline(always)]
fn hash(hasher: &RandomState, name: &str) -> u64 {
    let name = name.as_bytes();
    let mut hasher = hasher.build_hasher();
    match (name.first_chunk::<16>(), name.last_chunk::<16>()) {
        (Some(start), Some(end)) if name.len() > 16 && name.len() <= 48 => {
            hasher.write_u128(u128::from_ne_bytes(*start));
            if let Some(middle) = name.get(16..).and_then(|rest| rest.first_chunk::<16>()) {
                hasher.write_u128(u128::from_ne_bytes(*middle));
            }
            // The ends of names of two lengths may be the same. In many bytes, as no two names differ.
            let len = (name.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            hasher.write_u128(u128::from_ne_bytes(*end) ^ u128::from(len));
        }
        // Without the end of a string, which `hash_one` adds: it takes a second multiplication, and nothing follows.
        _ => hasher.write(name),
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

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
    fn each_byte_and_the_length_of_a_name_count() {
        let hasher = RandomState::default();
        let mut hashes = HashSet::new();
        for length in 0..=100 {
            let name = "x".repeat(length);
            assert!(hashes.insert(hash(&hasher, &name)), "{length}");
            for at in 0..length {
                let mut other = name.clone();
                other.replace_range(at..=at, "y");
                assert!(hashes.insert(hash(&hasher, &other)), "{at} of {length}");
            }
        }
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
            assert!(growth.len() <= most(generation), "full at {number}");
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
}
