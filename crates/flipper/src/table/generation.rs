//! A map from hashes to slots, of a fixed size. Reads are wait-free.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::slots::{CHUNK, Chunk, SlotRef};

const FIRST_GROUPS: usize = 8;
/// More than numbers of four bytes need.
pub(super) const GENERATIONS: usize = 32;
/// Cells per word of tags.
const GROUP: usize = 8;

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

/// What a first look shows.
pub(super) enum Look<'a> {
    Found(SlotRef<'a>),
    Missing,
    /// Only a search knows.
    Unsure,
}

pub(super) const fn groups_of(generation: usize) -> usize {
    FIRST_GROUPS << generation
}

pub(super) const fn chunks_of(generation: usize) -> usize {
    most(generation).div_ceil(CHUNK)
}

/// Five eighths of the cells, so nearly every search ends in its first group. With three quarters a search for a missing name took twice as
/// long; half was no faster.
pub(super) const fn most(generation: usize) -> usize {
    groups_of(generation) * GROUP / 8 * 5
}

impl Group {
    pub(super) const fn new() -> Self {
        Self { tags: AtomicU64::new(0), cells: [const { AtomicU32::new(0) }; GROUP] }
    }
}

impl Generation {
    pub(super) fn new(groups: usize, chunks: usize) -> Self {
        let groups = std::iter::repeat_with(Group::new).take(groups).collect();
        let chunks = std::iter::repeat_with(OnceLock::new).take(chunks).collect();
        Self { groups, chunks }
    }

    pub(super) fn slot_of(&self, number: usize, chunk: impl FnOnce() -> Arc<Chunk>) -> SlotRef<'_> {
        SlotRef::new(self.chunks[number / CHUNK].get_or_init(chunk), number)
    }

    #[inline]
    pub(super) fn look(&self, hash: u64, name: &str) -> Look<'_> {
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
    pub(super) fn search(&self, hash: u64, name: &str) -> Option<SlotRef<'_>> {
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
