//! The server against a bare `thrift`-crate server and Python's `TThreadedServer`, with the same client; idle connections;
//! memory over many requests. Each server has its own process.
//!
//! `cargo bench --package flipper-thrift --bench server -- [rates] [idle] [flat]`; `flat` makes 10 million requests and runs
//! only if it is named.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for people, which may fail")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use flipper::store::Precondition;
use flipper::{FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore};
use flipper_thrift_protocol::feature_flag_store as t;
use support::{Python, Raw, block_on};
use thrift::protocol::{TBinaryInputProtocolFactory, TBinaryOutputProtocolFactory, TInputProtocol, TOutputProtocol};
use thrift::server::{TProcessor, TServer, handle_process_result};
use thrift::transport::{TBufferedReadTransportFactory, TBufferedWriteTransportFactory};

const CONNECTIONS: usize = 16;
const FLAGS: usize = 100;
const RUN: Duration = Duration::from_secs(2);
const ROUNDS: usize = 5;

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let whole = arguments.iter().any(|argument| argument == "--bench");
    arguments.retain(|argument| argument != "--bench");
    match arguments.first().map(String::as_str) {
        Some("serve-ours") => return serve_ours(),
        Some("serve-bare") => return serve_bare(),
        _ => {}
    }
    let asked =
        |what: &str| arguments.is_empty() && what != "flat" || arguments.iter().any(|argument| argument == what);
    if !whole {
        // `cargo test` only checks that this runs.
        let server = Server::start("serve-ours");
        fill(server.address);
        load(server.address, Duration::from_millis(50));
        return;
    }
    if asked("rates") {
        rates();
    }
    if asked("idle") {
        idle();
    }
    if asked("flat") {
        flat();
    }
}

fn serve_ours() {
    let store = MemoryFeatureFlagStore::new();
    for number in 0..FLAGS {
        block_on(store.put(&FlagRecord::new(format!("F{number}"), 1), Precondition::Any.into())).unwrap();
    }
    let server = flipper_thrift::Server::start("127.0.0.1:0", store).unwrap();
    println!("@{}", server.local_addr().port());
    wait_for_parent();
}

fn wait_for_parent() {
    let _ = std::io::stdin().read(&mut [0]);
}

struct Bare(RwLock<HashMap<String, t::FeatureFlagStoreItem>>);

fn unknown<T>() -> thrift::Result<T> {
    Err(thrift::Error::from("not measured"))
}

