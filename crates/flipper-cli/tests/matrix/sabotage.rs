//! `scripts/soak --self-test`: breaks each invariant behind a store's back. Each must be found.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use flipper::store::Precondition;
use flipper::{FlagRecord, MemoryFeatureFlagStore, MirroredFeatureFlagStore, RedisFeatureFlagStore};
use flipper_testkit::free_port;

use crate::backends::{Backend, Kind, futures_executor, sqlite3};
use crate::cells::{Layer, Scene, Situation, Store, Writer};
use crate::dependents;
use crate::ending::Ending;
use crate::histories;
use crate::invariants::Invariant;
use crate::layers::{Attached, attach, until};
use crate::ledger::name;
use crate::resources::{FEWEST, Resources};
use crate::scene::{PATIENCE, Stage};
use crate::writers::{Change, write_text};

const FLAGS: usize = 4;
const SOON: Duration = Duration::from_secs(2);
/// Of a live state, in place of a store's.
const LIVE: Duration = Duration::from_secs(1);

/// Breaks one, and returns the errors.
type Sabotage = fn() -> Vec<String>;

const ALL: &[(Invariant, &str, Sabotage)] = &[
    (Invariant::Kept, "an acknowledged flag is deleted", deleted),
    (Invariant::Kept, "a write is acknowledged and not made", not_made),
    (Invariant::Forward, "an older state is written as if newer", older),
    (Invariant::Forward, "a flag vanishes", deleted),
    (Invariant::Timely, "a follower is not notified", || deaf(None)),
    (Invariant::Live, "a follower that is not notified says that it is live", || deaf(Some(LIVE))),
    (Invariant::Live, "it says that it is live while the store is away", live_while_away),
    (Invariant::Entered, "a row of the history is deleted", || history("DELETE FROM flags_history WHERE number = ")),
    (Invariant::Entered, "a row of the history is there twice", || history(TWICE)),
    (Invariant::Entered, "the entry of a deletion is deleted", deletion),
    (Invariant::Dependent, "a flag loses its prerequisite", independent),
    (Invariant::Dependent, "the same, at the end", changed),
    (Invariant::Alive, "a mirror never reaches its store", never_live),
    (Invariant::Alive, "a watch ends after its first list", || ending(false)),
    (Invariant::Alive, "a watcher's thread panics", || ending(true)),
    (Invariant::Memory, "a process keeps memory", || leak("kept.append(bytearray(os.urandom(8 << 20)))")),
    (Invariant::Files, "a process keeps files open", || leak("kept.extend(open('/dev/null') for _ in range(16))")),
    (Invariant::Threads, "a process starts threads", || {
        leak("[threading.Thread(target=end.wait, daemon=True).start() for _ in '1234']")
    }),
    (Invariant::Other, "the store refuses a write", refused),
];

const TWICE: &str = "INSERT INTO flags_history (at, name, verb, before, after) \
    SELECT at, name, verb, before, after FROM flags_history WHERE number = ";

