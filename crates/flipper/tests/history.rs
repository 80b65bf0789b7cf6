//! Who changed which flag, when and why: through the client, and in a file that others write too.
#![cfg(feature = "sqlite")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use flipper::blocking;
use flipper::history::{Entry, FlagState, HistoryLimits, HistoryPage, HistoryQuery};
use flipper::store::{Precondition, Stored, Version, WriteOptions};
use flipper::{
    Condition, ErrorKind, FeatureFlagClient, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore, Result,
    SqliteFeatureFlagStore,
};
use flipper_testkit::block_on;
use futures_util::TryStreamExt;
use rusqlite::Connection;

const FILE: &str = "flags.db";

fn all(features: &FeatureFlagClient, name: &str) -> Vec<Entry> {
    block_on(features.history(name).try_collect()).unwrap()
}

fn verbs(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| &*entry.verb).collect()
}

#[test]
fn an_entry_says_who_why_and_what() {
    let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    let alice = features.as_actor("alice").because("incident 42").with_source("page");
    block_on(async {
        features.create("F").await?;
        alice.enable("F").await?;
        alice.get("F").add_condition(Condition::new().eq("plan", "pro")).await?;
        // Of an update the verb is what it did.
        let off = |record: &mut FlagRecord| {
            record.set_enabled(false);
            Ok(())
        };
        features.as_actor("bob").update("F", off).await?;
        features.destroy("F").await
    })
    .unwrap();
    let entries = all(&features, "F");
    assert_eq!(verbs(&entries), ["destroy", "disable", "add_condition", "enable", "create"]);
    let shown = |entry: &Entry| {
        (entry.actor().map(str::to_owned), entry.reason().map(str::to_owned), entry.source().to_owned())
    };
    assert_eq!(shown(&entries[4]), (None, None, "program".to_owned()));
    assert_eq!(shown(&entries[3]), (Some("alice".into()), Some("incident 42".into()), "page".into()));
    assert_eq!(shown(&entries[1]), (Some("bob".into()), None, "program".into()));
    let (before, after) = entries[1].differences();
    assert_eq!(
        (before.to_string(), after.to_string()),
        (r#"{"is_enabled": true}"#.into(), r#"{"is_enabled": false}"#.into())
    );
    let of_all: Vec<Entry> = block_on(features.history_of_all(None).try_collect()).unwrap();
    assert_eq!(of_all, entries);
    let later = SystemTime::now() + Duration::from_secs(60);
    assert!(block_on(features.history_of_all(later).try_collect::<Vec<_>>()).unwrap().is_empty());
}

#[test]
fn a_wrong_actor_or_reason_writes_nothing() {
    let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    block_on(features.create("F")).unwrap();
    let mebibyte = "x".repeat(1 << 20);
    for (client, message) in [
        (features.as_actor(""), "actor is empty"),
        (features.as_actor(&mebibyte), "actor has 1048576 bytes, more than 255"),
        (features.as_actor("alice").because(&mebibyte), "reason has 1048576 bytes, more than 4096"),
        (features.because(""), "reason is empty"),
        // The first mistake stays.
        (features.as_actor("").as_actor("alice"), "actor is empty"),
    ] {
        let record = FlagRecord::new("G", 1);
        let writes = [
            block_on(client.enable("F")),
            block_on(client.create("G")).map(drop),
            block_on(client.put(&record, Precondition::Any)).map(drop),
            block_on(client.put_all(&[record], Precondition::Any)).remove(0).map(drop),
            block_on(client.delete("F", Precondition::Any)).map(drop),
            block_on(client.restore("F", &all(&features, "F")[0])),
        ];
        for write in writes {
            let error = write.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().starts_with(message), "{error}");
        }
    }
    assert_eq!(verbs(&all(&features, "F")), ["create"]);
    assert!(features.exists("F") && !features.exists("G") && !features.is_enabled("F"));
}

