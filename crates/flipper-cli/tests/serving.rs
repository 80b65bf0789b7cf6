//! `serve`, and outages of its store.
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
use support::stores;
use support::{flipper, run, succeed};

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
    assert_eq!(ask(&http, "/readyz").0, 200);
    assert_eq!(ask(&http, "/readyz?max_stale=1h").0, 200);
    let (code, body) = ask(&http, "/readyz?max_stale=0s");
    assert!(code == 503 && body.starts_with("flags are stale since "), "{code} {body}");
}

#[test]
fn serve_keeps_a_replica_and_begins_with_it_while_the_store_is_away() {
    let Some(mut redis) = RedisServer::start() else { return };
    let home = tempfile::tempdir().unwrap();
    let options = ["--replica", "sqlite:copy.db"];
    let (server, thrift, http) = start_server(home.path(), &redis.url(), &options);
    succeed(flipper(home.path(), &thrift).args(["create", "A", "--enable"]));
    wait_until("the replica is in step", || {
        let metrics = ask(&http, "/metrics").1;
        metrics.lines().any(|line| line.starts_with("flipper_replica_in_step{") && line.ends_with("} 1"))
    });
    assert_eq!(run(flipper(home.path(), "sqlite:copy.db").args(["check", "A"])).0, 0);
    server.signal(Signal::TERM);
    assert_eq!(server.end().0, Some(0));

    redis.kill();
    // Named by the store's URL.
    let both = format!("replicated:{}|sqlite:copy.db", redis.url());
    let (_server, thrift, http) = start_server(home.path(), &both, &[]);
    wait_until("it is ready", || ask(&http, "/readyz").0 == 200);
    assert_eq!(run(flipper(home.path(), &thrift).args(["check", "A"])).0, 0);
    let (code, body) = ask(&http, "/readyz?max_stale=1h");
    assert!(code == 503 && body.contains("the flags are those of the replica Sqlite("), "{code} {body}");

    let itself = run(flipper(home.path(), "sqlite:copy.db").args(["serve", "--replica", "sqlite:copy.db"]));
    assert!(itself.0 == 2 && itself.2.contains("is the store itself"), "{itself:?}");
    let nested =
        run(flipper(home.path(), "sqlite:copy.db").args(["serve", "--replica", "replicated:sqlite:a.db|sqlite:b.db"]));
    assert!(nested.0 == 2 && nested.2.contains("has replicas itself"), "{nested:?}");
}

#[test]
fn serve_is_not_ready_without_flags() {
    let Some(mut redis) = RedisServer::start() else { return };
    let home = tempfile::tempdir().unwrap();
    succeed(flipper(home.path(), &redis.url()).args(["create", "A"]));
    redis.kill();
    let (_server, _, http) = start_server(home.path(), &redis.url(), &[]);
    let (code, body) = ask(&http, "/readyz");
    assert!(code == 503 && body.starts_with("there are no flags yet: "), "{code} {body}");
    assert_eq!(ask(&http, "/readyz?max_stale=1h").0, 503);
    redis.restart();
    wait_until("it is ready", || ask(&http, "/readyz").0 == 200);
}

#[test]
fn serve_makes_its_file() {
    let home = tempfile::tempdir().unwrap();
    let (server, thrift, http) = start_server(home.path(), "sqlite:new.db", &[]);
    assert_eq!(ask(&http, "/readyz").0, 200);
    succeed(flipper(home.path(), &thrift).args(["create", "A", "--enable"]));
    server.signal(Signal::TERM);
    let (code, lines) = server.end();
    assert_eq!(code, Some(0));
    assert!(lines.iter().any(|line| line.contains("created a new file, without flags")), "{lines:?}");
    let (server, _, http) = start_server(home.path(), "sqlite:new.db", &[]);
    assert!(ask(&http, "/metrics").1.contains("flipper_flags 1\n"));
    server.signal(Signal::TERM);
    assert!(!server.end().1.iter().any(|line| line.contains("created a new file")));
}

#[test]
fn a_run_without_faults_logs_no_warning() {
    let homes: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    let make = [stores::sqlite, stores::redis, stores::consul, stores::thrift];
    for (make, home) in make.iter().zip(&homes) {
        let Some(store) = make(home.path()) else { continue };
        succeed(flipper(home.path(), &store.url).args(["create", "A"]));
        let (server, thrift, http) = start_server(home.path(), &store.url, &[]);
        wait_until("it is ready", || ask(&http, "/readyz?max_stale=0s").0 == 200);
        succeed(flipper(home.path(), &thrift).args(["enable", "A"]));
        server.signal(Signal::TERM);
        let (code, lines) = server.end();
        assert_eq!(code, Some(0));
        let warnings: Vec<_> = lines.iter().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect();
        assert!(warnings.is_empty(), "{}: {warnings:#?}", store.url);
    }
}

