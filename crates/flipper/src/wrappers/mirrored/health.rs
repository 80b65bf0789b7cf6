use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::clock;
use crate::error::{Error, ErrorKind, Result};
use crate::identity::Identity;
use crate::state::{Health, Status, Updates};

const MOST_CONFIRMATIONS: usize = 8;
const BEING_READ: &str = "flags are being read again";
const NOT_YET: &str = "the store's flags have not arrived yet";
/// Between two confirmations, clocks of one machine drift less.
const JUMP: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug)]
pub(super) enum Moment {
    /// Of this process.
    Here { at: Instant, clock: SystemTime },
    /// Of another process.
    Elsewhere(SystemTime),
}

impl Moment {
    fn now() -> Self {
        Self::of(clock::instant())
    }

    fn of(at: Instant) -> Self {
        Self::Here { at, clock: clock::time_of_day().checked_sub(clock::age(at)).unwrap_or(SystemTime::UNIX_EPOCH) }
    }

    pub(super) fn to_system(self) -> SystemTime {
        match self {
            Self::Here { clock, .. } => clock,
            Self::Elsewhere(time) => time,
        }
    }
}

/// Each cause comes and goes on its own.
#[derive(Debug)]
pub(super) struct Following {
    /// The last confirmation before something went wrong.
    since: Option<Moment>,
    ended: Option<Arc<str>>,
    lost: Option<Arc<str>>,
    doubted: Option<Arc<str>>,
    unread: Option<Arc<str>>,
    silent: Option<Arc<str>>,
    confirmed: Option<Moment>,
    valid_for: Option<Duration>,
    /// They take effect once all that was reported before is read; the oldest first.
    confirmations: VecDeque<Confirmation>,
    pub(super) updates: Updates,
    pub(super) identity: Identity,
}

/// Every change up to `at` was reported.
#[derive(Clone, Copy, Debug)]
pub(super) struct Confirmation {
    pub(super) at: Instant,
    /// How long until the next one is due, if the store sends them.
    pub(super) valid_for: Option<Duration>,
    came: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Doubt,
    Current,
    None,
}

impl Following {
    /// `last_known`: when the flags of the snapshot file were the store's.
    pub(super) fn new(last_known: Option<SystemTime>, identity: Identity) -> Self {
        Self {
            since: Some(last_known.map_or_else(Moment::now, Moment::Elsewhere)),
            ended: None,
            lost: Some(NOT_YET.into()),
            doubted: None,
            unread: None,
            silent: None,
            confirmed: last_known.map(Moment::Elsewhere),
            valid_for: None,
            confirmations: VecDeque::new(),
            updates: Updates::Push,
            identity,
        }
    }

    /// The flags are current from the next confirmation on.
    pub(super) fn synced(&mut self) {
        (self.lost, self.doubted) = (None, None);
        self.confirmations.clear();
        if self.since.is_some() {
            self.silent = Some(BEING_READ.into());
        }
    }

    pub(super) fn heard(&mut self, at: Instant, valid_for: Option<Duration>) {
        if self.lost.is_none() {
            if self.confirmations.len() == MOST_CONFIRMATIONS {
                self.confirmations.pop_back();
            }
            self.confirmations.push_back(Confirmation { at, valid_for, came: clock::instant() });
        }
        // The last confirmation holds no longer than the store now announces.
        self.valid_for = self.valid_for.or(valid_for);
    }

    pub(super) fn has_confirmations(&self) -> bool {
        self.doubted.is_none() && !self.confirmations.is_empty()
    }

    /// Those that arrived before the flag that waits longest for a read was reported.
    pub(super) fn settle(&mut self, waiting_since: Option<Instant>) -> (Turn, Option<Confirmation>) {
        let mut last = None;
        if self.doubted.is_none() {
            let counts = |confirmation: &Confirmation| waiting_since.is_none_or(|since| confirmation.came < since);
            while let Some(confirmation) = self.confirmations.front().copied().filter(counts) {
                self.confirmations.pop_front();
                // A late confirmation does not go back.
                if !matches!(self.confirmed, Some(Moment::Here { at, .. }) if at > confirmation.at) {
                    // Until then, staleness counts from the start of this process.
                    if self.confirmed.is_none() {
                        self.since = self.since.map(|_| Moment::of(confirmation.at));
                    }
                    self.confirmed = Some(Moment::of(confirmation.at));
                }
                self.valid_for = confirmation.valid_for.or(self.valid_for);
                self.silent = None;
                last = Some(confirmation);
            }
            // It makes nothing current after its time, not even for a moment.
            if last.is_some() {
                self.silent = self.silence();
            }
        }
        (self.turn(), last)
    }

