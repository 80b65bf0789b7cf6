use std::error::Error;
use std::fs;
use std::time::Duration;

use flipper::store::{LocalFeatureFlagStore, Precondition};
use flipper::{ErrorKind, FeatureFlagStore, MirroredFeatureFlagStore, SqliteFeatureFlagStore};
use flipper_testkit::block_on;
use flipper_testkit::{SmallDisk, skip, wait_until};

use crate::{Folder, assert_intact, bare, is_enabled, open, put, record, shell, stale};

fn refused(folder: &Folder, kind: ErrorKind, words: &str) {
    let error = SqliteFeatureFlagStore::new(&folder.database).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    let text = error.to_string();
    assert!(text.contains(words) && text.contains(folder.text()), "{text}");
    assert!(!error.is_transient(), "{text}");
}

#[test]
fn a_missing_folder_is_named_and_not_created() {
    let mut folder = Folder::new();
    folder.database = folder.folder.path().join("missing").join("flags.db");
    refused(&folder, ErrorKind::Unavailable, "folder of the database file does not exist");
    assert!(!folder.folder.path().join("missing").exists());
}

#[test]
fn a_folder_is_no_file() {
    let folder = Folder::new();
    fs::create_dir(&folder.database).unwrap();
    refused(&folder, ErrorKind::InvalidInput, "is a folder");
}

#[test]
fn other_files_are_refused_and_left_as_they_are() {
    let folder = Folder::new();
    let check = |kind, words: &str| {
        let before = fs::read(&folder.database).unwrap();
        refused(&folder, kind, words);
        assert!(fs::read(&folder.database).unwrap() == before, "{words}: touched");
        let files = fs::read_dir(folder.folder.path()).unwrap().count();
        assert_eq!(files, 1, "{words}: left something behind");
        fs::remove_file(&folder.database).unwrap();
    };
    for text in ["no database", &"no database\n".repeat(1000)] {
        fs::write(&folder.database, text).unwrap();
        check(ErrorKind::InvalidInput, "not an SQLite database");
    }
    folder.shell().execute_batch("CREATE TABLE flags (name)").unwrap();
    check(ErrorKind::InvalidInput, "belongs to another program");
    folder.shell().execute_batch("PRAGMA application_id = 17").unwrap();
    check(ErrorKind::InvalidInput, "belongs to another program");
    drop(folder.open());
    wait_until("the file is released", || fs::read_dir(folder.folder.path()).unwrap().count() == 1);
    folder.shell().execute_batch("PRAGMA user_version = 2").unwrap();
    check(ErrorKind::Unsupported, "layout 2");
    block_on(folder.open().close()).unwrap();
    folder.shell().execute_batch("DROP TRIGGER flags_updated").unwrap();
    check(ErrorKind::Unavailable, "missing");
}

#[test]
fn an_empty_file_is_taken() {
    let folder = Folder::new();
    fs::write(&folder.database, "").unwrap();
    put(&folder.open(), "X", true).unwrap();
}

#[test]
fn a_damaged_file_is_reported_and_the_held_flags_stay() {
    let folder = Folder::new();
    let store = folder.open();
    for number in 0..100 {
        put(&store, &format!("FLAG_{number}"), true).unwrap();
    }
    block_on(store.close()).unwrap();
    let mut bytes = fs::read(&folder.database).unwrap();
    bytes[4096..].fill(0x5a);
    fs::write(&folder.database, &bytes).unwrap();
    refused(&folder, ErrorKind::Unavailable, "damaged");
}

#[test]
fn a_locked_database_is_unavailable_for_now() {
    let folder = Folder::new();
    let store = MirroredFeatureFlagStore::new(bare(&folder.database).busy_timeout(Duration::from_millis(50)));
    put(&store, "X", true).unwrap();
    for lock in ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"] {
        let shell = folder.shell();
        shell.execute_batch(lock).unwrap();
        let error = put(&store, "X", false).unwrap_err();
        assert_eq!((error.kind(), error.is_transient(), error.flag()), (ErrorKind::Unavailable, true, Some("X")));
        assert!(error.to_string().starts_with("database file is locked by another program"), "{error}");
        assert!(error.to_string().contains(folder.text()), "{error}");
        assert!(error.source().is_some());
        assert_eq!(is_enabled(&store, "X"), Some(true));
        assert!(block_on(store.get("X")).unwrap().is_some(), "reads go on");
        shell.execute_batch("ROLLBACK").unwrap();
        put(&store, "X", true).unwrap();
    }
    // Waits long enough for the lock to be released.
    let patient = folder.open();
    let shell = folder.shell();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    let name = record("X", false);
    let waiting = std::thread::spawn(move || block_on(patient.put(&name, Precondition::Any.into())));
    assert!(put(&store, "Y", true).is_err(), "still locked");
    shell.execute_batch("COMMIT").unwrap();
    waiting.join().unwrap().unwrap();
}

