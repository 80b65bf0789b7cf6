//! `serve --http` with real clients: `curl`, and raw sockets where a test decides when bytes are sent.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use flipper::store::LocalFeatureFlagStore;
use flipper::{HttpFeatureFlagStore, MirroredFeatureFlagStore};
use flipper_testkit::{Nginx, PATIENCE, skip, wait_until, write_certificates};
use rustix::process::Signal;
use support::running::Running;
use support::{FLIPPER, flipper, run, succeed};

/// `serve` on a free port, and its URL. With `--tls-cert` among the options it is HTTPS on `localhost`.
fn serve(home: &Path, options: &[&str]) -> (Running, String) {
    let mut server = Running::start(flipper(home, "memory:").args(["serve", "--http", "127.0.0.1:0"]).args(options));
    let line = server.line(" http=");
    let (_, address) = line.rsplit_once(" http=").unwrap();
    let address = address.trim_matches('"').to_owned();
    match options.contains(&"--tls-cert") {
        true => (server, format!("https://localhost:{}", address.rsplit_once(':').unwrap().1)),
        false => (server, format!("http://{address}")),
    }
}

fn token(home: &Path, arguments: &[&str]) -> String {
    let mut create = flipper(home, "memory:");
    succeed(create.args(["token", "create", "--file", "tokens.json"]).args(arguments)).trim().to_owned()
}