    pub(super) fn lost(&mut self, reason: &str) -> Turn {
        self.lost = Some(reason.into());
        // The next confirmation may come from a server with another interval.
        (self.valid_for, self.silent) = (None, None);
        self.confirmations.clear();
        self.turn()
    }

    /// Flags of this time are held now, while the store is lost.
    pub(super) fn adopted(&mut self, time: SystemTime) {
        (self.since, self.confirmed) = (Some(Moment::Elsewhere(time)), Some(Moment::Elsewhere(time)));
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.is_some()
    }

    pub(super) fn reported_loss(&self) -> Option<Arc<str>> {
        self.lost.clone().filter(|reason| **reason != *NOT_YET)
    }

    /// Flags are missing after a loss, and are kept for now. `None`: no longer.
    pub(super) fn doubted(&mut self, reason: Option<&str>) -> Turn {
        self.doubted = reason.map(Into::into);
        if self.doubted.is_some() {
            (self.lost, self.silent) = (None, None);
        } else if self.since.is_some() {
            // Flags in doubt may have to be read first.
            self.silent = Some(BEING_READ.into());
            self.confirmations.iter_mut().for_each(|confirmation| confirmation.came = clock::instant());
        }
        self.turn()
    }

    /// `None`: all flags could be read again.
    pub(super) fn unread(&mut self, reason: Option<Arc<str>>) -> Turn {
        self.unread = reason;
        self.turn()
    }

    pub(super) fn ended(&mut self, reason: &str) -> Turn {
        self.ended.get_or_insert_with(|| reason.into());
        self.turn()
    }

    /// While the last confirmation holds, returns when it expires.
    pub(super) fn look(&mut self) -> (Turn, Option<Instant>) {
        let (Some(Moment::Here { at, clock }), Some(valid_for)) = (self.confirmed, self.valid_for) else {
            return (self.turn(), None);
        };
        let by_clock = clock::time_of_day().duration_since(clock).unwrap_or_default();
        let age = clock::age(at);
        if let Some(silence) = self.silence() {
            self.silent = Some(silence);
        } else if by_clock > age + JUMP {
            // The machine slept, and its monotonic clock with it, or the clock was set: these look the same.
            self.confirmed = Some(Moment::of(at));
            let jump = (by_clock - age).as_secs_f64();
            self.silent = Some(
                format!("the clock went {jump:.0} s forward at once, and the store has not been heard of since").into(),
            );
        }
        (self.turn(), at.checked_add(valid_for))
    }

    fn silence(&self) -> Option<Arc<str>> {
        let age = clock::age(self.confirmation()?);
        (age >= self.valid_for?)
            .then(|| format!("the store has not been heard of for {:.0} s", age.as_secs_f64()).into())
    }

    /// `None` if the store sends none.
    pub(super) fn holds(&self) -> (Option<Instant>, Option<Duration>) {
        let at = self.confirmed.and_then(|moment| match moment {
            Moment::Here { at, .. } => Some(at),
            Moment::Elsewhere(time) => {
                clock::instant().checked_sub(clock::time_of_day().duration_since(time).unwrap_or_default())
            }
        });
        (at, self.valid_for)
    }

    fn reason(&self) -> Option<&Arc<str>> {
        [&self.ended, &self.lost, &self.doubted, &self.unread, &self.silent].into_iter().find_map(Option::as_ref)
    }

    fn turn(&mut self) -> Turn {
        match (self.reason().is_some(), self.since) {
            (true, None) => {
                self.since = Some(self.confirmed.unwrap_or_else(Moment::now));
                Turn::Doubt
            }
            (false, Some(_)) => {
                self.since = None;
                Turn::Current
            }
            _ => Turn::None,
        }
    }

    pub(super) fn last_sync(&self) -> Option<SystemTime> {
        let confirmed = self.confirmed?;
        Some(self.since.unwrap_or(confirmed).to_system())
    }

    fn confirmation(&self) -> Option<Instant> {
        match self.confirmed? {
            Moment::Here { at, .. } => Some(at),
            Moment::Elsewhere(_) => None,
        }
    }

    pub(super) fn stale(&self) -> Option<(SystemTime, Arc<str>)> {
        Some((self.since?.to_system(), self.reason()?.clone()))
    }

    pub(super) fn status(&self) -> Status {
        let health = match self.stale() {
            Some((since, reason)) => Health::Stale { since, reason },
            None => Health::Live,
        };
        Status::new(health, self.last_sync(), self.updates).with_identity(self.identity.clone())
    }
}

/// What `ready` waits for.
#[derive(Clone, Debug)]
pub(super) enum First {
    Waiting,
    Synced,
    /// The store is unreachable, and a snapshot file has flags.
    LastKnown,
    /// The configuration or credentials must change first.
    Failed(ErrorKind, Arc<str>),
}

