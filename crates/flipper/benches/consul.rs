//! Times a write in one process until another one has it in memory, and what following costs while nothing changes.
//!
//! The baselines take turns with the store on the same agent, with as many flags, so that other load hits all alike:
//!
//! - `socket`: a blocking query of all keys over a plain socket, from before the write to the last byte of the answer.
//! - `hyper`: the same with hyper's client on tokio.
//! - `foreign`: a write over a plain socket, until a check in the other process has its result.
//! - `own`: the same with a write through the library.
//!
//! `woken`: until the thread that waits for the change runs.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and its panic is its report")]

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake};
use std::thread::Thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use flipper::events::Change;
use flipper::store::{LocalFeatureFlagStore, Precondition};
use flipper::{
    ConsulClient, ConsulFeatureFlagStore, FeatureFlagClient, FeatureFlagStore, FlagRecord, MirroredFeatureFlagStore,
};
use flipper_testkit::consul::{Connection, ConsulAgent};
use flipper_testkit::{Child, child_role};
use futures_util::StreamExt;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

const BLOCKS: usize = 10;
const ROUNDS: usize = 20;
const SIZES: [usize; 4] = [1, 100, 1_000, 10_000];
const PAUSE: Duration = Duration::from_millis(20);

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if let Some(role) = child_role() {
        return runtime.block_on(write(&role));
    }
    let Some(agent) = ConsulAgent::options().dev().start() else { return };
    println!(
        "{:>7} {:<10} {:>10} {:>10} {:>10} {:>10} {:>10}   in {BLOCKS} turns of {ROUNDS}",
        "flags", "", "p50", "p99", "× socket", "× hyper", "woken p50"
    );
    let named: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    // `cargo test` leaves `--bench` out: one turn at one size shows that this runs.
    if !std::env::args().any(|argument| argument == "--bench") {
        return runtime.block_on(visible(&agent, 1, 1));
    }
    let sizes = if named.is_empty() { &SIZES[..] } else { &named };
    for size in sizes {
        runtime.block_on(visible(&agent, *size, BLOCKS));
    }
    for size in sizes {
        runtime.block_on(idle(&agent, *size));
    }
}

fn flag(name: &str, enabled: bool) -> FlagRecord {
    let mut record = FlagRecord::new(name, 1_700_000_000);
    record.set_enabled(enabled);
    record
}

type Mirror = MirroredFeatureFlagStore<ConsulFeatureFlagStore>;

/// Nanoseconds by the clock that all processes share.
fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()
}

async fn connect(address: &str, base: &str) -> Mirror {
    let client = ConsulClient::builder().address(address).build().unwrap();
    let store = Mirror::new(ConsulFeatureFlagStore::new(client).base_key(base).unwrap());
    store.ready().await.unwrap();
    store
}

/// The other process: writes on each line that it receives, and prints when it began.
async fn write(role: &flipper_testkit::Role) {
    let [address, base, how] = &*role.arguments else { return };
    let store = if how == "own" { Some(connect(address, base).await) } else { None };
    let mut bare = Connection::open(address);
    let hyper = Hyper::new(address);
    role.say("ready");
    let mut enabled = false;
    while role.hear().is_some() {
        enabled = !enabled;
        let record = flag("F00000", enabled);
        let began = now();
        match &store {
            Some(store) => {
                store.put(&record, Precondition::Any.into()).await.unwrap();
            }
            None if how == "hyper" => {
                hyper.request("PUT", &format!("/v1/kv/{base}/F00000"), record.to_json()).await;
            }
            None => {
                bare.request("PUT", &format!("/v1/kv/{base}/F00000"), record.to_json().as_bytes());
            }
        }
        role.say(&format!("{began}"));
    }
}

struct Way {
    name: &'static str,
    child: Child,
    base: String,
    seen: Option<Arc<Seen>>,
    times: Vec<Duration>,
    woken: Vec<Duration>,
}

/// Makes a check on the thread that emits the change, before any other thread wakes.
struct Seen {
    features: FeatureFlagClient,
    enabled: AtomicBool,
    /// Nanoseconds; 0 until the check has the change.
    at: AtomicU64,
    waiting: Thread,
}

impl Seen {
    fn new(features: FeatureFlagClient) -> Self {
        Self { features, enabled: AtomicBool::new(false), at: AtomicU64::new(0), waiting: std::thread::current() }
    }

    fn look(&self) {
        if self.at.load(Ordering::Acquire) == 0
            && self.features.is_enabled("F00000") == self.enabled.load(Ordering::Acquire)
        {
            self.at.store(now() as u64, Ordering::Release);
        }
    }
}

impl Wake for Seen {
    fn wake(self: Arc<Self>) {
        self.look();
        self.waiting.unpark();
    }
}

impl Way {
    async fn new(agent: &ConsulAgent, name: &'static str, size: usize) -> Self {
        let base = fill(agent, size);
        let child = Child::spawn("write", &[&agent.address(), &base, name]);
        child.expect("ready");
        let seen = match name {
            "socket" | "hyper" => None,
            _ => Some(Arc::new(Seen::new(FeatureFlagClient::new(connect(&agent.address(), &base).await)))),
        };
        Self { name, child, base, seen, times: Vec::new(), woken: Vec::new() }
    }

