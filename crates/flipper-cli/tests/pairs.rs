//! `sync` and `diff` between any two stores.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use flipper_testkit::redis::RedisServer;
use support::stores::{self, TestStore};
use support::{flipper, run, succeed};

#[test]
fn every_store_to_every_other() {
    let homes: Vec<_> = (0..5).map(|_| tempfile::tempdir().unwrap()).collect();
    let make = [stores::sqlite, stores::postgres, stores::redis, stores::consul, stores::thrift];
    let stores: Vec<TestStore> = make.iter().zip(&homes).filter_map(|(make, home)| make(home.path())).collect();
    let home = tempfile::tempdir().unwrap();
    let flags =
        "seq -f 'FLAG_%03g' 1 40 | flipper create - --json > /dev/null && flipper rollout FLAG_001 0..100% --over 1h";
    let flags = format!("{flags} && flipper condition add FLAG_002 'n in 1,2 and é != \"x\"'");
    succeed(support::clean("sh", home.path()).env("FLIPPER_STORE", &stores[0].url).args(["-c", &flags]));
    let mut number = 0;
    for from in &stores {
        for to in stores.iter().filter(|to| to.url != from.url) {
            // One flag is new, one differs, and one is removed.
            number += 1;
            let last = format!("LAST_{number}");
            succeed(flipper(home.path(), &from.url).args(["create", &last, "--enable"]));
            succeed(flipper(home.path(), &to.url).args(["create", "ONLY_THERE", "--if-missing"]));
            succeed(flipper(home.path(), &from.url).args(["toggle", "FLAG_003"]));
            let done =
                succeed(flipper(home.path(), "").args(["sync", &from.url, &to.url, "--delete", "--yes", "--json"]));
            assert!(done.contains("\"failed\": 0") && !done.contains("\"created\": 0"), "{done}");
            let same = succeed(flipper(home.path(), "").args(["diff", &from.url, &to.url, "--json"]));
            assert!(same.contains("\"equal\": true"), "{} to {}: {same}", from.url, to.url);
        }
    }
    assert_eq!(number, stores.len() * (stores.len() - 1));
}

/// Records that the Python library or a person may write, and the command would not.
const ODD: [(&str, &str); 9] = [
    ("A_LIST", r#"{"feature_name": "A_LIST", "is_enabled": true, "meta": {"client_data": [1], "created_date": 1}}"#),
    ("A_STRING", r#"{"feature_name": "A_STRING", "is_enabled": 1, "meta": {"client_data": "x", "created_date": 1.5}}"#),
    ("NOTHING", r#"{"feature_name": "NOTHING", "is_enabled": "", "meta": {"client_data": null, "created_date": -1}}"#),
    (
        "MORE",
        r#"{"feature_name": "MORE", "is_enabled": true, "meta": {"created_date": 1, "by": {"n": [1.50]}}, "extra": null}"#,
    ),
    (
        "OTHER_NAME",
        r#"{"feature_name": "ANOTHER", "is_enabled": true, "meta": {"created_date": 99999999999999999999}}"#,
    ),
    ("two words", r#"{"feature_name": "two words", "is_enabled": true, "meta": {"created_date": 1}}"#),
    ("-x", r#"{"feature_name": "-x", "is_enabled": true, "meta": {"created_date": 1}}"#),
    ("%41.é", r#"{"feature_name": "%41.\u00e9", "is_enabled": true, "meta": {"created_date": 1}}"#),
    ("UNREADABLE", "no flag"),
];

#[test]
fn what_is_exported_can_be_imported() {
    let Some(redis) = RedisServer::start() else { return };
    for (name, text) in ODD {
        redis.command(&["SET", &format!("features/{name}"), text]);
    }
    let large = "x".repeat(300 * 1024);
    let large = format!(
        r#"{{"feature_name": "LARGE", "is_enabled": true, "meta": {{"client_data": {{"x": "{large}"}}, "created_date": 1}}}}"#
    );
    redis.command(&["SET", "features/LARGE", &large]);
    let home = tempfile::tempdir().unwrap();
    let (code, _, err) = run(flipper(home.path(), &redis.url()).args(["export", "flags.json"]));
    assert!(code == 4 && err.contains("wrote 9 flags") && err.contains("left out 1 that cannot be read"), "{err}");
    let homes: Vec<_> = (0..5).map(|_| tempfile::tempdir().unwrap()).collect();
    let make = [stores::sqlite, stores::postgres, stores::redis, stores::consul, stores::thrift];
    for store in make.iter().zip(&homes).filter_map(|(make, home)| make(home.path())) {
        succeed(flipper(home.path(), &store.url).args(["import", "flags.json"]));
        let again = succeed(flipper(home.path(), &store.url).arg("export"));
        assert_eq!(again, std::fs::read_to_string(home.path().join("flags.json")).unwrap(), "{}", store.url);
        let (code, out, err) = run(flipper(home.path(), "").args(["diff", &redis.url(), &store.url]));
        assert!(code == 4 && out.is_empty() && err.contains("no difference: 9 flags in both"), "{out}{err}");
        let (code, _, err) = run(flipper(home.path(), "").args(["sync", &redis.url(), &store.url]));
        assert!(code == 4 && err.contains("in step but for 1 flag that cannot be read"), "{err}");
        assert!(err.contains("0 new, 0 changed, 0 destroyed, 9 as they were"), "{err}");
    }
}
