//! `flipper postgres`, and the other commands on a PostgreSQL store.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use flipper_testkit::postgres::PostgresServer;
use support::{flipper, run, succeed};

#[test]
fn the_feed_is_installed_and_removed() {
    let Some(server) = PostgresServer::start() else { return };
    let home = tempfile::tempdir().unwrap();
    // The machine may be busy.
    let url = format!("{}?connect_timeout=60", server.url());
    let command = |arguments: &[&str]| run(flipper(home.path(), &url).args(arguments));
    // Reading commands make no table: a mistyped one would look like one without flags.
    let (code, _, err) = command(&["list"]);
    assert!(code == 4 && err.contains("no table"), "{code}: {err}");
    assert!(!err.contains("s3cr3t"), "{err}");
    let (code, _, err) = command(&["postgres", "install"]);
    assert!(code == 4 && err.contains("no table") && err.contains("`flipper create`"), "{code}: {err}");
    assert_eq!(server.psql("SELECT to_regclass('feature_flags') IS NULL"), "t");
    succeed(flipper(home.path(), &url).args(["create", "F"]));

    let (code, out, _) = command(&["postgres", "status"]);
    assert!(code == 1 && out.contains("flipper postgres install"), "{code}: {out}");
    let script = succeed(flipper(home.path(), &url).args(["postgres", "install", "--print"]));
    assert!(
        script.contains("CREATE CONSTRAINT TRIGGER") && server.psql("SELECT to_regnamespace('flipper') IS NULL") == "t"
    );
    let limits = ["--history-entries", "500", "--history-days", "7"];
    let limited = succeed(flipper(home.path(), &url).args(["postgres", "install", "--print"]).args(limits));
    assert!(limited.contains("500, interval '604800 seconds'") && limited.contains("entries = excluded.entries"));
    assert!(script.contains("entries = coalesce(c.entries"), "an earlier installation's limits stay");
    succeed(flipper(home.path(), &url).args(["postgres", "install"]));
    let (code, out, _) = command(&["postgres", "status"]);
    assert!(code == 0 && out.contains("notifications arrive"), "{code}: {out}");
    let (code, out, _) = command(&["postgres", "status", "--json"]);
    assert!(code == 0 && out.contains("\"finding\": \"fine\""), "{code}: {out}");
    // What was printed is the same, and may be run again.
    server.psql(&script);
    succeed(flipper(home.path(), &url).args(["postgres", "install", "--without-notifications"]));
    let (_, out, _) = command(&["postgres", "status"]);
    assert!(out.contains("without notifications"), "{out}");
    succeed(flipper(home.path(), &url).args(["postgres", "uninstall"]));
    assert_eq!(server.psql("SELECT to_regnamespace('flipper') IS NULL"), "t");
    assert!(succeed(flipper(home.path(), &url).args(["list"])).contains('F'));
}

#[test]
fn who_may_not_install_is_shown_the_way() {
    let Some(server) = PostgresServer::start() else { return };
    let home = tempfile::tempdir().unwrap();
    succeed(flipper(home.path(), &server.url()).args(["create", "F"]));
    server.psql("CREATE ROLE app LOGIN PASSWORD 's3cr3t'; GRANT SELECT ON feature_flags TO app");
    let (code, _, err) = run(flipper(home.path(), &server.url_of("app")).args(["postgres", "install"]));
    assert!(code == 4 && err.contains("flipper postgres install --print"), "{code}: {err}");
    let too_many = ["postgres", "install", "--print", "--history-entries", "2147483648"];
    let (code, _, err) = run(flipper(home.path(), &server.url()).args(too_many));
    assert!(code == 2 && err.contains("is not in 1..=2147483647"), "{code}: {err}");
    let (code, _, err) = run(flipper(home.path(), "sqlite:flags.db").args(["postgres", "status"]));
    assert!(code == 2 && err.contains("no PostgreSQL store"), "{code}: {err}");
}
