use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flipper::FlagRecord;
use flipper::targeting::Schedule;

use crate::follow::{Event, Follow, State};
use crate::text::now;

const SECOND: Duration = Duration::from_secs(1);

/// The turns of schedules. Stores report writes alone: each process turns by its own clock.
#[derive(Default)]
pub(crate) struct Turns {
    /// Flags with a schedule, and the second up to which their turns were reported.
    scheduled: BTreeMap<String, (Arc<FlagRecord>, i64)>,
}

impl Turns {
    pub(crate) fn take(&mut self, follow: &Follow<'_>, event: &Event) {
        match event {
            Event::Started => follow.held().for_each(|(name, state)| self.set(name, Some(state))),
            Event::Change { name, after, .. } => self.set(name, after.as_ref()),
            _ => {}
        }
    }

    fn set(&mut self, name: &str, state: Option<&State>) {
        match state {
            // While it is disabled its schedule does nothing.
            Some(Ok(record)) if record.is_enabled() && record.schedule().is_some() => {
                self.scheduled.insert(name.to_owned(), (record.clone(), now()));
            }
            _ => {
                self.scheduled.remove(name);
            }
        }
    }

    /// Waits until flags turn. Cancel safe.
    pub(crate) async fn next(&mut self) -> Vec<(String, Arc<FlagRecord>)> {
        loop {
            if self.scheduled.is_empty() {
                pending::<()>().await;
            }
            // Turns are at whole seconds; a clock that is set is found out then, too.
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            tokio::time::sleep(SECOND - Duration::from_nanos(since.subsec_nanos().into())).await;
            let turned = self.turned(now());
            if !turned.is_empty() {
                return turned;
            }
        }
    }

    fn turned(&mut self, now: i64) -> Vec<(String, Arc<FlagRecord>)> {
        let mut turned = Vec::new();
        for (name, (record, before)) in &mut self.scheduled {
            let before = std::mem::replace(before, now);
            let has_turned = |schedule: &Schedule| match before <= now {
                true => schedule.next_turn(before).is_some_and(|at| at <= now),
                // The clock was set back, and turns flags back.
                false => schedule.next_turn(now).is_some_and(|at| at <= before),
            };
            if record.schedule().is_some_and(has_turned) {
                turned.push((name.clone(), record.clone()));
            }
        }
        turned
    }
}

#[cfg(test)]
mod tests {
    use flipper::targeting::Step;

    use super::*;

    fn turns(schedule: Schedule, enabled: bool) -> Turns {
        let mut record = FlagRecord::new("A", 1);
        record.set_enabled(enabled);
        record.set_schedule(Some(schedule));
        let mut turns = Turns::default();
        turns.set("A", Some(&Ok(Arc::new(record))));
        turns
    }

    #[test]
    fn each_turn_is_reported_once_and_back_with_the_clock() {
        let start = now();
        let steps = vec![Step { at: start + 20, share: 0.5 }];
        let schedule = Schedule { enable_at: Some(start + 10), steps, by: "id".to_owned(), disable_at: None };
        let mut on = turns(schedule.clone(), true);
        let at = [9, 10, 11, 20, 25, 15, 5, 30].map(|second| on.turned(start + second).len());
        assert_eq!(at, [0, 1, 0, 1, 0, 1, 1, 1]);
        assert!(turns(schedule, false).turned(start + 30).is_empty());
        on.set("A", None);
        assert!(on.scheduled.is_empty());
    }
}
