//! The server beside bare axum handlers that return the same bytes, and beside a bare broadcast; memory of a follower. Each server has its
//! own process.
//!
//! `cargo bench --package flipper-server --bench http -- [rates] [writes] [flips]`

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for people, which may fail"
)]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use flipper::MemoryFeatureFlagStore;
use flipper_testkit::{can_open, resident_memory};
use tokio::sync::broadcast;

use common::followers::{Followers, marker};
use common::server::{Connection, Server, request, serve_flags, serve_origin, wait_for_parent};
use common::{quantile, runtime};

const CONNECTIONS: usize = 16;
const RUN: Duration = Duration::from_secs(2);
const ROUNDS: usize = 5;
const FOLLOWERS: usize = 2000;
const FLIPS: usize = 40;
const WRITES: usize = 4000;

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let whole = arguments.iter().any(|argument| argument == "--bench");
    arguments.retain(|argument| argument != "--bench");
    match arguments.first().map(String::as_str) {
        Some("serve-ours") => return serve_origin(),
        Some("serve-forgetful") => return serve_flags(MemoryFeatureFlagStore::new().without_history()),
        Some("serve-bare") => return serve_bare(),
        _ => {}
    }
    let asked = |what: &str| arguments.is_empty() || arguments.iter().any(|argument| argument == what);
    if !whole {
        // `cargo test` only checks that this runs.
        writes(3);
        return flips(20, 3);
    }
    if asked("rates") {
        rates();
    }
    if asked("writes") {
        writes(WRITES);
    }
    if asked("flips") && can_open(3 * FOLLOWERS as u64, "flips") {
        flips(FOLLOWERS, FLIPS);
    }
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
        println!("@{}", listener.local_addr().unwrap());
        tokio::select! {
            served = async { axum::serve(listener, router).await } => served.unwrap(),
            _ = tokio::task::spawn_blocking(wait_for_parent) => {}
        }
    });
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
    let (ours, bare) = (Server::start("serve-ours", &[]), Server::start("serve-bare", &[]));
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

/// A write with its entry in the history beside one without, in turns, so that other load hits both alike.
fn writes(count: usize) {
    let servers = [Server::start("serve-ours", &[]), Server::start("serve-forgetful", &[])];
    let mut connections = servers.each_ref().map(|server| Connection::open(server.address));
    let head = "PATCH /api/v1/flags/F7 HTTP/1.1\r\nFlipper-Actor: alice\r\nFlipper-Reason: incident%2042";
    let requests = ["true", "false"].map(|state| {
        let text = request("PATCH /api/v1/flags/F7", format!(r#"{{"enabled": {state}}}"#).as_bytes());
        String::from_utf8(text).unwrap().replacen("PATCH /api/v1/flags/F7 HTTP/1.1", head, 1).into_bytes()
    });
    let mut times: [Vec<f64>; 2] = Default::default();
    for number in 0..count {
        for (connection, times) in connections.iter_mut().zip(&mut times) {
            let began = Instant::now();
            connection.exchange(&requests[number % 2]);
            times.push(began.elapsed().as_secs_f64() * 1e6);
        }
    }
    println!("\n| a write over HTTP, to memory | with history | without | ratio |\n|---|---|---|---|");
    for (what, part) in [("p50", 0.5), ("p99", 0.99)] {
        let [with, without] = times.each_ref().map(|times| quantile(times.clone(), part));
        println!("| {what} | {with:.0} µs | {without:.0} µs | {:.2} |", with / without);
    }
}

fn median(values: Vec<f64>) -> f64 {
    quantile(values, 0.5)
}

fn flips(followers: usize, flips: usize) {
    let (ours, bare) = (Server::start("serve-ours", &[]), Server::start("serve-bare", &[]));
    let runtime = runtime();
    let before = resident_memory(ours.id());
    let mut own = Followers::open(&runtime, &[ours.address], "/api/v1/changes", "event: changes", followers);
    let each = resident_memory(ours.id()).saturating_sub(before) / followers as u64;
    // The empty line ends the head, and events come later.
    let mut same = Followers::open(&runtime, &[bare.address], "/stream", "", followers);
    let (mut our_times, mut bare_times, mut all): (Vec<f64>, Vec<f64>, Vec<f64>) = Default::default();
    let last = |times: &[f64]| times.iter().copied().fold(0.0, f64::max);
    for number in 0..flips {
        let marker = marker(number);
        let body = format!(r#"{{"client_data": {{"n": "{marker}"}}}}"#);
        let began = Instant::now();
        ours.send("PUT /api/v1/flags/F7", body.as_bytes());
        let arrived = own.arrivals(number, began);
        our_times.push(last(&arrived));
        all.extend(arrived);
        // As many bytes as an event of ours.
        let event = format!("event: changes\nid: 0123456789abcdef:1\ndata: {:200}{marker}{:180}\n\n", "", "");
        let began = Instant::now();
        bare.send("POST /emit", event.as_bytes());
        bare_times.push(last(&same.arrivals(number, began)));
    }
    assert_eq!((own.failures(), same.failures()), (0, 0), "streams that broke");
    let p99 = |times| quantile(times, 0.99);
    let (own, same) = (median(our_times.clone()), median(bare_times.clone()));
    println!("\n| {followers} followers | ours | bare broadcast | ratio |\n|---|---|---|---|");
    println!("| the last has the flip, p50 | {own:.1} ms | {same:.1} ms | {:.2} |", own / same);
    let (own, same) = (p99(our_times), p99(bare_times));
    println!("| the same, p99 | {own:.1} ms | {same:.1} ms | {:.2} |", own / same);
    println!("| any has it, p50 | {:.1} ms | | |", median(all));
    println!("| memory of a follower | {:.1} KiB | | |", each as f64 / 1024.0);
}
