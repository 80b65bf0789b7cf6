//! The server beside bare axum handlers that return the same bytes, and beside a bare broadcast; memory of a follower. Each server has its
//! own process.
//!
//! `cargo bench --package flipper-server --bench http -- [rates] [flips]`

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people, which may fail")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use flipper::store::Precondition;
use flipper::{FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore};
use flipper_server::{App, HttpOptions, HttpServer};
use flipper_testkit::{block_on, can_open, resident_memory};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{broadcast, mpsc};

const CONNECTIONS: usize = 16;
const FLAGS: usize = 100;
const RUN: Duration = Duration::from_secs(2);
const ROUNDS: usize = 5;
const FOLLOWERS: usize = 2000;
const FLIPS: usize = 40;

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let whole = arguments.iter().any(|argument| argument == "--bench");
    arguments.retain(|argument| argument != "--bench");
    match arguments.first().map(String::as_str) {
        Some("serve-ours") => return serve_ours(),
        Some("serve-bare") => return serve_bare(),
        _ => {}
    }
    let asked = |what: &str| arguments.is_empty() || arguments.iter().any(|argument| argument == what);
    if !whole {
        // `cargo test` only checks that this runs.
        return flips(20, 3);
    }
    if asked("rates") {
        rates();
    }
    if asked("flips") && can_open(3 * FOLLOWERS as u64, "flips") {
        flips(FOLLOWERS, FLIPS);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

fn wait_for_parent() {
    let _ = std::io::stdin().read(&mut [0]);
}

fn serve_ours() {
    assert!(can_open(3 * FOLLOWERS as u64, "flips"));
    let store = MemoryFeatureFlagStore::new();
    for number in 0..FLAGS {
        block_on(store.put(&FlagRecord::new(format!("F{number}"), 1), Precondition::Any)).unwrap();
    }
    let runtime = runtime();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let app = App::new(Arc::new(store));
    let server = runtime.block_on(HttpServer::start(vec![listener], app, HttpOptions::default())).unwrap();
    println!("@{}", server.local_addrs()[0].port());
    wait_for_parent();
}

#[derive(Clone)]
struct Bare {
    body: Arc<std::sync::Mutex<Bytes>>,
    events: broadcast::Sender<Bytes>,
}

/// `POST /body` sets what `GET` and `POST /same` return; `POST /emit` sends its body to all streams.
fn serve_bare() {
    assert!(can_open(3 * FOLLOWERS as u64, "flips"));
    let bare = Bare { body: Arc::default(), events: broadcast::channel(64).0 };
    let same = async |State(bare): State<Bare>| Response::new(Body::from(bare.body.lock().unwrap().clone()));
    let set = async |State(bare): State<Bare>, body: Bytes| *bare.body.lock().unwrap() = body;
    let emit = async |State(bare): State<Bare>, body: Bytes| drop(bare.events.send(body));
    let stream = async |State(bare): State<Bare>| {
        let events = bare.events.subscribe();
        let events = futures_util::stream::unfold(events, |mut events| async move {
            let event = events.recv().await.ok()?;
            Some((Ok::<_, std::convert::Infallible>(event), events))
        });
        Response::new(Body::from_stream(events))
    };
    let router = Router::new()
        .route("/same", get(same).post(same))
        .route("/body", post(set))
        .route("/emit", post(emit))
        .route("/stream", get(stream))
        .with_state(bare);
    runtime().block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("@{}", listener.local_addr().unwrap().port());
        tokio::select! {
            served = async { axum::serve(listener, router).await } => served.unwrap(),
            _ = tokio::task::spawn_blocking(wait_for_parent) => {}
        }
    });
}

struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start(kind: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg(kind)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = lines.find_map(|line| line.unwrap().strip_prefix('@').map(str::to_owned)).unwrap();
        Self { process, address: SocketAddr::from(([127, 0, 0, 1], line.parse().unwrap())) }
    }

    fn send(&self, head: &str, body: &[u8]) -> Vec<u8> {
        let mut connection = Connection::open(self.address);
        connection.exchange(&request(head, body));
        connection.body.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn request(head: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut bytes = format!(
        "{head} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    body: Vec<u8>,
}

impl Connection {
    fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: vec![0; 256 * 1024], body: Vec::new() }
    }

    /// Reads an answer with a length.
    fn exchange(&mut self, request: &[u8]) {
        self.stream.write_all(request).unwrap();
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).unwrap();
            assert!(read > 0, "the server closed the connection");
            filled += read;
            let Some(end) = self.buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            let head = std::str::from_utf8(&self.buffer[..end]).unwrap().to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            let whole = end + 4 + length.unwrap_or(0);
            if filled >= whole {
                self.body.clear();
                self.body.extend_from_slice(&self.buffer[end + 4..whole]);
                return;
            }
        }
    }
}

/// Requests a second over all connections.
fn rate(address: SocketAddr, request: &[u8]) -> f64 {
    let (count, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut connection = Connection::open(address);
                while !over.load(Ordering::Relaxed) {
                    connection.exchange(request);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        std::thread::sleep(RUN);
        over.store(true, Ordering::Relaxed);
    });
    count.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}

