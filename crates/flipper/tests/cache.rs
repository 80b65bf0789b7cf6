//! The cache over a scripted store, which counts calls, fails and waits on command.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/scripted.rs"]
#[allow(dead_code, reason = "shared with other tests, which use other parts")]
mod scripted;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, SystemTime};

use flipper::evaluation::Clock;
use flipper::store::{Precondition, WatchEvent};
use flipper::{
    CachedFeatureFlagStore, ErrorKind, FeatureFlagClient, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore,
    MirroredFeatureFlagStore, context,
};
use flipper_testkit::block_on;
use futures_util::StreamExt;
use scripted::{Scripted, poll_once, wait_until};

type Cache = CachedFeatureFlagStore<Scripted>;

flipper::store_conformance_tests!(memory_cached, async || CachedFeatureFlagStore::new(MemoryFeatureFlagStore::new()));
flipper::store_conformance_tests!(opaque_versions_cached, async || Cache::new(Scripted::new()));
flipper::store_conformance_tests!(mirror_cached, async || {
    CachedFeatureFlagStore::new(MirroredFeatureFlagStore::new(MemoryFeatureFlagStore::new())).max_size(2)
});

#[derive(Clone, Debug)]
struct Time(Arc<AtomicU64>);

impl Time {
    fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for Time {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

fn cache(store: &Scripted) -> (Cache, Time) {
    let time = Time(Arc::new(AtomicU64::new(1_700_000_000)));
    (Cache::new(store.clone()).clock(time.clone()), time)
}

fn look(cache: &Cache, name: &str) -> Result<Option<bool>, ErrorKind> {
    let found = block_on(cache.get_cached(name)).map_err(|error| error.kind())?;
    Ok(found.map(|flag| flag.record.unwrap().is_enabled()))
}

#[test]
fn prints_the_stack() {
    let store = Scripted::new();
    assert_eq!(Cache::new(store.clone()).to_string(), "Cached(900s, Scripted)");
    assert_eq!(Cache::new(store).expiration(Duration::from_millis(1500)).to_string(), "Cached(1.5s, Scripted)");
}

#[test]
fn an_answer_holds_for_fifteen_minutes() {
    let store = Scripted::with("F", true);
    let (cache, time) = cache(&store);
    assert_eq!(look(&cache, "F"), Ok(Some(true)));
    store.set("F", Some(false));
    time.pass(899);
    assert_eq!(look(&cache, "F"), Ok(Some(true)));
    assert_eq!(store.gets(), 1);
    time.pass(1);
    assert_eq!(look(&cache, "F"), Ok(Some(false)));
    assert_eq!(look(&cache, "F"), Ok(Some(false)));
    assert_eq!(store.gets(), 2);
}

#[test]
fn a_clock_that_goes_back_expires_everything() {
    let store = Scripted::with("F", true);
    let (cache, time) = cache(&store);
    look(&cache, "F").unwrap();
    time.0.fetch_sub(10, Ordering::SeqCst);
    look(&cache, "F").unwrap();
    assert_eq!(store.gets(), 2);
}

#[test]
fn misses_are_answers_like_others() {
    let store = Scripted::new();
    let (cache, time) = cache(&store);
    for _ in 0..3 {
        assert_eq!(look(&cache, "F"), Ok(None));
    }
    assert_eq!(store.gets(), 1);
    store.set("F", Some(true));
    time.pass(900);
    assert_eq!(look(&cache, "F"), Ok(Some(true)));
}

#[test]
fn only_get_cached_is_answered_from_memory() {
    let store = Scripted::with("F", true);
    let (cache, _time) = cache(&store);
    let features = FeatureFlagClient::remote(cache);
    let context = context! {};
    for _ in 0..3 {
        assert!(block_on(features.fetch_enabled("F", &context)).unwrap());
    }
    assert_eq!(store.gets(), 1);
    store.set("F", Some(false));
    assert!(!block_on(features.fetch("F")).unwrap().unwrap().is_enabled());
    assert_eq!(store.gets(), 2);
    block_on(features.enable("F")).unwrap();
    block_on(features.disable("F")).unwrap();
    assert!(!block_on(features.fetch_enabled("F", &context)).unwrap(), "its own write is seen at once");
}

#[test]
fn concurrent_reads_make_one_call() {
    let store = Scripted::with("F", true);
    let (cache, time) = cache(&store);
    for round in 1..=5 {
        store.after_get.shut();
        let start = Barrier::new(9);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    assert_eq!(look(&cache, "F"), Ok(Some(true)));
                });
            }
            start.wait();
            store.after_get.wait_for_one();
            store.after_get.open();
        });
        assert_eq!(store.gets(), round);
        time.pass(900);
    }
}

