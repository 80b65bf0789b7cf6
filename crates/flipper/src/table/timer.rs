//! Reports the turns of schedules. Checks don't need it: each reads the clock. It is for who waits for changes.

use std::collections::BTreeSet;
use std::process;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, UNIX_EPOCH};

use super::{Change, FlagTable, State, TableEvent};
use crate::background;
use crate::clock::Clock;
use crate::record::Kept;
use crate::targeting::seconds;

/// A clock may be set: a later look finds it out.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Timer {
    /// Set by the first client: its clock decides its checks.
    of: OnceLock<(Weak<FlagTable>, Arc<dyn Clock>)>,
}

/// Names with a schedule, and whether a task watches them. Within the table's lock.
#[derive(Default)]
pub(super) struct Scheduled {
    names: BTreeSet<String>,
    /// The process of that task. A forked one inherits the table without it.
    watched_by: Option<u32>,
}

impl FlagTable {
    pub(crate) fn report_turns(self: &Arc<Self>, clock: &Arc<dyn Clock>) {
        let mut writer = self.writer.lock();
        if self.timer.of.set((Arc::downgrade(self), clock.clone())).is_ok() {
            let mut scheduled = std::mem::take(&mut writer.scheduled);
            for slot in self.index.slots() {
                let entry = slot.entry();
                let Some(entry) = entry.as_ref() else { continue };
                self.schedule(&mut scheduled, slot.name(), &entry.state);
            }
            writer.scheduled = scheduled;
        }
    }

    /// Begins or ends to watch a flag. Within the table's lock.
    pub(super) fn schedule(&self, scheduled: &mut Scheduled, name: &str, state: &State) {
        let has_schedule =
            matches!(state, State::Present { record: Kept::Whole(record), .. } if record.schedule().is_some());
        if !has_schedule {
            if !scheduled.names.is_empty() {
                scheduled.names.remove(name);
            }
            return;
        }
        scheduled.names.insert(name.to_owned());
        if scheduled.watched_by == Some(process::id()) {
            return;
        }
        if let Some((table, clock)) = self.timer.of.get()
            && let Ok(handle) = background::handle()
        {
            scheduled.watched_by = Some(process::id());
            handle.spawn(watch(table.clone(), clock.clone(), seconds(clock.recent())));
        }
    }

    /// Reports the flags whose answer may have turned between these times; returns the next time, or `None` at the end of the watch.
    fn report_turned(&self, before: i64, now: i64) -> Option<i64> {
        let mut writer = self.writer.lock();
        let mut next = i64::MAX;
        let mut turned = Vec::new();
        for name in &writer.scheduled.names {
            let Some(slot) = self.index.get(name) else { continue };
            let entry = slot.entry();
            let Some(State::Present { record: Kept::Whole(record), .. }) = entry.as_ref().map(|entry| &entry.state)
            else {
                continue;
            };
            let Some(schedule) = record.schedule() else { continue };
            // A clock that was set back turns them back.
            let (first, last) = (before.min(now), before.max(now));
            if schedule.turns().any(|at| first < at && at <= last) {
                turned.push((name.clone(), record.clone()));
            }
            next = next.min(schedule.next_turn(now).unwrap_or(i64::MAX));
        }
        for (name, record) in turned {
            tracing::debug!(flag = name, "flag has turned, as scheduled");
            self.revision.fetch_add(1, Ordering::Release);
            self.send(|| TableEvent::Change(Change::Set { name, record }));
        }
        if writer.scheduled.names.is_empty() {
            writer.scheduled.watched_by = None;
            return None;
        }
        Some(next)
    }
}

async fn watch(table: Weak<FlagTable>, clock: Arc<dyn Clock>, mut before: i64) {
    loop {
        // The clock of checks: none is answered before its turn is reported.
        let now = clock.recent();
        // The table may go while this sleeps.
        let next = {
            let Some(table) = table.upgrade() else { return };
            let Some(next) = table.report_turned(before, seconds(now)) else { return };
            next
        };
        before = seconds(now);
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let until = Duration::from_secs(u64::try_from(next).unwrap_or_default()).saturating_sub(since);
        // A clock that stands still would spin.
        tokio::time::sleep(until.clamp(Duration::from_millis(1), LONGEST_SLEEP)).await;
    }
}
