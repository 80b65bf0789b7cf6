//! The indices last emitted, and how an answer differs.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use crate::stores::consul::rows::{Row, Rows};

#[derive(Debug, Default)]
pub(super) struct Known {
    flags: HashMap<String, Last, RandomState>,
    present: usize,
    listed: u64,
    /// Own puts that no list has reached yet.
    put: HashMap<String, u64, RandomState>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    /// For a deleted flag, an index at which it was absent.
    index: u64,
    present: bool,
}

#[derive(Debug)]
pub(super) struct Difference {
    pub(super) changed: Vec<Row>,
    pub(super) deleted: Vec<String>,
}

/// The store was restored or replaced.
#[derive(Debug)]
pub(super) struct WentBack;

impl Known {
    pub(super) fn reset(&mut self, rows: &Rows) {
        self.flags.clear();
        self.flags
            .extend(rows.rows.iter().map(|row| (rows.name(row).to_owned(), Last { index: row.index, present: true })));
        self.present = self.flags.len();
        self.listed = rows.index;
        // They may be those of a store that was replaced.
        self.put.clear();
    }

    /// Returns whether the flag is already deleted: if another client deletes it before the next answer, that answer shows no difference,
    /// and the mirror would keep the flag.
    pub(super) fn put(&mut self, name: String, index: u64) -> bool {
        if index > self.listed {
            self.put.insert(name, index);
            return false;
        }
        !self.is_present(&name)
    }

    fn is_present(&self, name: &str) -> bool {
        self.flags.get(name).is_some_and(|last| last.present)
    }

    pub(super) fn listed(&self) -> u64 {
        self.listed
    }

    pub(super) fn len(&self) -> usize {
        self.present
    }

    pub(super) fn index(&self, name: &str) -> u64 {
        self.flags.get(name).map_or(0, |last| last.index)
    }

    /// For the same flags a lower index is fine: Consul forgets deletions after 15 minutes.
    pub(super) fn is_newer_than(&self, rows: &Rows) -> bool {
        let is_known =
            |row: &Row| self.flags.get(rows.name(row)).is_some_and(|last| last.present && last.index == row.index);
        let same = rows.rows.len() == self.present && rows.rows.iter().all(is_known);
        !same
            && (rows.index < self.listed
                || self.flags.iter().any(|(_, last)| last.index > rows.index)
                || self.compare(rows).is_err())
    }

    pub(super) fn missing(&self, rows: &Rows) -> Vec<String> {
        if self.present == 0 {
            return Vec::new();
        }
        let names: HashSet<&str, RandomState> = rows.rows.iter().map(|row| rows.name(row)).collect();
        let missing = self.flags.iter().filter(|(name, last)| last.present && !names.contains(name.as_str()));
        missing.map(|(name, _)| name.clone()).collect()
    }

    /// Ignores flags known from a newer read.
    pub(super) fn compare(&self, rows: &Rows) -> Result<Difference, WentBack> {
        let mut changed = Vec::new();
        let mut met = 0;
        for row in &rows.rows {
            let last = self.flags.get(rows.name(row));
            met += usize::from(last.is_some_and(|last| last.present));
            match last {
                Some(last) if last.index > rows.index => {}
                Some(last) if last.present && last.index == row.index => {}
                Some(last) if last.index > row.index => return Err(WentBack),
                _ => changed.push(row.clone()),
            }
        }
        let mut deleted = if met < self.present { self.missing(rows) } else { Vec::new() };
        deleted.retain(|name| self.index(name) <= rows.index);
        deleted.sort_unstable();
        Ok(Difference { changed, deleted })
    }

    pub(super) fn set(&mut self, name: &str, index: u64) {
        let last = Last { index, present: true };
        match self.flags.get_mut(name) {
            Some(known) => {
                self.present += usize::from(!known.present);
                *known = last;
            }
            None => {
                self.flags.insert(name.to_owned(), last);
                self.present += 1;
            }
        }
    }

    pub(super) fn remove(&mut self, name: &str, index: u64) {
        let last = Last { index, present: false };
        let was = self.flags.insert(name.to_owned(), last).is_some_and(|known| known.present);
        self.present -= usize::from(was);
    }

