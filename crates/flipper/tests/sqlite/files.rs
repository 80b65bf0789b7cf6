use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flipper::store::{Health, LocalFeatureFlagStore, Precondition, Watch, WatchEvent};
use flipper::{ErrorKind, FeatureFlagStore};
use flipper_testkit::block_on;
use flipper_testkit::wait_until;
use futures_util::StreamExt;

use crate::{Folder, Mirror, assert_intact, bare, is_enabled, open, put, record, stale};

/// A database file that another store has made and closed.
fn made_elsewhere(path: &Path, flags: &[(&str, bool)]) {
    let store = bare(path);
    for (name, enabled) in flags {
        put(&store, name, *enabled).unwrap();
    }
    block_on(store.close()).unwrap();
}

#[test]
fn a_deleted_file_is_reported_and_no_write_is_acknowledged() {
    let folder = Folder::new();
    let store = folder.open_without_doubt();
    put(&store, "X", true).unwrap();
    fs::remove_file(&folder.database).unwrap();
    // At once, before the watch notices.
    let error = put(&store, "X", false).unwrap_err();
    assert_eq!((error.kind(), error.flag()), (ErrorKind::Unavailable, Some("X")));
    assert!(error.to_string().starts_with("database file was deleted"), "{error}");
    assert!(error.to_string().contains(folder.text()), "{error}");
    wait_until("it is stale", || stale(&store).is_some());
    let reason = stale(&store).unwrap();
    assert!(reason.contains("deleted") && reason.contains(folder.text()), "{reason}");
    assert_eq!(block_on(store.get("X")).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(is_enabled(&store, "X"), Some(true), "checks go on with the last known flags");
    assert!(!folder.database.exists(), "the store does not create it again");

    let other = folder.open();
    put(&other, "Y", true).unwrap();
    wait_until("the new file is taken in", || is_enabled(&store, "Y") == Some(true));
    assert_eq!(is_enabled(&store, "X"), None);
    wait_until("it is live again", || stale(&store).is_none());
    put(&store, "Z", true).unwrap();
    assert!(block_on(other.get("Z")).unwrap().is_some());
    drop((store, other));
    assert_intact(&folder.database);
}

#[test]
fn a_replaced_file_is_taken_in() {
    let folder = Folder::new();
    let store = folder.open();
    for round in 0..5 {
        put(&store, "X", true).unwrap();
        put(&store, &format!("OLD_{round}"), true).unwrap();
        let name = format!("NEW_{round}");
        let new = folder.folder.path().join("new.db");
        made_elsewhere(&new, &[("X", false), (&name, true)]);
        // The -wal file of the old one stays, full of the old flags.
        fs::rename(&new, &folder.database).unwrap();
        wait_until("the new file is taken in", || is_enabled(&store, &name) == Some(true));
        let names = || store.table().list().into_iter().map(|stored| stored.name).collect::<Vec<_>>();
        wait_until("all of it is taken in", || names() == [name.as_str(), "X"]);
        assert_eq!(is_enabled(&store, "X"), Some(false));
        wait_until("it is live", || stale(&store).is_none());
        assert_intact(&folder.database);
    }
}

#[test]
fn a_write_right_after_a_replacement_goes_to_the_new_file() {
    let folder = Folder::new();
    let store = folder.open();
    let old = put(&store, "X", true).unwrap();
    let new = folder.folder.path().join("new.db");
    made_elsewhere(&new, &[("X", true)]);
    fs::rename(&new, &folder.database).unwrap();
    let error = block_on(store.put(&record("X", false), Precondition::Unchanged(old).into())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    put(&store, "X", false).unwrap();
    block_on(store.close()).unwrap();
    assert_eq!(is_enabled(&folder.open(), "X"), Some(false));
    assert_intact(&folder.database);
}

#[test]
fn a_file_moved_away_and_back_has_lost_nothing() {
    let folder = Folder::new();
    let store = folder.open();
    let away = folder.folder.path().join("away.db");
    for round in 0..5 {
        let name = format!("FLAG_{round}");
        put(&store, &name, true).unwrap();
        fs::rename(&folder.database, &away).unwrap();
        wait_until("it is stale", || stale(&store).is_some());
        assert!(put(&store, "LOST", true).is_err());
        fs::rename(&away, &folder.database).unwrap();
        wait_until("it is live again", || stale(&store).is_none());
        assert_eq!(store.table().list().len(), round + 1);
    }
    assert_intact(&folder.database);
    assert_eq!(folder.open().table().list().len(), 5);
}

#[test]
fn without_its_wal_file_nothing_is_lost() {
    let folder = Folder::new();
    let store = folder.open();
    let wal = folder.folder.path().join("flags.db-wal");
    let mut written = Vec::new();
    for round in 0..5 {
        let mut write = |name: String| {
            // While it is removed, a write may fail, but not in vain.
            wait_until("it is written", || match put(&store, &name, true) {
                Ok(_) => true,
                Err(error) => {
                    assert!(error.kind() == ErrorKind::Unavailable && error.is_transient(), "{error:?}");
                    false
                }
            });
            written.push(name);
        };
        write(format!("FLAG_{round}"));
        fs::remove_file(&wal).unwrap();
        write(format!("LATER_{round}"));
        wait_until("it is live", || stale(&store).is_none());
    }
    written.sort();
    let names = |store: &Mirror| store.table().list().into_iter().map(|flag| flag.name).collect::<Vec<_>>();
    assert_eq!(names(&folder.open()), written, "in the file");
    assert_eq!(names(&store), written, "in memory");
    assert_intact(&folder.database);
}

#[test]
fn another_file_in_its_place_is_reported_until_it_is_removed() {
    let folder = Folder::new();
    let store = folder.open();
    put(&store, "X", true).unwrap();
    let away = folder.folder.path().join("away.db");
    fs::rename(&folder.database, &away).unwrap();
    fs::write(&folder.database, "no database ".repeat(100)).unwrap();
    wait_until("it is stale", || stale(&store).is_some_and(|reason| reason.contains("not an SQLite database")));
    assert_eq!(put(&store, "X", false).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(fs::read(&folder.database).unwrap(), "no database ".repeat(100).into_bytes());
    fs::rename(&away, &folder.database).unwrap();
    wait_until("it is live again", || stale(&store).is_none());
    assert_eq!(is_enabled(&store, "X"), Some(true));
    put(&store, "X", false).unwrap();
}

#[test]
fn an_older_copy_that_is_restored_is_taken_in() {
    let folder = Folder::new();
    let store = folder.open();
    put(&store, "X", true).unwrap();
    let copy = folder.folder.path().join("copy.db");
    folder.shell().execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    put(&store, "X", false).unwrap();
    put(&store, "Y", true).unwrap();
    // Like the shell's `.restore`: numbers go back.
    let shell = folder.shell();
    shell.execute("ATTACH ?1 AS copy", [copy.to_str().unwrap()]).unwrap();
    shell
        .execute_batch(
            "BEGIN IMMEDIATE; DELETE FROM flags; INSERT INTO flags SELECT * FROM copy.flags; DELETE FROM versions;
             INSERT INTO versions SELECT * FROM copy.versions;
             UPDATE sqlite_sequence SET seq = (SELECT seq FROM copy.sqlite_sequence) WHERE name = 'versions'; COMMIT;",
        )
        .unwrap();
    wait_until("the old state is back", || is_enabled(&store, "X") == Some(true) && is_enabled(&store, "Y").is_none());
    put(&store, "Y", true).unwrap();
    assert!(block_on(store.get("Y")).unwrap().is_some());
}

/// Ends the writers also where the test fails, which waits for them.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn writes_while_the_file_is_replaced_again_and_again() {
    let folder = Folder::new();
    // Else the flags of a file that was missing for a moment would be kept, in doubt.
    let store = folder.open_without_doubt();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let (store, ended) = (&store, &ended);
                scope.spawn(move || {
                    let mut count = 0;
                    while !ended.load(Ordering::Relaxed) {
                        match put(store, &format!("WRITER_{writer}"), count % 2 == 0) {
                            Ok(_) => count += 1,
                            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}"),
                        }
                    }
                    count
                })
            })
            .collect();
        let ends = Ends(&ended);
        for round in 0..30 {
            let new = folder.folder.path().join("new.db");
            let name = format!("ROUND_{round}");
            made_elsewhere(&new, &[(&name, true)]);
            if round % 3 == 0 {
                fs::remove_file(&folder.database).unwrap();
            }
            fs::rename(&new, &folder.database).unwrap();
            wait_until("the new file is taken in", || is_enabled(&store, &name) == Some(true));
        }
        drop(ends);
        for writer in writers {
            assert!(writer.join().unwrap() > 0);
        }
    });
    // A read just after the last replacement may fail.
    wait_until("the file is read", || block_on(store.list()).is_ok());
    let memory: Vec<_> = store.table().list().into_iter().map(|stored| (stored.name, stored.version)).collect();
    let file: Vec<_> = folder.open().table().list().into_iter().map(|stored| (stored.name, stored.version)).collect();
    assert_eq!(memory, file);
    assert_intact(&folder.database);
}

