//! One address, behind which two `serve --http` answer in turn, and the second has another store: as after a deployment with a wrong URL.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use flipper::json::Json;
use flipper::store::{Health, LocalFeatureFlagStore, Precondition};
use flipper::{FeatureFlagStore, FlagRecord, HttpFeatureFlagStore, MirroredFeatureFlagStore, SqliteFeatureFlagStore};
use flipper_testkit::{Harm, Relay, block_on, wait_until};
use rustix::process::Signal;
use support::flipper;
use support::running::Running;

const FLAGS: usize = 10;
/// Of flags that are not ours.
const FOREIGN: i64 = 1_000_000;

type Mirror = MirroredFeatureFlagStore<HttpFeatureFlagStore>;

fn serve(home: &Path, store: &str) -> (Running, u16) {
    let mut serve = flipper(home, store);
    let mut server = Running::start(serve.args(["serve", "--http", "127.0.0.1:0", "--drain", "0s"]));
    let line = server.line(" http=");
    let port = line.trim_matches('"').rsplit_once(':').unwrap().1;
    (server, port.trim_matches('"').parse().unwrap())
}

fn follow(port: u16) -> Mirror {
    MirroredFeatureFlagStore::new(HttpFeatureFlagStore::from_url(&format!("http://127.0.0.1:{port}")).unwrap())
}

