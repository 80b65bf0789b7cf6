//! Where slots are: in chunks, so that a name takes no allocation of its own, and a number of four bytes leads to its slot.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use super::cell::Cell;
use super::slot::{Entry, Slot};
use crate::conditions::Sole;
use crate::evaluation::{Linked, Plan};

/// Slots of one allocation, 4 KiB of them.
pub(super) const CHUNK: usize = 64;

pub(crate) struct Chunk {
    slots: [Slot; CHUNK],
    /// Of flags that one comparison decides: a check of one reads this instead of the entry, whose reference count costs more than the
    /// comparison. Made for the first of them.
    soles: OnceLock<Box<[SoleCell; CHUNK]>>,
}

type SoleCell = Cell<{ Sole::NUMBERS }>;

impl Chunk {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { slots: [const { Slot::new() }; CHUNK], soles: OnceLock::new() })
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
        &self.chunk.slots[self.at % CHUNK]
    }

    /// Gives it a name, before a reader can find it.
    pub(super) fn begin(self, name: &str, entry: Option<Arc<Entry>>) {
        self.put_sole(entry.as_deref());
        self.get().begin(name, entry);
    }

    /// One writer at a time. `None`: as if the name was never used.
    pub(super) fn set(self, entry: Option<Arc<Entry>>) {
        let new = entry.clone();
        self.get().set(entry, || self.put_sole(new.as_deref()));
    }

    fn put_sole(self, entry: Option<&Entry>) {
        if let Some(sole) = entry.and_then(Entry::sole) {
            let soles = self.chunk.soles.get_or_init(|| Box::new([const { Cell::new() }; CHUNK]));
            soles[self.at % CHUNK].set(sole.numbers());
        }
    }

    /// The comparison that decides it, if one does, and is not being written.
    #[inline(always)]
    pub(crate) fn sole(self) -> Option<Sole> {
        if !self.get().has_sole() {
            return None;
        }
        self.chunk.soles.get()?[self.at % CHUNK].get().map(Sole::of)
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