#[test]
fn a_flag_becomes_what_it_was() {
    let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    let last = || all(&features, "F").remove(0);
    let record = || features.record("F").unwrap();
    block_on(features.create("F")).unwrap();
    let created = record();
    block_on(features.enable("F")).unwrap();
    let enabled = last();

    block_on(features.as_actor("alice").restore("F", &enabled)).unwrap();
    assert_eq!(record(), created);
    assert_eq!((&*last().verb, last().actor()), ("restore", Some("alice")));
    // And back: a restore is a write as any other.
    block_on(features.restore("F", &last())).unwrap();
    assert!(features.is_enabled("F"));

    block_on(features.destroy("F")).unwrap();
    block_on(features.restore("F", &last())).unwrap();
    assert!(features.is_enabled("F"), "created again as it was");
    block_on(features.restore("F", &last())).unwrap();
    assert!(!features.exists("F"));

    let error = block_on(features.restore("G", &last())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
}

#[test]
fn what_was_changed_since_is_a_conflict() {
    let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    block_on(features.create("F")).unwrap();
    block_on(features.enable("F")).unwrap();
    let enabled = all(&features, "F").remove(0);
    block_on(features.set_client_data("F", serde_json::json!({ "owner": "bob" }))).unwrap();
    let before = features.record("F").unwrap();
    let error = block_on(features.restore("F", &enabled)).unwrap_err();
    assert_eq!((error.kind(), error.flag()), (ErrorKind::Conflict, Some("F")), "{error}");
    assert_eq!(features.record("F").unwrap(), before);
    // A flag of the same name that was created since is another one.
    block_on(features.destroy("F")).unwrap();
    let destroyed = all(&features, "F").remove(0);
    block_on(features.create("F")).unwrap();
    assert_eq!(block_on(features.restore("F", &destroyed)).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(verbs(&all(&features, "F")), ["create", "destroy", "set_client_data", "enable", "create"]);
}

/// Sees only this library's writes, as Redis does.
#[derive(Debug)]
struct Blind(MemoryFeatureFlagStore);

impl fmt::Display for Blind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blind")
    }
}

#[async_trait]
impl FeatureFlagStore for Blind {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        self.0.get(name).await
    }
    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
        self.0.put(record, options).await
    }
    async fn delete(&self, name: &str, options: WriteOptions) -> Result<Version> {
        self.0.delete(name, options).await
    }
    async fn list(&self) -> Result<Vec<Stored>> {
        self.0.list().await
    }
    async fn history(&self, query: &HistoryQuery) -> Result<HistoryPage> {
        let mut page = self.0.history(query).await?;
        page.entries.retain(|entry| entry.cause.is_some());
        Ok(page)
    }
}

#[test]
fn a_change_that_the_store_did_not_see_is_an_entry() {
    let other = MemoryFeatureFlagStore::new();
    let features = FeatureFlagClient::remote(Blind(other.clone()));
    let entries = || -> Vec<Entry> { block_on(features.history("F").try_collect()).unwrap() };
    block_on(features.create("F")).unwrap();
    let change = |enabled: bool| {
        let mut record = FlagRecord::clone(&block_on(features.fetch("F")).unwrap().unwrap());
        record.set_enabled(enabled);
        block_on(other.put(&record, Precondition::Any.into())).unwrap();
    };
    change(true);
    let found = entries();
    assert_eq!(verbs(&found), ["enable", "create"], "it is in front");
    assert_eq!((found[0].actor(), found[0].source()), (None, "outside"));

    let owner = serde_json::json!({ "owner": "shop" });
    block_on(features.as_actor("alice").set_client_data("F", owner)).unwrap();
    let found = entries();
    assert_eq!(verbs(&found), ["set_client_data", "enable", "create"], "it is a gap");
    assert_eq!(found.iter().map(Entry::source).collect::<Vec<_>>(), ["program", "outside", "program"]);
    let of_all: Vec<Entry> = block_on(features.history_of_all(None).try_collect()).unwrap();
    assert_eq!(of_all, found);

    // Also if all that the store saw is too old, or what is left out is in between.
    let of = |query: HistoryQuery| -> Vec<Entry> { block_on(features.entries(query).try_collect()).unwrap() };
    change(false);
    let now = SystemTime::now();
    assert_eq!(of(HistoryQuery::of("F").since(Some(now))).iter().map(Entry::source).collect::<Vec<_>>(), ["outside"]);
    change(true);
    for since in found.iter().map(|entry| entry.at) {
        let mut expected = entries();
        expected.retain(|entry| entry.at >= since);
        let recent = of(HistoryQuery::of("F").since(Some(since)));
        assert_eq!(verbs(&recent), verbs(&expected), "since {since:?}");
    }

    // And is undone as any other.
    block_on(features.restore("F", &found[0])).unwrap();
    change(false);
    block_on(features.restore("F", &entries()[0])).unwrap();
    assert!(block_on(features.fetch("F")).unwrap().unwrap().is_enabled());
}

