//! Concurrent calls, and calls that are dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::subject::{CALL_LIMIT, Subject, assert_same, at_once, flag, polled, with_data};
use crate::background;
use crate::error::{ErrorKind, Result};
use crate::record::FlagRecord;
use crate::state::{Precondition, Stored, Version};
use crate::store::FeatureFlagStore;

const WRITERS: usize = 8;

/// See [`FeatureFlagStore::get`].
pub async fn get_is_whole(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let record = flag("WHOLE");
    // Of different lengths: a mixture is unreadable.
    let states =
        ["a".repeat(10_000), "b".repeat(20_000), "c".repeat(30_000)].map(|text| with_data(&record, "text", text));
    store.put(&states[0], Precondition::Any).await;
    let done = Arc::new(AtomicBool::new(false));
    at_once((0..4).map(|task| {
        let (store, states, done) = (store.clone(), states.clone(), done.clone());
        async move {
            if task == 0 {
                for round in 0..60 {
                    store.put(&states[round % 3], Precondition::Any).await;
                }
                done.store(true, Ordering::Relaxed);
            }
            while !done.load(Ordering::Relaxed) {
                whole(&store.existing(states[0].name()).await, &states);
            }
        }
    }))
    .await;
}

fn whole(stored: &Stored, states: &[FlagRecord]) {
    match &stored.record {
        Ok(read) => assert!(states.iter().any(|state| state == &**read), "`get` returned a flag that was never put"),
        Err(corrupt) => panic!("`get` during a put cannot read the flag: {corrupt}"),
    }
}

/// See [`FeatureFlagStore::put`].
pub async fn put_is_atomic(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let record = flag("ATOMIC");
    for round in 0..10 {
        let mut when = Precondition::Absent;
        for step in ["create", "replace"] {
            let outcomes = at_once((0..WRITERS).map(|writer| {
                let (store, when) = (store.clone(), when.clone());
                // New content: else an opaque version may stay the same.
                let written = with_data(&record, step, format!("{round}-{writer}"));
                async move { (store.try_put(&written, when).await, written) }
            }))
            .await;
            let mut winners = winners(outcomes, "`put`");
            assert_eq!(winners.len(), 1, "of {WRITERS} puts with {when:?} one must succeed, not {}", winners.len());
            if let Some((version, written)) = winners.pop() {
                store.expect(&written, &version).await;
                when = Precondition::Unchanged(version);
            }
        }
        store.delete(record.name(), Precondition::Any).await;
    }
}

fn winners<T>(outcomes: Vec<(Result<Version>, T)>, call: &str) -> Vec<(Version, T)> {
    let winner = |(outcome, what): (Result<Version>, T)| match outcome {
        Ok(version) => Some((version, what)),
        Err(error) if error.kind() == ErrorKind::Conflict => None,
        Err(error) => panic!("{call} concurrent with others must be a `Conflict` or succeed: {error:?}"),
    };
    outcomes.into_iter().filter_map(winner).collect()
}

/// See [`FeatureFlagStore::put`].
pub async fn put_no_lost_update(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let record = flag("COUNTED");
    store.put(&record, Precondition::Absent).await;
    at_once((0..WRITERS).map(|writer| {
        let (store, name) = (store.clone(), record.name().to_owned());
        async move {
            for number in 0..10 {
                add(&store, &name, &format!("{writer}-{number}")).await;
            }
        }
    }))
    .await;
    let stored = store.existing(record.name()).await;
    let kept = stored.record.as_ref().ok().and_then(|record| Some(record.client_data().as_object()?.len()));
    assert_eq!(kept, Some(WRITERS * 10), "each of {WRITERS} writers has put 10 keys into one flag, and some are lost");
}

/// Adds a key, in as many attempts as it takes.
async fn add<S: FeatureFlagStore + ?Sized>(store: &Subject<S>, name: &str, key: &str) {
    change(store, name, |record| {
        let mut data = record.client_data().as_object().cloned().unwrap_or_default();
        data.insert(key, true);
        record.set_client_data(data);
    })
    .await;
}

async fn change<S: FeatureFlagStore + ?Sized>(
    store: &Subject<S>,
    name: &str,
    change: impl Fn(&mut FlagRecord),
) -> (FlagRecord, Version) {
    // Conflicts may make writers slow, but must not stop one.
    let deadline = Instant::now() + 6 * CALL_LIMIT;
    loop {
        let stored = store.existing(name).await;
        let mut record = match &stored.record {
            Ok(record) => FlagRecord::clone(record),
            Err(corrupt) => panic!("{name:?} cannot be read: {corrupt}"),
        };
        change(&mut record);
        match store.try_put(&record, Precondition::Unchanged(stored.version)).await {
            Ok(version) => return (record, version),
            Err(error) if error.kind() == ErrorKind::Conflict => {
                assert!(Instant::now() < deadline, "a writer of {name:?} got nothing but conflicts");
                background::sleep(Duration::from_millis(fastrand::u64(0..10))).await;
            }
            Err(error) => panic!("`put` of {name:?} failed: {error:?}"),
        }
    }
}

