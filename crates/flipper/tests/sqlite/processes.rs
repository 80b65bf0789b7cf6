use std::fs;
use std::time::{Duration, Instant};

use flipper::FeatureFlagStore;
use flipper::events::Change;
use flipper::store::LocalFeatureFlagStore;
use flipper_testkit::block_on;
use flipper_testkit::{Child, is_root, skip, wait_until, within};

use crate::children::{counted, nanoseconds};
use crate::{Folder, Mirror, assert_intact, put};

#[test]
fn merges_of_four_processes_are_all_kept() {
    merges(4, 250);
}

#[test]
fn merges_of_sixteen_processes_are_all_kept() {
    merges(16, 50);
}

fn merges(processes: usize, each: usize) {
    let folder = Folder::new();
    let features = folder.client();
    block_on(features.create("SHARED")).unwrap();
    let own = |process: usize| [process.to_string(), each.to_string()];
    let spawn = |own: [String; 2]| Child::spawn("merge", &[folder.text(), &own[0], &own[1]]);
    let mut children: Vec<_> = (0..processes).map(own).map(spawn).collect();
    children.iter().for_each(|child| child.expect("open"));
    let begun = Instant::now();
    children.iter_mut().for_each(|child| child.say("go"));
    children.iter().for_each(|child| child.expect("done"));
    println!("sqlite: {processes} processes merge {each} times each into one flag in {:?}", begun.elapsed());
    children.into_iter().for_each(Child::succeed);

    let record = block_on(features.get("SHARED").fetch()).unwrap().unwrap();
    let data = record.client_data().clone();
    assert_eq!(data.as_object().unwrap().len(), processes * each);
    assert_eq!(features.client_data("SHARED").unwrap(), data, "memory has it too");
    assert_intact(&folder.database);
}

#[test]
fn a_file_moved_away_and_back_under_four_processes_stays_whole() {
    let folder = Folder::new();
    let store = folder.open();
    let away = folder.folder.path().join("away.db");
    let spawn = |number: usize| Child::spawn("write on", &[folder.text(), &format!("FLAG_{number}")]);
    let mut children: Vec<_> = (0..4).map(spawn).collect();
    children.iter().for_each(|child| child.expect("open"));
    for _ in 0..150 {
        fs::rename(&folder.database, &away).unwrap();
        wait_until("it is stale", || !store.status().is_live());
        fs::rename(&away, &folder.database).unwrap();
        wait_until("it is live again", || store.status().is_live());
        assert_intact(&folder.database);
    }
    children.iter_mut().for_each(|child| child.say("end"));
    let counts: Vec<i64> = children.iter().map(|child| child.line().unwrap().parse().unwrap()).collect();
    children.into_iter().for_each(Child::succeed);
    assert_intact(&folder.database);
    for (number, done) in counts.iter().enumerate() {
        let flag = block_on(store.get(&format!("FLAG_{number}"))).unwrap().unwrap().record.unwrap();
        let kept = flag.client_data().get("count").and_then(flipper::json::Json::as_i64);
        // A last write of unknown outcome may be there.
        assert!(kept == Some(*done) || kept == Some(done + 1), "{done} were acknowledged, and the file has {kept:?}");
    }
}

#[test]
fn no_writer_starves_among_sixteen_processes() {
    let folder = Folder::new();
    drop(folder.open());
    let mut children: Vec<_> =
        (0..16).map(|number| Child::spawn("hammer", &[folder.text(), &format!("FLAG_{number}")])).collect();
    children.iter().for_each(|child| child.expect("open"));
    children.iter_mut().for_each(|child| child.say("go"));
    let longest = children.iter().map(|child| child.line().unwrap().parse::<u64>().unwrap()).max().unwrap();
    println!("sqlite: 16 processes write 50 times each, and no write takes more than {longest} ms");
    children.into_iter().for_each(Child::succeed);
    assert_eq!(block_on(folder.open().list()).unwrap().len(), 16);
}

