//! Since when flags have been on or off for all callers.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use flipper::__words::{now, settled_since};
use flipper::history::{Entry, FlagState, HistoryQuery};
use flipper::store::Stored;
use flipper::{ErrorKind, FlagRecord};
use futures_util::TryStreamExt;

use crate::failure::Done;
use crate::store::Store;

const PAGE: usize = 1000;

pub(crate) struct Since {
    /// In seconds since 1970.
    pub(crate) at: i64,
    /// `history`, or `creation` where the history does not go back so far.
    pub(crate) known_from: &'static str,
}

/// What a store's history has of each flag.
#[derive(Default)]
pub(crate) struct Pasts(HashMap<String, Past>);

impl Pasts {
    /// Empty where the store keeps no history. To be read before the flags are.
    pub(crate) async fn read(store: &Store) -> Done<Self> {
        let mut pasts = Self::default();
        let mut entries = store.client().entries(HistoryQuery::all().limit(PAGE));
        loop {
            match entries.try_next().await {
                Ok(Some(entry)) => match pasts.0.get_mut(&entry.name) {
                    Some(past) => past.read(&entry),
                    None => {
                        let past = Past::begin(&entry);
                        pasts.0.insert(entry.name, past);
                    }
                },
                Ok(None) => return Ok(pasts),
                Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(Self::default()),
                Err(error) => return Err(store.failure(&error)),
            }
        }
    }

    /// `None` if the flag is not on or off for all callers, or has no creation date either.
    pub(crate) fn since(&self, flag: &Stored) -> Option<Since> {
        let record = flag.record.as_ref().ok()?;
        settled_since(record, i64::MIN, now())?;
        let known = self.0.get(&flag.name).and_then(|past| past.since(record));
        let known = known.map(|at| Since { at, known_from: "history" });
        known.or_else(|| {
            let at = settled_since(record, record.created_date()?, now())?;
            Some(Since { at, known_from: "creation" })
        })
    }
}

/// The changes of one flag, from the newest to the oldest.
struct Past {
    /// What the newest one left, and when.
    newest: FlagState,
    newest_at: i64,
    /// As far as it was read: since when the flag has been on or off for all callers without a break.
    since: Option<i64>,
    /// Whether it may have been so before.
    is_open: bool,
    /// The change that was read last.
    before: FlagState,
    at: i64,
}

impl Past {
    fn begin(newest: &Entry) -> Self {
        let mut past = Self {
            newest: newest.after.clone(),
            newest_at: seconds(newest.at),
            since: None,
            is_open: true,
            before: None,
            at: now(),
        };
        past.read(newest);
        past
    }

    fn read(&mut self, entry: &Entry) {
        let (at, until) = (seconds(entry.at), self.at);
        self.at = at;
        if !self.is_open {
            return;
        }
        match self.settled(&entry.after, at, until) {
            Some(since) => {
                self.since = Some(since);
                // Before a ramp was over it was not.
                self.is_open = since <= at;
                self.before.clone_from(&entry.before);
            }
            None => self.is_open = false,
        }
    }

    /// From when on this state is the same for all callers, if in the same way as the newest.
    fn settled(&self, state: &FlagState, written: i64, until: i64) -> Option<i64> {
        let (Some(Ok(record)), Some(Ok(newest))) = (state, &self.newest) else { return None };
        settled_since(record, written, until).filter(|_| record.is_on_at(until) == newest.is_on_at(now()))
    }

    fn since(&self, current: &FlagRecord) -> Option<i64> {
        match &self.newest {
            Some(Ok(newest)) if **newest == *current => {
                let is_older = self.is_open && self.settled(&self.before, i64::MIN, self.at).is_some();
                self.since.filter(|_| !is_older)
            }
            // Changed outside of the history, at some time after this.
            _ => settled_since(current, self.newest_at, now()),
        }
    }
}