/// Whether all were found. Prints only what was not, if `quiet`.
pub(crate) fn run(quiet: bool) -> ExitCode {
    let mut missed = 0;
    let unharmed = unharmed();
    for what in &unharmed {
        println!("NOT UNHARMED: {what}");
    }
    let is_broken = |invariant: &Invariant| ALL.iter().any(|(broken, ..)| broken == invariant);
    assert!(Invariant::ALL.iter().all(is_broken), "an invariant has no sabotage");
    for (invariant, how, sabotage) in ALL {
        let errors = sabotage();
        let found = errors.iter().find(|error| Invariant::of(error) == *invariant);
        match found {
            Some(_) if quiet => {}
            Some(error) => println!("found      {}: {how}: {error}", invariant.name()),
            None => println!("NOT FOUND  {}: {how}: {errors:?}", invariant.name()),
        }
        missed += usize::from(found.is_none());
    }
    println!("soak, self-test: {} of {} found", ALL.len() - missed, ALL.len());
    if missed == 0 && unharmed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A small scene whose writes all layers have seen.
struct Play {
    stage: Stage,
    attached: Vec<Attached>,
    backend: Backend,
}

impl Play {
    fn begin() -> Self {
        let play = Self::with(|_| {});
        play.stage.all_see(PATIENCE);
        play
    }

    fn with(change: impl FnOnce(&mut Vec<Attached>)) -> Self {
        let scene = Scene { store: Store::Sqlite, situation: Situation::Flips, writer: Writer::Ours };
        let backend = Backend::start(scene).unwrap();
        let mut attached = vec![attach(&backend, Layer::Bare), attach(&backend, Layer::Mirror)];
        change(&mut attached);
        let mut stage = Stage::new(&backend, &attached, FLAGS, 1);
        (0..FLAGS).for_each(|flag| stage.write(&backend, flag, Change::Create, true, false));
        stage.wrong.extend(dependents::create(&backend, FLAGS));
        Self { stage, attached, backend }
    }

    fn write(&mut self, flag: usize) {
        self.stage.write(&self.backend, flag, Change::Set, true, false);
    }

    fn path(&self) -> &std::path::Path {
        let Kind::Sqlite(path) = &self.backend.kind else { unreachable!("the store of these scenes") };
        path
    }

    /// What the stage and its watchers found, at the latest soon.
    fn errors(&self) -> Vec<String> {
        let all = || {
            let seen = self.stage.watchers.iter().flat_map(|watcher| watcher.seen.all_wrong());
            seen.chain(self.stage.wrong.iter().cloned()).collect::<Vec<_>>()
        };
        until(SOON, || !all().is_empty());
        all()
    }
}

fn unharmed() -> Vec<String> {
    let mut play = Play::begin();
    let marks = play.stage.ledger.numbers();
    play.stage.flips(&play.backend, 20, true);
    play.stage.compare(&play.backend);
    play.stage.all_live(SOON);
    let view = &play.attached[0].view;
    let mut errors = histories::recent(play.stage.scene, view, &play.stage.ledger, &marks);
    let mut resources = Resources::default();
    (0..20).for_each(|_| resources.take());
    errors.extend(resources.grown());
    let mut few = Resources::default();
    (1..FEWEST).for_each(|_| few.take_of(std::process::id()));
    if (resources.unjudged(), few.unjudged()) != (0, 1) {
        errors.push("a process with too few samples counts as measured".to_owned());
    }
    let seen = play.stage.watchers.iter().flat_map(|watcher| watcher.seen.all_wrong());
    errors.into_iter().chain(seen).chain(play.stage.wrong.clone()).collect()
}

fn deleted() -> Vec<String> {
    let mut play = Play::begin();
    write_text(&play.backend, &name(0), None).unwrap();
    play.stage.compare(&play.backend);
    let wrong = play.errors();
    until(SOON, || !play.stage.watchers[0].seen.all_wrong().is_empty());
    wrong.into_iter().chain(play.errors()).collect()
}

fn not_made() -> Vec<String> {
    let mut play = Play::begin();
    play.stage.ledger.send(0, true, true, true);
    play.stage.ledger.acknowledge(0, true);
    play.stage.compare(&play.backend);
    play.errors()
}

fn older() -> Vec<String> {
    let mut play = Play::begin();
    let before = sqlite3(play.path(), "SELECT record FROM flags WHERE name = 'FLAG_0'").unwrap();
    play.write(0);
    play.stage.all_see(SOON);
    write_text(&play.backend, &name(0), Some(before.trim())).unwrap();
    play.errors()
}

/// Its flags are a copy, as if its task had ended.
fn deaf(live_for: Option<Duration>) -> Vec<String> {
    let mut play = Play::with(|attached| {
        let store = MemoryFeatureFlagStore::new();
        let view = &mut attached[1].view;
        (view.store, view.live_for) = (Arc::new(store.clone()), live_for.unwrap_or(view.live_for));
        view.local = Some(Arc::new(store));
    });
    let written = |play: &Play| futures_executor(play.attached[0].view.store.list()).unwrap();
    for stored in written(&play) {
        let record = stored.record.unwrap();
        let put = play.attached[1].view.store.put(&record, Precondition::Any.into());
        futures_executor(put).unwrap();
    }
    play.stage.all_see(PATIENCE);
    play.write(0);
    play.stage.all_see(SOON);
    play.errors()
}

fn live_while_away() -> Vec<String> {
    let play = Play::with(|attached| attached[1].view.live_for = LIVE);
    play.stage.all_see(PATIENCE);
    play.stage.ledger.away(true);
    play.errors()
}

fn history(statement: &str) -> Vec<String> {
    let mut play = Play::begin();
    let marks = play.stage.ledger.numbers();
    (0..FLAGS).for_each(|flag| play.write(flag));
    let last = "(SELECT max(number) FROM flags_history WHERE name = 'FLAG_0')";
    sqlite3(play.path(), &format!("{statement}{last}")).unwrap();
    histories::recent(play.stage.scene, &play.attached[0].view, &play.stage.ledger, &marks)
}

/// The state before it is in the history, and the deletion is not.
fn deletion() -> Vec<String> {
    let mut play = Play::begin();
    let marks = play.stage.ledger.numbers();
    play.stage.write(&play.backend, 0, Change::Destroy, true, false);
    sqlite3(play.path(), "DELETE FROM flags_history WHERE name = 'FLAG_0' AND after IS NULL").unwrap();
    histories::recent(play.stage.scene, &play.attached[0].view, &play.stage.ledger, &marks)
}

/// On, although what it needs is off after its first write.
fn lose_prerequisite(play: &Play) {
    let mut record = FlagRecord::new("NEEDS_2", 1_700_000_000);
    record.set_enabled(true);
    write_text(&play.backend, "NEEDS_2", Some(&record.to_json())).unwrap();
}

fn independent() -> Vec<String> {
    let play = Play::begin();
    lose_prerequisite(&play);
    play.errors()
}

fn changed() -> Vec<String> {
    let mut play = Play::begin();
    lose_prerequisite(&play);
    play.stage.compare(&play.backend);
    play.stage.wrong
}

fn refused() -> Vec<String> {
    let mut play = Play::begin();
    for event in ["INSERT", "UPDATE"] {
        let refuse = format!("CREATE TRIGGER no_{event} BEFORE {event} ON flags BEGIN SELECT RAISE(ABORT, 'no'); END");
        sqlite3(play.path(), &refuse).unwrap();
    }
    play.stage.write(&play.backend, 0, Change::Set, true, true);
    play.errors()
}

fn never_live() -> Vec<String> {
    let play = Play::with(|attached| {
        let store = RedisFeatureFlagStore::from_url(&format!("redis://127.0.0.1:{}", free_port())).unwrap();
        let mirror = MirroredFeatureFlagStore::new(store);
        let view = &mut attached[1].view;
        view.store = Arc::new(mirror.clone());
        view.local = Some(Arc::new(mirror));
    });
    play.stage.all_live(SOON);
    play.errors()
}

fn ending(panics: bool) -> Vec<String> {
    let play = Play::with(|attached| {
        let store = attached[0].view.store.clone();
        attached[0].view.store = Arc::new(Ending { store, panics });
    });
    play.errors()
}

/// A process that does this before each sample.
fn leak(statement: &str) -> Vec<String> {
    let program = format!(
        "import os, sys, threading\nkept, end = [], threading.Event()\nfor line in sys.stdin:\n    {statement}\n    print(flush=True)"
    );
    let mut process = Leaking(
        Command::new("python3").args(["-c", &program]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap(),
    );
    let (mut stdin, stdout) = (process.0.stdin.take().unwrap(), process.0.stdout.take().unwrap());
    let (mut answers, mut resources) = (BufReader::new(stdout), Resources::default());
    for _ in 0..20 {
        writeln!(stdin).unwrap();
        answers.read_line(&mut String::new()).unwrap();
        resources.take_of(process.0.id());
    }
    resources.grown()
}

struct Leaking(Child);

impl Drop for Leaking {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