#[test]
fn a_repeated_signal_counts_once() {
    let Some(redis) = RedisServer::start() else { return };
    let home = tempfile::tempdir().unwrap();
    succeed(flipper(home.path(), &redis.url()).args(["create", "A"]));
    let (server, thrift, http) = start_server(home.path(), &redis.url(), &[]);
    wait_until("it is ready", || ask(&http, "/readyz").0 == 200);
    redis.pause();
    // One call: a second one would find the connection closed.
    let client = Running::start(flipper(home.path(), &thrift).args(["get", "A"]));
    wait_until("it is connected", || ask(&http, "/metrics").1.contains("flipper_thrift_connections 1\n"));
    // The server reads the call before it has answered these requests; nothing else shows that.
    for _ in 0..100 {
        ask(&http, "/healthz");
    }
    server.signal(Signal::TERM);
    server.signal(Signal::TERM);
    server.signal(Signal::INT);
    redis.resume();
    let (code, lines) = server.end();
    assert_eq!(code, Some(0), "{lines:?}");
    let (_, lines) = client.end();
    assert!(!lines.iter().any(|line| line.contains("reset") || line.contains("closed")), "{lines:?}");
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

fn ask(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
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
    serve.args(["serve", "--thrift", "127.0.0.1:0", "--http", "127.0.0.1:0", "--drain", "0s"]).args(more);
    serve
}

fn started(serve: &mut Command) -> (Running, String, String) {
    let mut server = Running::start(serve);
    let line = server.line("serving flags");
    let line = if line.contains("http") { line } else { server.line("serving flags") };
    let address = |name: &str| {
        let (_, rest) = line.rsplit_once(name).unwrap();
        rest.trim_start_matches(['"', ':', '=']).split(['"', ' ', ',']).next().unwrap().to_owned()
    };
    let (thrift, http) = (address("thrift"), address("http"));
    (server, format!("thrift://{thrift}"), http)
}

#[test]
fn serve_answers_from_memory_and_reports_its_state() {
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
    // Prometheus requires both.
    for metric in metrics.lines().filter(|line| !line.starts_with('#')) {
        let name = metric.split(['{', ' ']).next().unwrap();
        assert!(metrics.contains(&format!("# TYPE {name} ")) && metrics.contains(&format!("# HELP {name} ")), "{name}");
    }

    redis.kill();
    wait_until("it is stale", || ask(&http, "/readyz?max_stale=0s").0 == 503);
    let (code, body) = ask(&http, "/readyz");
    assert!(code == 200 && body.starts_with("flags are stale since "), "{code} {body}");
    let (code, body) = ask(&http, "/readyz?max_stale=30");
    assert!(code == 400 && body.contains("max_stale=30: time unit needed"), "{code} {body}");
    assert_eq!(ask(&http, "/readyz?maxstale=30s").0, 400);
    let metrics = ask(&http, "/metrics").1;
    assert!(metrics.contains("flipper_store_live 0\n") && !metrics.contains("flipper_store_stale_seconds 0\n"));
    assert!(metrics.contains("flipper_store_info{store=\""), "{metrics}");
    assert_eq!(ask(&http, "/healthz").0, 200);
    assert_eq!(run(flipper(home.path(), &thrift).args(["check", "A"])).0, 0, "checks still work");
    let (code, _, err) = run(flipper(home.path(), &thrift).args(["disable", "A"]));
    assert_eq!(code, 4, "{err}");
    redis.restart();
    wait_until("it is current again", || ask(&http, "/readyz?max_stale=0s").0 == 200);

    server.signal(Signal::TERM);
    let (code, lines) = server.end();
    assert_eq!(code, Some(0));
    assert!(lines.iter().any(|line| line.ends_with("stopped")), "{lines:?}");
}

#[test]
fn serve_does_not_wait_for_incomplete_requests() {
    let home = tempfile::tempdir().unwrap();
    let (_server, _, http) = start_server(home.path(), "memory:", &[]);
    let mut slow = TcpStream::connect(&http).unwrap();
    slow.set_read_timeout(Some(flipper_testkit::PATIENCE)).unwrap();
    write!(slow, "GET /healthz HTTP/1.1\r\nhost: ").unwrap();
    let mut endless = TcpStream::connect(&http).unwrap();
    endless.set_read_timeout(Some(flipper_testkit::PATIENCE)).unwrap();
    let _ = write!(endless, "GET /healthz HTTP/1.1\r\nx: {}", "x".repeat(1 << 20));
    for stream in [&mut slow, &mut endless] {
        let mut answer = Vec::new();
        // The end of the stream or a reset, but no timeout.
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
    let (code, lines) = server.end();
    assert_eq!(code, Some(0));
    assert!(lines.iter().all(|line| flipper::json::Json::parse(line).is_ok()), "{lines:?}");
}

#[test]
fn serve_explains_why_it_cannot_listen() {
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
        assert!(err.contains("in use") && err.contains("another program has the port"), "{err}");
    }
    // Not an address of this machine, so the port is not the reason.
    for option in ["--thrift", "--http"] {
        let arguments = ["serve", "--listen-everywhere", "--thrift", "127.0.0.1:0", option, "192.0.2.1:9090"];
        let arguments =
            if option == "--thrift" { [&arguments[..2], &arguments[4..]].concat() } else { arguments.to_vec() };
        let (code, _, err) = run(flipper(home.path(), "memory:").args(arguments));
        assert_eq!(code, 4, "{err}");
        assert!(err.contains("this machine has no such address") && !err.contains("port"), "{err}");
    }
}

#[test]
fn serve_listens_everywhere_with_the_option() {
    let home = tempfile::tempdir().unwrap();
    let everywhere = ["--listen-everywhere", "--thrift", "0.0.0.0:0"];
    let (code, _, err) = run(flipper(home.path(), "memory:").arg("serve").args(&everywhere[1..]));
    assert_eq!(code, 2, "{err}");
    let mut server = Running::start(flipper(home.path(), "memory:").arg("serve").args(everywhere));
    assert!(server.line("serving flags store=").contains("thrift=0.0.0.0:"));
}

#[test]
fn an_unknown_consul_token() {
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
fn serve_ends_if_access_is_refused() {
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