fn write(store: &SqliteFeatureFlagStore, name: &str, number: i64) {
    let mut record = FlagRecord::new(name, 7);
    record.set_client_data(Json::parse(&format!(r#"{{"n": {number}}}"#)).unwrap().as_object().unwrap().clone());
    block_on(store.put(&record, Precondition::Any.into())).unwrap();
}

fn write_all(store: &SqliteFeatureFlagStore, number: i64) {
    (0..FLAGS).for_each(|flag| write(store, &format!("F{flag}"), number));
}

fn held(mirror: &Mirror) -> BTreeMap<String, i64> {
    let flags = mirror.table().list().into_iter();
    flags.map(|flag| (flag.name, flag.record.unwrap().client_data()["n"].as_i64().unwrap())).collect()
}

fn reason(mirror: &Mirror) -> String {
    match mirror.status().health {
        Health::Stale { reason, .. } => reason.to_string(),
        _ => String::new(),
    }
}

fn has(mirror: &Mirror, number: i64) -> bool {
    let held = held(mirror);
    held.len() == FLAGS && held.values().all(|n| *n == number)
}

/// What followers may say; looked at all the time.
#[derive(Default)]
struct Rule {
    /// How often the address changed its server.
    turns: AtomicUsize,
    /// Live flags have at least this number.
    least: AtomicI64,
    ended: AtomicBool,
    wrong: Mutex<Vec<String>>,
}

impl Rule {
    fn look(&self, mirror: &Mirror) {
        let (turn, least) = (self.turns.load(Ordering::SeqCst), self.least.load(Ordering::SeqCst));
        if !mirror.status().is_live() {
            return;
        }
        let held = held(mirror);
        // Else the flags may be of a doubt that began since.
        if !mirror.status().is_live() || self.turns.load(Ordering::SeqCst) != turn {
            return;
        }
        let is_ours = |(name, number): (&String, &i64)| name.starts_with('F') && (least..FOREIGN).contains(number);
        if held.len() != FLAGS || !held.iter().all(is_ours) {
            self.wrong.lock().unwrap().push(format!("live in turn {turn}, with {held:?} instead of {least}"));
        }
    }

    fn turn(&self) {
        self.turns.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn flags_of_another_server_are_never_live_and_delete_nothing() {
    for foreign in [&[][..], &["F0", "X0", "X1"]] {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        let open = |name: &str| SqliteFeatureFlagStore::new(home.join(name)).unwrap();
        let (store, other) = (open("flags.db"), open("other.db"));
        write_all(&store, 1);
        // More often, so that their versions are newer.
        for _ in 0..20 {
            foreign.iter().for_each(|name| write(&other, name, FOREIGN));
        }
        alternate(home, &store, &other, foreign.len());
    }
}

fn alternate(home: &Path, store: &SqliteFeatureFlagStore, other: &SqliteFeatureFlagStore, foreign: usize) {
    let (mut ours, port) = serve(home, "sqlite:flags.db");
    let (mut others, mut others_port) = serve(home, "sqlite:other.db");
    let mut ours_port = port;
    let relay = Relay::start(port);
    let (_relay, relay_port) = serve(home, &format!("http://127.0.0.1:{}", relay.port()));
    let followers = [follow(relay.port()), follow(relay_port)];
    wait_until("all follow", || followers.iter().all(|mirror| mirror.status().is_live() && has(mirror, 1)));
    let rule = Rule::default();
    thread::scope(|scope| {
        for mirror in &followers {
            scope.spawn(|| {
                while !rule.ended.load(Ordering::SeqCst) {
                    rule.look(mirror);
                    thread::sleep(Duration::from_millis(1));
                }
            });
        }
        // Also where this thread fails.
        let _end = End(&rule.ended);
        for (round, is_clean) in [true, false, true].into_iter().enumerate() {
            let number = i64::try_from(round).unwrap() + 2;
            rule.turn();
            relay.lead_to(others_port);
            end_streams(&relay, is_clean.then_some(&mut ours));
            let missing = FLAGS - foreign.min(1);
            let doubt = format!("came back without {missing} of {FLAGS} flags");
            wait_until("both doubt the other server", || {
                // Nor do answers of the other server that come before its stream change a memory.
                for mirror in &followers {
                    let _ = block_on(mirror.get("F5"));
                }
                followers.iter().all(|mirror| reason(mirror).contains(&doubt))
            });
            let keeps_all =
                || followers.iter().all(|mirror| (0..FLAGS).all(|flag| held(mirror).contains_key(&format!("F{flag}"))));
            assert!(keeps_all(), "{:?}", followers.each_ref().map(held));
            write_all(store, number);
            rule.least.store(number, Ordering::SeqCst);
            // What a caller reads there changes no memory, and is answered.
            for mirror in &followers {
                assert!(block_on(mirror.get("F5")).is_ok_and(|flag| flag.is_none()));
            }
            // And nor does what happens there.
            write(other, "X2", FOREIGN);
            // The relay passes on nothing of a list that it doubts.
            wait_until("the change has arrived", || held(&followers[0]).contains_key("X2"));
            if is_clean {
                let (again, port) = serve(home, "sqlite:other.db");
                relay.lead_to(port);
                end_streams(&relay, Some(&mut std::mem::replace(&mut others, again)));
                others_port = port;
                write(other, "X3", FOREIGN);
                wait_until("it is followed again", || held(&followers[0]).contains_key("X3"));
                (ours, ours_port) = serve(home, "sqlite:flags.db");
            }
            assert!(keeps_all() && !followers.iter().any(|mirror| mirror.status().is_live()));

            rule.turn();
            relay.lead_to(ours_port);
            end_streams(&relay, None);
            wait_until("all is current again", || {
                followers.iter().all(|mirror| mirror.status().is_live() && has(mirror, number))
            });
            for name in ["X2", "X3"] {
                let _ = block_on(other.delete(name, Precondition::Any.into()));
            }
        }
    });
    assert!(rule.wrong.lock().unwrap().is_empty(), "{:#?}", rule.wrong.lock().unwrap());
}

/// The stream is one server's, and what is read another's, as behind a balancer; the second one follows the first.
#[test]
fn servers_of_one_store_answer_for_each_other() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let store = SqliteFeatureFlagStore::new(home.join("flags.db")).unwrap();
    write_all(&store, 1);
    let (_first, first) = serve(home, "sqlite:flags.db");
    let (_second, second) = serve(home, &format!("http://127.0.0.1:{first}"));
    // As two agents of Consul do, it gives the store another name.
    let same = SqliteFeatureFlagStore::new(home.join("same.db")).unwrap();
    write_all(&same, 1);
    let (_third, third) = serve(home, "sqlite:same.db");
    for (followed, read) in [(first, second), (second, first), (first, third)] {
        let relay = Relay::start(followed);
        let mirror = follow(relay.port());
        wait_until("it follows", || mirror.status().is_live() && has(&mirror, 1));
        let identity = mirror.status().identity;
        relay.lead_to(read);
        let answers = (0..4).map(|_| block_on(mirror.get("F5")).unwrap());
        assert!(answers.into_iter().all(|flag| flag.is_some()));
        assert_eq!(mirror.status().identity, identity, "the stream is the first server's");
    }
}

/// As a server that is stopped does, whole, or as a network that fails.
fn end_streams(relay: &Relay, stopped: Option<&mut Running>) {
    match stopped {
        Some(server) => {
            server.signal(Signal::TERM);
            wait_until("the server ends", || !server.is_running());
        }
        None => {
            relay.harm(Harm::Refuse);
            relay.harm(Harm::None);
        }
    }
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