#[test]
fn many_waiting_writes_wait_no_longer_than_one() {
    let folder = Folder::new();
    let store = bare(&folder.database).busy_timeout(Duration::from_millis(300));
    let shell = folder.shell();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begun = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| put(&store, "X", true).unwrap_err());
        }
    });
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_full_disk_loses_nothing_and_writes_resume() {
    let disk = match SmallDisk::mount(1024) {
        Ok(disk) => disk,
        Err(why) => return skip("sqlite: full disk", &why),
    };
    let database = disk.path().canonicalize().unwrap().join("flags.db");
    let store = open(&database);
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![0; 300 * 1024]).unwrap();
    let mut acknowledged = Vec::new();
    let error = loop {
        let name = format!("FLAG_{}", acknowledged.len());
        let mut flag = record(&name, true);
        flag.set_client_data([("filler", "x".repeat(10_000).as_str())].into_iter().collect());
        match block_on(store.put(&flag, Precondition::Any.into())) {
            Ok(_) => acknowledged.push(flag),
            Err(error) => break error,
        }
        assert!(acknowledged.len() < 1000, "the disk is never full");
    };
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Unavailable, true), "{error:?}");
    assert!(error.to_string().starts_with("no space is left"), "{error:?}");
    assert!(error.to_string().contains(database.to_str().unwrap()), "{error}");
    assert!(acknowledged.len() > 5);
    let in_memory =
        || store.table().list().into_iter().map(|stored| (*stored.record.unwrap()).clone()).collect::<Vec<_>>();
    acknowledged.sort_by(|a, b| a.name().cmp(b.name()));
    assert_eq!(in_memory(), acknowledged);
    block_on(store.list()).unwrap();
    assert!(store.status().is_live(), "reads go on");

    fs::remove_file(&ballast).unwrap();
    let more = record("MORE", true);
    block_on(store.put(&more, Precondition::Any.into())).unwrap();
    acknowledged.push(more);
    block_on(store.close()).unwrap();
    assert_intact(&database);
    let store = open(&database);
    let in_file = store.table().list().into_iter().map(|stored| (*stored.record.unwrap()).clone()).collect::<Vec<_>>();
    assert_eq!(in_file, acknowledged);
}

#[test]
fn a_disk_that_is_full_from_the_beginning() {
    let disk = match SmallDisk::mount(64) {
        Ok(disk) => disk,
        Err(why) => return skip("sqlite: full disk at the opening", &why),
    };
    let ballast = disk.path().join("ballast");
    // Fills the disk; fails for that reason.
    let _ = fs::write(&ballast, vec![0; 256 * 1024]);
    let database = disk.path().join("flags.db");
    let error = SqliteFeatureFlagStore::new(&database).unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Unavailable, true), "{error:?}");
    assert!(error.to_string().contains("space"), "{error:?}");
    assert!(error.to_string().contains("flags.db"), "{error:?}");
}

#[test]
fn a_table_dropped_under_a_running_store_is_reported() {
    let folder = Folder::new();
    let store = folder.open();
    put(&store, "X", true).unwrap();
    folder.shell().execute_batch("ALTER TABLE versions RENAME TO elsewhere").unwrap();
    wait_until("it is stale", || stale(&store).is_some());
    let reason = stale(&store).unwrap();
    assert!(reason.contains(folder.text()) && reason.contains("no such table"), "{reason}");
    let error = put(&store, "X", false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(is_enabled(&store, "X"), Some(true));
    shell(&folder.database).execute_batch("ALTER TABLE elsewhere RENAME TO versions").unwrap();
    wait_until("it is live again", || stale(&store).is_none());
    put(&store, "X", false).unwrap();
}

#[test]
fn a_file_in_another_mode_is_changed_back_when_others_let_it() {
    let folder = Folder::new();
    put(&folder.open(), "X", true).unwrap();
    let shell = folder.shell();
    wait_until("the store has let go", || {
        let mode: rusqlite::Result<String> = shell.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0));
        mode.is_ok_and(|mode| mode == "delete")
    });
    shell.execute_batch("BEGIN; SELECT * FROM flags").unwrap();
    let error = SqliteFeatureFlagStore::new(&folder.database).unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("locked"), "{error}");
    std::thread::scope(|scope| {
        let opening = scope.spawn(|| folder.open());
        let begun = std::time::Instant::now();
        wait_until("it has met the lock, mostly", || begun.elapsed() > Duration::from_millis(20));
        shell.execute_batch("COMMIT").unwrap();
        let store = opening.join().unwrap();
        put(&store, "X", false).unwrap();
    });
    let mode: String = folder.shell().query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}