#[test]
fn a_thousand_changes_are_all_seen_and_soon() {
    let folder = Folder::new();
    let features = folder.client();
    let mut changes = features.changes();
    let mut child = Child::spawn("flip", &[folder.text()]);
    child.expect("open");
    let (mut from_begin, mut from_return) = (Vec::new(), Vec::new());
    within(Duration::from_secs(60), move || {
        for number in 0..1000 {
            child.say("flip");
            let change = block_on(changes.recv()).unwrap();
            let seen = nanoseconds();
            let Change::Set { name, record } = change else { panic!("{change:?}") };
            assert_eq!((name.as_str(), record.is_enabled()), ("X", number % 2 == 0));
            let line = child.line().unwrap();
            let (begun, returned) = line.split_once(' ').unwrap();
            let micros = |since: &str| (seen as i128 - since.parse::<i128>().unwrap()) / 1000;
            from_begin.push(micros(begun));
            from_return.push(micros(returned));
        }
        child.succeed();
        for (what, mut times) in [("call", from_begin), ("return", from_return)] {
            times.sort_unstable();
            let [median, late, last] = [500, 989, 999].map(|at| times[at]);
            println!(
                "sqlite: seen by another process after the put's {what}: median {median} µs, 99 % {late} µs, most {last} µs"
            );
        }
    });
}

#[test]
fn without_notifications_changes_are_seen_by_polling() {
    if !is_root() {
        return skip("sqlite: polling", "using up another user's notifications takes root");
    }
    let folder = Folder::new();
    let store = folder.open();
    put(&store, "X", false).unwrap();
    open_to_all(&folder);
    // The limit is the user's, so the child runs as a user of its own.
    let mut child = Child::spawn_as(54_321, "no notifications", &[folder.text()]);
    child.expect("Poll { every: 3ms }");
    let mut times = Vec::new();
    for number in 0..100 {
        put(&store, "X", number % 2 == 0).unwrap();
        child.say("changed");
        times.push(child.line().unwrap().parse::<u64>().unwrap());
    }
    child.succeed();
    times.sort_unstable();
    println!("sqlite: seen by polling after a median of {} µs", times[50]);
}

#[test]
fn an_idle_store_costs_next_to_nothing() {
    let folder = Folder::new();
    put(&folder.open(), "X", true).unwrap();
    for (how, arguments) in [("notified", vec![folder.text()]), ("polling", vec![folder.text(), "3"])] {
        let mut child = Child::spawn("idle", &arguments);
        child.expect("open");
        let (begun, before) = (Instant::now(), cpu_time(child.id()));
        // Elapsed time is the thing under test: the share of it that an idle store computes. Other programs do not count.
        std::thread::sleep(Duration::from_secs(3));
        let share = (cpu_time(child.id()) - before).as_secs_f64() / begun.elapsed().as_secs_f64();
        println!("sqlite: an idle store, {how}, takes {:.2} % of a core", share * 100.0);
        assert!(share < 0.05, "{share}");
        child.say("end");
        child.succeed();
    }
}

/// From the scheduler, in nanoseconds; `/proc/PID/stat` counts hundredths of a second.
fn cpu_time(process: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let nanoseconds = tasks.map(|task| {
        let text = std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
        text.split(' ').next().unwrap().parse::<u64>().unwrap()
    });
    Duration::from_nanos(nanoseconds.sum())
}

#[test]
fn a_dropped_or_closed_store_ends_its_threads() {
    let folder = Folder::new();
    let child = Child::spawn("threads", &[folder.text()]);
    child.expect("ended");
    child.succeed();
}

#[test]
fn processes_that_create_the_file_at_once_share_it() {
    for _ in 0..10 {
        let folder = Folder::new();
        let names: Vec<_> = (0..8).map(|number| format!("FLAG_{number}")).collect();
        let mut children: Vec<_> = names.iter().map(|name| Child::spawn("create", &[folder.text(), name])).collect();
        children.iter().for_each(|child| child.expect("started"));
        children.iter_mut().for_each(|child| child.say("go"));
        children.iter().for_each(|child| child.expect("put"));
        let listed: Vec<_> = block_on(folder.open().list()).unwrap().into_iter().map(|stored| stored.name).collect();
        assert_eq!(listed, names);
        children.into_iter().for_each(Child::succeed);
    }
}