fn rates() {
    let (ours, bare) = (Server::start("serve-ours"), Server::start("serve-bare"));
    println!("| request | requests/s | bare handler, same bytes | ratio |\n|---|---|---|---|");
    for (what, head, body) in [
        ("one flag", "GET /api/v1/flags/F7", ""),
        ("evaluation", "POST /api/v1/evaluate/F7", r#"{"context": {"user_id": 7}}"#),
        ("100 flags", "GET /api/v1/flags?limit=100", ""),
    ] {
        bare.send("POST /body", &ours.send(head, body.as_bytes()));
        let (method, _) = head.split_once(' ').unwrap();
        let (own, same) = (request(head, body.as_bytes()), request(&format!("{method} /same"), body.as_bytes()));
        let (mut our_rates, mut bare_rates) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            our_rates.push(rate(ours.address, &own));
            bare_rates.push(rate(bare.address, &same));
        }
        let [own, same] = [our_rates, bare_rates].map(median);
        println!("| {what} | {own:.0} | {same:.0} | {:.2} |", own / same);
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn flips(followers: usize, flips: usize) {
    let (ours, bare) = (Server::start("serve-ours"), Server::start("serve-bare"));
    let runtime = runtime();
    let before = resident_memory(ours.process.id());
    let (mut own, open) = follow(&runtime, ours.address, "GET /api/v1/changes", followers);
    let each = resident_memory(ours.process.id()).saturating_sub(before) / followers as u64;
    let (mut same, _open) = follow(&runtime, bare.address, "GET /stream", followers);
    let (mut our_times, mut bare_times, mut all): (Vec<f64>, Vec<f64>, Vec<f64>) = Default::default();
    for number in 0..flips {
        let marker = marker(number);
        let body = format!(r#"{{"client_data": {{"n": "{marker}"}}}}"#);
        let began = Instant::now();
        ours.send("PUT /api/v1/flags/F7", body.as_bytes());
        let arrived = arrivals(&mut own, number, followers, began);
        our_times.push(*arrived.last().unwrap());
        all.extend(arrived);
        // As many bytes as an event of ours.
        let event = format!("event: changes\nid: 0123456789abcdef:1\ndata: {:200}{marker}{:180}\n\n", "", "");
        let began = Instant::now();
        bare.send("POST /emit", event.as_bytes());
        bare_times.push(*arrivals(&mut same, number, followers, began).last().unwrap());
    }
    drop(open);
    all.sort_unstable_by(f64::total_cmp);
    let p99 = |mut times: Vec<f64>| {
        times.sort_unstable_by(f64::total_cmp);
        times[times.len() * 99 / 100]
    };
    let (own, same) = (median(our_times.clone()), median(bare_times.clone()));
    println!("\n| {followers} followers | ours | bare broadcast | ratio |\n|---|---|---|---|");
    println!("| the last has the flip, p50 | {own:.1} ms | {same:.1} ms | {:.2} |", own / same);
    let (own, same) = (p99(our_times), p99(bare_times));
    println!("| the same, p99 | {own:.1} ms | {same:.1} ms | {:.2} |", own / same);
    println!("| any has it, p50 | {:.1} ms | | |", all[all.len() / 2]);
    println!("| memory of a follower | {:.1} KiB | | |", each as f64 / 1024.0);
}

fn marker(number: usize) -> String {
    format!("<FLIP-{number}>")
}

/// The numbers of flips, as each follower receives them.
type Arrivals = mpsc::UnboundedReceiver<(usize, Instant)>;

fn follow(
    runtime: &tokio::runtime::Runtime,
    address: SocketAddr,
    head: &str,
    followers: usize,
) -> (Arrivals, Vec<tokio::task::JoinHandle<()>>) {
    let (sender, arrivals) = mpsc::unbounded_channel();
    let (ready, mut opened) = mpsc::unbounded_channel();
    let request = format!("{head} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let tasks = (0..followers).map(|_| {
        let (sender, ready, request) = (sender.clone(), ready.clone(), request.clone());
        runtime.spawn(async move {
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let (mut text, mut is_open) = (String::new(), false);
            let mut buffer = vec![0; 4096];
            let mut next = 0;
            loop {
                let Ok(read @ 1..) = stream.read(&mut buffer).await else { return };
                text.push_str(&String::from_utf8_lossy(&buffer[..read]));
                if !is_open && text.contains("\r\n\r\n") {
                    is_open = true;
                    let _ = ready.send(());
                }
                if text.contains(&marker(next)) {
                    let _ = sender.send((next, Instant::now()));
                    next += 1;
                    text.clear();
                } else if is_open && text.len() > 4096 {
                    text.drain(..2048);
                }
            }
        })
    });
    let tasks = tasks.collect();
    runtime.block_on(async {
        for _ in 0..followers {
            tokio::time::timeout(Duration::from_secs(60), opened.recv()).await.unwrap().unwrap();
        }
        // Their first events.
        tokio::time::sleep(Duration::from_millis(500)).await;
    });
    (arrivals, tasks)
}

/// In milliseconds, in order.
fn arrivals(arrivals: &mut Arrivals, number: usize, followers: usize, began: Instant) -> Vec<f64> {
    let mut times = Vec::with_capacity(followers);
    while times.len() < followers {
        let (flip, at) = arrivals.blocking_recv().unwrap();
        assert_eq!(flip, number);
        times.push((at - began).as_secs_f64() * 1000.0);
    }
    times
}
