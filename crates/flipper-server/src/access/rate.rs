use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::proxy::bits;
use super::secret::Digest;

/// Callers that are remembered before the ones that wait for nothing are dropped.
const REMEMBERED: usize = 10_000;
/// Then all are dropped: memory stays bounded whatever addresses come.
const MOST: usize = 200_000;

/// At most so many requests a second, for each caller; a burst may use up a second's requests at once.
#[derive(Debug)]
pub(super) struct RateLimit {
    per_second: f64,
    buckets: Mutex<Buckets>,
}

#[derive(Debug)]
struct Buckets {
    by_caller: HashMap<Caller, Bucket>,
    sweep_at: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Caller {
    Token(Digest),
    User(String),
    Address(u128),
}

impl Caller {
    /// A network of IPv6 has 2^64 addresses for one machine, and counts as one.
    pub(super) fn address(address: Option<IpAddr>) -> Self {
        let address = address.map_or(0, |address| match address.to_canonical() {
            IpAddr::V6(address) => address.to_bits() >> 64 << 64,
            address => bits(address),
        });
        Self::Address(address)
    }
}

#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl RateLimit {
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        let buckets = Mutex::new(Buckets { by_caller: HashMap::new(), sweep_at: REMEMBERED });
        Self { per_second: f64::from(per_second.get()), buckets }
    }

    /// Counts a request, or says how long to wait for the next.
    pub(super) fn take(&self, caller: Caller, now: Instant) -> Result<(), Duration> {
        let most = self.per_second;
        // No code that can panic leaves it half changed.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.by_caller.len() >= buckets.sweep_at {
            buckets.by_caller.retain(|_, bucket| bucket.at(now, most) < most);
            if buckets.by_caller.len() > MOST {
                buckets.by_caller.clear();
            }
            buckets.sweep_at = REMEMBERED.max(2 * buckets.by_caller.len());
        }
        let bucket = buckets.by_caller.entry(caller).or_insert(Bucket { left: most, at: now });
        bucket.left = bucket.at(now, most);
        bucket.at = now;
        if bucket.left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - bucket.left) / most));
        }
        bucket.left -= 1.0;
        Ok(())
    }
}

impl Bucket {
    fn at(&self, now: Instant, per_second: f64) -> f64 {
        (self.left + now.saturating_duration_since(self.at).as_secs_f64() * per_second).min(per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(per_second: u32) -> RateLimit {
        RateLimit::new(NonZeroU32::new(per_second).unwrap())
    }

    #[test]
    fn a_burst_and_then_so_many_a_second() {
        let (limit, start) = (limit(10), Instant::now());
        let take = |milliseconds| limit.take(Caller::Address(1), start + Duration::from_millis(milliseconds));
        assert!((0..10).all(|_| take(0).is_ok()));
        let wait = take(0).unwrap_err();
        assert!(wait > Duration::from_millis(99) && wait < Duration::from_millis(101), "{wait:?}");
        assert!(take(50).is_err());
        assert!(take(101).is_ok() && take(101).is_err());
        assert!((0..10).all(|_| take(5000).is_ok()) && take(5000).is_err());
        assert!(limit.take(Caller::Address(2), start).is_ok(), "another caller");
    }

    #[test]
    fn memory_is_bounded() {
        let (limit, start) = (limit(1), Instant::now());
        for address in 0..300_000 {
            limit.take(Caller::Address(address), start).unwrap();
        }
        assert!(limit.buckets.lock().unwrap().by_caller.len() <= 2 * MOST);
        let later = start + Duration::from_secs(2);
        for address in 0..300_000 {
            limit.take(Caller::Address(address), later).unwrap();
        }
        assert!(limit.buckets.lock().unwrap().by_caller.len() <= 2 * MOST);
    }

    #[test]
    fn addresses_of_one_machine() {
        let caller = |address: &str| Caller::address(Some(address.parse().unwrap()));
        assert_eq!(caller("2001:db8::1"), caller("2001:db8::2"));
        assert_ne!(caller("2001:db8::1"), caller("2001:db8:0:1::1"));
        assert_ne!(caller("192.0.2.1"), caller("192.0.2.2"));
        assert_eq!(caller("192.0.2.1"), caller("::ffff:192.0.2.1"));
    }
}
