use super::answers::{AnswerTime, Times};
use super::{Change, Delta, Known};
use crate::error::Error;
use crate::identity::Identity;
use crate::state::{Stored, WatchEvent};

/// The other side of [`State`](super::State): makes a watch from a server's answers.
#[derive(Debug)]
pub struct Follower {
    /// For errors.
    store: String,
    identity: Identity,
    lost: Option<String>,
    server: Option<String>,
    has_flags: bool,
    /// At most so many flags are known: those of the last list, and those that changed since.
    held: usize,
    /// The next list is the first one of another server.
    is_other: bool,
    times: Times,
}

impl Follower {
    /// `identity`: of the server's address.
    #[must_use]
    pub fn new(store: String, identity: Identity) -> Self {
        Self {
            store,
            identity,
            lost: None,
            server: None,
            has_flags: false,
            held: 0,
            is_other: false,
            times: Times::default(),
        }
    }

    /// Another start of the server, or of its store; to be emitted before all else.
    pub fn serving(&mut self, delta: &Delta) -> Option<WatchEvent> {
        let server = delta.server.as_ref()?;
        let epoch = match &delta.store {
            Some(store) => format!("{server}: {store}"),
            None => server.clone(),
        };
        if self.server.as_ref() == Some(&epoch) {
            return None;
        }
        let identity = self.identity.clone().with_epoch(&epoch);
        self.is_other = self.server.replace(epoch).is_some();
        Some(WatchEvent::Serving(identity))
    }

    /// Whether all flags have to be read, from the same server, before [`take`](Self::take). In doubt only the first time, since a reset
    /// after a loss ends the doubt.
    #[must_use]
    pub fn needs_flags(&self, delta: &Delta) -> bool {
        let is_confirmed = delta.lost.is_none();
        let doubt_is_over = delta.server.is_some() && self.lost.is_some() && is_confirmed;
        (delta.reset || doubt_is_over) && (is_confirmed || !self.has_flags)
    }

    /// `flags`: if they were needed.
    #[must_use]
    pub fn take(&mut self, delta: Delta, flags: Option<Vec<Stored>>, time: &AnswerTime) -> Vec<WatchEvent> {
        let mut events = Vec::new();
        let lost = |reason| Error::unavailable(format!("server lost its store: {reason}"));
        match (flags, &delta.lost) {
            (Some(flags), is_lost) => self.reset(flags, is_lost.is_none(), time, &mut events),
            // The changes may be those of a store that has lost its flags: none is live, not even for a moment.
            (None, Some(reason)) => events.extend(self.lose(lost(reason))),
            (None, None) => {}
        }
        events.extend(self.changes(delta.changes, time));
        match &delta.lost {
            Some(reason) => events.extend(self.lose(lost(reason))),
            None if self.lost.is_none() => {
                events.push(WatchEvent::Confirmed { at: time.confirmed, valid_for: time.valid_for() });
            }
            None => {}
        }
        events
    }

    fn reset(&mut self, flags: Vec<Stored>, is_confirmed: bool, time: &AnswerTime, events: &mut Vec<WatchEvent>) {
        self.times.listed();
        let lacks_most = flags.len() * 2 < self.held;
        self.held = flags.len();
        // It may be the first one to see an emptied store, and the end of the last one need not have been a failure.
        if std::mem::take(&mut self.is_other) && is_confirmed && self.lost.is_none() && lacks_most {
            events.extend(self.lose(Error::unavailable("another server answers, without most of the flags")));
        }
        if self.lost.is_some() && is_confirmed {
            self.lost = None;
            events.push(WatchEvent::Restored);
        }
        self.has_flags = true;
        // Flags in doubt are not current.
        let valid_for = Some(if is_confirmed { time.valid_for() } else { std::time::Duration::ZERO });
        events.push(WatchEvent::Reset { flags, read_at: Some(time.confirmed), valid_for });
        if !is_confirmed {
            // `lose` emits it again after the flags.
            self.lost = None;
        }
    }

    fn changes(&mut self, changes: Vec<Change>, time: &AnswerTime) -> Vec<WatchEvent> {
        self.held += changes.iter().filter(|change| matches!(change.known, Known::Flag(_))).count();
        self.times.events(changes, time)
    }

    /// A doubt begins, or has another reason.
    pub fn lose(&mut self, error: Error) -> Option<WatchEvent> {
        let error = error.with_store(&self.store);
        let reason = error.to_string();
        if self.lost.as_ref() == Some(&reason) {
            return None;
        }
        self.lost = Some(reason);
        Some(WatchEvent::Lost(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::record::FlagRecord;
    use crate::state::Version;

    fn flag(number: usize) -> Stored {
        let name = format!("FLAG_{number}");
        Stored::from_json(name.clone(), Version::ordered(1), FlagRecord::new(name, 1).to_json().as_bytes())
    }

    /// The kinds of events of the first answer of a server with so many flags.
    fn first_answer(follower: &mut Follower, server: &str, count: usize) -> String {
        let delta = Delta { server: Some(server.to_owned()), reset: true, ..Delta::default() };
        let mut events: Vec<_> = follower.serving(&delta).into_iter().collect();
        assert!(follower.needs_flags(&delta));
        let time = AnswerTime::new(&delta, clock::instant());
        events.extend(follower.take(delta, Some((0..count).map(flag).collect()), &time));
        kinds(&events)
    }

    fn kinds(events: &[WatchEvent]) -> String {
        let kinds = events.iter().map(|event| match event {
            WatchEvent::Serving(_) => "serving",
            WatchEvent::Lost(_) => "lost",
            WatchEvent::Restored => "restored",
            WatchEvent::Reset { .. } => "reset",
            WatchEvent::Changed { .. } => "changed",
            WatchEvent::Confirmed { .. } => "confirmed",
            _ => "other",
        });
        kinds.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn changes_that_come_with_a_loss_come_after_it() {
        let mut follower = Follower::new("store".to_owned(), Identity::new("http://h"));
        assert_eq!(first_answer(&mut follower, "a", 10), "serving reset confirmed");
        let change = Change { name: "FLAG_1".to_owned(), known: Known::Flag(flag(1)), read_us_ago: None };
        let delta = Delta { lost: Some("gone".to_owned()), changes: vec![change], ..Delta::default() };
        let time = AnswerTime::new(&delta, clock::instant());
        assert_eq!(kinds(&follower.take(delta, None, &time)), "lost changed");
    }

    #[test]
    fn another_server_without_most_of_the_flags_is_a_loss() {
        let mut follower = Follower::new("store".to_owned(), Identity::new("http://h"));
        assert_eq!(first_answer(&mut follower, "a", 10), "serving reset confirmed");
        assert_eq!(first_answer(&mut follower, "a", 0), "reset confirmed", "the same server knows");
        assert_eq!(first_answer(&mut follower, "a", 10), "reset confirmed");
        assert_eq!(first_answer(&mut follower, "b", 5), "serving reset confirmed");
        assert_eq!(first_answer(&mut follower, "c", 2), "serving lost restored reset confirmed");
    }
}
