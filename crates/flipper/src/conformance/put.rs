use std::sync::Arc;

use super::subject::{Subject, assert_kind, assert_same, flag, name, overlong, with_data};
use crate::error::ErrorKind;
use crate::record::FlagRecord;
use crate::state::Precondition;
use crate::store::FeatureFlagStore;

/// See [`FeatureFlagStore::put`].
pub async fn put_any(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let mut record = flag("ANY");
    let version = store.put(&record, Precondition::Any).await;
    store.expect(&record, &version).await;
    record.set_enabled(true);
    let version = store.put(&record, Precondition::Any).await;
    store.expect(&record, &version).await;
}

/// See [`FeatureFlagStore::put`].
pub async fn put_absent(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let first = flag("ABSENT");
    let version = store.put(&first, Precondition::Absent).await;
    store.expect(&first, &version).await;
    store.put_conflicts(&with_data(&first, "second", true), Precondition::Absent).await;
    store.expect(&first, &version).await;
    store.put_conflicts(&first, Precondition::Absent).await;
    store.expect(&first, &version).await;
}

/// See [`FeatureFlagStore::put`].
pub async fn put_unchanged(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let [one, two, three] = numbered("UNCHANGED");
    let first = store.put(&one, Precondition::Absent).await;
    let second = store.put(&two, Precondition::Unchanged(first.clone())).await;
    store.expect(&two, &second).await;

    store.put_conflicts(&three, Precondition::Unchanged(first.clone())).await;
    store.expect(&two, &second).await;

    store.delete(two.name(), Precondition::Any).await;
    for version in [first, second] {
        store.put_conflicts(&three, Precondition::Unchanged(version.clone())).await;
        store.expect_missing(three.name()).await;
        // Nor for a flag that never existed.
        let never = flag("NEVER");
        store.put_conflicts(&never, Precondition::Unchanged(version)).await;
        store.expect_missing(never.name()).await;
    }
}

/// See [`FeatureFlagStore::put`].
pub async fn put_same_again(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let record = flag("SAME");
    let mut version = store.put(&record, Precondition::Any).await;
    for _ in 0..3 {
        version = store.put(&record, Precondition::Unchanged(version)).await;
        store.expect(&record, &version).await;
        version = store.put(&record, Precondition::Any).await;
        store.expect(&record, &version).await;
    }
}

/// See [`FeatureFlagStore::put`].
pub async fn put_version_is_read_back(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let record = flag("VERSION");
    for round in 0..5 {
        let written = with_data(&record, "round", round);
        let version = store.put(&written, Precondition::Any).await;
        for _ in 0..2 {
            store.expect(&written, &version).await;
            let listed = store.list_of(&[record.name()]).await;
            let listed: Vec<_> = listed.iter().map(|stored| &stored.version).collect();
            assert_eq!(listed, [&version], "`list` must have the flag once, in the version of the write");
        }
    }
}

/// See [`FeatureFlagStore::put`].
pub async fn put_new_version(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let [one, two, three] = numbered("NEW");
    let first = store.put(&one, Precondition::Any).await;
    let second = store.put(&two, Precondition::Any).await;
    assert_ne!(second, first, "a replaced flag has its old version");
    let third = store.put(&three, Precondition::Unchanged(second.clone())).await;
    assert!(third != second && third != first, "a replaced flag has an old version: {first:?}, {second:?}, {third:?}");
    for (newer, older) in [(&second, &first), (&third, &second)] {
        if let (Some(newer), Some(older)) = (newer.as_ordered(), older.as_ordered()) {
            assert!(newer > older, "an ordered version must grow with each write, but {newer} came after {older}");
        }
    }
}

/// See [`FeatureFlagStore::put`].
pub async fn put_aba(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    // More than one round, in case numbers are per flag.
    let [one, two, three] = numbered("ABA");
    let read = store.put(&one, Precondition::Absent).await;
    for recreated in [&two, &three] {
        store.delete(one.name(), Precondition::Any).await;
        let version = store.put(recreated, Precondition::Absent).await;
        assert_ne!(version, read, "a flag that was deleted and created again has a version of its former life");
        store.put_conflicts(&with_data(&one, "late", true), Precondition::Unchanged(read.clone())).await;
        store.expect(recreated, &version).await;
    }
}

/// See [`FeatureFlagStore::put`].
pub async fn put_invalid_name(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let long = overlong();
    for when in [Precondition::Any, Precondition::Absent] {
        let put = store.try_put(&FlagRecord::new(&long, 0), when).await;
        assert_kind(put, ErrorKind::InvalidName, format_args!("`put` under a name of {} bytes", long.len()));
    }
    store.expect_missing(&long).await;
    let listed = store.list().await.iter().any(|stored| stored.name == long);
    assert!(!listed, "`list` has a flag that was refused, of a name of {} bytes", long.len());
}