    async fn block(&mut self, agent: &ConsulAgent) {
        let mut bare = Connection::open(&agent.address());
        let hyper = Hyper::new(&agent.address());
        let path = format!("/v1/kv/{}/?recurse", self.base);
        for _ in 0..ROUNDS {
            let (seen, woken) = match self.seen.clone() {
                Some(seen) => self.see(&seen),
                None if self.name == "hyper" => {
                    let (index, _) = hyper.request("GET", &path, String::new()).await;
                    let (hyper, path) = (hyper.clone(), format!("{path}&index={index}&wait=60s"));
                    let seen = tokio::spawn(async move {
                        hyper.request("GET", &path, String::new()).await;
                        now()
                    });
                    tokio::time::sleep(PAUSE).await;
                    self.child.say("write");
                    let seen = seen.await.unwrap();
                    (seen, seen)
                }
                None => {
                    let (index, _) = bare.request("GET", &path, b"");
                    bare.send("GET", &format!("{path}&index={index}&wait=60s"), b"");
                    std::thread::sleep(PAUSE);
                    self.child.say("write");
                    bare.receive();
                    let seen = now();
                    (seen, seen)
                }
            };
            let began: u128 = self.child.line().unwrap().parse().unwrap();
            self.times.push(Duration::from_nanos((seen - began) as u64));
            self.woken.push(Duration::from_nanos((woken - began) as u64));
        }
    }

    /// When a check had the write, and when this thread woke.
    fn see(&mut self, seen: &Arc<Seen>) -> (u128, u128) {
        let mut changes = pin!(seen.features.changes());
        let waker = seen.clone().into();
        let mut context = Context::from_waker(&waker);
        std::thread::sleep(PAUSE);
        seen.enabled.store(!seen.features.is_enabled("F00000"), Ordering::Release);
        seen.at.store(0, Ordering::Release);
        let mut is_emitted = || matches!(changes.poll_next_unpin(&mut context), Poll::Ready(Some(Change::Set { .. })));
        assert!(!is_emitted());
        self.child.say("write");
        while !is_emitted() {
            std::thread::park();
        }
        let woken = now();
        seen.look();
        (seen.at.load(Ordering::Acquire).into(), woken)
    }
}

async fn visible(agent: &ConsulAgent, size: usize, blocks: usize) {
    let mut ways = Vec::new();
    for name in ["socket", "hyper", "foreign", "own"] {
        ways.push(Way::new(agent, name, size).await);
    }
    for _ in 0..blocks {
        for way in &mut ways {
            // Until the background work of the block before is done.
            tokio::time::sleep(Duration::from_secs(1)).await;
            way.block(agent).await;
        }
    }
    let at = |times: &mut Vec<Duration>, percent: usize| {
        times.sort_unstable();
        times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3
    };
    let [socket, hyper] = [0, 1].map(|way: usize| at(&mut ways[way].times, 50));
    for way in &mut ways {
        let (half, most, woken) = (at(&mut way.times, 50), at(&mut way.times, 99), at(&mut way.woken, 50));
        let (to_socket, to_hyper) = (half / socket, half / hyper);
        let name = way.name;
        println!("{size:>7} {name:<10} {half:>8.3}ms {most:>8.2}ms {to_socket:>10.2} {to_hyper:>10.2} {woken:>8.3}ms");
    }
}

fn fill(agent: &ConsulAgent, size: usize) -> String {
    let base = format!("bench-{size}-{:08x}", fastrand::u32(..));
    let mut bare = Connection::open(&agent.address());
    for number in 0..size {
        let name = format!("F{number:05}");
        bare.request("PUT", &format!("/v1/kv/{base}/{name}"), flag(&name, false).to_json().as_bytes());
    }
    base
}

async fn idle(agent: &ConsulAgent, size: usize) {
    let base = fill(agent, size);
    let features = FeatureFlagClient::new(connect(&agent.address(), &base).await);
    // Until the first list is processed.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (before, began) = (processor_time(), Instant::now());
    tokio::time::sleep(Duration::from_secs(65)).await;
    let share = (processor_time() - before).as_secs_f64() / began.elapsed().as_secs_f64();
    println!("{size:>7} idle: {:.4} % of a core", share * 100.0);
    features.close().await.unwrap();
}

/// Of all threads, also ended ones; in steps of 10 ms.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = [11, 12].iter().map(|field| fields[*field].parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

#[derive(Clone)]
struct Hyper {
    client: Client<HttpConnector, Full<Bytes>>,
    address: String,
}

impl Hyper {
    fn new(address: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self { client: Client::builder(TokioExecutor::new()).build(connector), address: address.to_owned() }
    }

    async fn request(&self, method: &str, path: &str, body: String) -> (u64, usize) {
        let request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        let answer = self.client.request(request.body(Full::new(body.into())).unwrap()).await.unwrap();
        let index = answer.headers().get("x-consul-index").map_or(0, |index| index.to_str().unwrap().parse().unwrap());
        (index, answer.into_body().collect().await.unwrap().to_bytes().len())
    }
}
