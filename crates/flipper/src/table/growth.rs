//! The next generation of the index, made by the writes before it is needed. Until it is whole, readers have no part in it.

use std::sync::{Arc, OnceLock};

use super::generation::{Generation, Group, chunks_of, groups_of, place};
use super::slot::Slot;
use super::slots::{CHUNK, Chunk};

/// What one step makes or moves at most. The quarter of a generation that is left then takes more steps than the next one needs:
/// `a_write_moves_few_names` counts them.
pub(super) const AT_ONCE: usize = 8;

/// Within the table's lock.
#[derive(Default)]
pub(super) struct Growth {
    names: usize,
    next: Option<Next>,
    /// Names moved so far, in all.
    #[cfg(test)]
    moved: usize,
}

struct Next {
    number: usize,
    groups: Vec<Group>,
    chunks: Vec<OnceLock<Arc<Chunk>>>,
    moved: usize,
}

impl Growth {
    pub(super) fn len(&self) -> usize {
        self.names
    }

    /// The number of a new name.
    pub(super) fn add(&mut self) -> usize {
        self.names += 1;
        self.names - 1
    }

    #[cfg(test)]
    pub(super) fn moved(&self) -> usize {
        self.moved
    }

    /// Whether it is time to begin with the next generation of one that takes `most` names.
    pub(super) fn is_near(&self, most: usize) -> bool {
        self.names >= most / 4 * 3
    }

    pub(super) fn is_full(&self, most: usize) -> bool {
        self.names >= most
    }

    /// Begins with a generation, unless it is begun, or a larger one.
    pub(super) fn begin(&mut self, number: usize) {
        if self.next.as_ref().is_none_or(|next| next.number < number) {
            // Memory is only reserved by this, and touched later.
            let groups = Vec::with_capacity(groups_of(number));
            self.next = Some(Next { number, groups, chunks: Vec::with_capacity(chunks_of(number)), moved: 0 });
        }
    }

    /// Returns the generation once it is whole, and its number.
    pub(super) fn step(&mut self, current: &Generation, hash: impl Fn(&Slot) -> u64) -> Option<(usize, Generation)> {
        let next = self.next.as_mut()?;
        let (groups, chunks) = (groups_of(next.number), chunks_of(next.number));
        if next.groups.len() < groups {
            let missing = groups - next.groups.len();
            next.groups.extend(std::iter::repeat_with(Group::new).take(missing.min(AT_ONCE)));
        } else if next.chunks.len() < chunks {
            let missing = chunks - next.chunks.len();
            next.chunks.extend(std::iter::repeat_with(OnceLock::new).take(missing.min(AT_ONCE)));
        } else {
            let until = self.names.min(next.moved + AT_ONCE);
            for number in next.moved..until {
                let chunk = &current.chunks[number / CHUNK];
                if let Some(chunk) = chunk.get() {
                    next.chunks[number / CHUNK].get_or_init(|| chunk.clone());
                }
                place(&next.groups, hash(&current.slot_of(number, Chunk::new)), number);
            }
            #[cfg(test)]
            {
                self.moved += until - next.moved;
            }
            next.moved = until;
        }
        if next.groups.len() < groups || next.chunks.len() < chunks || next.moved < self.names {
            return None;
        }
        let next = self.next.take()?;
        Some((next.number, Generation { groups: next.groups.into(), chunks: next.chunks.into() }))
    }
}
