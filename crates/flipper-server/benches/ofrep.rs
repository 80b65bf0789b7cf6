//! OFREP against bare axum handlers that return the same answers, and against `fast-feature` of PyPI, loaded by `wrk`, each server in a
//! process of its own.
//!
//! `scripts/bench ofrep`; `scripts/bench ofrep memory` sends ten million requests. `cargo test` only checks that the servers answer the same.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for people, which may fail"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use flipper::bucketing::SaltedPercentageBucketer;
use flipper::{Condition, FeatureFlagClient, MemoryFeatureFlagStore};
use flipper_server::{App, HttpOptions, HttpServer};
use flipper_testkit::{processor_time, resident_memory};
use http::{HeaderMap, HeaderName, HeaderValue};

const FLAGS: usize = 100;
/// Many and short, and in turns: what else the machine does is then the same for both.
const ROUNDS: usize = 25;
/// Of the server of PyPI, whose limit is far away.
const PYTHON_ROUNDS: usize = 5;
const RUN: &str = "1s";
const REQUESTS: u64 = 10_000_000;
const CONNECTIONS: &str = "16";
const SINGLE: &str = "/ofrep/v1/evaluate/flags/flag-060";
const BULK: &str = "/ofrep/v1/evaluate/flags";
const BODY: &str =
    r#"{"context":{"targetingKey":"user-4711","plan":"pro","country":"de","age":34,"beta":true,"version":"4.2.0"}}"#;

const REQUEST_ID: &str = "x-request-id";
/// Of an answer, beside those that hyper adds.
const HEADERS: [&str; 4] = ["cache-control", "etag", "content-type", REQUEST_ID];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("serve-ours") => return serve_ours(),
        Some("serve-bare") => return serve(bare()),
        _ => {}
    }
    let (ours, bare) = (Server::start("serve-ours"), Server::start("serve-bare"));
    for path in [SINGLE, BULK] {
        let ((head, body), (bare_head, bare_body)) = (ours.ask(path), bare.ask(path));
        assert_eq!((body, head.len()), (bare_body, bare_head.len()), "{head}\n{bare_head}");
        for name in HEADERS.iter().filter(|name| **name != REQUEST_ID) {
            assert_eq!(header(&head, name), header(&bare_head, name));
        }
    }
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("post.lua");
    let headers = r#"wrk.headers["Content-Type"] = "application/json""#;
    fs::write(&script, format!("wrk.method = \"POST\"\nwrk.body = [[{BODY}]]\n{headers}\n")).unwrap();
    if arguments.iter().any(|argument| argument == "memory") {
        return memory(&ours, &script);
    }
    let python = Server::fast_feature();
    println!(
        "| {FLAGS} flags, {CONNECTIONS} connections | requests/s | bare | part of it, median and quartiles of {ROUNDS} rounds | processor time of a request | bare | fast-feature | times |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    for (name, path, wanted) in [("single", SINGLE, 0.85), ("bulk", BULK, 0.6)] {
        let (mut rates, mut bares, mut pythons) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            // Each is as often before the other as after it.
            if round % 2 == 0 {
                rates.push(ours.load(path, &script));
                bares.push(bare.load(path, &script));
            } else {
                bares.push(bare.load(path, &script));
                rates.push(ours.load(path, &script));
            }
            if round < PYTHON_ROUNDS {
                pythons.extend(python.as_ref().map(|python| python.load(path, &script).0));
            }
        }
        let mut ratios: Vec<_> = rates.iter().zip(&bares).map(|(rate, bare)| rate.0 / bare.0).collect();
        ratios.sort_by(f64::total_cmp);
        let [low, ratio, high] = [ROUNDS / 4, ROUNDS / 2, ROUNDS - 1 - ROUNDS / 4].map(|place| ratios[place]);
        let [(rate, time), (bare, bare_time)] =
            [rates, bares].map(|loads| loads.into_iter().unzip()).map(|(rates, times)| (median(rates), median(times)));
        let python = if pythons.is_empty() { f64::NAN } else { median(pythons) };
        let times = rate / python;
        println!(
            "| {name} | {rate:.0} | {bare:.0} | {ratio:.2} ({low:.2} to {high:.2}; ≥ {wanted}) | {time:.1} µs | {bare_time:.1} µs | {python:.0} | {times:.1} (≥ 10) |"
        );
    }
}