#[test]
fn the_watch_reports_a_lost_and_a_restored_file() {
    let folder = Folder::new();
    let store = bare(&folder.database);
    put(&store, "X", true).unwrap();
    let mut watch = store.watch();
    assert!(matches!(block_on(watch.next()), Some(WatchEvent::Reset { flags, .. }) if flags.len() == 1));
    let away = folder.folder.path().join("away.db");
    fs::rename(&folder.database, &away).unwrap();
    let lost = |watch: &mut Watch<'_>| loop {
        match block_on(watch.next()) {
            Some(WatchEvent::Lost(error)) => break error,
            Some(WatchEvent::Following(_) | WatchEvent::Confirmed { .. }) => {}
            event => panic!("{event:?}"),
        }
    };
    let error = lost(&mut watch);
    assert!(error.to_string().contains("deleted") && error.to_string().contains(folder.text()), "{error}");
    // A watch that begins later reports it too.
    lost(&mut store.watch());
    made_elsewhere(&folder.database, &[("X", false), ("Y", true)]);
    while !matches!(block_on(watch.next()), Some(WatchEvent::Restored)) {}
    // The store may have taken in the new file before the last write to it.
    loop {
        match block_on(watch.next()) {
            Some(WatchEvent::Reset { flags, .. }) if flags.len() == 2 => break,
            Some(WatchEvent::Changed { flag, .. }) if flag.name == "Y" => break,
            _ => {}
        }
    }
}

