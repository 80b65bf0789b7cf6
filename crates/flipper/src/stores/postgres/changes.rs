//! What the feed lists, as a follower reads it.

use tokio_postgres::Row;

use super::errors::Failure;
use super::loading::name_of;

pub(super) struct Changes<'a> {
    /// Each once, with its row now.
    pub(super) flags: Vec<(&'a str, &'a Row)>,
    /// The number and the time of the last; 0 without one.
    pub(super) last: (i64, Option<String>),
    /// The time of the last that was known before, empty if there was none; `None` if it is gone, and perhaps others that were never read.
    pub(super) known: Option<String>,
}

impl<'a> Changes<'a> {
    pub(super) fn of(rows: &'a [Row], after: i64) -> Result<Self, Failure> {
        let mut changes = Self { flags: Vec::new(), last: (0, None), known: None };
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
            if number > changes.last.0 {
                changes.last = (number, at()?);
            }
            if items_of(row)?.is_some() {
                changes.flags.push((name, row));
            }
        }
        if after == 0 && rows.is_empty() {
            changes.known = Some(String::new());
        }
        Ok(changes)
    }
}

/// Of a change in the feed.
pub(super) fn number_of(row: &Row) -> Result<Option<i64>, Failure> {
    row.try_get(3).map_err(Failure::Asking)
}

/// The flag's item, or none; `None` unless it is the flag's last change.
pub(super) fn items_of(row: &Row) -> Result<Option<Vec<Option<&[u8]>>>, Failure> {
    row.try_get(1).map_err(Failure::Asking)
}
