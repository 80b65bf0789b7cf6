//! Whether the server's flags are those of its store.

use std::time::{Duration, Instant};

#[derive(Debug, Default)]
pub(super) struct Doubt {
    lost: Option<String>,
    /// All earlier changes were reported; `None` if the store never confirms.
    confirmed: Option<Instant>,
    /// If the store confirms regularly.
    valid_for: Option<Duration>,
}

impl Doubt {
    /// All flags were read at `read_at`, if known, and hold for `valid_for`.
    pub(super) fn reset(&mut self, read_at: Option<Instant>, valid_for: Option<Duration>) {
        self.lost = None;
        // A store without times and confirmations is assumed to report each change at once.
        let confirms = std::mem::replace(&mut self.valid_for, valid_for).is_some();
        self.confirmed = read_at.or(self.confirmed.filter(|_| confirms));
    }

    /// Returns whether the reason is new.
    pub(super) fn lost(&mut self, reason: &str) -> bool {
        self.confirmed.get_or_insert_with(Instant::now);
        let is_new = self.lost.as_deref() != Some(reason);
        self.lost = Some(reason.to_owned());
        is_new
    }

    pub(super) fn confirmed(&mut self, at: Instant, valid_for: Duration) {
        // A late confirmation moves nothing back; none counts while the store is lost.
        if self.lost.is_none() {
            self.confirmed = self.confirmed.max(Some(at));
            self.valid_for = Some(valid_for);
        }
    }

    pub(super) fn begins(&self) -> Option<Instant> {
        self.confirmed?.checked_add(self.valid_for?)
    }

    pub(super) fn reason(&self, now: Instant) -> Option<String> {
        if self.lost.is_some() {
            return self.lost.clone();
        }
        let (begins, confirmed) = (self.begins()?, self.confirmed?);
        let silence = now.saturating_duration_since(confirmed).as_secs();
        (now >= begins).then(|| format!("store has not been heard of for {silence} s"))
    }

    /// Rounded up; 0 for a store that never confirms.
    pub(super) fn confirmed_ms_ago(&self, now: Instant) -> u64 {
        let age = self.confirmed.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        u64::try_from(age.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expired_confirmation_is_a_doubt_until_the_next() {
        let (mut doubt, now) = (Doubt::default(), Instant::now());
        doubt.reset(None, None);
        assert_eq!((doubt.reason(now), doubt.confirmed_ms_ago(now + Duration::from_secs(9))), (None, 0));
        doubt.reset(Some(now), None);
        assert_eq!(doubt.confirmed_ms_ago(now + Duration::from_secs(9)), 9000);
        doubt.confirmed(now, Duration::from_secs(5));
        assert_eq!(doubt.begins(), Some(now + Duration::from_secs(5)));
        let later = now + Duration::from_secs(6);
        assert!(doubt.reason(later).unwrap().contains("for 6 s"));
        assert_eq!(doubt.confirmed_ms_ago(later), 6000);
        doubt.confirmed(later, Duration::from_secs(5));
        doubt.confirmed(now, Duration::from_secs(5));
        assert_eq!((doubt.reason(later), doubt.confirmed_ms_ago(later)), (None, 0));
    }

    #[test]
    fn a_loss_counts_from_the_last_confirmation_and_only_a_reset_ends_it() {
        let (mut doubt, word) = (Doubt::default(), Instant::now());
        doubt.confirmed(word, Duration::from_secs(5));
        assert!(doubt.lost("closed") && !doubt.lost("closed") && doubt.lost("refused"));
        let later = word + Duration::from_secs(60);
        doubt.confirmed(later, Duration::from_secs(5));
        assert_eq!((doubt.reason(later).as_deref(), doubt.confirmed_ms_ago(later)), (Some("refused"), 60_000));
        doubt.reset(Some(later), None);
        assert_eq!(doubt.reason(later), None);
    }
}