/// Replaces the file and SQLite's other files, as an installer may: old ones first.
fn replace_all_of_it(folder: &Folder, new: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        fs::remove_file(format!("{}{suffix}", folder.text())).unwrap();
    }
    fs::rename(new, &folder.database).unwrap();
}

#[test]
fn a_write_that_waited_while_the_file_was_replaced_is_not_acknowledged() {
    for _ in 0..20 {
        let folder = Folder::new();
        let store = folder.open();
        put(&store, "X", true).unwrap();
        let new = folder.folder.path().join("new.db");
        made_elsewhere(&new, &[("NEW", true)]);
        let lock = folder.shell();
        lock.execute_batch("BEGIN IMMEDIATE").unwrap();
        let written = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| put(&store, "LOST", true));
            // Mostly, the write has reached the lock by then.
            let moment = Instant::now() + Duration::from_millis(2);
            while Instant::now() < moment {
                std::hint::spin_loop();
            }
            replace_all_of_it(&folder, &new);
            // Another program uses the new file at once, and has changes in its -wal file.
            let other = folder.shell();
            other.execute_batch("UPDATE flags SET name = 'OTHER' WHERE name = 'NEW'").unwrap();
            lock.execute_batch("ROLLBACK").unwrap();
            let written = waiting.join().unwrap();
            wait_until("the new file is taken in", || is_enabled(&store, "OTHER") == Some(true));
            other.execute_batch("INSERT INTO flags SELECT 'MORE', record FROM flags WHERE name = 'OTHER'").unwrap();
            wait_until("it is followed", || is_enabled(&store, "MORE") == Some(true));
            let count: i64 = folder.shell().query_row("SELECT count(*) FROM flags", [], |row| row.get(0)).unwrap();
            assert!(count >= 2, "the other program's -wal file is untouched");
            written
        });
        match written {
            // The write came to the lock late, and went to the new file.
            Ok(_) => assert_eq!(is_enabled(&folder.open(), "LOST"), Some(true)),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
                assert_eq!(is_enabled(&store, "LOST"), None);
            }
        }
        assert_intact(&folder.database);
    }
}

#[test]
fn a_replaced_file_is_not_mixed_with_the_old_one_while_that_is_read() {
    let folder = Folder::new();
    let store = folder.open();
    put(&store, "X", true).unwrap();
    let reader = folder.shell();
    reader.execute_batch("BEGIN; SELECT * FROM flags").unwrap();
    for number in 0..20 {
        put(&store, &format!("OLD_{number}"), true).unwrap();
    }
    let new = folder.folder.path().join("new.db");
    made_elsewhere(&new, &[("NEW", true)]);
    fs::rename(&new, &folder.database).unwrap();
    wait_until("the new file is taken in", || is_enabled(&store, "NEW") == Some(true));
    assert_eq!(block_on(store.list()).unwrap().len(), 1);
    put(&store, "NEWER", true).unwrap();
    // SQLite removes the -wal file by its name, which is now that of the new file.
    drop(reader);
    put(&store, "NEWEST", true).unwrap();
    assert_eq!(folder.open().table().list().len(), 3);
    assert_intact(&folder.database);
}