#[test]
fn waiters_on_a_call_that_fails_do_not_call_again() {
    let store = Scripted::new();
    let (cache, _time) = cache(&store);
    store.after_get.shut();
    store.fail(ErrorKind::Unauthorized);
    let mut asking: Vec<_> = (0..4).map(|_| Box::pin(cache.get_cached("F"))).collect();
    for asking in &mut asking {
        assert!(asking.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    store.after_get.open();
    for asking in asking {
        let error = block_on(asking).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        assert!(error.to_string().contains("store refused access: Scripted"), "{error}");
    }
    assert_eq!(store.gets(), 1);
    // A later caller does not get the error.
    store.fail(None);
    assert_eq!(look(&cache, "F"), Ok(None));
}

#[test]
fn a_call_that_is_dropped_is_taken_over() {
    let store = Scripted::with("F", true);
    let (cache, time) = cache(&store);
    for expired in [false, true] {
        store.after_get.shut();
        let mut first = Box::pin(cache.get_cached("F"));
        let mut second = Box::pin(cache.get_cached("F"));
        let mut context = Context::from_waker(Waker::noop());
        assert!(first.as_mut().poll(&mut context).is_pending());
        assert!(second.as_mut().poll(&mut context).is_pending());
        drop(first);
        store.after_get.open();
        assert!(block_on(second).unwrap().is_some(), "expired: {expired}");
        time.pass(900);
    }
    // A dropped call leaves the expired answer to the next caller.
    store.after_get.shut();
    poll_once(cache.get_cached("F"));
    store.after_get.open();
    store.fail(ErrorKind::Unavailable);
    assert_eq!(look(&cache, "F"), Ok(Some(true)));
}

#[test]
fn expired_answers_are_given_while_the_store_is_down() {
    let store = Scripted::with("F", true);
    let (cache, time) = cache(&store);
    look(&cache, "F").unwrap();
    look(&cache, "MISSING").unwrap();
    store.set("F", Some(false));
    store.fail(ErrorKind::Unavailable);
    time.pass(900);
    for _ in 0..5 {
        assert_eq!(look(&cache, "F"), Ok(Some(true)));
        assert_eq!(look(&cache, "MISSING"), Ok(None));
    }
    assert_eq!(store.gets(), 4, "the store is not asked each time");
    assert_eq!(look(&cache, "NEVER_ASKED"), Err(ErrorKind::Unavailable));
    time.pass(1);
    assert_eq!(look(&cache, "F"), Ok(Some(true)));
    assert_eq!(store.gets(), 6);

    // Refused access is no outage, and does not discard the answer.
    store.fail(ErrorKind::Unauthorized);
    time.pass(1);
    assert_eq!(look(&cache, "F"), Err(ErrorKind::Unauthorized));
    store.fail(ErrorKind::Unavailable);
    assert_eq!(look(&cache, "F"), Ok(Some(true)));

    store.fail(None);
    time.pass(1);
    assert_eq!(look(&cache, "F"), Ok(Some(false)));
}

#[test]
fn expired_answers_are_refused_if_asked_to() {
    let store = Scripted::with("F", true);
    let (cache, time) = cache(&store);
    let cache = cache.stale_while_down(false).expiration(Duration::from_secs(10));
    look(&cache, "F").unwrap();
    store.fail(ErrorKind::Unavailable);
    time.pass(9);
    assert_eq!(look(&cache, "F"), Ok(Some(true)), "it has not expired");
    time.pass(1);
    assert_eq!(look(&cache, "F"), Err(ErrorKind::Unavailable));
}

#[test]
fn every_outcome_of_a_write_discards_the_answer() {
    let store = Scripted::with("F", false);
    let (cache, _time) = cache(&store);
    let on = {
        let mut record = FlagRecord::new("F", 1);
        record.set_enabled(true);
        record
    };
    let fill = || {
        store.set("F", Some(false));
        block_on(cache.delete("F", Precondition::Absent.into())).unwrap_err();
        assert_eq!(look(&cache, "F"), Ok(Some(false)));
    };

    fill();
    block_on(cache.put(&on, Precondition::Any.into())).unwrap();
    assert_eq!(look(&cache, "F"), Ok(Some(true)));

    fill();
    block_on(cache.put_all(std::slice::from_ref(&on), Precondition::Any.into()));
    assert_eq!(look(&cache, "F"), Ok(Some(true)));

    fill();
    block_on(cache.delete("F", Precondition::Any.into())).unwrap();
    assert_eq!(look(&cache, "F"), Ok(None));

    // A conflict shows that the answer is outdated.
    fill();
    store.set("F", Some(true));
    block_on(cache.put(&on, Precondition::Absent.into())).unwrap_err();
    assert_eq!(look(&cache, "F"), Ok(Some(true)));

    // The write happened, but its answer was lost.
    fill();
    store.after_write.shut();
    thread::scope(|scope| {
        let put = scope.spawn(|| block_on(cache.put(&on, Precondition::Any.into())).unwrap_err());
        store.after_write.wait_for_one();
        store.fail(ErrorKind::Unavailable);
        store.after_write.open();
        put.join().unwrap();
    });
    store.fail(None);
    assert_eq!(look(&cache, "F"), Ok(Some(true)));

    // The write happened after its caller stopped waiting.
    fill();
    store.after_write.shut();
    poll_once(cache.put(&on, Precondition::Any.into()));
    store.after_write.open();
    assert_eq!(look(&cache, "F"), Ok(Some(true)));
}

#[test]
fn a_read_that_a_write_overtakes_is_not_kept() {
    let store = Scripted::with("F", false);
    let (cache, _time) = cache(&store);
    let mut on = FlagRecord::new("F", 1);
    on.set_enabled(true);
    store.after_get.shut();
    thread::scope(|scope| {
        let slow = scope.spawn(|| look(&cache, "F"));
        store.after_get.wait_for_one();
        block_on(cache.put(&on, Precondition::Any.into())).unwrap();
        store.after_get.open();
        assert_eq!(slow.join().unwrap(), Ok(Some(false)), "it was asked before the write");
    });
    assert_eq!(look(&cache, "F"), Ok(Some(true)));
}

#[test]
fn the_size_is_bounded_and_what_is_asked_for_stays() {
    let store = Scripted::with("HOT", true);
    let (cache, _time) = cache(&store);
    let cache = cache.max_size(100);
    look(&cache, "HOT").unwrap();
    look(&cache, "HOT").unwrap();
    for number in 0..5_000 {
        look(&cache, &format!("F{number}")).unwrap();
        if number % 10 == 0 {
            look(&cache, "HOT").unwrap();
        }
        assert!(cache.size() <= 100);
    }
    assert!(cache.size() >= 90, "{}", cache.size());
    assert_eq!(store.gets(), 5_001, "HOT was asked for once");
    let tiny = Cache::new(store.clone()).max_size(0);
    look(&tiny, "HOT").unwrap();
    assert!(tiny.size() <= 1);
    wait_until("no call is left at the gate", || store.after_get.waiting.load(Ordering::SeqCst) == 0);
}

#[test]
fn without_expiration_every_call_asks() {
    let store = Scripted::with("F", true);
    let (cache, _time) = cache(&store);
    let cache = cache.expiration(Duration::ZERO);
    for calls in 1..4 {
        assert_eq!(look(&cache, "F"), Ok(Some(true)));
        assert_eq!(store.gets(), calls);
    }
}

#[test]
fn what_its_watch_emits_can_be_read_from_it() {
    let store = Scripted::with("F", false);
    let (cache, _) = cache(&store);
    let mut events = cache.watch();
    let mut next = || block_on(events.next()).unwrap();
    next();
    assert_eq!(look(&cache, "F"), Ok(Some(false)));
    for enabled in [true, false] {
        store.set("F", Some(enabled));
        next();
        assert_eq!(look(&cache, "F"), Ok(Some(enabled)));
    }
    store.sends_hints.store(false, Ordering::SeqCst);
    store.set("F", None);
    store.restore();
    while !matches!(next(), WatchEvent::Reset { .. }) {}
    assert_eq!(look(&cache, "F"), Ok(None));
}