/// See [`FeatureFlagStore::put`].
pub async fn put_names_of_python(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let own = name("ODD");
    let endings = ["/", "//", "/a", "/a/b", "/../a", "/.", "/%2F", "\n", "\0", "\u{7f}", "\u{85}a"];
    let mut names: Vec<_> = endings.iter().map(|ending| format!("{own}{ending}")).collect();
    names.extend([format!("/{own}"), format!("../{own}"), format!("{own}{}", "x".repeat(300)), String::new()]);
    let mut kept = Vec::new();
    for (number, odd) in names.iter().enumerate() {
        let record = with_data(&FlagRecord::new(odd, 0), "number", number);
        match store.try_put(&record, Precondition::Any).await {
            Ok(version) => kept.push((record, version)),
            refused => assert_kind(refused, ErrorKind::InvalidName, format_args!("`put` under the name {odd:?}")),
        }
    }
    let listed = store.list().await;
    for odd in &names {
        let listed = listed.iter().filter(|stored| stored.name == *odd).count();
        match kept.iter().find(|(record, _)| record.name() == *odd) {
            Some((record, version)) => {
                store.expect(record, version).await;
                assert_eq!(listed, 1, "`list` has the flag {odd:?} {listed} times");
            }
            None => {
                store.expect_missing(odd).await;
                assert_eq!(listed, 0, "`list` has a flag that was refused: {odd:?}");
            }
        }
    }
    for (record, version) in kept {
        let off = with_data(&record, "changed", true);
        let version = store.put(&off, Precondition::Unchanged(version)).await;
        store.expect(&off, &version).await;
        store.delete(record.name(), Precondition::Unchanged(version)).await;
        store.expect_missing(record.name()).await;
    }
}

/// See [`FeatureFlagStore::put`].
pub async fn put_ordered_versions(store: Arc<dyn FeatureFlagStore>) {
    if !store.capabilities().ordered_versions {
        return;
    }
    let store = Subject(store);
    let record = flag("ORDERED");
    let mut last = None;
    for round in 0..6 {
        let version = store.put(&with_data(&record, "round", round), Precondition::Any).await;
        let number = version.as_ordered();
        assert!(number > last, "`put` returned {version:?} after the number {last:?}");
        last = number;
        if round % 2 == 1 {
            store.delete(record.name(), Precondition::Any).await;
        }
    }
}

/// See [`FeatureFlagStore::put`].
pub async fn put_touches_one(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let [left, middle, right] = ["A", "B", "C"].map(|label| flag(&format!("ONE-{label}")));
    let left_version = store.put(&left, Precondition::Any).await;
    let right_version = store.put(&right, Precondition::Any).await;
    let mut version = store.put(&middle, Precondition::Absent).await;
    for round in 0..3 {
        version = store.put(&with_data(&middle, "round", round), Precondition::Unchanged(version)).await;
        store.expect(&left, &left_version).await;
        store.expect(&right, &right_version).await;
    }
    // The versions from before must still hold.
    store.put(&with_data(&left, "n", 1), Precondition::Unchanged(left_version)).await;
    store.put(&with_data(&right, "n", 1), Precondition::Unchanged(right_version)).await;
}

/// See [`FeatureFlagStore::put`].
pub async fn put_unicode_and_long_names(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let own = name("N");
    // Case, composition, patterns, escapes, spaces, dots, the longest names and those that differ at their end.
    let endings = [
        "é",
        "e\u{301}",
        "É",
        "ß",
        "ss",
        "🐴",
        "\u{10ffff}",
        "日本",
        "%",
        "%25",
        "*",
        "?",
        "_",
        "[a]",
        "{}",
        " ",
        "  ",
        "+",
        "'",
        "\"",
        ";--",
        "\\",
        "\\n",
        ".",
        "..",
        ":",
        "#",
        "&a=1",
        "$0",
        "~",
        "",
        "a",
        "A",
    ];
    let pad = |last: &str| format!("{own}{}{last}", "x".repeat(255 - own.len() - last.len()));
    let mut names: Vec<String> = endings.iter().map(|ending| format!("{own}{ending}")).collect();
    names.extend(endings.iter().filter(|ending| !ending.is_empty()).map(|ending| format!("{ending}{own}")));
    names.extend([pad("1"), pad("2"), pad("é"), format!("{own}{}", "é".repeat((255 - own.len()) / 2))]);

    let mut written = Vec::new();
    let mut refused = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        let record = with_data(&FlagRecord::new(name, number), "name", name.as_str());
        // `Absent`: no name may be taken for another.
        match store.0.put(&record, Precondition::Absent.into()).await {
            Ok(version) => written.push((record, version)),
            refusal if name.contains('\\') => {
                assert_kind(refusal, ErrorKind::InvalidName, format_args!("`put` under the name {name:?}"));
                refused.push(name.clone());
            }
            Err(error) => panic!("`put` of {name:?} failed: {error:?}"),
        }
    }
    names.retain(|name| !refused.contains(name));
    for (record, version) in &written {
        store.expect(record, version).await;
    }
    let listed = store.list_of(&names).await;
    names.sort_unstable();
    assert_eq!(listed.iter().map(|stored| &stored.name).collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
    for (record, version) in &written {
        store.delete(record.name(), Precondition::Unchanged(version.clone())).await;
    }
    assert!(store.list_of(&names).await.is_empty(), "not all of the names are deleted");
}

/// See [`FeatureFlagStore::put`].
pub async fn put_large_record(store: Arc<dyn FeatureFlagStore>) {
    let store = Subject(store);
    let text: String = (0..200 * 1024).map(|at| char::from(b'a' + u8::try_from(at % 26).unwrap_or_default())).collect();
    let record = with_data(&flag("LARGE"), "text", text.as_str());
    let version = store.put(&record, Precondition::Any).await;
    store.expect(&record, &version).await;
    let listed = store.list_of(&[record.name()]).await;
    assert_eq!(listed.len(), 1, "`list` must have the large flag once");
    assert_same(&listed[0], &record, "`list`");

    let changed = with_data(&record, "text", format!("{text}!"));
    let version = store.put(&changed, Precondition::Unchanged(version)).await;
    store.expect(&changed, &version).await;
}

fn numbered(label: &str) -> [FlagRecord; 3] {
    let record = flag(label);
    [1, 2, 3].map(|number| with_data(&record, "state", number))
}