/// Replaces a link in one step.
#[cfg(unix)]
fn point(link: &Path, to: &Path) {
    let new = link.with_file_name("link.new");
    std::os::unix::fs::symlink(to, &new).unwrap();
    fs::rename(new, link).unwrap();
}

/// After the switch, reads and writes go to the other file.
#[cfg(unix)]
fn follows(live: &Path, repoint: impl Fn(usize), files: &[std::path::PathBuf; 2]) {
    made_elsewhere(&files[0], &[("ONE", true)]);
    made_elsewhere(&files[1], &[("TWO", true)]);
    repoint(0);
    let store = open(live);
    let file = bare(live);
    let mut watch = store.watch();
    assert!(matches!(block_on(watch.next()), Some(WatchEvent::Reset { .. })));
    for round in 1..6 {
        repoint(round % 2);
        let name = format!("WRITTEN_{round}");
        // At once: no write into the other file is acknowledged.
        match round {
            1 | 2 => drop(put(&store, &name, true).unwrap()),
            3 => drop(block_on(file.put(&record(&name, true), Precondition::Any.into())).unwrap()),
            _ => wait_until("it is taken in", || is_enabled(&store, ["ONE", "TWO"][round % 2]).is_some()),
        }
        let expected = open(&files[round % 2]);
        assert_eq!(expected.table().get(&name).is_some(), round < 4);
        assert_eq!(block_on(store.list()).unwrap().len(), expected.table().list().len());
        assert_eq!(block_on(file.list()).unwrap().len(), expected.table().list().len());
        assert!(stale(&store).is_none());
    }
    let has_two = |event: &WatchEvent| matches!(event, WatchEvent::Reset { flags, .. } if flags.iter().any(|flag| flag.name == "TWO"));
    while !has_two(&block_on(watch.next()).unwrap()) {}
    for file in files {
        assert_intact(file);
    }
}

