use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::stream::{self, Stream, StreamExt};

use super::super::health::{Confirmation, First, Turn};
use super::Shared;
use crate::clock;
use crate::error::{Error, ErrorKind};
use crate::identity::Identity;
use crate::state::{Updates, WatchEvent};
use crate::table::{About, TableEvent};

impl Shared {
    /// From memory: a read shows every emitted change.
    pub(in crate::wrappers::mirrored) fn watch(self: Arc<Self>) -> impl Stream<Item = WatchEvent> + Send {
        let (_, receiver) = self.table.snapshot_and_changes();
        // First: a list from before the first flags would be empty.
        let has_flags = self.first.borrow().has_flags();
        let first = has_flags.then(|| {
            // First: the list has everything confirmed until then.
            let (read_at, valid_for) = self.following.lock().holds();
            WatchEvent::Reset { flags: self.table.list(), read_at, valid_for }
        });
        let shared = self.clone();
        // A watcher that comes after the loss was emitted gets it too.
        let lost = if has_flags { None } else { self.following.lock().reported_loss() };
        let first = first.or_else(|| Some(About::Lost(ErrorKind::Unavailable, lost?).into()));
        let mut begun = false;
        let events = self.table.events(receiver, move || shared.following.lock().holds());
        stream::iter(first).chain(events).flat_map(move |event| {
            let is_reset = matches!(event, WatchEvent::Reset { .. });
            let begins = is_reset && !begun;
            begun |= is_reset;
            // The first reset will contain the rest.
            let event = (begun || matches!(event, WatchEvent::Lost(_))).then_some(event);
            let following = self.following.lock();
            let updates = begins.then_some(WatchEvent::Following(following.updates));
            // A receiver that lagged may have missed the loss.
            let stale = is_reset.then(|| following.stale()).flatten();
            let lost = stale.map(|(_, reason)| About::Lost(ErrorKind::Unavailable, reason).into());
            stream::iter(event.into_iter().chain(updates).chain(lost))
        })
    }

    pub(super) fn note(&self, turn: Turn) {
        if turn == Turn::None {
            return;
        }
        let stale = self.announce();
        let flags = self.order.lock().held();
        if let Some((since, reason)) = stale {
            let last_confirmed_seconds_ago =
                clock::time_of_day().duration_since(since).unwrap_or_default().as_secs_f64();
            tracing::warn!(store = self.store, %reason, last_confirmed_seconds_ago, flags, "flags are stale");
        } else {
            tracing::info!(store = self.store, flags, "flags are current");
        }
    }

    /// Emits, and returns, since when and why the flags are stale. Threads may come here in another order than they changed it, so each says how it
    /// is now: the last one is right.
    pub(super) fn announce(&self) -> Option<(SystemTime, Arc<str>)> {
        let _alone = self.announcing.lock();
        let stale = self.following.lock().stale();
        if let Some((_, reason)) = &stale {
            self.table.emit(TableEvent::Store(About::Lost(ErrorKind::Unavailable, reason.clone())));
        } else {
            self.table.emit(TableEvent::Store(About::Restored));
            self.table.emit(TableEvent::Reset);
        }
        stale
    }

    pub(in crate::wrappers::mirrored) fn ended(&self, reason: &str) {
        let turn = self.following.lock().ended(reason);
        // A regular end is no reason for a warning.
        if turn == Turn::Doubt {
            self.table.emit(TableEvent::Store(About::Lost(ErrorKind::Unavailable, reason.into())));
        }
    }

    pub(in crate::wrappers::mirrored) fn lost(&self, error: &Error) {
        let reason = error.chain();
        let (turn, is_first) = {
            let mut following = self.following.lock();
            (following.lost(&reason), following.last_sync().is_none())
        };
        match turn {
            Turn::None if is_first => {
                tracing::warn!(store = self.store, reason, "the store cannot be followed yet, and there are no flags");
            }
            Turn::None => tracing::info!(store = self.store, reason, "the store still cannot be followed"),
            turn => self.note(turn),
        }
        if turn == Turn::None {
            self.table.emit(TableEvent::Store(About::Lost(error.kind(), reason.as_str().into())));
        }
        self.first.send_if_modified(|first| match first {
            First::Waiting | First::Failed(..) if self.saved.get().is_some() => {
                *first = First::LastKnown;
                true
            }
            First::Waiting if !error.is_transient() => {
                *first = First::Failed(error.kind(), reason.as_str().into());
                true
            }
            _ => false,
        });
    }

    pub(in crate::wrappers::mirrored) fn confirmed(&self, at: Instant, valid_for: Duration) {
        self.following.lock().heard(at, Some(valid_for));
        self.take_confirmations();
    }

    /// Those before which everything reported has been read.
    pub(super) fn take_confirmations(&self) {
        if !self.following.lock().has_confirmations() {
            return;
        }
        let (turn, confirmation) = {
            let order = self.order.lock();
            self.following.lock().settle(order.waiting_since())
        };
        self.note(turn);
        if let Some(Confirmation { at, valid_for: Some(valid_for), .. }) = confirmation {
            self.table.emit(TableEvent::Store(About::Confirmed { at, valid_for }));
        }
    }

    pub(in crate::wrappers::mirrored) fn serving(&self, identity: Identity) {
        let before = std::mem::replace(&mut self.following.lock().identity, identity.clone());
        if before.epoch().is_some() && before != identity {
            tracing::info!(store = self.store, %before, now = %identity, "another server answers, or the same one started again");
        }
        self.table.emit(TableEvent::Store(About::Serving(identity)));
    }

    pub(in crate::wrappers::mirrored) fn updates(&self, updates: Updates) {
        self.following.lock().updates = updates;
        self.table.emit(TableEvent::Store(About::Following(updates)));
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;

    /// A log that takes so long that meanwhile another thread hears of the store.
    #[derive(Clone)]
    struct SlowLog(Arc<Shared>, Arc<AtomicBool>);

    impl io::Write for SlowLog {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            if String::from_utf8_lossy(line).contains("flags are stale") && !self.1.swap(true, Ordering::SeqCst) {
                let shared = self.0.clone();
                thread::spawn(move || shared.confirmed(clock::instant(), Duration::from_secs(3600))).join().unwrap();
            }
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_announced_last_is_how_it_is() {
        let shared = Arc::new(Shared::new("a".into(), Identity::new("a"), None, Duration::ZERO));
        shared.reset(Vec::new(), Some(clock::instant()), Some(Duration::from_millis(20)));
        let (_, mut announced) = shared.table.snapshot_and_changes();
        let log = SlowLog(shared.clone(), Arc::default());
        let was_heard = log.1.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || log.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            while !was_heard.load(Ordering::SeqCst) {
                // A test in another thread may have met the line first, without a subscriber.
                tracing::callsite::rebuild_interest_cache();
                shared.confirmed(clock::instant(), Duration::from_millis(1));
                thread::sleep(Duration::from_millis(2));
                shared.look();
            }
        });
        assert!(shared.present_status().is_live());
        let mut last = None;
        while let Ok(event) = announced.try_recv() {
            if let TableEvent::Store(about @ (About::Lost(..) | About::Restored)) = event {
                last = Some(about);
            }
        }
        assert!(matches!(last, Some(About::Restored)), "{last:?}");
    }
}