/// Since 1970.
fn seconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_secs()).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use flipper::history::EntryId;
    use flipper::store::Version;
    use flipper::{Bucketer, Condition};

    use super::*;

    fn state(change: impl FnOnce(&mut FlagRecord)) -> FlagState {
        let mut record = FlagRecord::new("F", 1);
        change(&mut record);
        Some(Ok(Arc::new(record)))
    }

    fn off() -> FlagState {
        state(|_| ())
    }

    fn on() -> FlagState {
        state(|record| record.set_enabled(true))
    }

    fn for_some() -> FlagState {
        state(|record| {
            record.set_enabled(true);
            record.set_conditions(vec![Condition::new().eq("plan", "pro")]);
        })
    }

    fn with_owner() -> FlagState {
        state(|record| {
            record.set_enabled(true);
            record.set_client_data([("owner", "shop")].into_iter().collect());
        })
    }

    /// A ramp from this time on, for 100 seconds.
    fn ramp(start: i64) -> FlagState {
        state(|record| {
            let share =
                r#""type": "LinearRampPercentage", "initial_value": 0.0, "final_value": 1.0, "ramp_duration": 100"#;
            let text =
                format!(r#"{{"type": "PercentageBucketer", "percentage": {{{share}, "initial_time": {start}}}}}"#);
            record.set_enabled(true);
            record.set_bucketer(Bucketer::from_json(&text.parse().unwrap()).unwrap());
        })
    }

    /// The changes, from the oldest on, each with its time.
    fn since(first: FlagState, changes: &[(i64, FlagState)], current: FlagState) -> Option<(i64, &'static str)> {
        let mut before = first;
        let mut entries = Vec::new();
        for (at, after) in changes {
            let time = UNIX_EPOCH + Duration::from_secs(u64::try_from(*at).unwrap());
            entries.push(Entry::new(EntryId::new(at.to_string()), "F", time, before, after.clone()));
            before = after.clone();
        }
        let mut pasts = Pasts::default();
        for entry in entries.iter().rev() {
            match pasts.0.get_mut("F") {
                Some(past) => past.read(entry),
                None => drop(pasts.0.insert("F".to_owned(), Past::begin(entry))),
            }
        }
        let flag = Stored { name: "F".into(), version: Version::ordered(1), record: current.unwrap() };
        pasts.since(&flag).map(|since| (since.at, since.known_from))
    }

    #[test]
    fn the_history_says_when() {
        let changes = [(10, off()), (20, on()), (30, for_some()), (40, on()), (50, with_owner())];
        assert_eq!(since(None, &changes, with_owner()), Some((40, "history")));
        assert_eq!(since(None, &changes[..4], on()), Some((40, "history")));
        assert_eq!(since(None, &changes[..3], for_some()), None);
        assert_eq!(since(None, &changes[..1], off()), Some((10, "history")));
        assert_eq!(since(off(), &changes[1..2], on()), Some((20, "history")));
    }

    #[test]
    fn a_history_that_does_not_go_back_so_far() {
        assert_eq!(since(None, &[], on()), Some((1, "creation")));
        assert_eq!(since(on(), &[(50, with_owner())], with_owner()), Some((1, "creation")));
    }

    #[test]
    fn a_flag_that_was_destroyed_is_another() {
        assert_eq!(since(None, &[(10, on()), (20, None), (30, on())], on()), Some((30, "history")));
    }

    #[test]
    fn a_ramp_is_over_at_its_end() {
        assert_eq!(since(None, &[(10, ramp(10))], ramp(10)), Some((110, "history")));
        assert_eq!(since(None, &[(10, ramp(10)), (200, on())], on()), Some((110, "history")));
        assert_eq!(since(None, &[(10, ramp(10)), (50, on())], on()), Some((50, "history")));
        assert_eq!(since(None, &[], ramp(10)), Some((110, "creation")));
    }

    #[test]
    fn what_was_changed_outside_is_no_older_than_the_last_entry() {
        assert_eq!(since(None, &[(10, on()), (20, off())], on()), Some((20, "history")));
    }

    #[test]
    fn clocks_that_go_back() {
        assert_eq!(since(None, &[(10, off()), (50, on()), (20, with_owner())], with_owner()), Some((50, "history")));
    }
}
