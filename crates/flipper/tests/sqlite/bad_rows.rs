use flipper::store::{LocalFeatureFlagStore, Precondition};
use flipper::{ErrorKind, FeatureFlagStore};
use flipper_testkit::block_on;
use flipper_testkit::wait_until;

use crate::{Folder, is_enabled, put, record};

const BAD: [(&str, &str); 10] = [
    ("NOT_JSON", "'no json'"),
    ("EMPTY", "''"),
    ("TRUNCATED", "substr(?1, 1, 60)"),
    ("OTHER_SHAPE", "'[1, 2, 3]'"),
    ("OTHER_FIELDS", r#"'{"name": "x"}'"#),
    ("META_IS_TEXT", r#"'{"feature_name": "x", "is_enabled": true, "meta": "x"}'"#),
    ("BINARY", "x'00ff17'"),
    ("NOT_UTF8", "CAST(x'7b22ff227d' AS TEXT)"),
    ("A_NUMBER", "42"),
    ("NUL", "char(0)"),
];

#[test]
fn each_bad_row_is_corrupt_alone() {
    let folder = Folder::new();
    let store = folder.open();
    let features = flipper::FeatureFlagClient::new(store.clone());
    put(&store, "GOOD", true).unwrap();
    let shell = folder.shell();
    let good = record("GOOD", true).to_json();
    for (name, sql) in BAD {
        put(&store, name, true).unwrap();
        // Every expression uses the parameter, though it may not need it.
        let sql = format!("UPDATE flags SET record = iif(?1 IS NULL, NULL, {sql}) WHERE name = '{name}'");
        assert_eq!(shell.execute(&sql, [&good]).unwrap(), 1);
        wait_until(name, || store.status().corrupt.iter().any(|(corrupt, _)| corrupt == name));
        assert_eq!(is_enabled(&store, "GOOD"), Some(true));
        assert!(!features.is_enabled(name));
    }
    assert!(store.status().is_live());

    // The same when the file is opened as while it is followed.
    for store in [store.clone(), folder.open()] {
        assert_eq!(store.status().corrupt.len(), BAD.len());
        assert_eq!(block_on(store.list()).unwrap().len(), BAD.len() + 1);
        for (name, _) in BAD {
            let stored = block_on(store.get(name)).unwrap().unwrap();
            assert!(!stored.record.unwrap_err().reason().is_empty());
        }
        assert_eq!(is_enabled(&store, "GOOD"), Some(true));
    }

    let error = block_on(features.enable("NOT_JSON")).unwrap_err();
    assert_eq!((error.kind(), error.flag()), (ErrorKind::Corrupt, Some("NOT_JSON")));
    assert!(error.to_string().contains(folder.text()), "{error}");

    // Each can be repaired or destroyed.
    for (number, (name, _)) in BAD.into_iter().enumerate() {
        if number % 2 == 0 {
            put(&store, name, true).unwrap();
        } else {
            block_on(features.destroy(name)).unwrap();
        }
    }
    assert!(store.status().corrupt.is_empty());
}

#[test]
fn names_that_are_no_text_are_passed_over() {
    let folder = Folder::new();
    let store = folder.open();
    let shell = folder.shell();
    let good = record("GOOD", true).to_json();
    for name in ["'a/b'", "''", "x'ff00'", "CAST(x'ff' AS TEXT)", "char(10)"] {
        shell.execute(&format!("INSERT INTO flags VALUES ({name}, ?1)"), [&good]).unwrap();
    }
    shell.execute("INSERT INTO flags VALUES ('GOOD', ?1)", [&good]).unwrap();
    for store in [store, folder.open()] {
        let names: Vec<_> = block_on(store.list()).unwrap().into_iter().map(|stored| stored.name).collect();
        assert_eq!(names, ["", "\n", "GOOD", "a/b"]);
        assert!(block_on(store.get("a/b")).unwrap().is_some());
        assert!(store.status().is_live());
    }
}

#[test]
fn a_table_without_constraints_is_read_all_the_same() {
    let folder = Folder::new();
    let store = folder.open();
    put(&store, "X", true).unwrap();
    block_on(store.close()).unwrap();
    let shell = folder.shell();
    // As a careless migration might leave it.
    shell
        .execute_batch(
            "CREATE TABLE other (name, record); INSERT INTO other SELECT * FROM flags; INSERT INTO other VALUES ('N', NULL), (NULL, 'x');
             DROP TABLE flags; ALTER TABLE other RENAME TO flags;
             CREATE TRIGGER flags_inserted AFTER INSERT ON flags BEGIN SELECT 1; END;
             CREATE TRIGGER flags_updated AFTER UPDATE ON flags BEGIN SELECT 1; END;
             CREATE TRIGGER flags_deleted AFTER DELETE ON flags BEGIN SELECT 1; END;",
        )
        .unwrap();
    let store = folder.open();
    assert_eq!(is_enabled(&store, "X"), Some(true));
    assert!(block_on(store.get("N")).unwrap().unwrap().record.is_err());
    // A write needs the unique name; its error names that.
    let error = block_on(store.put(&record("X", false), Precondition::Any.into())).unwrap_err();
    assert_eq!((error.kind(), error.is_transient()), (ErrorKind::Unavailable, false), "{error}");
    assert_eq!(is_enabled(&store, "X"), Some(true));
}