#[test]
fn killed_a_thousand_times_and_nothing_acknowledged_is_lost() {
    let folder = Folder::new();
    let store = folder.open();
    let begun = Instant::now();
    let written: u32 = std::thread::scope(|scope| {
        let killers: Vec<_> = (0..4)
            .map(|killer| {
                let (folder, store) = (&folder, &store);
                scope.spawn(move || kill(folder, store, &format!("FLAG_{killer}")))
            })
            .collect();
        killers.into_iter().map(|killer| killer.join().unwrap()).sum()
    });
    println!("sqlite: killed 1000 times, {written} writes, in {:?}", begun.elapsed());
    assert!(written >= 1000);
    assert_intact(&folder.database);
    assert!(store.status().is_live());
    put(&store, "AFTERWARDS", true).unwrap();
}

/// Kills children that count in a flag, and checks after each that all acknowledged writes are there.
fn kill(folder: &Folder, store: &Mirror, name: &str) -> u32 {
    let mut known = 0;
    for number in 0..250_u32 {
        let child = Child::spawn("write until killed", &[folder.text(), name]);
        let mut acknowledged = 0;
        for _ in 0..1 + number % 4 {
            acknowledged = child.line().expect("it writes until it is killed").parse().unwrap();
        }
        // During the next writes, at another point each time.
        let moment = Instant::now() + Duration::from_micros(u64::from(number.wrapping_mul(7919) % 2000));
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        if let Some(last) = child.kill().pop() {
            acknowledged = last.parse().unwrap();
        }
        let found = counted(&block_on(store.get(name)).unwrap().unwrap());
        assert!(acknowledged > known, "the child went on from {known}, not to {acknowledged}");
        // The last write may be unacknowledged.
        assert!((acknowledged..=acknowledged + 1).contains(&found), "{found} after {acknowledged} was acknowledged");
        known = found;
        if number % 25 == 0 {
            assert_intact(&folder.database);
        }
    }
    known
}

fn allow(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn open_to_all(folder: &Folder) {
    allow(folder.folder.path(), 0o777);
    for file in std::fs::read_dir(folder.folder.path()).unwrap() {
        allow(&file.unwrap().path(), 0o666);
    }
}

#[test]
fn a_read_only_file_can_be_read() {
    if !is_root() {
        return skip("sqlite: read-only file", "becoming another user takes root");
    }
    // In use by its owner or not: then the files for sharing it are missing, and cannot be made.
    for in_use in [true, false] {
        let folder = Folder::new();
        allow(folder.folder.path(), 0o755);
        let store = folder.open();
        put(&store, "X", true).unwrap();
        if !in_use {
            block_on(store.close()).unwrap();
        }
        let mut child = Child::spawn_as(54_322, "read only", &[folder.text()]);
        child.expect("Some(true)");
        let error = child.line().unwrap();
        assert!(error.starts_with("Unauthorized false database file is read-only: flag \"X\" in Sqlite("), "{error}");
        assert!(error.contains(folder.text()), "{error}");
        child.say("changing");
        if in_use {
            put(&store, "X", false).unwrap();
        } else {
            // The owner opens, writes and closes while the child is stopped: no file beside the database shows it.
            child.signal("STOP");
            let store = folder.open();
            put(&store, "X", false).unwrap();
            block_on(store.close()).unwrap();
            child.signal("CONT");
        }
        child.expect("Some(false)");
        if in_use {
            // The files beside the database must be writable too.
            allow(&folder.database, 0o666);
            child.say("write");
            child.expect("Unauthorized");
        }
        open_to_all(&folder);
        child.say("write");
        child.expect("Some(true)");
        child.expect("closed");
        child.succeed();
    }
}
