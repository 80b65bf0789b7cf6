//! The transaction of each write names the changed flag at one key. Its value has a line for each of the last changes, newest first: an id
//! in hexadecimal, a space, the flag's name. So a reader who sees only every other value misses none.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Notify, broadcast};

use crate::lock::Mutex;

/// A list of some 120 flags is as fast as a hint and a read, so there are no hints then.
pub(super) const SMALL: usize = 40 * 1024;
const KEPT: usize = 16;
pub(super) const LARGEST: usize = KEPT * (16 + 1 + 255 + 1) * 4 / 3;
const EXPLAINED: usize = 256;
const WAITING: usize = 1024;
/// Above this many, they are dropped: no watch consumes them.
const MOST_OWN: usize = 10_000;

#[derive(Debug)]
pub(super) struct Hints {
    /// Part of each id, to recognize those of this store.
    writer: u32,
    forbidden: AtomicBool,
    /// The last list was small. Another process with a longer list gets the change from its next one.
    small: AtomicBool,
    state: Mutex<State>,
    explaining: Notify,
    puts: broadcast::Sender<(String, u64)>,
}

#[derive(Debug, Default)]
struct State {
    count: u32,
    recent: VecDeque<(u64, String)>,
    /// Of hinted changes and own writes, newest first.
    explained: VecDeque<u64>,
    /// Of the last own deletion of each flag, until an answer shows it.
    deleted: HashMap<String, u64>,
}

impl Default for Hints {
    fn default() -> Self {
        Self {
            writer: fastrand::u32(..),
            forbidden: AtomicBool::new(false),
            small: AtomicBool::new(false),
            state: Mutex::default(),
            explaining: Notify::new(),
            puts: broadcast::Sender::new(WAITING),
        }
    }
}

impl Hints {
    /// `None` if it is not needed, not allowed, or not possible for this name.
    pub(super) fn of(&self, name: &str) -> Option<Vec<u8>> {
        if self.small.load(Ordering::Relaxed) || !self.are_allowed() || !fits_in_a_hint(name) {
            return None;
        }
        let mut state = self.state.lock();
        state.count = state.count.wrapping_add(1);
        let id = u64::from(self.writer) << 32 | u64::from(state.count);
        state.push(id, name);
        let lines = state.recent.iter().map(|(id, name)| format!("{id:x} {name}\n"));
        Some(lines.collect::<String>().into_bytes())
    }

    /// The flags that a value names and others changed. `seen`: the ids of the previous value.
    pub(super) fn read(&self, value: &[u8], seen: &mut HashSet<u64>) -> Vec<String> {
        let lines = std::str::from_utf8(value).unwrap_or_default().lines();
        let hinted: Vec<_> = lines.take(KEPT).filter_map(parse).collect();
        let mut names = Vec::new();
        let mut state = self.state.lock();
        for (id, name) in hinted.iter().rev() {
            if u32::try_from(id >> 32) == Ok(self.writer) || seen.contains(id) {
                continue;
            }
            state.push(*id, name);
            if !names.iter().any(|known| known == name) {
                names.push((*name).to_owned());
            }
        }
        *seen = hinted.into_iter().map(|(id, _)| id).collect();
        names
    }

    pub(super) fn are_allowed(&self) -> bool {
        !self.forbidden.load(Ordering::Relaxed)
    }

    pub(super) fn forbid(&self) {
        self.forbidden.store(true, Ordering::Relaxed);
    }

    pub(super) fn listed(&self, size: usize) {
        self.small.store(size <= SMALL, Ordering::Relaxed);
    }

    pub(super) fn put(&self, name: &str, index: u64) {
        self.explain(index);
        // Fails without a watch.
        let _ = self.puts.send((name.to_owned(), index));
    }

    pub(super) fn puts(&self) -> broadcast::Receiver<(String, u64)> {
        self.puts.subscribe()
    }

    pub(super) fn deleted(&self, name: &str, index: u64) {
        let mut state = self.state.lock();
        if state.deleted.len() >= MOST_OWN {
            state.deleted.clear();
        }
        state.deleted.insert(name.to_owned(), index);
        drop(state);
        self.explain(index);
    }

    /// By an own write; `true` once.
    pub(super) fn was_deleted_here(&self, name: &str, known: u64) -> bool {
        let mut state = self.state.lock();
        state.deleted.remove(name).is_some_and(|index| index > known)
    }

    /// This change is known, or will be in a moment.
    pub(super) fn explain(&self, index: u64) {
        let mut state = self.state.lock();
        state.explained.push_front(index);
        state.explained.truncate(EXPLAINED);
        drop(state);
        self.explaining.notify_waiters();
    }

    pub(super) fn is_explained(&self, index: u64) -> bool {
        self.state.lock().explained.contains(&index)
    }

    pub(super) async fn explained(&self, index: u64) {
        loop {
            let explaining = self.explaining.notified();
            if self.is_explained(index) {
                return;
            }
            explaining.await;
        }
    }
}

impl State {
    fn push(&mut self, id: u64, name: &str) {
        if self.recent.iter().all(|(known, _)| *known != id) {
            self.recent.push_front((id, name.to_owned()));
            self.recent.truncate(KEPT);
        }
    }
}

/// Flags with line breaks in their names are invalid, but can be deleted.
fn fits_in_a_hint(name: &str) -> bool {
    name.len() <= 255 && !name.contains(char::is_control)
}

fn parse(line: &str) -> Option<(u64, &str)> {
    let (id, name) = line.split_once(' ')?;
    fits_in_a_hint(name).then_some((u64::from_str_radix(id, 16).ok()?, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_gets_each_change_once() {
        let (writer, reader, mut seen) = (Hints::default(), Hints::default(), HashSet::new());
        let value = writer.of("A").unwrap();
        assert_eq!(reader.read(&value, &mut seen), ["A"]);
        writer.of("B").unwrap();
        let value = writer.of("C d").unwrap();
        assert_eq!(reader.read(&value, &mut seen), ["B", "C d"]);
        assert!(reader.read(&value, &mut seen).is_empty());
        // A reader repeats the hint; its first writer ignores it.
        let value = reader.of("D").unwrap();
        assert_eq!(writer.read(&value, &mut HashSet::new()), ["D"]);
        assert!(reader.read(&value, &mut HashSet::new()).contains(&"B".to_owned()));
    }

    #[test]
    fn a_foreign_value_is_harmless() {
        let (reader, mut seen) = (Hints::default(), HashSet::new());
        for value in ["", "x", "1 a\u{7}b", "zz A", "\n\n"] {
            assert!(reader.read(value.as_bytes(), &mut seen).is_empty(), "{value:?}");
        }
        assert!(reader.read(b"\xff\xfe", &mut seen).is_empty());
        let many: String = (0..100).map(|n| format!("{n} F{n}\n")).collect();
        assert_eq!(reader.read(many.as_bytes(), &mut seen).len(), KEPT);
        assert!(reader.of(&"é".repeat(127)).unwrap().len() <= LARGEST);
    }
}
