//! Where slots are: in chunks, so that a name takes no allocation of its own, and a number of four bytes leads to its slot.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::slot::Slot;
use crate::evaluation::{Linked, Plan};

/// Slots of one allocation, 4 KiB of them.
pub(super) const CHUNK: usize = 64;

pub(crate) struct Chunk([Slot; CHUNK]);

impl Chunk {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self([const { Slot::new() }; CHUNK]))
    }

    pub(super) fn slots(self: &Arc<Self>) -> impl Iterator<Item = SlotRef<'_>> {
        (0..CHUNK).map(|at| SlotRef { chunk: self, at })
    }
}

/// A slot of a table.
#[derive(Clone, Copy)]
pub(crate) struct SlotRef<'a> {
    chunk: &'a Arc<Chunk>,
    at: usize,
}

impl<'a> SlotRef<'a> {
    #[inline]
    pub(super) fn new(chunk: &'a Arc<Chunk>, number: usize) -> Self {
        Self { chunk, at: number % CHUNK }
    }

    #[inline]
    pub(crate) fn get(self) -> &'a Slot {
        &self.chunk.0[self.at % CHUNK]
    }

    pub(crate) fn to_handle(self) -> SlotHandle {
        SlotHandle { chunk: self.chunk.clone(), at: self.at }
    }
}

impl Deref for SlotRef<'_> {
    type Target = Slot;

    #[inline]
    fn deref(&self) -> &Slot {
        self.get()
    }
}

/// A slot that is found without its table.
#[derive(Clone)]
pub(crate) struct SlotHandle {
    chunk: Arc<Chunk>,
    at: usize,
}

impl SlotHandle {
    #[inline]
    pub(crate) fn as_ref(&self) -> SlotRef<'_> {
        SlotRef { chunk: &self.chunk, at: self.at }
    }
}

impl Deref for SlotHandle {
    type Target = Slot;

    #[inline]
    fn deref(&self) -> &Slot {
        self.as_ref().get()
    }
}

impl fmt::Debug for SlotHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SlotHandle").field(&self.name()).finish()
    }
}

impl Linked for SlotHandle {
    fn read(&self, with: &mut dyn FnMut(Option<&Plan>)) {
        self.as_ref().get().read(with);
    }

    #[inline]
    fn settled(&self, with_attributes: bool) -> Option<bool> {
        self.as_ref().get().settled(with_attributes)
    }
}