#[test]
fn a_client_without_async_has_the_same() {
    let features = blocking::FeatureFlagClient::new(|| async { MemoryFeatureFlagStore::new() }).unwrap();
    features.create("F").wait().unwrap();
    features.as_actor("alice").because("it works").enable("F").unwrap();
    let entries = features.history("F", 1).unwrap();
    assert_eq!((entries.len(), entries[0].actor(), entries[0].reason()), (1, Some("alice"), Some("it works")));
    features.restore("F", &entries[0]).unwrap();
    assert_eq!(verbs(&features.history_of_all(None, 10).unwrap()), ["restore", "enable", "create"]);
    assert!(!features.is_enabled("F"));
}

#[test]
fn eight_writers_leave_a_history_that_replays() {
    const WRITERS: usize = 8;
    const MERGES: usize = 200;
    let folder = tempfile::tempdir().unwrap();
    let limits = HistoryLimits::default();
    let open = || SqliteFeatureFlagStore::new(folder.path().join(FILE)).unwrap().history_limits(limits);
    let first = FeatureFlagClient::remote(open());
    block_on(first.create("F")).unwrap();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let features = FeatureFlagClient::builder().write_timeout(Duration::from_secs(120)).build_remote(open());
            scope.spawn(move || {
                let features = features.as_actor(format!("writer {writer}"));
                for number in 0..MERGES {
                    let data = serde_json::json!({ format!("{writer}-{number}"): number });
                    block_on(features.set_client_data("F", data)).unwrap();
                }
            });
        }
    });
    let entries: Vec<Entry> = block_on(first.history("F").try_collect()).unwrap();
    assert_eq!(entries.len(), WRITERS * MERGES + 1);
    let mut state: FlagState = None;
    for entry in entries.iter().rev() {
        assert_eq!(entry.before, state, "{entry:?} must begin with what the previous entry left");
        state.clone_from(&entry.after);
    }
    let stored = block_on(first.fetch("F")).unwrap();
    assert_eq!(state, stored.map(Ok));
    for writer in 0..WRITERS {
        let actor = format!("writer {writer}");
        assert_eq!(entries.iter().filter(|entry| entry.actor() == Some(&actor)).count(), MERGES);
    }
}

