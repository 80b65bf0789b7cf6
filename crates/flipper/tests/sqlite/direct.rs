use std::fs;

use flipper::store::Precondition;
use flipper::{ErrorKind, FeatureFlagStore, SqliteFeatureFlagStore};
use flipper_testkit::block_on;

use super::{Folder, assert_intact, bare, put, record};

fn state(file: &SqliteFeatureFlagStore, name: &str) -> Option<bool> {
    Some(block_on(file.get(name)).unwrap()?.record.unwrap().is_enabled())
}

#[test]
fn shares_the_file_with_the_store_that_has_flags_in_memory() {
    let folder = Folder::new();
    let store = folder.open();
    let file = bare(&folder.database);
    put(&store, "A", true).unwrap();
    assert_eq!(state(&file, "A"), Some(true));
    let version = block_on(file.put(&record("A", false), Precondition::Any.into())).unwrap();
    let seen = block_on(store.get("A")).unwrap().unwrap();
    assert_eq!(seen.version, version);
    assert!(!seen.record.unwrap().is_enabled());
}

#[test]
fn a_file_put_in_its_place_is_taken_in() {
    let folder = Folder::new();
    let file = bare(&folder.database);
    block_on(file.put(&record("OLD", true), Precondition::Any.into())).unwrap();
    let other = Folder::new();
    let replacement = bare(&other.database);
    block_on(replacement.put(&record("NEW", true), Precondition::Any.into())).unwrap();
    drop(replacement);
    fs::rename(&other.database, &folder.database).unwrap();

    assert_eq!(state(&file, "NEW"), Some(true));
    assert_eq!(state(&file, "OLD"), None);
    block_on(file.put(&record("NEW", false), Precondition::Any.into())).unwrap();
    drop(file);
    assert_intact(&folder.database);
    assert_eq!(state(&bare(&folder.database), "NEW"), Some(false));
}

#[test]
fn a_file_that_is_gone_is_no_empty_store() {
    let folder = Folder::new();
    let file = bare(&folder.database);
    block_on(file.put(&record("A", true), Precondition::Any.into())).unwrap();
    fs::remove_file(&folder.database).unwrap();
    let error = block_on(file.list()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("deleted"), "{error}");
}

#[test]
fn many_flags_at_once() {
    let folder = Folder::new();
    let file = bare(&folder.database);
    let records: Vec<_> = (0..2500).map(|number| record(&format!("F{number:04}"), true)).collect();
    let results = block_on(file.put_all(&records, Precondition::Absent.into()));
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(block_on(file.list()).unwrap().len(), 2500);

    // In a batch, an existing flag is a conflict of that flag alone.
    let again = [record("F0001", false), record("NEW", true)];
    let kinds: Vec<_> = block_on(file.put_all(&again, Precondition::Absent.into()))
        .into_iter()
        .map(|result| result.err().map(|error| error.kind()))
        .collect();
    assert_eq!(kinds, [Some(ErrorKind::Conflict), None]);
    assert_eq!(state(&file, "F0001"), Some(true));
}

#[test]
fn a_locked_file_is_an_error_of_every_flag() {
    let folder = Folder::new();
    let file = bare(&folder.database);
    let shell = folder.shell();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    let results = block_on(file.put_all(&[record("A", true), record("B", true)], Precondition::Any.into()));
    for (result, name) in results.into_iter().zip(["A", "B"]) {
        let error = result.unwrap_err();
        assert_eq!((error.kind(), error.flag()), (ErrorKind::Unavailable, Some(name)));
        assert!(error.is_transient());
    }
    shell.execute_batch("ROLLBACK").unwrap();
    assert_eq!(state(&file, "A"), None);
}

#[test]
fn says_what_an_operator_wants_to_know() {
    let folder = Folder::new();
    let store = folder.open();
    put(&store, "X", true).unwrap();
    let file = bare(&folder.database);
    let checks = block_on(file.inspect());
    assert!(checks.iter().all(|check| check.finding == flipper::store::Finding::Fine), "{checks:?}");
    assert!(checks.iter().any(|check| check.what == "flags" && check.text == "1"), "{checks:?}");
    assert_eq!(block_on(store.inspect()), checks);
    assert_eq!(store.identity(), file.identity());
    assert_eq!(store.identity().place(), format!("sqlite:{}", folder.text()));
    fs::remove_file(&folder.database).unwrap();
    assert_eq!(block_on(store.inspect())[0].finding, flipper::store::Finding::Fault);
    assert_eq!(block_on(file.inspect())[0].finding, flipper::store::Finding::Fault);
    assert!(!folder.database.exists());
}
