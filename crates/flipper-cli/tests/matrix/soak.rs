//! A soak of one store: random faults, and after each the checks of all that must hold.

use std::collections::HashSet;
use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::str::FromStr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::backends::Backend;
use crate::cells::{Layer, Scene, Situation, Store};
use crate::faults;
use crate::histories;
use crate::random::Random;
use crate::resources::Resources;
use crate::scene::{self, Report, Size, Stage, percentile};
use crate::writers::Change;

/// The file with the clock of the served processes.
pub(crate) const CLOCK: &str = "clock";
/// Variables with a small disk, and with libfaketime.
pub(crate) const DISK: &str = "FLIPPER_SOAK_DISK";
pub(crate) const FAKE_CLOCK: &str = "FLIPPER_SOAK_CLOCK";

/// How much longer the longest fault lasts than the longest live state.
const BEYOND: Duration = Duration::from_secs(3);

pub(crate) fn disk() -> Option<PathBuf> {
    env::var_os(DISK).map(PathBuf::from)
}

pub(crate) fn fake_clock() -> Option<PathBuf> {
    env::var_os(FAKE_CLOCK).map(PathBuf::from)
}

/// The command gets a clock that the file in its folder sets. Times that only pass are the machine's.
pub(crate) fn with_clock(mut command: Command, home: &Path) -> Command {
    let Some(library) = fake_clock() else { return command };
    let file = home.join(CLOCK);
    if !file.exists() {
        fs::write(&file, "+0").unwrap();
    }
    command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", file).env("FAKETIME_CACHE_DURATION", "1");
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1").env("NO_FAKE_STAT", "1");
    command
}

/// The scenes of a soak.
pub(crate) fn scenes() -> Vec<Scene> {
    let of = |store, situation| Scene { store, situation, writer: crate::cells::Writer::Both };
    let stores = Store::ALL.iter().filter(|store| **store != Store::Memory);
    let mut scenes: Vec<_> = stores.map(|store| of(*store, Situation::Soak)).collect();
    scenes.push(of(Store::Consul, Situation::Cluster));
    scenes
}

pub(crate) fn name(scene: Scene) -> String {
    let cluster = if scene.situation == Situation::Cluster { "-cluster" } else { "" };
    format!("{}{cluster}", scene.store.name())
}

/// What was done so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) faults: u64,
    pub(crate) writes: u64,
    pub(crate) checks: u64,
    /// Acknowledged states that the store itself has lost.
    pub(crate) lost: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.faults, self.writes, self.checks, self.lost)
    }
}

impl FromStr for Tally {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Vec<_> = text.split(' ').filter_map(|number| number.parse().ok()).collect();
        let [faults, writes, checks, lost] = numbers[..] else { return Err(text.to_owned()) };
        Ok(Self { faults, writes, checks, lost })
    }
}

/// What the process of a scene reports, one line each.
pub(crate) fn report(kind: &str, text: impl fmt::Display) {
    println!("={kind}\t{}", text.to_string().replace('\n', " "));
}

/// Runs one scene, for the process that has all of them.
pub(crate) fn play(wanted: &str, lasts: Duration, seed: u64) -> ExitCode {
    let scene = scenes().into_iter().find(|scene| name(*scene) == wanted).unwrap();
    let layers: Vec<_> = Layer::ALL.iter().copied().filter(|layer| scene.impossible(*layer).is_none()).collect();
    let size = Size { flags: 16, flips: 200, faults: 0, merges: 0, soak: lasts };
    let Some(reports) = scene::run(scene, &layers, size, seed) else {
        report("error", "a program is missing; scripts/setup installs it");
        return ExitCode::FAILURE;
    };
    let mut took: Vec<_> = reports.iter().flat_map(|report| report.took.iter().copied()).collect();
    took.sort();
    let shown = |hundredths| percentile(&took, hundredths).unwrap_or_default().as_micros();
    report("took", format!("{} {}", shown(50), shown(99)));
    for Report { cell, wrong, .. } in &reports {
        let layer = cell.split('/').nth(1).unwrap_or_default();
        wrong.iter().for_each(|what| report("error", format!("end: {layer}: {what}")));
    }
    report("end", "");
    ExitCode::SUCCESS
}

