//! Ten thousand followers of one server, behind one relay, and behind two tiers of relays: connections, memory, delay, and how long it
//! takes until all follow again after a restart. Each server has its own process, as users run it; the followers share one.
//!
//! `scripts/fleet`; `cargo test` only checks that this runs.

#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for people, which may fail"
)]

mod common;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use flipper::store::LocalFeatureFlagStore;
use flipper::{HttpFeatureFlagStore, MirroredFeatureFlagStore};
use flipper_testkit::{PATIENCE, open_files, processor_time, resident_memory};
use tokio::runtime::Runtime;

use common::followers::{Followers, marker};
use common::server::{Server, serve, serve_origin};
use common::{quantile, runtime};

/// As `HttpFeatureFlagStore` follows: flags come with the events.
const CHANGES: &str = "/api/v1/changes?flags=true";
const FOLLOWS: &str = "event: changes";
/// `Limits::streams` of a server.
const MOST_FOLLOWERS: usize = 10_000;
/// Of a process that has no followers.
const OTHER_FILES: u64 = 200;
/// For all. What hangs ends then.
const LONGEST: Duration = Duration::from_secs(1800);

struct Sizes {
    followers: usize,
    /// In the last of two tiers.
    relays: usize,
    flips: usize,
    /// Of one follower of a relay.
    single_flips: usize,
    idle: Duration,
    /// Between flips. A server sends something each second after the last event. So flips fall anywhere between.
    pause_ms: std::ops::Range<u64>,
}

const FULL: Sizes = Sizes {
    followers: MOST_FOLLOWERS,
    relays: 4,
    flips: 30,
    single_flips: 300,
    idle: Duration::from_secs(10),
    pause_ms: 1000..2000,
};

const SMALL: Sizes =
    Sizes { followers: 20, relays: 2, flips: 3, single_flips: 3, idle: Duration::from_millis(100), pause_ms: 1..20 };

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["origin"] => {
            serve_origin();
            return ExitCode::SUCCESS;
        }
        ["relay", above, port] => {
            serve_relay(above, port.parse().unwrap());
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let is_whole = arguments.iter().any(|argument| argument == "--bench");
    arguments.retain(|argument| argument != "--bench");
    let sizes = if is_whole { sizes(&arguments) } else { Ok(SMALL) };
    let sizes = match sizes {
        Ok(sizes) => sizes,
        Err(wrong) => {
            eprintln!("{wrong}; scripts/fleet --help lists the options");
            return ExitCode::from(2);
        }
    };
    let (files, most) = (sizes.followers as u64 + OTHER_FILES, open_files());
    if most < files {
        let possible = most.saturating_sub(OTHER_FILES);
        eprintln!("this process may open {most} files and connections, and {} followers need {files}", sizes.followers);
        eprintln!("raise the limit as root (ulimit -Hn {files}), or take --followers {possible}");
        return ExitCode::FAILURE;
    }
    std::thread::spawn(|| {
        sleep(LONGEST);
        eprintln!("not done after {LONGEST:?}");
        // The servers end with it.
        std::process::exit(1);
    });
    run(&sizes);
    ExitCode::SUCCESS
}

fn sizes(arguments: &[String]) -> Result<Sizes, String> {
    let mut sizes = FULL;
    let mut arguments = arguments.iter();
    while let Some(option) = arguments.next() {
        let (size, most) = match option.as_str() {
            "--followers" => (&mut sizes.followers, MOST_FOLLOWERS),
            "--relays" => (&mut sizes.relays, 100),
            "--flips" => (&mut sizes.flips, 500),
            _ => return Err(format!("there is no option {option}")),
        };
        let value = arguments.next().map_or("", String::as_str);
        let number = value.parse().ok().filter(|number| (1..=most).contains(number));
        *size = number.ok_or_else(|| format!("{option} {value}: it is a number from 1 to {most}"))?;
    }
    if sizes.relays > sizes.followers {
        return Err("each relay needs a follower".to_owned());
    }
    Ok(sizes)
}

/// In the child, what `flipper serve --store http://… --http …` does.
fn serve_relay(above: &str, port: u16) {
    let store = MirroredFeatureFlagStore::new(HttpFeatureFlagStore::builder(above).build().unwrap());
    let ready = runtime().block_on(async { tokio::time::timeout(PATIENCE, store.ready()).await });
    ready.expect("the server above does not answer").unwrap();
    serve(Arc::new(store), port);
}

/// A server, then in each tier servers that follow the ones above. The followers are at the last tier.
struct Fleet {
    tiers: Vec<Vec<Server>>,
}