#[test]
fn other_programs_are_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let features = FeatureFlagClient::new(SqliteFeatureFlagStore::new(&path).unwrap());
    block_on(features.as_actor("alice").create("F")).unwrap();
    let text = |enabled: bool| {
        let mut record = FlagRecord::new("F", 1);
        record.set_enabled(enabled);
        record.to_json()
    };
    let shell = Connection::open(&path).unwrap();
    shell.busy_timeout(Duration::from_secs(60)).unwrap();
    shell.execute("UPDATE flags SET record = ?1 WHERE name = 'F'", [text(true)]).unwrap();
    // Deletes the old row without its trigger.
    shell.execute("INSERT OR REPLACE INTO flags (name, record) VALUES ('F', ?1)", [text(false)]).unwrap();
    shell.execute("UPDATE flags SET name = 'G' WHERE name = 'F'", []).unwrap();
    shell.execute("UPDATE flags SET record = '{' WHERE name = 'G'", []).unwrap();
    shell.execute("DELETE FROM flags", []).unwrap();

    let entries = all(&features, "F");
    assert_eq!(verbs(&entries), ["destroy", "disable", "update", "create"]);
    let sources: Vec<_> = entries.iter().map(|entry| (entry.actor(), entry.source())).collect();
    assert_eq!(sources, [(None, "outside"), (None, "outside"), (None, "outside"), (Some("alice"), "program")]);
    for (newer, older) in entries.iter().zip(&entries[1..]) {
        assert_eq!(newer.before, older.after);
    }
    let entries = all(&features, "G");
    assert_eq!(verbs(&entries), ["destroy", "update", "create"]);
    assert!(matches!(entries[0].before, Some(Err(_))), "{entries:?}");
    let error = block_on(features.restore("G", &entries[0])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

#[test]
fn a_file_of_an_older_version_gets_a_history() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    block_on(FeatureFlagClient::remote(SqliteFeatureFlagStore::new(&path).unwrap()).create("OLD")).unwrap();
    let older = Connection::open(&path).unwrap();
    older.busy_timeout(Duration::from_secs(60)).unwrap();
    // As that version has left it.
    older
        .execute_batch(
            "DROP TRIGGER flags_history_inserted; DROP TRIGGER flags_history_updated; DROP TRIGGER flags_history_deleted; DROP TABLE flags_history;",
        )
        .unwrap();
    older.execute("UPDATE flags SET record = json_set(record, '$.is_enabled', json('true'))", []).unwrap();

    let features = FeatureFlagClient::new(SqliteFeatureFlagStore::new(&path).unwrap());
    assert!(features.is_enabled("OLD"));
    assert!(all(&features, "OLD").is_empty());
    // The older program goes on, and is in the history from now on.
    older.execute("UPDATE flags SET record = json_set(record, '$.is_enabled', json('false'))", []).unwrap();
    block_on(features.enable("OLD")).unwrap();
    let entries = all(&features, "OLD");
    assert_eq!(verbs(&entries), ["enable", "disable"]);
    assert_eq!(entries[1].source(), "outside");

    // While the file is open too: no write without its entry.
    older.execute_batch("DROP TRIGGER flags_history_updated").unwrap();
    block_on(features.disable("OLD")).unwrap();
    assert_eq!(verbs(&all(&features, "OLD")), ["disable", "enable", "disable"]);
}

#[test]
fn a_history_has_its_limits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let limits = HistoryLimits::default().entries(100).age(Duration::from_secs(3600));
    let stores: [Arc<dyn FeatureFlagStore>; 2] = [
        Arc::new(MemoryFeatureFlagStore::new().history_limits(limits)),
        Arc::new(SqliteFeatureFlagStore::new(&path).unwrap().history_limits(limits)),
    ];
    for store in stores {
        let features = FeatureFlagClient::remote(store.clone());
        for number in 0..130 {
            block_on(features.create(format!("F{number}"))).unwrap();
        }
        let kept: Vec<Entry> = block_on(features.history_of_all(None).try_collect()).unwrap();
        let names: Vec<_> = kept.iter().map(|entry| entry.name.clone()).collect();
        let newest: Vec<_> = (0..130).rev().take(kept.len()).map(|number| format!("F{number}")).collect();
        assert_eq!(names, newest, "the oldest are dropped");
        assert!((100..=101).contains(&kept.len()), "{store} keeps {}", kept.len());
    }
    let features = FeatureFlagClient::remote(SqliteFeatureFlagStore::new(&path).unwrap().history_limits(limits));
    let other = Connection::open(&path).unwrap();
    other.busy_timeout(Duration::from_secs(60)).unwrap();
    other.execute("UPDATE flags_history SET at = at - 2 * 3600 * 1000 WHERE name <> 'F129'", []).unwrap();
    block_on(features.create("NEW")).unwrap();
    let kept: Vec<Entry> = block_on(features.history_of_all(None).try_collect()).unwrap();
    assert_eq!(kept.iter().map(|entry| &*entry.name).collect::<Vec<_>>(), ["NEW", "F129"]);
}