/// Whether the first of these outlasts all live states. A locked file can be read, and a missing one cannot. Not of Consul's cluster: after a stop
/// that long its next leader was killed, and the other two servers elected none within a minute (seed 9).
fn is_longest(scene: Scene, situation: Situation) -> bool {
    let longest = if scene.store == Store::Sqlite { Situation::Refusing } else { Situation::Stopped };
    situation == longest && scene.situation != Situation::Cluster
}

impl Stage {
    pub(crate) fn soak(&mut self, backend: &mut Backend, size: Size, seed: u64) {
        let began = Instant::now();
        // Apart from the choice of flags, whose number depends on time.
        let mut order = Random::new(seed, &name(self.scene));
        let (mut situations, mut resources, mut tally) = (Vec::new(), Resources::default(), Tally::default());
        let (mut known, mut outlasted) = (HashSet::new(), false);
        while began.elapsed() < size.soak {
            if situations.is_empty() {
                situations = self.scene.situations();
            }
            let situation = situations.swap_remove(order.below(situations.len()));
            report("fault", situation.name());
            backend.scene.situation = situation;
            let before = self.ledger.numbers();
            match situation {
                Situation::Failover => tally.lost += self.fail_over(backend, &mut order) as u64,
                Situation::Damaged => self.damage(backend, &mut order),
                _ => {
                    // A log of all writes since the start would take long to load.
                    faults::prepare(backend);
                    let mut lasts = faults::lasts(situation);
                    if is_longest(self.scene, situation) && !outlasted {
                        (lasts, outlasted) = (self.longest_live() + BEYOND, true);
                    }
                    self.suffer(backend, size, lasts);
                }
            }
            tally.faults += 1;
            // These may take entries with them.
            let takes = matches!(situation, Situation::Emptied | Situation::HalfLoaded | Situation::Failover);
            let marks = if takes { self.ledger.numbers() } else { before };
            self.prove(backend, size, &marks);
            resources.take();
            tally.writes = self.ledger.acknowledged();
            tally.checks = self.watchers.iter().map(|watcher| watcher.seen.checks.load(Ordering::Relaxed)).sum();
            report("tally", tally);
            self.report_new(&mut known, situation);
        }
        backend.scene = self.scene;
        self.wrong.extend(resources.grown());
        report("unjudged", resources.unjudged());
        resources.shown().into_iter().for_each(|text| report("resources", text));
    }

    /// No layer may be live for longer while the store is away.
    fn longest_live(&self) -> Duration {
        self.watchers.iter().map(|watcher| watcher.seen.view.live_for).max().unwrap_or_default()
    }

    /// After a fault: flips arrive, the store has each acknowledged state, and the history each write since the marks.
    fn prove(&mut self, backend: &mut Backend, size: Size, marks: &[u64]) {
        backend.scene = self.scene;
        self.flips(backend, size.flips / 10, true);
        self.compare(backend);
        let read = |layer| matches!(layer, Layer::Bare | Layer::Twice | Layer::HttpTwice);
        for watcher in self.watchers.iter().filter(|watcher| read(watcher.seen.view.layer)) {
            let missing = histories::recent(self.scene, &watcher.seen.view, &self.ledger, marks);
            missing.into_iter().for_each(|what| watcher.seen.wrong(what));
        }
        self.wrong.extend(backend.damage());
        // Their writes had an unknown outcome, and time for it.
        let aside: Vec<_> = (0..self.ledger.len()).filter(|flag| self.ledger.is_set_aside(*flag)).collect();
        for flag in aside {
            self.ledger.take_up(flag);
            self.write(backend, flag, Change::Create, true, true);
        }
        self.all_see(scene::PATIENCE);
    }

    fn report_new(&self, known: &mut HashSet<String>, situation: Situation) {
        let layers = self.watchers.iter().flat_map(|watcher| {
            let layer = watcher.seen.view.layer.name();
            watcher.seen.all_wrong().into_iter().map(move |what| format!("{layer}: {what}"))
        });
        for what in layers.chain(self.wrong.iter().cloned()) {
            if known.insert(what.clone()) {
                report("error", format!("{}: {what}", situation.name()));
            }
        }
    }
}