impl t::FeatureFlagStoreSyncHandler for Bare {
    fn handle_get(&self, feature_name: Option<String>) -> thrift::Result<t::FeatureFlagStoreItem> {
        let name = feature_name.unwrap_or_default();
        let item = self.0.read().unwrap().get(&name).cloned();
        item.ok_or_else(|| t::FlipperException::new(t::ErrorCode::NOT_FOUND, name).into())
    }
    fn handle_create(
        &self,
        name: Option<String>,
        on: Option<bool>,
        data: Option<String>,
    ) -> thrift::Result<t::FeatureFlagStoreItem> {
        let name = name.unwrap_or_default();
        let meta = t::FeatureFlagStoreMeta::new(1, data, vec![], r#"{"type": "NoOpBucketer"}"#.to_owned());
        let item = t::FeatureFlagStoreItem::new(name.clone(), on, meta);
        self.0.write().unwrap().insert(name, item.clone());
        Ok(item)
    }
    fn handle_set(&self, _: Option<String>, _: Option<bool>) -> thrift::Result<()> {
        unknown()
    }
    fn handle_delete(&self, _: Option<String>) -> thrift::Result<()> {
        unknown()
    }
    fn handle_list(&self, _: Option<i64>, _: Option<i64>) -> thrift::Result<Vec<t::FeatureFlagStoreItem>> {
        unknown()
    }
    fn handle_set_meta(&self, _: Option<String>, _: Option<t::FeatureFlagStoreMeta>) -> thrift::Result<()> {
        unknown()
    }
    fn handle_set_client_data(&self, _: Option<String>, _: Option<String>) -> thrift::Result<()> {
        unknown()
    }
    fn handle_read_flag(&self, _: Option<String>) -> thrift::Result<t::FlagState> {
        unknown()
    }
    fn handle_read_known_flag(&self, _: Option<String>) -> thrift::Result<t::FlagState> {
        unknown()
    }
    fn handle_read_known_flags(&self, _: Option<String>, _: Option<i64>) -> thrift::Result<t::FlagPage> {
        unknown()
    }
    fn handle_describe(&self) -> thrift::Result<t::ServerDescription> {
        unknown()
    }
    fn handle_read_flags(&self, _: Option<String>, _: Option<i64>) -> thrift::Result<t::FlagPage> {
        unknown()
    }
    fn handle_compare_and_set(
        &self,
        _: Option<String>,
        _: Option<t::WritePrecondition>,
        _: Option<String>,
    ) -> thrift::Result<t::FlagVersion> {
        unknown()
    }
    fn handle_history(
        &self,
        _: Option<String>,
        _: Option<i64>,
        _: Option<String>,
        _: Option<i64>,
    ) -> thrift::Result<t::HistoryPage> {
        unknown()
    }
    fn handle_watch(&self, _: Option<String>, _: Option<i64>) -> thrift::Result<t::WatchResult> {
        unknown()
    }
}

/// The generated processor, which the patch removes.
struct BareProcessor(Bare);

impl TProcessor for BareProcessor {
    fn process(&self, i: &mut dyn TInputProtocol, o: &mut dyn TOutputProtocol) -> thrift::Result<()> {
        let ident = i.read_message_begin()?;
        let result = match &*ident.name {
            "Create" => t::TFeatureFlagStoreProcessFunctions::process_create(&self.0, ident.sequence_number, i, o),
            "Get" => t::TFeatureFlagStoreProcessFunctions::process_get(&self.0, ident.sequence_number, i, o),
            _ => unknown(),
        };
        handle_process_result(&ident, result, o)
    }
}

fn serve_bare() {
    // TServer does not report which free port it got.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    println!("@{port}");
    let mut server = TServer::new(
        TBufferedReadTransportFactory::new(),
        TBinaryInputProtocolFactory::new(),
        TBufferedWriteTransportFactory::new(),
        TBinaryOutputProtocolFactory::new(),
        BareProcessor(Bare(RwLock::default())),
        CONNECTIONS + 4,
    );
    std::thread::spawn(move || server.listen(("127.0.0.1", port)));
    wait_for_parent();
}

struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start(role: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg(role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().trim_start_matches('@').parse().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        wait_for(address);
        Self { process, address }
    }

    fn resident(&self) -> u64 {
        flipper_testkit::resident_memory(self.process.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Seconds of processor time that the process has used.
fn cpu(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // In ticks of 10 ms, as on every Linux.
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}

fn wait_for(address: SocketAddr) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "no server");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Calls of Get per second over all connections, and the 99th percentile of their latency.
fn load(address: SocketAddr, run: Duration) -> (f64, Duration) {
    let stop = Arc::new(AtomicBool::new(false));
    let total = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (stop, total) = (stop.clone(), total.clone());
            std::thread::spawn(move || {
                let mut raw = Raw::connect(address);
                let mut latencies = Vec::new();
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    let name = format!("F{}", number % FLAGS);
                    let started = Instant::now();
                    raw.call(|client| client.get(Some(name))).unwrap();
                    latencies.push(started.elapsed());
                    number += 1;
                }
                total.fetch_add(number as u64, Ordering::Relaxed);
                latencies
            })
        })
        .collect();
    let started = Instant::now();
    std::thread::sleep(run);
    stop.store(true, Ordering::Relaxed);
    let mut latencies: Vec<_> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    let rate = total.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64();
    latencies.sort_unstable();
    (rate, latencies[latencies.len() * 99 / 100])
}