#[test]
fn a_file_keeps_its_limits() {
    let folder = tempfile::tempdir().unwrap();
    let open = || SqliteFeatureFlagStore::new(folder.path().join(FILE)).unwrap();
    let one = open().history_limits(HistoryLimits::default().entries(20));
    let (one, other) = (FeatureFlagClient::remote(one), FeatureFlagClient::remote(open()));
    let kept = || -> usize { block_on(other.history_of_all(None).try_collect::<Vec<_>>()).unwrap().len() };
    for number in 0..50 {
        block_on(other.create(format!("F{number}"))).unwrap();
    }
    assert_eq!(kept(), 50);
    block_on(one.create("F")).unwrap();
    assert_eq!(kept(), 20);
    for number in 50..100 {
        block_on(other.create(format!("F{number}"))).unwrap();
    }
    assert_eq!(kept(), 20, "of a program that sets none");
}

#[test]
fn a_flag_is_restored_under_the_name_of_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let features = FeatureFlagClient::new(SqliteFeatureFlagStore::new(&path).unwrap());
    block_on(features.create("F")).unwrap();
    let other = Connection::open(&path).unwrap();
    other.busy_timeout(Duration::from_secs(60)).unwrap();
    other.execute("UPDATE flags SET name = 'G' WHERE name = 'F'", []).unwrap();
    block_on(features.destroy("G")).unwrap();
    block_on(features.restore("G", &all(&features, "G").remove(0))).unwrap();
    let fetch = |name| block_on(features.fetch(name)).unwrap();
    assert_eq!((fetch("G").unwrap().name(), fetch("F")), ("G", None));
}

#[test]
fn an_entry_begins_with_what_the_write_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let features = FeatureFlagClient::new(SqliteFeatureFlagStore::new(&path).unwrap());
    block_on(features.create("F")).unwrap();
    let other = Connection::open(&path).unwrap();
    other.busy_timeout(Duration::from_secs(60)).unwrap();
    other.execute_batch("DROP TRIGGER flags_history_deleted; DELETE FROM flags").unwrap();
    block_on(features.create("F").enabled(true)).unwrap();
    assert_eq!(all(&features, "F")[0].before, None);
}

#[test]
fn the_order_is_no_clock() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let features = FeatureFlagClient::new(SqliteFeatureFlagStore::new(&path).unwrap());
    block_on(features.create("F")).unwrap();
    block_on(features.enable("F")).unwrap();
    let other = Connection::open(&path).unwrap();
    other.busy_timeout(Duration::from_secs(60)).unwrap();
    // The clock that wrote the first entry was an hour ahead, and was set back.
    other.execute("UPDATE flags_history SET at = at + 3600 * 1000 WHERE verb = 'create'", []).unwrap();
    let before_1970 = "UPDATE flags_history SET at = -1000 WHERE verb = 'disable'";
    block_on(features.disable("F")).unwrap();
    other.execute(before_1970, []).unwrap();
    let entries = all(&features, "F");
    assert_eq!(verbs(&entries), ["disable", "enable", "create"]);
    assert!(entries[2].at > entries[1].at && entries[0].at < SystemTime::UNIX_EPOCH);
    // An entry in the middle that is too old hides none behind it.
    let since = entries[1].at;
    let recent: Vec<Entry> = block_on(features.history_of_all(since).try_collect()).unwrap();
    assert_eq!(verbs(&recent), ["enable", "create"]);
}

#[test]
fn a_page_of_a_long_history_and_a_foreign_id() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteFeatureFlagStore::new(folder.path().join(FILE)).unwrap();
    let records: Vec<_> = (0..500).map(|number| FlagRecord::new(format!("F{number}"), 1)).collect();
    assert!(block_on(store.put_all(&records, Precondition::Any.into())).iter().all(Result::is_ok));
    let page = block_on(store.history(&HistoryQuery::all().limit(10_000))).unwrap();
    assert_eq!((page.entries.len(), page.next), (500, None));
    let page = block_on(store.history(&HistoryQuery::all())).unwrap();
    assert_eq!((page.entries.len(), page.entries[0].name.as_str()), (100, "F499"));
    let query = HistoryQuery::all().before(Some(flipper::history::EntryId::new("1-0")));
    assert_eq!(block_on(store.history(&query)).unwrap_err().kind(), ErrorKind::InvalidInput);
}