impl Fleet {
    fn start(relays: &[usize]) -> Self {
        let mut fleet = Self { tiers: vec![vec![Server::start("origin", &[])]] };
        for (tier, count) in relays.iter().enumerate() {
            let started = (0..*count).map(|number| fleet.start_relay(tier + 1, number, 0)).collect();
            fleet.tiers.push(started);
        }
        fleet
    }

    fn start_relay(&self, tier: usize, number: usize, port: u16) -> Server {
        let above = &self.tiers[tier - 1];
        let above = format!("http://{}", above[number % above.len()].address);
        Server::start("relay", &[above, port.to_string()])
    }

    /// Kills it, makes the flip, and starts it again. Returns when it was killed, and the milliseconds until it listened again.
    fn restart_relay(&mut self, tier: usize, flip: usize) -> (Instant, f64) {
        let port = self.tiers[tier][0].address.port();
        let killed = Instant::now();
        drop(self.tiers[tier].remove(0));
        self.flip(flip);
        let relay = self.start_relay(tier, 0, port);
        self.tiers[tier].insert(0, relay);
        (killed, milliseconds(killed.elapsed()))
    }

    fn flip(&self, number: usize) {
        let body = format!(r#"{{"client_data": {{"n": "{}"}}}}"#, marker(number));
        self.tiers[0][0].send("PUT /api/v1/flags/F7", body.as_bytes());
    }

    fn follow<'a>(&self, runtime: &'a Runtime, followers: usize) -> Followers<'a> {
        let servers: Vec<SocketAddr> = self.tiers.iter().flatten().map(|server| server.address).collect();
        let last = self.tiers.last().map_or(0, Vec::len);
        Followers::open(runtime, &servers[servers.len() - last..], CHANGES, FOLLOWS, followers)
    }

    /// Of each server, in the order of the tiers.
    fn each<T>(&self, of: impl Fn(&Server) -> T) -> Vec<T> {
        self.tiers.iter().flatten().map(of).collect()
    }
}

/// As `/metrics` counts them, without the one that asks.
fn connections(server: &Server) -> usize {
    let metrics = String::from_utf8(server.send("GET /metrics", b"")).unwrap();
    let open = metrics.lines().find_map(|line| line.strip_prefix("flipper_http_connections ")).unwrap();
    open.parse::<usize>().unwrap() - 1
}

fn run(sizes: &Sizes) {
    let runtime = runtime();
    let (followers, relays) = (sizes.followers, sizes.relays);
    let two = format!("two tiers (1 and {relays} relays)");
    let mut report = Report::default();
    let single = single(&runtime, sizes);
    measure(&runtime, "direct", &[], sizes, &mut report);
    measure(&runtime, "one relay", &[1], sizes, &mut report);
    measure(&runtime, &two, &[1, relays], sizes, &mut report);
    println!(
        "| {followers} followers, {} flips | a follower has it, p50 | p99 | max | the last has it, p50 |",
        sizes.flips
    );
    println!("|---|--:|--:|--:|--:|\n{}\n", report.delays.join("\n"));
    println!(
        "| | connections of each | memory before | and with them | of a follower (≤ 16 KiB) | CPU, idle | CPU, a flip |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|\n{}\n", report.servers.join("\n"));
    println!(
        "| a relay is killed, and starts again | listens again | 99 % have the flip made meanwhile | all have it | failures |"
    );
    println!("|---|--:|--:|--:|--:|\n{}\n", report.restarts.join("\n"));
    println!("{single}");
}

/// Rows of the tables.
#[derive(Default)]
struct Report {
    delays: Vec<String>,
    servers: Vec<String>,
    restarts: Vec<String>,
}