#[cfg(unix)]
#[test]
fn a_link_that_is_pointed_elsewhere_is_followed() {
    let folder = Folder::new();
    let files = ["v1.db", "v2.db"].map(|name| folder.folder.path().join(name));
    follows(&folder.database, |which| point(&folder.database, &files[which]), &files);
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_swapped_is_followed() {
    let folder = Folder::new();
    let mounted = folder.folder.path();
    let versions = ["..2026_1", "..2026_2"].map(|name| mounted.join(name));
    versions.iter().for_each(|version| fs::create_dir(version).unwrap());
    std::os::unix::fs::symlink("..data/flags.db", &folder.database).unwrap();
    let files = versions.clone().map(|version| version.join("flags.db"));
    follows(&folder.database, |which| point(&mounted.join("..data"), &versions[which]), &files);
}

#[cfg(unix)]
#[test]
fn a_link_to_nothing_is_stale_until_there_is_something() {
    let folder = Folder::new();
    let [one, two] = ["v1.db", "v2.db"].map(|name| folder.folder.path().join(name));
    made_elsewhere(&one, &[("ONE", true)]);
    point(&folder.database, &one);
    let store = folder.open_without_doubt();
    point(&folder.database, &two);
    wait_until("it is stale", || stale(&store).is_some());
    assert_eq!(put(&store, "LOST", true).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(is_enabled(&store, "ONE"), Some(true));
    let made = folder.folder.path().join("made.db");
    made_elsewhere(&made, &[("TWO", true)]);
    fs::rename(&made, &two).unwrap();
    wait_until("it is taken in", || is_enabled(&store, "TWO") == Some(true) && stale(&store).is_none());
    assert_eq!(is_enabled(&store, "ONE"), None);
}

#[test]
fn flags_that_a_file_came_back_without_are_in_doubt() {
    let folder = Folder::new();
    let store = folder.open();
    put(&store, "OLD", true).unwrap();
    let away = folder.folder.path().join("away.db");
    fs::rename(&folder.database, &away).unwrap();
    wait_until("it is stale", || stale(&store).is_some());
    made_elsewhere(&folder.database, &[("NEW", true)]);
    wait_until("the new file is taken in", || is_enabled(&store, "NEW") == Some(true));
    assert!(stale(&store).unwrap().contains("without 1 of 1 flags"), "{:?}", stale(&store));
    assert_eq!(is_enabled(&store, "OLD"), Some(true), "it may have been put there by mistake");
    fs::rename(&away, &folder.database).unwrap();
    wait_until("it is live again", || stale(&store).is_none());
    assert_eq!((is_enabled(&store, "OLD"), is_enabled(&store, "NEW")), (Some(true), None));
}

#[test]
fn a_file_that_is_copied_over_it_is_taken_in() {
    let folder = Folder::new();
    let other = folder.folder.path().join("other.db");
    let store = folder.open();
    let direct = bare(&folder.database);
    for round in 0..5 {
        for number in 0..20 {
            put(&store, &format!("OLD_{number}"), true).unwrap();
        }
        block_on(direct.list()).unwrap();
        let name = format!("NEW_{round}");
        let _ = fs::remove_file(&other);
        made_elsewhere(&other, &[(&name, true), ("X", round % 2 == 0)]);
        let wal = folder.folder.path().join("flags.db-wal");
        wait_until("the log is empty", || fs::metadata(&wal).unwrap().len() == 0);
        fs::copy(&other, &folder.database).unwrap();
        put(&store, "LATER", true).unwrap();
        let names: Vec<_> = block_on(store.list()).unwrap().into_iter().map(|flag| flag.name).collect();
        assert_eq!(names, ["LATER", &name, "X"]);
        assert_eq!(block_on(direct.list()).unwrap().len(), 3);
        assert_intact(&folder.database);
    }
}

#[test]
fn a_file_of_another_origin_that_is_restored_is_taken_in() {
    let folder = Folder::new();
    let other = folder.folder.path().join("other.db");
    let store = folder.open();
    put(&store, "OLD", true).unwrap();
    // Made later, so its numbers are higher.
    made_elsewhere(&other, &[("NEW", true)]);
    let shell = folder.shell();
    shell.execute("ATTACH ?1 AS copy", [other.to_str().unwrap()]).unwrap();
    shell
        .execute_batch(
            "BEGIN IMMEDIATE; DELETE FROM flags; INSERT INTO flags SELECT * FROM copy.flags; DELETE FROM versions;
             INSERT INTO versions SELECT * FROM copy.versions; DELETE FROM sqlite_sequence;
             INSERT INTO sqlite_sequence SELECT * FROM copy.sqlite_sequence; COMMIT;",
        )
        .unwrap();
    wait_until("it is taken in", || is_enabled(&store, "NEW") == Some(true) && is_enabled(&store, "OLD").is_none());
}

#[test]
fn old_deletions_are_dropped_and_still_reach_every_follower() {
    let folder = Folder::new();
    let store = folder.open();
    put(&store, "KEPT", true).unwrap();
    put(&store, "LAST", true).unwrap();
    let file = bare(&folder.database);
    for round in 0..12 {
        let records: Vec<_> = (0..1000).map(|number| record(&format!("F_{round}_{number}"), true)).collect();
        for result in block_on(file.put_all(&records, Precondition::Absent.into())) {
            result.unwrap();
        }
        for record in &records[..500] {
            block_on(file.delete(record.name(), Precondition::Any.into())).unwrap();
        }
        folder.shell().execute_batch("DELETE FROM flags WHERE name LIKE 'F_%'").unwrap();
    }
    block_on(file.delete("LAST", Precondition::Any.into())).unwrap();
    assert_eq!(block_on(store.list()).unwrap().len(), 1);
    let rows: i64 = folder.shell().query_row("SELECT count(*) FROM versions", [], |row| row.get(0)).unwrap();
    assert!(rows < 6000, "{rows} rows are left of 12,000 deletions");
    let (pruned, last): (i64, i64) = folder
        .shell()
        .query_row(
            "SELECT (SELECT seq FROM sqlite_sequence WHERE name = 'pruned'), (SELECT max(version) FROM versions)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert!(0 < pruned && pruned < last);
}

#[test]
fn staleness_counts_from_the_last_contact() {
    let folder = Folder::new();
    let store = folder.open();
    let before = store.status().last_sync.unwrap();
    fs::remove_file(&folder.database).unwrap();
    wait_until("it is stale", || stale(&store).is_some());
    let Health::Stale { since, .. } = store.status().health else { panic!("live") };
    assert!(before <= since && Some(since) == store.status().last_sync);
}
