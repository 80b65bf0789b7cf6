//! The table keeps the newer state, the memory of deletions, and after a reset just its flags.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::sync::Arc;

use flipper::store::{Corrupt, FlagTable, Stored, Version};
use flipper::{FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore};

fn flag(name: &str, version: u64, enabled: bool) -> Stored {
    let mut record = FlagRecord::new(name, 1_700_000_000);
    record.set_enabled(enabled);
    Stored { name: name.into(), version: Version::ordered(version), record: Ok(Arc::new(record)) }
}

fn corrupt(name: &str, version: u64) -> Stored {
    Stored { name: name.into(), version: Version::ordered(version), record: Err(Corrupt::new("not JSON")) }
}

fn opaque(name: &str, version: &str, enabled: bool) -> Stored {
    Stored { version: Version::opaque(version), ..flag(name, 0, enabled) }
}

fn versions(table: &FlagTable) -> Vec<(String, u64)> {
    table.list().into_iter().map(|stored| (stored.name, stored.version.as_ordered().unwrap())).collect()
}

#[test]
fn the_newer_state_wins_in_either_order() {
    let table = FlagTable::new();
    assert!(table.apply(flag("A", 5, true)));
    assert!(!table.apply(flag("A", 4, false)));
    assert!(!table.apply(flag("A", 5, false)), "the same is not newer");
    assert!(table.get("A").unwrap().record.unwrap().is_enabled());
    assert!(table.apply(flag("A", 6, false)));
    assert!(!table.get("A").unwrap().record.unwrap().is_enabled());
}

#[test]
fn a_deleted_flag_stays_deleted_for_older_states() {
    let table = FlagTable::new();
    assert!(table.apply(flag("A", 1, true)));
    assert!(!table.remove("A", Version::ordered(1)));
    assert!(table.remove("A", Version::ordered(3)));
    assert!(!table.apply(flag("A", 2, true)));
    assert!(table.get("A").is_none());
    assert!(table.apply(flag("A", 4, true)));
    assert!(!table.remove("A", Version::ordered(3)));
    assert_eq!(versions(&table), [("A".to_owned(), 4)]);

    assert!(table.remove("B", Version::ordered(9)), "the absence came before the older creation");
    assert!(!table.apply(flag("B", 8, true)));
    assert!(table.get("B").is_none());
}

#[test]
fn of_opaque_versions_the_last_wins() {
    let table = FlagTable::new();
    assert!(table.apply(opaque("A", "on", true)));
    assert!(table.apply(opaque("A", "off", false)));
    assert!(table.apply(opaque("A", "on", true)));
    assert!(table.get("A").unwrap().record.unwrap().is_enabled());
    assert!(table.remove("A", Version::opaque("")));
    assert!(table.apply(opaque("A", "on", true)));
}

#[test]
fn a_reset_leaves_these_flags_whatever_the_versions() {
    let table = FlagTable::new();
    for name in ["A", "B", "C"] {
        table.apply(flag(name, 100, true));
    }
    table.remove("C", Version::ordered(101));
    table.reset(vec![flag("D", 2, true), flag("A", 1, false)]);
    assert_eq!(versions(&table), [("A".to_owned(), 1), ("D".to_owned(), 2)]);
    assert!(!table.get("A").unwrap().record.unwrap().is_enabled());

    // Numbers start over, with 0.
    assert!(table.apply(flag("B", 0, true)));
    assert!(table.apply(flag("C", 0, true)));
    assert!(table.apply(flag("A", 3, true)));
    table.reset(Vec::new());
    assert!(table.list().is_empty());
}

#[test]
fn an_unreadable_flag_affects_no_other() {
    let table = FlagTable::new();
    table.apply(flag("A", 1, true));
    table.apply(corrupt("B", 2));
    table.apply(corrupt("C", 3));
    assert_eq!(table.list().len(), 3);
    let names = |table: &FlagTable| table.corrupt().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(&table), ["B", "C"]);
    table.apply(corrupt("B", 4));
    assert_eq!(names(&table), ["B", "C"]);
    table.apply(flag("B", 5, true));
    assert_eq!(names(&table), ["C"]);
    table.remove("C", Version::ordered(6));
    assert!(names(&table).is_empty());
    table.apply(corrupt("A", 7));
    table.reset(vec![flag("B", 1, true)]);
    assert!(names(&table).is_empty());
}

#[test]
fn names_of_any_length_and_kind_are_kept_apart() {
    let table = FlagTable::new();
    let names: Vec<String> = (0..=255).map(|length| "ü".repeat(length / 2) + &"x".repeat(length % 2)).collect();
    for (version, name) in names.iter().enumerate() {
        assert!(table.get(name).is_none());
        table.apply(flag(name, version as u64, true));
    }
    let mut expected = names;
    expected.sort_unstable();
    assert_eq!(versions(&table).into_iter().map(|(name, _)| name).collect::<Vec<_>>(), expected);
}

#[test]
fn reads_add_nothing() {
    let store = MemoryFeatureFlagStore::new();
    let features = flipper::FeatureFlagClient::new(store.clone());
    for number in 0..100 {
        let name = format!("FLAG_{number}");
        assert!(!features.is_enabled(&name) && !features.get(name.as_str()).is_enabled());
        assert!(features.is_enabled_or(&name, true) && features.get(name.as_str()).is_enabled_or(true));
        futures_executor::block_on(store.delete(&name, flipper::store::Precondition::Any.into())).unwrap();
    }
    let table: &FlagTable = flipper::store::LocalFeatureFlagStore::table(&store);
    assert_eq!(format!("{table:?}"), "FlagTable { names: 0, .. }");
}
