//! Whether the flags that the server serves are those of its store, and by which word of the store.

use std::time::{Duration, Instant};

/// What is known of the store.
#[derive(Debug, Default)]
pub(crate) struct Doubt {
    lost: Option<String>,
    /// All changes up to then have been reported; none for a store that gives no such word.
    confirmed: Option<Instant>,
    /// For how long that word holds, where the store gives one again and again.
    valid_for: Option<Duration>,
}

impl Doubt {
    /// All flags have been read, by a request that was sent then if that is known, and hold for so long.
    pub(crate) fn reset(&mut self, read_at: Option<Instant>, valid_for: Option<Duration>) {
        self.lost = None;
        // A store that gives neither a time nor words is taken to report each change at once.
        let gives_words = std::mem::replace(&mut self.valid_for, valid_for).is_some();
        self.confirmed = read_at.or(self.confirmed.filter(|_| gives_words));
    }

    /// Says whether the reason is a new one.
    pub(crate) fn lost(&mut self, reason: &str) -> bool {
        self.confirmed.get_or_insert_with(Instant::now);
        let is_new = self.lost.as_deref() != Some(reason);
        self.lost = Some(reason.to_owned());
        is_new
    }

    pub(crate) fn confirmed(&mut self, at: Instant, valid_for: Duration) {
        // A word that was late is no step back, and none counts while the store is lost.
        if self.lost.is_none() {
            self.confirmed = self.confirmed.max(Some(at));
            self.valid_for = Some(valid_for);
        }
    }

    /// When the store's last word will not hold any more.
    pub(crate) fn begins(&self) -> Option<Instant> {
        self.confirmed?.checked_add(self.valid_for?)
    }

    /// Why the flags are doubted, if they are.
    pub(crate) fn reason(&self, now: Instant) -> Option<String> {
        if self.lost.is_some() {
            return self.lost.clone();
        }
        let (begins, confirmed) = (self.begins()?, self.confirmed?);
        let silence = now.saturating_duration_since(confirmed).as_secs();
        (now >= begins).then(|| format!("store has not been heard of for {silence} s"))
    }

    /// How old the last word is, rounded up; 0 for a store that is followed and gives none.
    pub(crate) fn confirmed_ms_ago(&self, now: Instant) -> i64 {
        let age = self.confirmed.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        i64::try_from(age.as_micros().div_ceil(1000)).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_grows_old_is_a_doubt_until_the_next() {
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
    fn a_loss_counts_from_the_last_word_and_no_word_ends_it() {
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