/// Whether requests leave memory as it was: single evaluations and bulk ones.
fn memory(server: &Server, script: &Path) {
    let mut done = 0;
    let mut shown = 0;
    println!("| requests | resident memory of the server |");
    println!("|--:|--:|");
    while done < REQUESTS {
        for path in [SINGLE, BULK] {
            let text = server.wrk(path, script, "5s");
            done += count(&text);
        }
        if done >= shown {
            println!("| {done} | {:.1} MiB |", resident_memory(server.process.id()) as f64 / 1024.0 / 1024.0);
            shown = done + REQUESTS / 10;
        }
    }
    println!("| {done} | {:.1} MiB |", resident_memory(server.process.id()) as f64 / 1024.0 / 1024.0);
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Half are on or off for everybody, some with client data; the others have conditions or a percentage.
fn ours() -> App {
    let store = Arc::new(MemoryFeatureFlagStore::new());
    let features = FeatureFlagClient::new(store.clone());
    runtime().block_on(async {
        for number in 0..FLAGS {
            let name = format!("flag-{number:03}");
            features.create(&name).enabled(number % 3 > 0).await.unwrap();
            if number % 10 == 0 {
                features.set_client_data(&name, serde_json::json!({ "color": "green" })).await.unwrap();
            }
            match number {
                50..80 => {
                    features.enable(&name).await.unwrap();
                    let condition = Condition::new().eq("plan", "pro").gt("age", 18).eq("country", "de");
                    features.add_condition(&name, condition).await.unwrap();
                }
                80.. => {
                    features.enable(&name).await.unwrap();
                    features.set_bucketer(&name, SaltedPercentageBucketer::new("targeting_key", 0.5)).await.unwrap();
                }
                _ => {}
            }
        }
    });
    App::new(store)
}

/// The same answers from constants, the request's id too, by the least that axum needs.
fn bare() -> Router {
    let ours = Server::start("serve-ours");
    let answer = |path| {
        let (head, body) = ours.ask(path);
        // Copies of what is static change no count that all threads share.
        let leaked = |text: &str| -> &'static str { text.to_owned().leak() };
        let headers =
            HEADERS.map(|name| (HeaderName::from_static(name), HeaderValue::from_static(leaked(header(&head, name)))));
        let headers = HeaderMap::from_iter(headers);
        let body = Bytes::from_static(leaked(&body).as_bytes());
        post(async move || {
            let mut response = Response::new(Body::from(body));
            *response.headers_mut() = headers;
            response
        })
    };
    [SINGLE, BULK].into_iter().fold(Router::new(), |router, path| router.route(path, answer(path)))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// As `flipper serve` does, until its parent ends.
fn serve_ours() {
    let (app, runtime) = (ours(), runtime());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = runtime.block_on(HttpServer::start(vec![listener], app, HttpOptions::default())).unwrap();
    println!("{}", server.local_addrs()[0]);
    let _ = std::io::stdin().read(&mut [0]);
}

/// Until its parent ends.
fn serve(router: Router) {
    let runtime = runtime();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    println!("{}", listener.local_addr().unwrap());
    runtime.spawn(async { axum::serve(listener, router).await });
    let _ = std::io::stdin().read(&mut [0]);
}

struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(role: &str) -> Self {
        Self::of(Command::new(std::env::current_exe().unwrap()).arg(role))
    }

    /// With the same names and the value of a constant, which is less than ours does.
    fn fast_feature() -> Option<Self> {
        let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/fast-feature/bin/python");
        if !python.exists() {
            println!("without fast-feature, which scripts/bench installs");
            return None;
        }
        let server =
            Self::of(Command::new(python).arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/serve_fast_feature.py")));
        let up = (0..600).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            TcpStream::connect(&server.address).is_ok()
        });
        assert!(up, "fast-feature does not listen");
        Some(server)
    }

    fn of(command: &mut Command) -> Self {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut address).unwrap();
        Self { process, address: address.trim().to_owned() }
    }

    /// Head and body of the answer.
    fn ask(&self, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = BODY.len();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{BODY}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    fn wrk(&self, path: &str, script: &Path, run: &str) -> String {
        let url = format!("http://{}{path}", self.address);
        let output =
            Command::new("wrk").args(["-t1", "-c", CONNECTIONS, "-d", run, "-s"]).arg(script).arg(url).output();
        let output = output.expect("wrk is needed: Debian has it as wrk");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains("Non-2xx"), "{text}");
        text
    }

    /// Requests a second, and the server's processor time for each in microseconds, which `wrk` on the same cores does not change.
    fn load(&self, path: &str, script: &Path) -> (f64, f64) {
        let before = processor_time(self.process.id());
        let text = self.wrk(path, script, RUN);
        let used = processor_time(self.process.id()) - before;
        let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:")).unwrap();
        (rate.trim().parse().unwrap(), used.as_secs_f64() * 1e6 / count(&text) as f64)
    }
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(other, _)| *other == name).unwrap_or_else(|| panic!("no {name}: {head}")).1
}

/// The requests that `wrk` sent.
fn count(text: &str) -> u64 {
    text.lines().find_map(|line| line.trim().split_once(" requests in ")).unwrap().0.parse().unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