fn fill(address: SocketAddr) {
    let mut raw = Raw::connect(address);
    for number in 0..FLAGS {
        raw.call(|client| client.create(Some(format!("F{number}")), Some(true), Some("{}".to_owned()))).unwrap();
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn rates() {
    let ours = Server::start("serve-ours");
    let bare = Server::start("serve-bare");
    fill(ours.address);
    fill(bare.address);
    let python = |protocol: &str, handler: &str| {
        let server = Python::start("server.py", &["buffered", protocol, handler], false)?;
        let address = SocketAddr::from(([127, 0, 0, 1], server.line().parse().unwrap()));
        wait_for(address);
        fill(address);
        Some((server, address))
    };
    let pythons: Vec<_> = [
        ("TThreadedServer over the library's memory store", "binary", "library"),
        ("TThreadedServer over a dict of answers", "binary", "dict"),
        ("TThreadedServer over the library's memory store, C extension", "accelerated", "library"),
    ]
    .iter()
    .filter_map(|(name, protocol, handler)| Some((*name, python(protocol, handler)?)))
    .collect();
    let mut others = vec![("bare thrift-crate server", bare.address, bare.process.id())];
    others.extend(pythons.iter().map(|(name, (server, address))| (*name, *address, server.id())));
    println!(
        "{CONNECTIONS} connections, Get, buffered binary; medians of {ROUNDS} pairs of runs of {RUN:?}, turn about"
    );
    for (name, other, process) in others {
        let (mut of_ours, mut of_other, mut ratios) = (vec![], vec![], vec![]);
        let measure = |address, process| {
            let before = cpu(process);
            let (rate, _) = load(address, RUN);
            (rate, (cpu(process) - before) / (rate * RUN.as_secs_f64()) * 1e6)
        };
        let (mut our_cpu, mut its_cpu) = (vec![], vec![]);
        for round in 0..ROUNDS {
            // In turns, since the machine's speed varies.
            let (our, its) = if round % 2 == 0 {
                let our = measure(ours.address, ours.process.id());
                (our, measure(other, process))
            } else {
                let its = measure(other, process);
                (measure(ours.address, ours.process.id()), its)
            };
            of_ours.push(our.0);
            of_other.push(its.0);
            ratios.push(our.0 / its.0);
            our_cpu.push(our.1);
            its_cpu.push(its.1);
        }
        println!("  ours {:7.0}/s, {name} {:7.0}/s: {:.2} times", median(of_ours), median(of_other), median(ratios));
        println!(
            "    processor time of the server for a request: {:.2} µs, {:.2} µs",
            median(our_cpu),
            median(its_cpu)
        );
    }
}

fn idle() {
    const IDLE: usize = 2000;
    if !flipper_testkit::can_open(3000, "idle connections") {
        return;
    }
    let server = Server::start("serve-ours");
    fill(server.address);
    let (mut cost, mut turns) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (without, p99_without) = load(server.address, RUN);
        let before = server.resident();
        // Each has made a call, like a client that checks now and then.
        let connections: Vec<_> = (0..IDLE)
            .map(|number| {
                let mut raw = Raw::connect(server.address);
                raw.call(|client| client.get(Some(format!("F{}", number % FLAGS)))).unwrap();
                raw
            })
            .collect();
        cost.push(server.resident().saturating_sub(before));
        let (with, p99_with) = load(server.address, RUN);
        drop(connections);
        turns.push((without, with, p99_without, p99_with));
    }
    let rate = |rate: fn(&(f64, f64, Duration, Duration)) -> f64| median(turns.iter().map(rate).collect());
    println!("{IDLE} idle connections cost {:.1} MiB resident", mib(cost.into_iter().max().unwrap_or_default()));
    println!(
        "  calls with them {:7.0}/s, without {:7.0}/s: {:.2} times; p99 {:.0} µs, {:.0} µs",
        rate(|turn| turn.1),
        rate(|turn| turn.0),
        rate(|turn| turn.1 / turn.0),
        rate(|turn| turn.3.as_secs_f64() * 1e6),
        rate(|turn| turn.2.as_secs_f64() * 1e6),
    );
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn flat() {
    let server = Server::start("serve-ours");
    fill(server.address);
    let mut done = 0.0;
    let mut next = 0.0;
    while done < 10e6 {
        let started = Instant::now();
        let (rate, _) = load(server.address, Duration::from_secs(5));
        done += rate * started.elapsed().as_secs_f64();
        if done >= next {
            println!("after {:4.1} M requests: {:.2} MiB resident", done / 1e6, mib(server.resident()));
            next += 1e6;
        }
    }
}