fn measure(runtime: &Runtime, name: &str, relays: &[usize], sizes: &Sizes, report: &mut Report) {
    let count = sizes.followers;
    eprintln!("{name}: {count} followers open their streams");
    let mut fleet = Fleet::start(relays);
    let before = fleet.each(|server| resident_memory(server.id()));
    let opened = Instant::now();
    let mut followers = fleet.follow(runtime, count);
    eprintln!("{name}: all follow after {:.1} s; idle for {:?}", opened.elapsed().as_secs_f64(), sizes.idle);

    // Flags arrive, and what was only needed to connect is over.
    sleep(sizes.idle / 5);
    let processor = |fleet: &Fleet| fleet.each(|server| processor_time(server.id()));
    let (began, used) = (Instant::now(), processor(&fleet));
    sleep(sizes.idle);
    let idle: Vec<f64> = since(&used, &processor(&fleet)).map(|used| used / began.elapsed().as_secs_f64()).collect();

    let (mut all, mut lasts) = (Vec::new(), Vec::new());
    let mut used = vec![0.0; idle.len()];
    for flip in 1..=sizes.flips {
        if flip % 10 == 1 {
            eprintln!("{name}: flip {flip} of {}", sizes.flips);
        }
        sleep(Duration::from_millis(fastrand::u64(sizes.pause_ms.clone())));
        let (before, began) = (processor(&fleet), Instant::now());
        fleet.flip(flip);
        let arrived = followers.arrivals(flip, began);
        for (used, more) in used.iter_mut().zip(since(&before, &processor(&fleet))) {
            *used += more;
        }
        lasts.push(arrived.iter().copied().fold(0.0, f64::max));
        all.extend(arrived);
    }
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|part| quantile(all.clone(), part));
    let last = quantile(lasts, 0.5);
    report.delays.push(format!("| {name} | {p50:.1} ms | {p99:.1} ms | {max:.1} ms | {last:.1} ms |"));

    let after = fleet.each(|server| resident_memory(server.id()));
    let open = fleet.each(connections);
    let mut first = 0;
    for (tier, servers) in fleet.tiers.iter().enumerate() {
        let what = match (tier, servers.len()) {
            (0, _) => "origin".to_owned(),
            (_, 1) => "relay".to_owned(),
            (_, relays) => format!("{relays} relays, the largest"),
        };
        // They are alike.
        let largest = (first..first + servers.len()).max_by_key(|server| after[*server]).unwrap();
        first += servers.len();
        let (before, after, open) = (before[largest], after[largest], open[largest]);
        let each = match tier + 1 == fleet.tiers.len() {
            true => format!("{:.1} KiB", (after.saturating_sub(before)) as f64 / 1024.0 / open.max(1) as f64),
            false => String::new(),
        };
        let [before, after] = [before, after].map(|bytes| bytes as f64 / f64::from(1 << 20));
        let (idle, flip) = (idle[largest] * 100.0, used[largest] * 1000.0 / sizes.flips as f64);
        report.servers.push(format!(
            "| {name}: {what} | {open} | {before:.1} MiB | {after:.1} MiB | {each} | {idle:.0} % | {flip:.0} ms |"
        ));
    }

    for tier in 1..fleet.tiers.len() {
        let (is_last, relays) = (tier + 1 == fleet.tiers.len(), fleet.tiers[tier].len());
        let what = match (is_last, relays) {
            (false, _) => "the relay between".to_owned(),
            (true, 1) => "the relay of all".to_owned(),
            (true, relays) => format!("one of {relays} relays"),
        };
        eprintln!("{name}: {what} is killed, and starts again");
        let (flip, failures) = (sizes.flips + tier, followers.failures());
        let (killed, listens) = fleet.restart_relay(tier, flip);
        let arrived = followers.arrivals(flip, killed);
        let [most, all] = [0.99, 1.0].map(|part| quantile(arrived.clone(), part));
        let failures = followers.failures() - failures;
        eprintln!("{name}: all have the flip that was made meanwhile");
        report.restarts.push(format!("| {name}: {what} | {listens:.0} ms | {most:.0} ms | {all:.0} ms | {failures} |"));
    }
}

/// What a relay adds, with one follower at it and one at its origin: both have each flip.
fn single(runtime: &Runtime, sizes: &Sizes) -> String {
    eprintln!("one follower of an origin, and one of its relay");
    let fleet = Fleet::start(&[1]);
    let at = |server: &Server| Followers::open(runtime, &[server.address], CHANGES, FOLLOWS, 1);
    let (mut direct, mut behind) = (at(&fleet.tiers[0][0]), at(&fleet.tiers[1][0]));
    let (mut near, mut far, mut more) = (Vec::new(), Vec::new(), Vec::new());
    for flip in 1..=sizes.single_flips {
        sleep(Duration::from_millis(fastrand::u64(1..20)));
        let began = Instant::now();
        fleet.flip(flip);
        let (one, other) = (direct.arrivals(flip, began)[0], behind.arrivals(flip, began)[0]);
        near.push(one);
        far.push(other);
        more.push(other - one);
    }
    let [near, far, more] = [near, far, more].map(|times| quantile(times, 0.5));
    format!(
        "One follower: direct {near:.2} ms, behind a relay {far:.2} ms, the relay adds {more:.2} ms at p50 (≤ 1 ms)"
    )
}

fn since<'a>(before: &'a [Duration], after: &'a [Duration]) -> impl Iterator<Item = f64> + 'a {
    before.iter().zip(after).map(|(before, after)| after.saturating_sub(*before).as_secs_f64())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
