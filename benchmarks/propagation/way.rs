//! A process that writes and one that follows, and how both work with this library.

use std::io::Read;
use std::process::Command;
use std::time::Duration;

use flipper::FeatureFlagClient;
use flipper::store::Updates;
use flipper_testkit::{Child, Role};
use futures_util::StreamExt;
use hdrhistogram::Histogram;
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Runtime;

use crate::bare;

/// The flag that changes.
pub(crate) const FLAG: &str = "F";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    Limit,
    Python,
}

pub(crate) struct Way {
    pub(crate) kind: Kind,
    writer: Child,
    follower: Child,
    is_on: bool,
    /// Nanoseconds.
    pub(crate) times: Histogram<u64>,
}

impl Way {
    /// A `place` is a URL of ours, or what the role in `bare` takes.
    pub(crate) fn new(kind: Kind, how: &str, place: &str) -> Self {
        Self::of(kind, |role| Child::spawn(role, &[how, place]))
    }

    /// The Python library, whose processes read the store all the time. So they stop while others have their turn.
    pub(crate) fn python(store: &str, port: u16) -> Option<Self> {
        let interpreter = flipper_testkit::python::interpreter()?;
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../../benchmarks/propagation/library.py");
        let way = Self::of(Kind::Python, |role| {
            Child::start(Command::new(&interpreter).args([program, role, store, &port.to_string()]))
        });
        way.signal("STOP");
        Some(way)
    }

    fn of(kind: Kind, start: impl Fn(&str) -> Child) -> Self {
        // The writer makes the flag.
        let [writer, follower] = ["write", "follow"].map(|role| {
            let child = start(role);
            child.expect("ready");
            child
        });
        Self { kind, writer, follower, is_on: false, times: Histogram::new(3).unwrap() }
    }

    fn signal(&self, name: &str) {
        if self.kind == Kind::Python {
            self.writer.signal(name);
            self.follower.signal(name);
        }
    }

    /// Makes so many writes, each `pause` after the one before was seen.
    pub(crate) fn turn(&mut self, writes: usize, pause: Duration) {
        self.signal("CONT");
        for _ in 0..writes {
            std::thread::sleep(pause);
            self.is_on = !self.is_on;
            let state = if self.is_on { "on" } else { "off" };
            self.writer.say(state);
            let line = self.follower.line().unwrap();
            let (seen, what) = line.split_once(' ').unwrap();
            assert_eq!(what, state, "what the follower sees");
            let began: u64 = self.writer.line().unwrap().parse().unwrap();
            self.times.record(seen.parse::<u64>().unwrap().saturating_sub(began)).unwrap();
        }
        self.signal("STOP");
    }
}

/// By the clock that all processes share, and nothing sets. That of Python's `time.monotonic_ns`.
fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// The follower's report.
pub(crate) fn saw(role: &Role, is_on: bool) {
    let now = now();
    role.say(&format!("{now} {}", if is_on { "on" } else { "off" }));
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// In a child.
pub(crate) fn play(role: &Role) {
    let [how, place] = &*role.arguments else { return };
    if role.name != "write" {
        end_with_parent();
    }
    match (&*role.name, &**how) {
        ("serve", _) => bare::http::serve(role),
        ("write", "ours") => write(role, our_writer(place)),
        ("write", how) => write(role, bare::writer(how, place)),
        (_, "ours") => runtime().block_on(follow(role, place)),
        (_, how) => bare::follow(how, place, role),
    }
}

/// It never writes to one that only follows or serves.
fn end_with_parent() {
    std::thread::spawn(|| {
        // Any result is the end of the input.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
}

pub(crate) type Write = Box<dyn FnMut(bool)>;

/// Writes at each line that it receives, and reports when it began.
fn write(role: &Role, mut write: Write) {
    role.say("ready");
    while let Some(line) = role.hear() {
        let began = now();
        write(line == "on");
        role.say(&began.to_string());
    }
}

fn our_writer(url: &str) -> Write {
    let runtime = runtime();
    let features = runtime.block_on(flipper::connect(url)).unwrap();
    Box::new(move |is_on| {
        let written =
            runtime.block_on(async { if is_on { features.enable(FLAG).await } else { features.disable(FLAG).await } });
        written.unwrap();
    })
}

async fn follow(role: &Role, url: &str) {
    let features = FeatureFlagClient::new(flipper::open(url).unwrap());
    features.ready().await.unwrap();
    while features.status().updates != Updates::Push {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut changes = features.changes();
    let mut was_on = features.is_enabled(FLAG);
    role.say("ready");
    while changes.next().await.is_some() {
        let is_on = features.is_enabled(FLAG);
        if is_on != was_on {
            saw(role, is_on);
            was_on = is_on;
        }
    }
}