    pub(super) fn forget(&mut self, name: &str) {
        if self.flags.remove(name).is_some_and(|known| known.present) {
            self.present -= 1;
        }
    }

    /// Returns the own puts deleted before this answer.
    pub(super) fn finish(&mut self, index: u64) -> Vec<String> {
        self.listed = index;
        let shown: Vec<_> = self.put.extract_if(|_, put| *put <= index).collect();
        let deleted = shown.into_iter().map(|(name, _)| name).filter(|name| !self.is_present(name)).collect();
        // Deletions only matter to older answers.
        if self.flags.len() > self.present {
            self.flags.retain(|_, last| last.present || last.index > index);
        }
        deleted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_in(known: &mut Known, flags: &[(&str, u64)], index: u64) -> [Vec<String>; 3] {
        let rows = Rows::for_test(flags, index);
        let difference = known.compare(&rows).unwrap();
        for name in &difference.deleted {
            known.forget(name);
        }
        let changed = difference.changed.iter().map(|row| rows.name(row).to_owned()).collect();
        for row in &difference.changed {
            known.set(rows.name(row), row.index);
        }
        [changed, difference.deleted, known.finish(index)]
    }

    fn starting_with(flags: &[(&str, u64)], index: u64) -> Known {
        let mut known = Known::default();
        known.reset(&Rows::for_test(flags, index));
        known
    }

    const NONE: [&str; 0] = [];

    #[test]
    fn each_difference_is_reported_once() {
        let mut known = starting_with(&[("A", 5), ("B", 6)], 6);
        assert_eq!(take_in(&mut known, &[("A", 7), ("C", 8)], 9), [vec!["A", "C"], vec!["B"], NONE.to_vec()]);
        assert_eq!(take_in(&mut known, &[("A", 7), ("C", 8)], 9), [NONE, NONE, NONE]);
        assert_eq!(known.len(), 2);
    }

    #[test]
    fn an_older_answer_does_not_change_newer_flags() {
        let mut known = starting_with(&[("A", 5), ("B", 6)], 6);
        known.set("A", 20);
        known.remove("B", 21);
        known.set("C", 22);
        assert_eq!(take_in(&mut known, &[("A", 10), ("B", 11)], 12), [NONE, NONE, NONE]);
        assert_eq!(take_in(&mut known, &[("A", 20), ("C", 22)], 22), [NONE, NONE, NONE]);
        assert_eq!(known.flags.len(), 2);
    }

    #[test]
    fn an_index_that_goes_back_is_noticed() {
        let known = starting_with(&[("A", 5)], 6);
        assert!(known.compare(&Rows::for_test(&[("A", 3)], 9)).is_err());
    }

    #[test]
    fn a_flag_put_and_deleted_between_two_answers_is_reported() {
        let mut known = starting_with(&[], 10);
        assert!(!known.put("F".to_owned(), 12));
        assert_eq!(take_in(&mut known, &[], 11), [NONE, NONE, NONE]);
        assert_eq!(take_in(&mut known, &[], 15), [NONE.to_vec(), NONE.to_vec(), vec!["F"]]);
        assert_eq!(take_in(&mut known, &[], 16), [NONE, NONE, NONE]);
        assert!(known.put("G".to_owned(), 14));
    }

    /// Its index is greater than the flag's in the new store.
    #[test]
    fn a_put_to_a_replaced_store_deletes_no_flag() {
        let mut known = starting_with(&[], 100);
        known.put("F".to_owned(), 150);
        known.reset(&Rows::for_test(&[("F", 12)], 14));
        known.put("F".to_owned(), 16);
        assert_eq!(take_in(&mut known, &[("F", 12), ("G", 200)], 200), [vec!["G"], NONE.to_vec(), NONE.to_vec()]);
        assert!(!known.put("F".to_owned(), 180));
    }

    #[test]
    fn a_flag_put_here_that_is_there_stays() {
        let mut known = starting_with(&[], 10);
        known.put("F".to_owned(), 12);
        assert_eq!(take_in(&mut known, &[("F", 12)], 12), [vec!["F"], NONE.to_vec(), NONE.to_vec()]);
        assert!(!known.put("F".to_owned(), 12));
    }
}
