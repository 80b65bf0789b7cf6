//! Hints: writers of this library say at one key which flags they have changed, in the same transaction.
//!
//! To ask Consul for all flags takes the longer the more there are, 80 ms for 10,000; to wait for one key and then read one
//! flag does not. The value has a line for each of the last changes, the newest first: an id in hexadecimal, a space, the
//! flag's name. Several are kept, so that a reader who is told of every other change only misses none.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, broadcast};

/// A list of all flags with no more bytes, those of some 120 flags, is here as soon as a hint and a flag would be: there are no
/// hints then.
pub(super) const SMALL: usize = 40 * 1024;
/// How many changes the key tells of.
const KEPT: usize = 16;
/// The most that its value can take.
pub(super) const LARGEST: usize = KEPT * (16 + 1 + 255 + 1) * 4 / 3;
/// So many indices are remembered of changes that hints or own writes explain.
const EXPLAINED: usize = 256;
/// So many own writes may wait for who follows the store.
const WAITING: usize = 1024;
/// More own deletes than this are forgotten when nobody follows the store.
const MOST_OWN: usize = 10_000;

#[derive(Debug)]
pub(super) struct Hints {
    /// In every id of this store, so that it knows its own.
    writer: u32,
    forbidden: AtomicBool,
    /// Whether the last list was. Another process may have had a longer one: it learns of the change by the next.
    small: AtomicBool,
    state: Mutex<State>,
    /// An index was added to those that are explained.
    explaining: Notify,
    /// Flags that were put here, and the index of that.
    puts: broadcast::Sender<(String, u64)>,
}

#[derive(Debug, Default)]
struct State {
    count: u32,
    recent: VecDeque<(u64, String)>,
    /// The indices of transactions that hints or own writes have told of, the newest first.
    explained: VecDeque<u64>,
    /// The index of the last own delete of each flag, until it was met in an answer.
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
    /// The value that tells of a change of this flag; `None` where it need not be told, must not, or cannot.
    pub(super) fn of(&self, name: &str) -> Option<Vec<u8>> {
        if self.small.load(Ordering::Relaxed) || !self.are_allowed() || !can_be_told(name) {
            return None;
        }
        let mut state = self.lock();
        state.count = state.count.wrapping_add(1);
        let id = u64::from(self.writer) << 32 | u64::from(state.count);
        state.push(id, name);
        let mut value = String::new();
        for (id, name) in &state.recent {
            // Never fails for a string.
            let _ = writeln!(value, "{id:x} {name}");
        }
        Some(value.into_bytes())
    }

    /// The flags that others have changed, by a value of the key; `seen` are the ids of the value before.
    pub(super) fn read(&self, value: &[u8], seen: &mut HashSet<u64>) -> Vec<String> {
        let told: Vec<_> =
            std::str::from_utf8(value).unwrap_or_default().lines().take(KEPT).filter_map(parse).collect();
        let mut names = Vec::new();
        let mut state = self.lock();
        for (id, name) in told.iter().rev() {
            if u32::try_from(id >> 32) == Ok(self.writer) || seen.contains(id) {
                continue;
            }
            state.push(*id, name);
            if !names.iter().any(|known| known == name) {
                names.push((*name).to_owned());
            }
        }
        *seen = told.into_iter().map(|(id, _)| id).collect();
        names
    }

    pub(super) fn are_allowed(&self) -> bool {
        !self.forbidden.load(Ordering::Relaxed)
    }

    pub(super) fn forbid(&self) {
        self.forbidden.store(true, Ordering::Relaxed);
    }

    /// Notes how many bytes the last list of all flags had.
    pub(super) fn listed(&self, size: usize) {
        self.small.store(size <= SMALL, Ordering::Relaxed);
    }

    /// Notes that a flag was put here.
    pub(super) fn put(&self, name: &str, index: u64) {
        self.explain(index);
        // Fails where nobody follows the store.
        let _ = self.puts.send((name.to_owned(), index));
    }

    /// What is put here from now on.
    pub(super) fn puts(&self) -> broadcast::Receiver<(String, u64)> {
        self.puts.subscribe()
    }

    /// Notes that a flag was deleted here.
    pub(super) fn deleted(&self, name: &str, index: u64) {
        let mut state = self.lock();
        if state.deleted.len() >= MOST_OWN {
            state.deleted.clear();
        }
        state.deleted.insert(name.to_owned(), index);
        drop(state);
        self.explain(index);
    }

    /// Whether an own write made this flag go; the one who asks is told once.
    pub(super) fn was_deleted_here(&self, name: &str, known: u64) -> bool {
        let mut state = self.lock();
        state.deleted.remove(name).is_some_and(|index| index > known)
    }

    /// Notes that a change with this index is known, or will be in a moment.
    pub(super) fn explain(&self, index: u64) {
        let mut state = self.lock();
        state.explained.push_front(index);
        state.explained.truncate(EXPLAINED);
        drop(state);
        self.explaining.notify_waiters();
    }

    pub(super) fn is_explained(&self, index: u64) -> bool {
        self.lock().explained.contains(&index)
    }

    /// Waits until it is explained.
    pub(super) async fn explained(&self, index: u64) {
        loop {
            let explaining = self.explaining.notified();
            if self.is_explained(index) {
                return;
            }
            explaining.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Names with line breaks are no flag's, but such flags can be deleted.
fn can_be_told(name: &str) -> bool {
    name.len() <= 255 && !name.contains(char::is_control)
}

fn parse(line: &str) -> Option<(u64, &str)> {
    let (id, name) = line.split_once(' ')?;
    can_be_told(name).then_some((u64::from_str_radix(id, 16).ok()?, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_is_told_of_each_change_once() {
        let (writer, reader, mut seen) = (Hints::default(), Hints::default(), HashSet::new());
        let value = writer.of("A").unwrap();
        assert_eq!(reader.read(&value, &mut seen), ["A"]);
        writer.of("B").unwrap();
        let value = writer.of("C d").unwrap();
        assert_eq!(reader.read(&value, &mut seen), ["B", "C d"]);
        assert!(reader.read(&value, &mut seen).is_empty());
        // Passed on by who has read it, whose own is not news to itself.
        let value = reader.of("D").unwrap();
        assert_eq!(writer.read(&value, &mut HashSet::new()), ["D"]);
        assert!(reader.read(&value, &mut HashSet::new()).contains(&"B".to_owned()));
    }

    #[test]
    fn a_value_that_somebody_else_wrote_is_harmless() {
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
