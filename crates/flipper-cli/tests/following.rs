//! `watch`, `sync --follow` and `serve`: commands that go on, through the outages of their stores.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use flipper_testkit::consul::ConsulAgent;
use flipper_testkit::redis::RedisServer;
use flipper_testkit::wait_until;
use rustix::process::Signal;
use support::running::Running;
use support::{flipper, run, succeed};

#[test]
fn watch_tells_of_each_change() {
    let home = tempfile::tempdir().unwrap();
    let flipper = |arguments: &[&str]| {
        let mut command = flipper(home.path(), "sqlite:flags.db");
        command.args(arguments);
        command
    };
    succeed(&mut flipper(&["create", "A"]));
    let mut all = Running::start(&mut flipper(&["watch"]));
    let mut one = Running::start(&mut flipper(&["watch", "B", "--json"]));
    all.line("following sqlite:flags.db, which has 1 flag");
    one.line("\"event\": \"begin\"");

    succeed(&mut flipper(&["enable", "A"]));
    assert!(all.line("~ A").contains("enabled: false -> true"));
    succeed(&mut flipper(&["create", "B", "--enable", "--data", r#"{"n": 1}"#]));
    assert!(all.line("+ B").contains("enabled: true, data n: 1"));
    succeed(&mut flipper(&["condition", "add", "B", "n > 3"]));
    assert!(all.line("~ B").contains("condition: n > 3"));
    succeed(&mut flipper(&["destroy", "B", "--yes"]));
    assert!(all.line("- B").contains("destroyed"));
    let removed = one.line("\"event\": \"removed\"");
    assert!(removed.contains("\"after\": null"), "{removed}");

    for watch in [all, one] {
        watch.signal(Signal::INT);
        let (code, said) = watch.end();
        assert_eq!(code, Some(0));
        assert!(!said.iter().any(|line| line.contains("\"name\": \"A\"")), "nobody asked for A: {said:?}");
    }
}

#[test]
fn watch_survives_a_restart_and_says_so() {
    let Some(mut redis) = RedisServer::start() else { return };
    let home = tempfile::tempdir().unwrap();
    let url = redis.url();
    let flipper = |arguments: &[&str]| {
        let mut command = flipper(home.path(), &url);
        command.args(arguments);
        command
    };
    succeed(&mut flipper(&["create", "A", "B"]));
    let mut watch = Running::start(&mut flipper(&["watch"]));
    watch.line("changes are pushed");
    succeed(&mut flipper(&["enable", "A"]));
    watch.line("enabled: false -> true");
    redis.kill();
    let lost = watch.line("lost:");
    assert!(lost.contains("is away") && lost.contains("trying on"), "{lost}");
    redis.restart();
    watch.line("back:");
    succeed(&mut flipper(&["disable", "A"]));
    watch.line("enabled: true -> false");
}

#[test]
fn watch_survives_a_restart_of_consul() {
    let Some(mut consul) = ConsulAgent::start() else { return };
    let home = tempfile::tempdir().unwrap();
    let url = format!("consul://{}", consul.address());
    succeed(flipper(home.path(), &url).args(["create", "A"]));
    let mut watch = Running::start(flipper(home.path(), &url).arg("watch"));
    watch.line("changes are pushed");
    succeed(flipper(home.path(), &url).args(["enable", "A"]));
    watch.line("enabled: false -> true");
    consul.kill();
    watch.line("lost:");
    consul.restart();
    watch.line("back:");
    succeed(flipper(home.path(), &url).args(["disable", "A"]));
    watch.line("enabled: true -> false");
    watch.signal(Signal::INT);
    let (code, said) = watch.end();
    assert_eq!(code, Some(0));
    assert!(!said.iter().any(|line| line.starts_with("warning:")), "what is told is told once: {said:?}");
}

#[test]
fn serve_starts_from_a_snapshot_while_the_store_is_away() {
    let Some(mut redis) = RedisServer::start() else { return };
    let home = tempfile::tempdir().unwrap();
    succeed(flipper(home.path(), &redis.url()).args(["create", "A", "--enable"]));
    let snapshot = home.path().join("flags.snapshot");
    let (server, _, http) = start_server(home.path(), &redis.url(), &["--snapshot", "flags.snapshot"]);
    wait_until("it is ready", || ask(&http, "/readyz").0 == 200);
    wait_until("the snapshot is written", || snapshot.exists());
    server.signal(Signal::TERM);
    assert_eq!(server.end().0, Some(0));

    redis.kill();
    let (_server, thrift, http) = start_server(home.path(), &redis.url(), &["--snapshot", "flags.snapshot"]);
    assert_eq!(run(flipper(home.path(), &thrift).args(["check", "A"])).0, 0);
    assert_eq!(ask(&http, "/readyz").0, 503);
}

#[test]
fn serve_over_consul() {
    let Some(consul) = ConsulAgent::start() else { return };
    let home = tempfile::tempdir().unwrap();
    let url = format!("consul://{}/shop/flags", consul.address());
    let (server, thrift, http) = start_server(home.path(), &url, &[]);
    wait_until("it is ready", || ask(&http, "/readyz").0 == 200);
    succeed(flipper(home.path(), &thrift).args(["create", "A", "--enable"]));
    assert_eq!(run(flipper(home.path(), &url).args(["check", "A"])).0, 0);
    succeed(flipper(home.path(), &url).args(["disable", "A"]));
    wait_until("it is off here too", || run(flipper(home.path(), &thrift).args(["check", "A"])).0 == 1);
    server.signal(Signal::TERM);
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn watch_of_a_wrong_address_ends() {
    let home = tempfile::tempdir().unwrap();
    let (code, _, err) = run(flipper(home.path(), "redis://u:secret@127.0.0.1:1").arg("watch"));
    assert_eq!(code, 4);
    assert!(err.contains("cannot be used: Connection refused") && !err.contains("secret"), "{err}");
}

#[test]
fn sync_follows_through_outages_of_both_sides() {
    let (Some(mut from), Some(mut to)) = (RedisServer::start(), RedisServer::start()) else { return };
    let home = tempfile::tempdir().unwrap();
    let (from_url, to_url) = (from.url(), to.url());
    let at = |url: &str, arguments: &[&str]| {
        let mut command = flipper(home.path(), url);
        command.args(arguments);
        command
    };
    let has = |url: &str, name: &str, wanted: Option<bool>| {
        let (code, _, _) = run(&mut at(url, &["check", name]));
        code == match wanted {
            Some(true) => 0,
            Some(false) => 1,
            None => 3,
        }
    };
    succeed(&mut at(&from_url, &["create", "A", "B", "C"]));
    succeed(&mut at(&to_url, &["create", "ONLY_THERE"]));
    let mut sync = Running::start(&mut at("memory:", &["sync", &from_url, &to_url, "--follow"]));
    sync.line("3 new");
    sync.line("following");

    succeed(&mut at(&from_url, &["enable", "A"]));
    wait_until("A is on there", || has(&to_url, "A", Some(true)));
    succeed(&mut at(&from_url, &["destroy", "B", "--yes"]));
    wait_until("B is gone there", || has(&to_url, "B", None));

    // What happens while the target is away arrives when it is back.
    to.kill();
    succeed(&mut at(&from_url, &["disable", "A"]));
    succeed(&mut at(&from_url, &["destroy", "C", "--yes"]));
    sync.line("trying on");
    to.restart();
    wait_until("A is off there", || has(&to_url, "A", Some(false)));
    wait_until("C is gone there", || has(&to_url, "C", None));

    // A source that comes back empty empties nothing.
    from.restart_empty();
    assert!(sync.line("no longer in").contains("1 flag no longer in"));
    assert!(has(&to_url, "A", Some(false)));
    succeed(&mut at(&from_url, &["create", "NEW"]));
    wait_until("NEW is there", || has(&to_url, "NEW", Some(false)));
    assert!(has(&to_url, "ONLY_THERE", Some(false)));

    sync.signal(Signal::INT);
    assert_eq!(sync.end().0, Some(0));
}

/// Asks for a page over HTTP: status and body.
fn ask(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

fn start_server(home: &Path, store: &str, more: &[&str]) -> (Running, String, String) {
    started(&mut serve(home, store, more))
}

fn serve(home: &Path, store: &str, more: &[&str]) -> Command {
    let mut serve = flipper(home, store);
    serve.args(["serve", "--thrift", "127.0.0.1:0", "--http", "127.0.0.1:0"]).args(more);
    serve
}

fn started(serve: &mut Command) -> (Running, String, String) {
    let mut server = Running::start(serve);
    let line = server.line("serving flags");
    let line = if line.contains("http") { line } else { server.line("serving flags") };
    let address = |name: &str| {
        let (_, rest) = line.split_once(name).unwrap();
        rest.trim_start_matches(['"', ':', '=']).split(['"', ' ', ',']).next().unwrap().to_owned()
    };
    let (thrift, http) = (address("thrift"), address("http"));
    (server, format!("thrift://{thrift}"), http)
}

#[test]
fn serve_answers_from_memory_and_tells_how_it_is() {
    let Some(mut redis) = RedisServer::start() else { return };
    let home = tempfile::tempdir().unwrap();
    succeed(flipper(home.path(), &redis.url()).args(["create", "A", "--enable"]));
    let (server, thrift, http) = start_server(home.path(), &redis.url(), &[]);
    wait_until("it is ready", || ask(&http, "/readyz").0 == 200);
    assert_eq!(ask(&http, "/healthz"), (200, "it runs\n".to_owned()));
    assert_eq!(ask(&http, "/nothing").0, 404);

    succeed(flipper(home.path(), &thrift).args(["create", "B"]));
    succeed(flipper(home.path(), &redis.url()).args(["get", "B"]));
    let metrics = ask(&http, "/metrics").1;
    for line in [
        "flipper_flags 2",
        "flipper_flags_enabled 1",
        "flipper_store_live 1",
        "flipper_store_calls_total{call=\"put\",outcome=\"ok\"} 1",
    ] {
        assert!(metrics.lines().any(|metric| metric == line), "{line} is not in\n{metrics}");
    }
    // Each has its help and its type, as Prometheus wants them.
    for metric in metrics.lines().filter(|line| !line.starts_with('#')) {
        let name = metric.split(['{', ' ']).next().unwrap();
        assert!(metrics.contains(&format!("# TYPE {name} ")) && metrics.contains(&format!("# HELP {name} ")), "{name}");
    }

    redis.kill();
    wait_until("it is red", || ask(&http, "/readyz").0 == 503);
    assert!(ask(&http, "/readyz").1.starts_with("flags are stale since "));
    assert_eq!(ask(&http, "/healthz").0, 200);
    assert_eq!(run(flipper(home.path(), &thrift).args(["check", "A"])).0, 0, "checks go on");
    let (code, _, err) = run(flipper(home.path(), &thrift).args(["disable", "A"]));
    assert_eq!(code, 4, "{err}");
    redis.restart();
    wait_until("it is green again", || ask(&http, "/readyz").0 == 200);

    server.signal(Signal::TERM);
    let (code, said) = server.end();
    assert_eq!(code, Some(0));
    assert!(said.iter().any(|line| line.ends_with("stopped")), "{said:?}");
}

#[test]
fn serve_does_not_wait_for_those_who_do_not_ask() {
    let home = tempfile::tempdir().unwrap();
    let (_server, _, http) = start_server(home.path(), "memory:", &[]);
    let mut slow = TcpStream::connect(&http).unwrap();
    slow.set_read_timeout(Some(flipper_testkit::PATIENCE)).unwrap();
    write!(slow, "GET /healthz HTTP/1.1\r\nhost: ").unwrap();
    let mut endless = TcpStream::connect(&http).unwrap();
    endless.set_read_timeout(Some(flipper_testkit::PATIENCE)).unwrap();
    // The server may have enough of it before all is written.
    let _ = write!(endless, "GET /healthz HTTP/1.1\r\nx: {}", "x".repeat(1 << 20));
    for stream in [&mut slow, &mut endless] {
        let mut answer = Vec::new();
        // An end or a reset, but no time-out.
        let ended = stream.read_to_end(&mut answer);
        assert!(!ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
    }
    assert_eq!(ask(&http, "/healthz").0, 200);
}

#[test]
fn serve_takes_as_many_connections_as_the_system_allows() {
    let home = tempfile::tempdir().unwrap();
    let serve = serve(home.path(), "memory:", &[]);
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -Sn 64 && exec \"$0\" \"$@\""]).arg(serve.get_program()).args(serve.get_args());
    limited.current_dir(home.path()).envs(serve.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let (_server, thrift, _) = started(&mut limited);
    let address = thrift.trim_start_matches("thrift://");
    let held: Vec<_> = (0..200).map(|_| TcpStream::connect(address).unwrap()).collect();
    succeed(flipper(home.path(), &thrift).args(["create", "A"]));
    drop(held);
}

#[test]
fn serve_logs_json() {
    let home = tempfile::tempdir().unwrap();
    let (server, thrift, _) = start_server(home.path(), "memory:", &["--log-format", "json"]);
    succeed(flipper(home.path(), &thrift).args(["create", "A"]));
    server.signal(Signal::TERM);
    let (code, said) = server.end();
    assert_eq!(code, Some(0));
    assert!(said.iter().all(|line| flipper::Json::parse(line).is_ok()), "{said:?}");
}

#[test]
fn serve_says_what_is_in_its_way() {
    let home = tempfile::tempdir().unwrap();
    let (_server, thrift, http) = start_server(home.path(), "memory:", &[]);
    let thrift = thrift.strip_prefix("thrift://").unwrap();
    for arguments in [["--thrift", thrift], ["--http", &http]] {
        let mut serve = flipper(home.path(), "memory:");
        let (code, _, err) = run(serve.arg("serve").args(arguments).args(if arguments[0] == "--http" {
            &["--thrift", "127.0.0.1:0"][..]
        } else {
            &[]
        }));
        assert_eq!(code, 4, "{err}");
        assert!(err.contains("in use"), "{err}");
    }
}

#[test]
fn serve_listens_everywhere_if_told() {
    let home = tempfile::tempdir().unwrap();
    let everywhere = ["--listen-everywhere", "--thrift", "0.0.0.0:0"];
    let (code, _, err) = run(flipper(home.path(), "memory:").arg("serve").args(&everywhere[1..]));
    assert_eq!(code, 2, "{err}");
    let mut server = Running::start(flipper(home.path(), "memory:").arg("serve").args(everywhere));
    assert!(server.line("serving flags store=").contains("thrift=0.0.0.0:"));
}

#[test]
fn a_token_that_consul_does_not_know() {
    let Some(consul) = ConsulAgent::options().acl().start() else { return };
    let home = tempfile::tempdir().unwrap();
    let url = format!("consul://{}", consul.address());
    let secret = "00000000-1111-2222-3333-444444444444";
    for arguments in [&["list"][..], &["create", "A"], &["watch"], &["serve", "--thrift", "127.0.0.1:0"]] {
        let (code, out, err) = run(flipper(home.path(), &url).env("CONSUL_HTTP_TOKEN", secret).args(arguments));
        assert_eq!(code, 4, "{arguments:?}: {err}");
        assert!(err.contains("refused access") && !err.contains(secret) && !out.contains(secret), "{err}");
    }
    let master = flipper_testkit::consul::MASTER_TOKEN;
    succeed(flipper(home.path(), &url).env("CONSUL_HTTP_TOKEN", master).args(["create", "A"]));
}

#[test]
fn serve_ends_where_it_is_refused() {
    let Some(redis) = RedisServer::options().password("sesame").start() else { return };
    let home = tempfile::tempdir().unwrap();
    let url = redis.url().replace("://", "://:wrong@");
    let (code, _, err) = run(flipper(home.path(), &url).args(["serve", "--thrift", "127.0.0.1:0"]));
    assert_eq!(code, 4, "{err}");
    assert!(err.contains("refused access") && !err.contains("wrong@"), "{err}");
    let (code, _, err) = run(flipper(home.path(), &url).arg("list"));
    assert_eq!(code, 4);
    assert!(err.contains("redis://:***@127.0.0.1") && err.contains("refused access"), "{err}");
}
