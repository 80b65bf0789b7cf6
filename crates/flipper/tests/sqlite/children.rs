//! The child processes; see `flipper_testkit::Child`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use flipper::json::Object;
use flipper::store::{LocalFeatureFlagStore, Precondition, Stored};
use flipper::{ErrorKind, FeatureFlagClient, FeatureFlagStore, MirroredFeatureFlagStore};
use flipper_testkit::block_on;
use flipper_testkit::{Role, wait_until};

use crate::{Mirror, bare, is_enabled, open, put, record};

pub(crate) fn run(role: &Role) {
    let argument = |number: usize| role.arguments[number].clone();
    let open = || open(argument(0));
    match role.name.as_str() {
        "greet" => role.say(&argument(0)),
        "merge" => merge(role, &argument(1), argument(2).parse().unwrap()),
        "hammer" => hammer(role, &open(), &argument(1)),
        "write on" => write_on(role, &open(), &argument(1)),
        "flip" => flip(role, &open()),
        "write until killed" => write_until_killed(role, &open(), &argument(1)),
        "idle" => {
            let mut store = bare(argument(0));
            if let Some(every) = role.arguments.get(1) {
                store = store.poll_every(Duration::from_millis(every.parse().unwrap()));
            }
            let store = MirroredFeatureFlagStore::new(store);
            role.say("open");
            role.hear();
            assert!(store.status().is_live());
        }
        "threads" => threads(role),
        "read only" => read_only(role),
        "no notifications" => no_notifications(role),
        "create" => {
            role.say("started");
            role.hear();
            let store = open();
            put(&store, &argument(1), true).unwrap();
            role.say("put");
            role.hear();
        }
        other => panic!("no role {other:?}"),
    }
}

pub(crate) fn nanoseconds() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()
}

fn merge(role: &Role, own: &str, times: u32) {
    // Sixteen processes on a busy machine have no bound.
    let features = FeatureFlagClient::builder().write_timeout(Duration::from_secs(60)).build(open(&role.arguments[0]));
    role.say("open");
    role.hear();
    for number in 0..times {
        let data = serde_json::json!({ format!("{own}-{number}"): number });
        block_on(features.set_client_data("SHARED", data)).unwrap();
    }
    role.say("done");
}

/// Writes without a pause; prints the milliseconds of the longest write.
fn hammer(role: &Role, store: &Mirror, name: &str) {
    role.say("open");
    role.hear();
    let write = |number: u32| {
        let begun = Instant::now();
        put(store, name, number.is_multiple_of(2)).unwrap();
        begun.elapsed()
    };
    let longest = (0..50).map(write).max().unwrap();
    role.say(&longest.as_millis().to_string());
}

/// Counts in a flag, also while the file is away, until a line arrives; prints the last number.
fn write_on(role: &Role, store: &Mirror, name: &str) {
    let ended = AtomicBool::new(false);
    let features = FeatureFlagClient::new(store.clone());
    put(store, name, false).unwrap();
    role.say("open");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut done = 0_u32;
            while !ended.load(Ordering::Relaxed) {
                let data = [("count", done + 1)].into_iter().collect::<Object>();
                match block_on(features.set_client_data(name, data)) {
                    Ok(()) => done += 1,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}"),
                }
            }
            done
        });
        role.hear();
        ended.store(true, Ordering::Relaxed);
        role.say(&writer.join().unwrap().to_string());
    });
}

/// Flips the flag `X` on each line; prints when the put began and when it returned.
fn flip(role: &Role, store: &Mirror) {
    role.say("open");
    let mut enabled = false;
    while role.hear().is_some() {
        enabled = !enabled;
        let begun = nanoseconds();
        put(store, "X", enabled).unwrap();
        role.say(&format!("{begun} {}", nanoseconds()));
    }
}

/// Counts in a flag; prints each acknowledged number.
fn write_until_killed(role: &Role, store: &Mirror, name: &str) {
    let stored = block_on(store.get(name)).unwrap();
    let (mut count, mut when) = match stored {
        Some(stored) => (counted(&stored), Precondition::Unchanged(stored.version)),
        None => (0, Precondition::Absent),
    };
    loop {
        count += 1;
        let mut record = record(name, true);
        record.set_client_data([("count", i64::from(count))].into_iter().collect());
        when = Precondition::Unchanged(block_on(store.put(&record, when.into())).unwrap());
        role.say(&count.to_string());
    }
}

pub(crate) fn counted(stored: &Stored) -> u32 {
    let data = stored.record.as_ref().unwrap().client_data().to_string();
    let value: serde_json::Value = serde_json::from_str(&data).unwrap();
    value["count"].as_u64().unwrap().try_into().unwrap()
}

fn count_threads() -> usize {
    let names = std::fs::read_dir("/proc/self/task").unwrap();
    let names = names.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    names.filter(|name| name.starts_with("flipper-sqlite")).count()
}

/// A store's threads end when it is closed or its last clone is dropped.
fn threads(role: &Role) {
    let path = &role.arguments[0];
    let before = count_threads();
    let store = open(path);
    let clone = store.clone();
    put(&store, "X", true).unwrap();
    // It names itself when it begins.
    wait_until("a store has a thread", || count_threads() == before + 1);
    drop(store);
    put(&clone, "X", false).unwrap();
    drop(clone);
    wait_until("the threads of a dropped store have ended", || count_threads() == before);
    let store = open(path);
    block_on(store.close()).unwrap();
    wait_until("the threads of a closed store have ended", || count_threads() == before);
    for _ in 0..20 {
        drop(open(path));
    }
    wait_until("the threads of many stores have ended", || count_threads() == before);
    wait_until("the file is released", || {
        let files = std::fs::read_dir("/proc/self/fd").unwrap();
        let mut open = files.filter_map(|file| std::fs::read_link(file.unwrap().path()).ok());
        !open.any(|file| file.starts_with(path))
    });
    role.say("ended");
}

/// Follows a file that it may not write, and prints what it finds.
fn read_only(role: &Role) {
    let store = open(&role.arguments[0]);
    role.say(&format!("{:?}", is_enabled(&store, "X")));
    let error = put(&store, "X", false).unwrap_err();
    // The parent changes it once it has read the error.
    let before = is_enabled(&store, "X");
    assert!(store.status().is_live());
    role.say(&format!("{:?} {} {error}", error.kind(), error.is_transient()));
    role.hear();
    wait_until("the change is seen", || is_enabled(&store, "X") != before);
    role.say(&format!("{:?}", is_enabled(&store, "X")));
    role.hear();
    // Now it may write the database file, and later all files.
    while let Err(error) = put(&store, "X", true) {
        role.say(&format!("{:?}", error.kind()));
        role.hear();
    }
    role.say(&format!("{:?}", is_enabled(&store, "X")));
    block_on(store.close()).unwrap();
    role.say("closed");
}

/// Uses up this user's notifications, and follows changes without them.
fn no_notifications(role: &Role) {
    let mut watchers = Vec::new();
    while let Ok(watcher) = notify::recommended_watcher(|_: notify::Result<notify::Event>| {}) {
        watchers.push(watcher);
    }
    let store = open(&role.arguments[0]);
    role.say(&format!("{:?}", store.status().updates));
    let mut before = is_enabled(&store, "X");
    while role.hear().is_some() {
        let begun = Instant::now();
        wait_until("the change is seen", || is_enabled(&store, "X") != before);
        before = is_enabled(&store, "X");
        role.say(&format!("{}", begun.elapsed().as_micros()));
    }
}
