//! `sync` and `diff` between any two stores.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::path::Path;
use std::process::Command;

use flipper_testkit::Nginx;
use flipper_testkit::redis::RedisServer;
use flipper_testkit::s3::{KEY, Kind, S3Server, SECRET};
use support::stores::{self, TestStore};
use support::{run, succeed};

/// With the keys of the bucket.
fn flipper(home: &Path, store: &str) -> Command {
    let mut command = support::flipper(home, store);
    command.env("AWS_ACCESS_KEY_ID", KEY).env("AWS_SECRET_ACCESS_KEY", SECRET);
    command
}

#[test]
fn every_store_to_every_other() {
    let make =
        [stores::sqlite, stores::postgres, stores::redis, stores::consul, stores::thrift, stores::http, stores::s3];
    let homes = make.map(|_| tempfile::tempdir().unwrap());
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

#[test]
fn a_bucket_behind_tls() {
    let Some(server) = S3Server::shared(Kind::SeaweedFs) else { return };
    let home = tempfile::tempdir().unwrap();
    flipper_testkit::write_certificates(home.path());
    let Some(nginx) = Nginx::with_tls_before(([127, 0, 0, 1], server.port()).into(), home.path()) else { return };
    let bucket = server.bucket();
    let url = |scheme: &str, address: &str| format!("s3://{bucket}?endpoint={scheme}://{address}");
    let encrypted = url("https", &nginx.address().to_string());
    let command = |authority: &str| {
        let mut command = flipper(home.path(), &encrypted);
        command.env("SSL_CERT_FILE", home.path().join(authority));
        command
    };
    succeed(command("ca.crt").args(["create", "F", "--enable"]));
    succeed(command("ca.crt").args(["client-data", "set", "F", "é=1 + 2"]));
    let plain = url("http", &format!("127.0.0.1:{}", server.port()));
    let same = run(flipper(home.path(), &encrypted)
        .env("SSL_CERT_FILE", home.path().join("ca.crt"))
        .args(["diff", &encrypted, &plain]));
    assert!(same.0 == 0 && same.2.contains("no difference: 1 flag in both"), "{same:?}");
    // By a certificate that no authority of ours signed.
    let refused = run(command("client.crt").args(["get", "F"]));
    assert!(refused.0 == 4 && refused.2.contains("certificate"), "{refused:?}");
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
