//! `sync` and `diff` between any two stores.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use support::stores::{self, TestStore};
use support::{flipper, succeed};

#[test]
fn every_store_to_every_other() {
    let homes: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    let make = [stores::sqlite, stores::redis, stores::consul, stores::thrift];
    let stores: Vec<TestStore> = make.iter().zip(&homes).filter_map(|(make, home)| make(home.path())).collect();
    let home = tempfile::tempdir().unwrap();
    let flags =
        "seq -f 'FLAG_%03g' 1 40 | flipper create - --json > /dev/null && flipper rollout FLAG_001 0..100% --over 1h";
    let flags = format!("{flags} && flipper condition add FLAG_002 'n in 1,2 and é != \"x\"'");
    succeed(support::clean("sh", home.path()).env("FLIPPER_STORE", &stores[0].url).args(["-c", &flags]));
    let mut number = 0;
    for from in &stores {
        for to in stores.iter().filter(|to| to.url != from.url) {
            // So that something is new, something is another, and something is gone.
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