/// Status and body. 0 if there was no answer.
fn curl(home: &Path, arguments: &[&str]) -> (u16, String) {
    let mut curl = Command::new("curl");
    curl.current_dir(home).args(["--silent", "--max-time", "60", "--write-out", "\n%{http_code}"]).args(arguments);
    let (_, out, _) = run(&mut curl);
    let (body, status) = out.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

fn has_curl() -> bool {
    let has = flipper_testkit::program("curl").is_some();
    if !has {
        skip("curl", "it is not installed");
    }
    has
}

#[test]
fn a_tokens_life() {
    if !has_curl() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let admin = token(home, &["admin", "--role", "admin"]);
    let (_server, url) = serve(home, &["--tokens", "tokens.json"]);
    let ask = |token: &str, arguments: &[&str]| {
        let bearer = format!("authorization: Bearer {token}");
        curl(home, &[&["--header", &bearer, "--header", "content-type: application/json"], arguments].concat())
    };
    let flags = format!("{url}/api/v1/flags");
    assert_eq!(curl(home, &[&flags]).0, 401);
    for name in ["pay.A", "shop.A"] {
        let (status, body) = ask(&admin, &["--data", &format!(r#"{{"name": "{name}"}}"#), &flags]);
        assert_eq!(status, 201, "{body}");
    }

    // Made while the server runs.
    let reader = token(home, &["reader", "--role", "read", "--prefix", "pay."]);
    wait_until("the new token is known", || ask(&reader, &[&flags]).0 == 200);
    let (_, body) = ask(&reader, &[&flags]);
    assert!(body.contains("pay.A") && !body.contains("shop.A"), "{body}");
    let (status, body) = ask(&reader, &["--data", r#"{"name": "pay.B"}"#, &flags]);
    assert!(status == 403 && body.contains("write"), "{status} {body}");
    let (status, body) = ask(&reader, &[&format!("{flags}/shop.A")]);
    assert!(status == 403 && body.contains("shop.A"), "{status} {body}");

    let evaluator = token(home, &["web", "--role", "evaluate"]);
    // Before that, 401; or 429, since a limit counts these.
    wait_until("the new token is known", || ask(&evaluator, &[&flags]).0 == 403);

    // An open stream ends when its token is revoked.
    let bearer = format!("authorization: Bearer {reader}");
    let changes = format!("{url}/api/v1/changes?flags=true");
    let mut stream =
        Running::start(Command::new("curl").args(["--silent", "--no-buffer", "--header", &bearer, &changes]));
    stream.line("pay.A");
    let list = succeed(flipper(home, "memory:").args(["token", "list", "--file", "tokens.json"]));
    let id = list.lines().find(|line| line.contains(" reader ")).unwrap().split(' ').next().unwrap().to_owned();
    succeed(flipper(home, "memory:").args(["token", "revoke", &id, "--file", "tokens.json"]));
    let (code, lines) = stream.end();
    assert_eq!(code, Some(0), "the stream ends as a whole: {lines:?}");
    assert!(!lines.iter().any(|line| line.contains("shop.A")), "{lines:?}");
    let (status, body) = ask(&reader, &[&flags]);
    assert!(status == 401 && body.contains("revoked"), "{status} {body}");

    let (status, metrics) = ask(&admin, &[&format!("{url}/metrics")]);
    assert!(status == 200 && metrics.contains("\nflipper_tokens 2\n"), "{metrics}");
    fs::write(home.join("tokens.json"), "{").unwrap();
    wait_until("the broken file is seen", || {
        ask(&admin, &[&format!("{url}/metrics")]).1.contains("\nflipper_tokens_readable 0\n")
    });
}

#[test]
fn an_expiring_token_ends_its_stream() {
    if !has_curl() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    token(home.path(), &["other", "--role", "read"]);
    let (_server, url) = serve(home.path(), &["--tokens", "tokens.json"]);
    let brief = token(home.path(), &["brief", "--role", "read", "--expires", "10s"]);
    let bearer = format!("authorization: Bearer {brief}");
    let (changes, flags) = (format!("{url}/api/v1/changes?flags=true"), format!("{url}/api/v1/flags"));
    wait_until("the new token is known", || curl(home.path(), &["--header", &bearer, &flags]).0 == 200);
    let mut curl_command = Command::new("curl");
    let mut stream = Running::start(curl_command.args(["--silent", "--no-buffer", "--header", &bearer, &changes]));
    stream.line("event: hello");
    assert_eq!(stream.end().0, Some(0));
    wait_until("it is refused", || curl(home.path(), &["--header", &bearer, &url]).1.contains("expired"));
}

/// All times of a stream count from when it was asked for, and the server was stopped then.
#[test]
fn a_stream_that_began_late_is_opened_again() {
    let home = tempfile::tempdir().unwrap();
    let (server, url) = serve(home.path(), &[]);
    server.signal(Signal::STOP);
    let mirror = MirroredFeatureFlagStore::new(HttpFeatureFlagStore::from_url(&url).unwrap());
    // Flags count as live for three seconds, and a request may take ten.
    thread::sleep(Duration::from_secs(5));
    server.signal(Signal::CONT);
    wait_until("it is live", || mirror.status().is_live());
}

#[test]
fn requests_are_logged() {
    if !has_curl() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let reader = format!("authorization: Bearer {}", token(home, &["ci", "--role", "evaluate"]));
    let (mut server, url) = serve(home, &["--tokens", "tokens.json", "--access-log"]);
    let flags = format!("{url}/api/v1/flags");
    let id = ["--header", "X-Request-Id: mine-1"];
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert_eq!(curl(home, &[id[0], id[1], "--header", &format!("traceparent: {trace}"), &flags]).0, 401);
    let line = server.line("status=401");
    assert!(line.contains("id=\"mine-1\"") && line.contains(trace), "{line}");
    assert!(line.contains("reason=\"there is no token"), "{line}");
    assert_eq!(curl(home, &["--header", &reader, &flags]).0, 403);
    let line = server.line("status=403");
    assert!(line.contains(" (ci) ") && line.contains("caller=token t") && line.contains("forbidden"), "{line}");
}

#[test]
fn traces_come_through_nginx() {
    if !has_curl() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let bearer = format!("authorization: Bearer {}", token(home, &["ci", "--role", "evaluate"]));
    let (mut server, url) = serve(home, &["--tokens", "tokens.json", "--access-log"]);
    let Some(nginx) = Nginx::before(url.strip_prefix("http://").unwrap().parse().unwrap()) else { return };
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let no_trace = trace.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32));
    let mut ids = Vec::new();
    for (path, sent, logged) in [("/ofrep/v1/evaluate/flags/A", trace, trace), ("/api/v1/flags/A", trace, trace)]
        .into_iter()
        .chain([&*no_trace, &trace.to_uppercase(), "00-x", ""].map(|wrong| ("/ofrep/v1/evaluate/flags/A", wrong, "")))
    {
        // For curl a header without a value ends with a semicolon.
        let header = if sent.is_empty() { "traceparent;".to_owned() } else { format!("traceparent: {sent}") };
        let asked = format!("http://{}{path}", nginx.address());
        curl(home, &["--header", &bearer, "--header", &header, "--data", "{}", &asked]);
        let line = server.line("method=POST");
        assert!(line.contains(path) && line.contains(&format!("trace=\"{logged}\"")), "{sent}: {line}");
        let id = line.split_once(" id=\"").unwrap().1.split('"').next().unwrap();
        assert_eq!(id.len(), 16, "{line}");
        ids.push(id.to_owned());
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 6, "each request has its own: {ids:?}");
}

/// The examples of docs/http-api.md, one after the other.
#[test]
fn the_page_of_the_api() {
    if !has_curl() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let (_server, url) = serve(home.path(), &[]);
    let page = include_str!("../../../docs/http-api.md");
    let examples: String = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let script = format!("set -euo pipefail\n{examples}").replace("http://127.0.0.1:8080", &url);
    let out = succeed(support::clean("bash", home.path()).args(["-c", &script]));
    assert!(out.contains(r#""rule": "conditions_met""#) && out.contains("event: hello"), "{out}");
    assert!(out.contains(r#""status": 201"#) && out.contains(r#""status": 204"#), "{out}");
}

#[test]
fn the_targeting_key_has_a_name() {
    if !has_curl() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let (_server, url) = serve(home, &["--targeting-key", "user_id"]);
    let json = ["--header", "content-type: application/json", "--data"];
    let flag = r#"{"name": "A", "enabled": true, "conditions": ["user_id = 7"]}"#;
    assert_eq!(curl(home, &[&json[..], &[flag, &format!("{url}/api/v1/flags")]].concat()).0, 201);
    let context = r#"{"context": {"targetingKey": 7}}"#;
    let (_, body) = curl(home, &[&json[..], &[context, &format!("{url}/ofrep/v1/evaluate/flags/A")]].concat());
    assert!(body.contains(r#""value":true"#) && body.contains("TARGETING_MATCH"), "{body}");
}

#[test]
fn certificates_are_exchanged_while_it_runs() {
    if !has_curl() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    write_certificates(home);
    let (server, url) = serve(home, &["--tls-cert", "server.crt", "--tls-key", "server.key", "--admin", "127.0.0.1:0"]);
    let health = format!("{url}/api/v1/flags");
    let trusts = |authority: &str| curl(home, &["--cacert", authority, &health]).0 == 200;
    assert!(trusts("ca.crt"));
    let version = run(Command::new("curl").current_dir(home).args(["--version"])).1;
    if version.contains("HTTP2") {
        let out =
            ["--output", "/dev/null", "--write-out", "%{http_version}", "--cacert", "ca.crt", "--silent", &health];
        assert_eq!(run(Command::new("curl").current_dir(home).args(out)).1, "2");
    } else {
        skip("HTTP/2", "this curl has none");
    }
    assert_eq!(curl(home, &[&health.replace("https", "http")]).0, 0, "no HTTP without TLS");

    // One file after the other, as a renewal may do it: the old pair stays until both fit.
    let renewed = tempfile::tempdir().unwrap();
    write_certificates(renewed.path());
    let copy = |name: &str, to: &str| fs::copy(renewed.path().join(name), home.join(to)).unwrap();
    copy("ca.crt", "new-ca.crt");
    copy("server.crt", "server.crt");
    let admin = admin_of(&server);
    let metric = |value: u8| {
        curl(home, &[&format!("http://{admin}/metrics")]).1.contains(&format!("\nflipper_tls_usable {value}\n"))
    };
    wait_until("the half of a pair is seen", || metric(0));
    assert!(trusts("ca.crt") && !trusts("new-ca.crt"));
    copy("server.key", "server.key");
    wait_until("the new pair is used", || trusts("new-ca.crt"));
    assert!(!trusts("ca.crt") && metric(1));
}

#[test]
fn clients_need_a_certificate() {
    if !has_curl() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    write_certificates(home);
    let tls = ["--tls-cert", "server.crt", "--tls-key", "server.key", "--tls-client-ca", "ca.crt"];
    let (mut server, url) = serve(home, &[&tls[..], &["--access-log"]].concat());
    let flags = format!("{url}/api/v1/flags");
    assert_eq!(curl(home, &["--cacert", "ca.crt", &flags]).0, 0);
    let (status, body) = curl(home, &["--cacert", "ca.crt", "--cert", "client.crt", "--key", "client.key", &flags]);
    assert_eq!(status, 200, "{body}");
    let line = server.line("status=200");
    let shown = line.split_once("caller=certificate ").unwrap().1.split(' ').next().unwrap();
    let openssl = ["x509", "-in", "client.crt", "-noout", "-fingerprint", "-sha256"];
    if flipper_testkit::program("openssl").is_some() {
        let fingerprint = succeed(Command::new("openssl").current_dir(home).args(openssl)).replace(':', "");
        assert!(fingerprint.trim().ends_with(&format!("={shown}")), "{fingerprint} {line}");
    } else {
        skip("the fingerprint of a certificate", "openssl is not installed");
    }
    let other = tempfile::tempdir().unwrap();
    write_certificates(other.path());
    let file = |name: &str| other.path().join(name).display().to_string();
    let wrong = ["--cacert", "ca.crt", "--cert", &file("client.crt"), "--key", &file("client.key"), &flags];
    assert_eq!(curl(home, &wrong).0, 0, "of another authority");
}

/// A load balancer sends requests until it finds the server not ready. None of them is cut, nor one that takes longer than the drain.
#[test]
fn no_request_is_cut_at_the_end() {
    let home = tempfile::tempdir().unwrap();
    let (mut server, url) = serve(home.path(), &["--drain", "2s"]);
    let address = url.strip_prefix("http://").unwrap();
    let (is_red, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut connection = Connection::open(address);
                while !is_red.load(Ordering::Acquire) {
                    let (status, closes) = connection.ask("GET", "/api/v1/flags", "");
                    assert_eq!(status, 200);
                    answered.fetch_add(1, Ordering::Relaxed);
                    if closes {
                        connection = Connection::open(address);
                    }
                }
            });
        }
        let body = r#"{"name": "A"}"#;
        let mut slow = Connection::open(address);
        slow.send("POST", "/api/v1/flags", body.len(), &body[..3]);
        let mut kept = [Connection::open(address), Connection::open(address)];
        let paths = ["/api/v1/flags", "/ofrep/v1/evaluate/flags"];
        let mut ask = |closes: bool| {
            for (connection, path) in kept.iter_mut().zip(paths) {
                let method = if path.starts_with("/ofrep") { "POST" } else { "GET" };
                assert_eq!(connection.ask(method, path, ""), (200, closes), "{path}");
            }
        };
        ask(false);
        wait_until("there is load", || answered.load(Ordering::Relaxed) > 100);
        server.signal(Signal::TERM);
        server.line("stopping");
        wait_until("it is not ready", || Connection::open(address).ask("GET", "/readyz", "").0 == 503);
        // A client must not send another request over a connection that is about to end.
        ask(true);
        assert!(kept.iter_mut().all(Connection::has_ended));
        is_red.store(true, Ordering::Release);
        wait_until("new connections are refused", || TcpStream::connect(address).is_err());
        slow.stream.write_all(&body.as_bytes()[3..]).unwrap();
        assert_eq!(slow.answer().0, 201);
    });
    let (code, lines) = server.end();
    assert_eq!(code, Some(0), "{lines:?}");
}

#[test]
fn systemd_is_notified() {
    let home = tempfile::tempdir().unwrap();
    let socket = UnixDatagram::bind(home.path().join("notify")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let next = || {
        let mut buffer = [0; 1000];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    // Signs of life come at any time.
    let state = || std::iter::repeat_with(next).find(|state| state != "WATCHDOG=1").unwrap();
    let mut serve = flipper(home.path(), "memory:");
    serve.args(["serve", "--http", "127.0.0.1:0", "--drain", "0s"]);
    serve.env("NOTIFY_SOCKET", home.path().join("notify")).env("WATCHDOG_USEC", "200000");
    let server = Running::start(&mut serve);
    assert_eq!(state(), "READY=1");
    wait_until("there is a sign of life", || next() == "WATCHDOG=1");
    server.signal(Signal::HUP);
    let reloading = state();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(state(), "READY=1");
    server.signal(Signal::TERM);
    assert_eq!(state(), "STOPPING=1");
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn systemd_passes_sockets() {
    let home = tempfile::tempdir().unwrap();
    let passed = |names: &str, listeners: &[&TcpListener], options: &[&str]| {
        // The shell (dash knows no numbers above 9) moves them to 3, 4, …, where systemd puts them.
        let moves: String = listeners
            .iter()
            .enumerate()
            .map(|(index, listener)| {
                rustix::io::fcntl_setfd(listener.as_fd(), rustix::io::FdFlags::empty()).unwrap();
                format!("exec {}<&{}; ", index + 3, std::os::fd::AsRawFd::as_raw_fd(&listener.as_fd()))
            })
            .collect();
        let script = format!("{moves}LISTEN_PID=$$ exec \"$0\" serve --drain 0s \"$@\"");
        let mut command = support::clean("bash", home.path());
        command.env("FLIPPER_STORE", "memory:").env("LISTEN_FDS", listeners.len().to_string());
        command.env("LISTEN_FDNAMES", names).arg("-c").arg(script).arg(FLIPPER).args(options).stdin(Stdio::null());
        command
    };
    let [http, admin] = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let addresses = [&http, &admin].map(|listener| listener.local_addr().unwrap().to_string());
    // Waits in the socket's queue until the server runs.
    let mut early = Connection::open(&addresses[0]);
    early.send("GET", "/api/v1/flags", 0, "");
    let mut server = Running::start(&mut passed("http:admin", &[&http, &admin], &[]));
    server.line(" http=");
    assert_eq!(early.answer().0, 200);
    assert_eq!(Connection::open(&addresses[1]).ask("GET", "/readyz", "").0, 200);
    server.signal(Signal::TERM);
    assert_eq!(server.end().0, Some(0));

    let (code, _, err) = run(&mut passed("admin", &[&admin], &[]));
    assert!(code == 2 && err.contains("nothing serves flags"), "{code} {err}");
    let (code, _, err) = run(&mut passed("a:b", &[&http, &admin], &[]));
    assert!(code == 2 && err.contains("FileDescriptorName=http"), "{code} {err}");
    let open = TcpListener::bind("0.0.0.0:0").unwrap();
    let (code, _, err) = run(&mut passed("flipper.socket", &[&open], &[]));
    assert!(code == 2 && err.contains("socket of systemd for --http: other machines can reach"), "{code} {err}");
}

#[test]
fn a_config_file_and_the_command_line() {
    let home = tempfile::tempdir().unwrap();
    let etc = home.path().join("etc");
    fs::create_dir(&etc).unwrap();
    fs::write(
        etc.join("serve.toml"),
        "store = \"sqlite:flags.db\"\nhttp = \"127.0.0.1:1\"\nadmin = \"127.0.0.1:0\"\ndrain = \"0s\"\nlog-format = \"json\"\n",
    )
    .unwrap();
    let mut serve = support::clean(FLIPPER, home.path());
    let mut server = Running::start(serve.args(["serve", "--config", "etc/serve.toml", "--http", "127.0.0.1:0"]));
    let line = server.line("serving flags");
    assert!(line.starts_with('{') && line.contains(r#""thrift":"""#) && !line.contains("127.0.0.1:1\""), "{line}");
    assert!(etc.join("flags.db").exists(), "paths begin at the file's folder");
    server.signal(Signal::TERM);
    assert_eq!(server.end().0, Some(0));
}

/// The address of `--admin`, which the server has logged.
fn admin_of(server: &Running) -> String {
    let line = server.seen().iter().find(|line| line.contains(" admin=")).unwrap();
    let (_, address) = line.split_once(" admin=").unwrap();
    address.split(' ').next().unwrap().trim_matches('"').to_owned()
}

struct Connection {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Connection {
    fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { reader: BufReader::new(stream.try_clone().unwrap()), stream }
    }

    fn send(&mut self, method: &str, path: &str, length: usize, body: &str) {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(head.as_bytes()).unwrap();
    }

    fn ask(&mut self, method: &str, path: &str, body: &str) -> (u16, bool) {
        self.send(method, path, body.len(), body);
        self.answer()
    }

    fn has_ended(&mut self) -> bool {
        self.reader.read(&mut [0]).unwrap() == 0
    }

    /// The status, and whether the server closes the connection after it.
    fn answer(&mut self) -> (u16, bool) {
        let mut line = String::new();
        assert!(self.reader.read_line(&mut line).unwrap() > 0, "the connection ended without an answer");
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let (mut length, mut closes) = (0, false);
        loop {
            line.clear();
            assert!(self.reader.read_line(&mut line).unwrap() > 0, "the head is not complete");
            let header = line.trim_end().to_ascii_lowercase();
            match header.split_once(": ") {
                None => break,
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(("connection", value)) => closes = value == "close",
                Some(_) => {}
            }
        }
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body).unwrap();
        (status, closes)
    }
}

/// The server knows who acts; the command says why.
#[test]
fn history_and_undo_through_the_server() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let ops = token(home, &["ops", "--role", "write"]);
    for (options, actor) in [(&["--tokens", "tokens.json"][..], "ops"), (&[][..], "you")] {
        let (_server, url) = serve(home, options);
        let ask = |arguments: &[&str]| {
            let mut command = flipper(home, &url);
            succeed(command.env("FLIPPER_TOKEN", &ops).args(arguments))
        };
        let mut watch = flipper(home, &url);
        let mut watch = Running::start(watch.env("FLIPPER_TOKEN", &ops).args(["watch"]));
        watch.line("following");
        ask(&["create", "F", "--because", "for the demo"]);
        ask(&["enable", "F", "--because", "incident 42"]);
        watch.line(&format!("by {actor} (command): incident 42"));
        let history = ask(&["history", "F"]);
        let lines: Vec<_> = history.lines().collect();
        assert_eq!(lines.len(), 2, "{history}");
        assert!(lines[0].ends_with(&format!("by {actor} (command): incident 42")), "{history}");
        assert!(lines[1].ends_with(&format!("by {actor} (command): for the demo")), "{history}");
        assert!(ask(&["history", "--json"]).contains(r#""verb": "enable""#));
        ask(&["undo", "F", "--yes"]);
        assert!(ask(&["get", "F", "--json"]).contains(r#""is_enabled": false"#));
        assert!(ask(&["history", "F", "--limit", "1", "--json"]).contains(r#""verb": "restore""#));
    }
}
