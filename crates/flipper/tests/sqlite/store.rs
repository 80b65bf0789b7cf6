use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use flipper::store::{LocalFeatureFlagStore, Precondition, Stored, Updates, Version, WatchEvent};
use flipper::{ErrorKind, FeatureFlagClient, FeatureFlagStore, MirroredFeatureFlagStore};
use flipper_testkit::block_on;
use flipper_testkit::{wait_until, within};
use futures_util::StreamExt;

use crate::{Folder, bare, is_enabled, put, record, stale};

#[test]
fn a_second_run_has_the_flags() {
    let folder = Folder::new();
    let features = folder.client();
    block_on(features.create("X").enabled(true).client_data(serde_json::json!({ "a": 1 }))).unwrap();
    drop(features);

    let features = folder.client();
    assert!(features.is_enabled("X"), "loaded before open returns");
    assert_eq!(features.client_data("X").unwrap().to_string(), r#"{"a": 1}"#);
}

#[test]
fn works_without_a_runtime_and_shows_writes_at_once() {
    let folder = Folder::new();
    let store = folder.open();
    for number in 0..200 {
        let enabled = number % 2 == 0;
        let version = put(&store, "X", enabled).unwrap();
        let stored = store.table().get("X").unwrap();
        assert_eq!((stored.version, stored.record.unwrap().is_enabled()), (version, enabled));
    }
    let version = block_on(store.delete("X", Precondition::Any.into())).unwrap();
    assert!(version.as_ordered().is_some());
    assert!(store.table().get("X").is_none());
    assert!(block_on(store.get("X")).unwrap().is_none());
}

#[test]
fn preconditions_hold_or_conflict() {
    let folder = Folder::new();
    let store = folder.open();
    let put_if = |when: Precondition| block_on(store.put(&record("X", true), when.into()));
    let delete_if = |when: Precondition| block_on(store.delete("X", when.into()));
    let conflicts = |result: flipper::Result<Version>| {
        let error = result.unwrap_err();
        assert_eq!((error.kind(), error.flag()), (ErrorKind::Conflict, Some("X")), "{error}");
        assert!(error.to_string().contains(folder.text()), "{error}");
    };

    conflicts(put_if(Precondition::Unchanged(Version::ordered(1))));
    delete_if(Precondition::Any).unwrap();
    delete_if(Precondition::Absent).unwrap();
    let first = put_if(Precondition::Absent).unwrap();
    conflicts(put_if(Precondition::Absent));
    conflicts(delete_if(Precondition::Absent));
    let second = put_if(Precondition::Unchanged(first.clone())).unwrap();
    conflicts(put_if(Precondition::Unchanged(first.clone())));
    conflicts(delete_if(Precondition::Unchanged(first)));
    delete_if(Precondition::Unchanged(second.clone())).unwrap();
    put_if(Precondition::Absent).unwrap();
    conflicts(put_if(Precondition::Unchanged(second)));
}

#[test]
fn versions_are_never_used_again() {
    let folder = Folder::new();
    let mut last = 0;
    let mut newer = |version: Version| {
        let number = version.as_ordered().unwrap();
        assert!(number > last, "{number} after {last}");
        last = number;
    };
    for _ in 0..5 {
        let store = folder.open();
        newer(put(&store, "X", true).unwrap());
        newer(block_on(store.delete("X", Precondition::Any.into())).unwrap());
        drop(store);
        let shell = folder.shell();
        shell.execute("INSERT INTO flags VALUES ('X', ?1)", [record("X", true).to_json()]).unwrap();
        newer(block_on(folder.open().get("X")).unwrap().unwrap().version);
        shell.execute("DELETE FROM flags", []).unwrap();
    }
    let tombstones: i64 = folder.shell().query_row("SELECT count(*) FROM versions", [], |row| row.get(0)).unwrap();
    assert_eq!(tombstones, 1);
    std::fs::remove_file(&folder.database).unwrap();
    // Also across files: the numbers begin with the time of the creation.
    newer(put(&folder.open(), "X", true).unwrap());
}

#[test]
fn edits_by_hand_are_seen_whatever_the_statement() {
    let folder = Folder::new();
    let store = folder.open();
    let shell = folder.shell();
    let json = record("X", true).to_json();
    let sees = |what: &str, name: &str, enabled: Option<bool>| {
        wait_until(what, || is_enabled(&store, name) == enabled);
    };

    shell.execute("INSERT INTO flags VALUES ('X', ?1)", [&json]).unwrap();
    sees("insert", "X", Some(true));
    shell.execute("UPDATE flags SET record = json_set(record, '$.is_enabled', json('false'))", []).unwrap();
    sees("update", "X", Some(false));
    shell.execute("UPDATE flags SET name = 'Y'", []).unwrap();
    sees("rename away", "X", None);
    sees("rename to", "Y", Some(false));
    shell.execute("INSERT OR REPLACE INTO flags VALUES ('Y', ?1)", [&json]).unwrap();
    sees("replace", "Y", Some(true));
    shell.execute("DELETE FROM flags", []).unwrap();
    sees("delete", "Y", None);
    shell.execute("INSERT OR IGNORE INTO flags VALUES ('X', ?1)", [&json]).unwrap();
    sees("insert or ignore, with a tombstone", "X", Some(true));
    shell.execute("INSERT INTO flags VALUES ('Z', CAST(?1 AS BLOB))", [&json]).unwrap();
    sees("a blob", "Z", Some(true));
    shell.execute("UPDATE OR REPLACE flags SET name = 'X' WHERE name = 'Z'", []).unwrap();
    sees("rename over another", "Z", None);
    sees("rename over another", "X", Some(true));

    // An edit by hand makes earlier versions invalid.
    let before = block_on(store.get("X")).unwrap().unwrap().version;
    shell.execute("UPDATE flags SET record = record", []).unwrap();
    let error = block_on(store.put(&record("X", false), Precondition::Unchanged(before).into())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

#[test]
fn two_stores_and_a_connection_of_one_process_agree() {
    let folder = Folder::new();
    let (one, other) = (folder.open(), folder.open());
    for number in 0..50 {
        let name = format!("FLAG_{number}");
        let version = put(&one, &name, true).unwrap();
        let stored = block_on(other.get(&name)).unwrap().unwrap();
        assert_eq!(stored.version, version, "get is authoritative");
        block_on(other.put(&record(&name, false), Precondition::Unchanged(version).into())).unwrap();
        assert!(!block_on(one.get(&name)).unwrap().unwrap().record.unwrap().is_enabled());
    }
    folder.shell().execute("DELETE FROM flags WHERE name = 'FLAG_7'", []).unwrap();
    let lists = [&one, &other].map(|store| block_on(store.list()).unwrap());
    let names = lists.map(|list| list.into_iter().map(|stored| (stored.name, stored.version)).collect::<Vec<_>>());
    assert_eq!(names[0].len(), 49);
    assert_eq!(names[0], names[1]);
}

#[test]
fn names_and_records_of_any_text_are_kept() {
    let folder = Folder::new();
    let store = folder.open();
    let names = [
        "a",
        "A",
        "é",
        "e\u{301}",
        "ß",
        " ",
        "'; DROP TABLE flags; --",
        "%",
        "🐎",
        "",
        "a/b",
        "a\0b",
        &"x".repeat(4096),
    ];
    for name in names {
        put(&store, name, true).unwrap();
    }
    let big = "x".repeat(200 * 1024);
    let mut large = record("LARGE", true);
    large.set_client_data([("big", big.as_str())].into_iter().collect());
    block_on(store.put(&large, Precondition::Any.into())).unwrap();
    block_on(store.close()).unwrap();

    let store = folder.open();
    let mut sorted: Vec<_> = names.into_iter().chain(["LARGE"]).collect();
    sorted.sort_unstable();
    let listed = block_on(store.list()).unwrap();
    assert_eq!(listed.iter().map(|stored| stored.name.as_str()).collect::<Vec<_>>(), sorted);
    assert_eq!(*block_on(store.get("LARGE")).unwrap().unwrap().record.unwrap(), large);
    let long = "x".repeat(4097);
    assert_eq!(put(&store, &long, true).unwrap_err().kind(), ErrorKind::InvalidName);
    assert!(block_on(store.get(&long)).unwrap().is_none());
}

#[test]
fn the_watch_reports_foreign_writes() {
    let folder = Folder::new();
    let store = bare(&folder.database);
    put(&store, "X", true).unwrap();
    let mut watch = store.watch();
    let Some(WatchEvent::Reset { flags, .. }) = block_on(watch.next()) else { panic!("no reset") };
    assert_eq!(flags.len(), 1);
    folder.shell().execute("DELETE FROM flags", []).unwrap();
    loop {
        match block_on(watch.next()).unwrap() {
            WatchEvent::Removed { name, version, .. } => {
                assert_eq!(name, "X");
                assert!(version.is_some());
                break;
            }
            WatchEvent::Following(_) | WatchEvent::Confirmed { .. } => {}
            event => panic!("{event:?}"),
        }
    }
}

#[test]
fn a_watch_begins_with_earlier_foreign_writes() {
    let folder = Folder::new();
    let (one, other) = (bare(&folder.database), bare(&folder.database));
    for number in 0..100 {
        put(&one, &format!("FLAG_{number}"), true).unwrap();
        let Some(WatchEvent::Reset { flags, .. }) = block_on(other.watch().next()) else { panic!("no reset") };
        assert_eq!(flags.len(), number + 1);
    }
}

#[test]
fn a_dropped_write_leaves_memory_and_file_agreeing() {
    let folder = Folder::new();
    let store = folder.open();
    for number in 0..300 {
        let name = format!("FLAG_{}", number % 7);
        let record = record(&name, number % 2 == 0);
        let mut write: std::pin::Pin<Box<dyn Future<Output = _> + Send>> = match number % 5 {
            0 => store.delete(&name, Precondition::Any.into()),
            _ => store.put(&record, Precondition::Any.into()),
        };
        let polled = write.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        drop(polled);
        drop(write);
        if number % 50 == 0 {
            let flags = |flags: Vec<Stored>| -> Vec<_> {
                flags.into_iter().map(|stored| (stored.name, stored.record.unwrap())).collect()
            };
            wait_until("memory and file agree", || {
                flags(store.table().list()) == flags(block_on(store.list()).unwrap())
            });
        }
    }
}

#[test]
fn close_ends_the_work_and_keeps_the_flags() {
    let folder = Folder::new();
    let store = folder.open();
    let clone = store.clone();
    put(&store, "X", true).unwrap();
    block_on(store.ready()).unwrap();
    within(Duration::from_secs(10), move || block_on(store.close()).unwrap());

    for error in [
        put(&clone, "X", false).unwrap_err(),
        block_on(clone.delete("X", Precondition::Any.into())).unwrap_err(),
        block_on(clone.get("X")).unwrap_err(),
        block_on(clone.list()).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().starts_with("store is closed"), "{error}");
        assert!(error.to_string().contains(folder.text()), "{error}");
        assert!(!error.is_transient());
    }
    assert_eq!(is_enabled(&clone, "X"), Some(true));
    assert!(stale(&clone).unwrap().contains("store is closed"));
    block_on(clone.close()).unwrap();
    let left: Vec<_> =
        std::fs::read_dir(folder.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["flags.db"], "nothing left beside it");
}

#[test]
fn display_status_and_shape() {
    fn shared<T: Clone + Send + Sync + std::fmt::Debug + 'static>(_: &T) {}

    let folder = Folder::new();
    let store = folder.open();
    shared(&store);
    assert_eq!(store.to_string(), format!("Mirrored(Sqlite({}))", folder.text()));
    let status = store.status();
    assert!(status.is_live());
    let first = status.last_sync.unwrap();
    wait_until("it has looked again", || store.status().last_sync.unwrap() > first);
    if cfg!(target_os = "linux") {
        assert_eq!(status.updates, Updates::Push);
    }
    let erased: Arc<dyn LocalFeatureFlagStore> = Arc::new(store);
    let features = FeatureFlagClient::new(erased);
    block_on(features.create("X")).unwrap();
}

#[test]
fn a_relative_path_and_a_link_lead_to_one_file() {
    let folder = Folder::new();
    let store = folder.open();
    put(&store, "X", true).unwrap();
    let link = folder.folder.path().join("link.db");
    std::os::unix::fs::symlink(&folder.database, &link).unwrap();
    let linked = bare(&link);
    assert_eq!(linked.to_string(), format!("Sqlite({})", link.display()));
    put(&linked, "Y", true).unwrap();
    assert!(block_on(store.get("Y")).unwrap().is_some());
    for name in [":memory:", "file:x.db?mode=memory", "a%20b?c#d.db"] {
        let path = folder.folder.path().join(name);
        put(&bare(&path), "X", true).unwrap();
        assert!(path.exists(), "{name} is a file like others");
    }
}

#[test]
fn options_of_any_size_work() {
    for time in [Duration::ZERO, Duration::MAX] {
        let folder = Folder::new();
        let store = MirroredFeatureFlagStore::new(bare(&folder.database).busy_timeout(time).poll_every(time));
        put(&store, "X", true).unwrap();
        folder.shell().execute("DELETE FROM flags", []).unwrap();
        // The file system notifies, however rarely the store polls.
        wait_until("the change is seen", || is_enabled(&store, "X").is_none());
    }
}
