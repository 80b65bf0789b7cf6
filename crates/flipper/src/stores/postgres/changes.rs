//! What the feed lists, as a follower reads it.

use std::collections::HashSet;

use tokio_postgres::Row;

use super::errors::Failure;
use super::loading::name_of;

/// So many at most are asked for at once in brief, where a flag comes with each of its changes.
pub(super) const BRIEF: i64 = 16;

pub(super) struct Changes<'a> {
    /// Each once, with its row now.
    pub(super) flags: Vec<(&'a str, &'a Row)>,
    count: i64,
    /// The number and the time of the last; 0 without one.
    pub(super) last: (i64, Option<String>),
    /// The time of the last that was known before, empty if there was none; `None` if it is gone, and perhaps others that were never read.
    pub(super) known: Option<String>,
}

impl<'a> Changes<'a> {
    pub(super) fn of(rows: &'a [Row], after: i64) -> Result<Self, Failure> {
        let mut changes = Self { flags: Vec::new(), count: 0, last: (0, None), known: None };
        let mut seen = HashSet::new();
        for row in rows {
            let (Some(name), Some(number)) = (name_of(row)?, number_of(row)?) else { continue };
            let at = || -> Result<_, Failure> {
                let times: Option<Vec<String>> = row.try_get(2).map_err(Failure::Asking)?;
                Ok(times.unwrap_or_default().pop())
            };
            if number == after {
                changes.known = at()?;
                continue;
            }
            changes.count += 1;
            if number > changes.last.0 {
                changes.last = (number, at()?);
            }
            if items_of(row)?.is_some() && seen.insert(name) {
                changes.flags.push((name, row));
            }
        }
        if after == 0 && rows.is_empty() {
            changes.known = Some(String::new());
        }
        Ok(changes)
    }

    /// Whether they are the next few after `after`, fewer than were asked for, and none is missing between: one that was rolled back leaves its number out.
    pub(super) fn are_all_since(&self, after: i64) -> bool {
        self.known.is_some() && (1..BRIEF).contains(&self.count) && self.last.0 == after + self.count
    }
}

/// Of a change in the feed.
pub(super) fn number_of(row: &Row) -> Result<Option<i64>, Failure> {
    row.try_get(3).map_err(Failure::Asking)
}

/// The flag's item, or none; `None` if it comes with another change.
pub(super) fn items_of(row: &Row) -> Result<Option<Vec<Option<&[u8]>>>, Failure> {
    row.try_get(1).map_err(Failure::Asking)
}
