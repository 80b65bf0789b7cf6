//! The table grows while flags are read and written.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use flipper::{FeatureFlag, FeatureFlagClient, MemoryFeatureFlagStore};
use flipper_testkit::block_on;

const WRITERS: usize = 4;
const READERS: usize = 4;
/// Through ten generations.
const NAMES: usize = 5_000;

fn name(writer: usize, number: usize) -> String {
    format!("W{writer}_{number}")
}

#[test]
fn no_name_is_lost_while_the_table_grows() {
    let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new().without_history());
    let early = block_on(features.create("EARLY")).unwrap();
    let done: [AtomicUsize; WRITERS] = [const { AtomicUsize::new(0) }; WRITERS];
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|reader| {
                scope.spawn({
                    let (features, done, stop, early) = (&features, &done, &stop, &early);
                    move || read(reader, features, done, stop, early)
                })
            })
            .collect();
        let writers: Vec<_> = done
            .iter()
            .enumerate()
            .map(|(writer, done)| {
                let features = &features;
                scope.spawn(move || {
                    for number in 0..NAMES {
                        let flag = block_on(features.create(name(writer, number)).enabled(true)).unwrap();
                        assert!(flag.is_enabled(), "the handle is of another flag");
                        done.store(number + 1, Ordering::Release);
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        stop.store(true, Ordering::Release);
        let rounds: usize = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
        assert!(rounds >= READERS);
    });
    let names: Vec<_> = features.list().iter().map(|flag| flag.name().to_owned()).collect();
    assert_eq!(names.len(), WRITERS * NAMES + 1);
    assert!(names.is_sorted_by(|one, next| one < next), "a name was seen twice");

    // The handle is older than all but the first generation.
    block_on(features.enable("EARLY")).unwrap();
    assert!(early.is_enabled());
    block_on(features.destroy("EARLY")).unwrap();
    assert!(!early.is_enabled() && early.is_enabled_or(true));
    block_on(features.create("EARLY").enabled(true)).unwrap();
    assert!(early.is_enabled());
}

/// Returns how often it looked.
fn read(
    reader: usize,
    features: &FeatureFlagClient,
    done: &[AtomicUsize; WRITERS],
    stop: &AtomicBool,
    early: &FeatureFlag,
) -> usize {
    let mut rounds = 0;
    let handles: Vec<_> = (0..WRITERS).map(|writer| features.get(name(writer, 0))).collect();
    while !stop.load(Ordering::Acquire) {
        for (writer, done) in done.iter().enumerate() {
            let known = done.load(Ordering::Acquire);
            for number in (reader..known).step_by(1 + known / 100) {
                assert!(features.is_enabled(&name(writer, number)), "{number} of {known} is lost");
            }
            assert!(known == 0 || handles[writer].is_enabled());
            assert!(!features.exists(&name(writer, NAMES)), "it was never there");
        }
        assert!(!early.is_enabled() && !features.is_enabled("EARLY") && features.exists("EARLY"));
        if rounds % 8 == 0 {
            let known: usize = done.iter().map(|done| done.load(Ordering::Acquire)).sum();
            let names: Vec<_> = features.list().iter().map(|flag| flag.name().to_owned()).collect();
            assert!(names.len() > known && names.is_sorted_by(|one, next| one < next));
        }
        rounds += 1;
    }
    rounds
}