/// See [`FeatureFlagStore::put`].
pub async fn put_dropped(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let record = flag("DROPPED");
    let mut last = (record.clone(), store.put(&record, Precondition::Any).await);
    for round in 0..60 {
        let dropped = with_data(&record, "dropped", "x".repeat(1_000 + round));
        // From no poll up to enough for the put to complete.
        let polls = round % 12;
        if let Some(put) = polled(polls, store.0.put(&dropped, Precondition::Unchanged(last.1.clone()).into())).await {
            let version = put.unwrap_or_else(|error| panic!("`put` of {:?} failed: {error:?}", record.name()));
            store.expect(&dropped, &version).await;
        }
        let stored = store.existing(record.name()).await;
        whole(&stored, &[last.0.clone(), dropped.clone()]);
        if polls == 0 {
            store.expect(&last.0, &last.1).await;
        }
        // It may still happen, but not after a later write.
        let number = i64::try_from(round).unwrap_or(0);
        last = change(&store, record.name(), |record| record.set_created_date(number)).await;
        store.expect(&last.0, &last.1).await;
    }
    store.expect(&last.0, &last.1).await;
    let listed = store.list_of(&[record.name()]).await;
    assert_eq!(listed.len(), 1, "`list` must have the flag once");
    assert_same(&listed[0], &last.0, "`list`");
}

/// See [`FeatureFlagStore::delete`].
pub async fn delete_is_atomic(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let record = flag("ATOMIC");
    for round in 0..10 {
        let version = store.put(&with_data(&record, "round", round), Precondition::Absent).await;
        let outcomes = at_once((0..WRITERS).map(|task| {
            let (store, when) = (store.clone(), Precondition::Unchanged(version.clone()));
            let written = (task % 2 == 0).then(|| with_data(&record, "task", format!("{round}-{task}")));
            let name = record.name().to_owned();
            async move {
                let outcome = match &written {
                    Some(written) => store.try_put(written, when).await,
                    None => store.try_delete(&name, when).await,
                };
                (outcome, written)
            }
        }))
        .await;
        let winners = winners(outcomes, "a write");
        assert_eq!(
            winners.len(),
            1,
            "of {WRITERS} puts and deletes with one version one must succeed, not {}",
            winners.len()
        );
        match &winners[0] {
            (version, Some(written)) => {
                store.expect(written, version).await;
                store.delete(record.name(), Precondition::Any).await;
            }
            (_, None) => store.expect_missing(record.name()).await,
        }
    }
}

/// See [`FeatureFlagStore::delete`].
pub async fn delete_dropped(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let record = flag("DROPPED");
    for round in 0..60 {
        let written = with_data(&record, "round", round);
        let version = store.put(&written, Precondition::Any).await;
        let polls = usize::try_from(round % 12).unwrap_or(0);
        let dropped =
            polled(polls, store.0.delete(record.name(), Precondition::Unchanged(version.clone()).into())).await;
        match dropped {
            Some(Ok(_)) => store.expect_missing(record.name()).await,
            Some(Err(error)) => panic!("`delete` of {:?} failed: {error:?}", record.name()),
            None if polls == 0 => store.expect(&written, &version).await,
            None => {
                if let Some(stored) = store.get(record.name()).await {
                    assert_same(&stored, &written, "`get` after a delete that was dropped");
                }
            }
        }
        // The dropped delete must not hit the flag that follows.
        let next = with_data(&record, "next", round);
        let version = store.put(&next, Precondition::Any).await;
        store.expect(&next, &version).await;
    }
}

/// See [`FeatureFlagStore::list`].
pub async fn list_is_complete(store: Arc<dyn FeatureFlagStore>) {
    is_complete(store, "list", |store| async move { store.list().await }).await;
}

/// Whether a read during writes returns every flag that exists throughout, once.
pub(super) async fn is_complete<F>(store: Arc<dyn FeatureFlagStore>, what: &'static str, read: fn(Subject) -> F)
where
    F: Future<Output = Vec<Stored>> + Send + 'static,
{
    let store = Subject(store);
    let steady: Vec<_> = (0..20).map(|_| flag("STEADY")).collect();
    for record in &steady {
        store.put(record, Precondition::Any).await;
    }
    let mut names: Vec<String> = steady.iter().map(|record| record.name().to_owned()).collect();
    names.sort_unstable();
    let done = Arc::new(AtomicBool::new(false));
    at_once((0..3).map(|task| {
        let (store, names, steady, done) = (store.clone(), names.clone(), steady.clone(), done.clone());
        async move {
            if task == 0 {
                let coming_and_going = flag("COMING-AND-GOING");
                for round in 0..40 {
                    store.put(&coming_and_going, Precondition::Any).await;
                    store.put(&with_data(&steady[round % 20], "n", "x".repeat(round)), Precondition::Any).await;
                    store.delete(coming_and_going.name(), Precondition::Any).await;
                }
                done.store(true, Ordering::Relaxed);
            }
            // At least once, however fast the writer is.
            loop {
                let mut found: Vec<_> = read(store.clone()).await.into_iter().map(|stored| stored.name).collect();
                found.retain(|name| names.contains(name));
                assert_eq!(found, names, "`{what}` during writes must have each flag once");
                if done.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
    }))
    .await;
}