impl First {
    pub(super) fn is_over(&self) -> bool {
        !matches!(self, Self::Waiting)
    }

    pub(super) fn has_flags(&self) -> bool {
        matches!(self, Self::Synced | Self::LastKnown)
    }

    pub(super) fn result(&self) -> Result<()> {
        match self {
            Self::Waiting | Self::Synced | Self::LastKnown => Ok(()),
            Self::Failed(kind, reason) => Err(Error::new(*kind).with_message(&**reason)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(following: &mut Following, at: Instant, valid_for: Option<Duration>) -> Turn {
        following.heard(at, valid_for);
        following.settle(None).0
    }

    fn synced(following: &mut Following) -> Turn {
        following.synced();
        hear(following, Instant::now(), None)
    }

    fn followed() -> Following {
        let mut following = Following::new(None, Identity::new("test"));
        synced(&mut following);
        following
    }

    #[test]
    fn staleness_counts_from_the_last_confirmation() {
        let mut following = followed();
        let confirmation = Instant::now() - Duration::from_secs(40);
        following.confirmed = Some(Moment::of(confirmation));
        assert_eq!(following.lost("gone"), Turn::Doubt);
        let age = following.stale().unwrap().0.elapsed().unwrap();
        assert!((39..42).contains(&age.as_secs()), "{age:?}");
        assert_eq!(following.last_sync(), Some(following.stale().unwrap().0));
        // While the store is lost, confirmations are ignored.
        hear(&mut following, Instant::now(), None);
        assert_eq!(following.lost("still gone"), Turn::None);
        assert!(following.stale().unwrap().0.elapsed().unwrap() >= age);
        assert_eq!(synced(&mut following), Turn::Current);
        assert_eq!(following.stale(), None);
    }

    #[test]
    fn a_confirmation_holds_for_as_long_as_the_store_said() {
        let mut following = followed();
        let confirmation = Instant::now() - Duration::from_secs(2);
        following.confirmed = None;
        hear(&mut following, confirmation, Some(Duration::from_secs(3)));
        assert_eq!(following.look(), (Turn::None, Some(confirmation + Duration::from_secs(3))));
        following.valid_for = Some(Duration::from_secs(1));
        assert_eq!(following.look().0, Turn::Doubt);
        assert!(following.stale().unwrap().1.contains("not been heard of for 2 s"));
        assert_eq!(hear(&mut following, Instant::now(), Some(Duration::from_secs(3))), Turn::Current);
    }

    #[test]
    fn a_list_holds_as_long_as_it_says() {
        let mut following = Following::new(None, Identity::new("test"));
        let confirmation = Instant::now() - Duration::from_secs(10);
        following.synced();
        // Of a server that is in doubt itself.
        assert_eq!(hear(&mut following, confirmation, Some(Duration::ZERO)), Turn::None);
        assert!(following.stale().unwrap().1.contains("not been heard of for 10 s"));
        assert_eq!(following.last_sync(), Some(following.stale().unwrap().0));
        let age = following.last_sync().unwrap().elapsed().unwrap();
        assert!((9..12).contains(&age.as_secs()), "it counts from the confirmation: {age:?}");
        assert_eq!(hear(&mut following, confirmation, Some(Duration::from_secs(9))), Turn::None, "it came too late");
        assert_eq!(hear(&mut following, Instant::now(), Some(Duration::from_secs(9))), Turn::Current);
    }

    #[test]
    fn a_clock_that_jumps_is_a_doubt_until_the_next_confirmation() {
        let mut following = followed();
        hear(&mut following, Instant::now(), Some(Duration::from_secs(60)));
        following.confirmed =
            Some(Moment::Here { at: Instant::now(), clock: SystemTime::now() - Duration::from_secs(3600) });
        assert_eq!(following.look().0, Turn::Doubt);
        let (since, reason) = following.stale().unwrap();
        assert!(reason.contains("the clock went 3600 s forward"), "{reason}");
        assert!(since.elapsed().unwrap() < Duration::from_secs(10), "it does not count the jump");
        assert_eq!(hear(&mut following, Instant::now(), None), Turn::Current);
    }

    #[test]
    fn a_confirmation_counts_when_all_is_read_that_was_reported_before_it() {
        let (mut following, before) = (followed(), Instant::now());
        let at = before + Duration::from_nanos(1);
        following.lost("gone");
        following.synced();
        following.heard(at, None);
        assert_eq!(following.settle(Some(before)).0, Turn::None);
        assert!(following.stale().unwrap().1.contains("being read"));
        assert_eq!(following.settle(Some(Instant::now() + Duration::from_secs(1))).0, Turn::Current);
        assert_eq!(following.confirmation(), Some(at));
    }
}
