//! One scene: a backend with all layers, the writes, the faults, and what each layer observed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backends::Backend;
use crate::busy::Busy;
use crate::cells::{Layer, Scene, Situation};
use crate::dependents::{self, Finally};
use crate::faults;
use crate::histories;
use crate::layers::{Attached, attach, until};
use crate::ledger::{Ledger, Write, name};
use crate::random::Random;
use crate::watcher::Watcher;
use crate::writers::{Change, Outcome, Writers};

/// A flip not seen within this time without a fault counts as lost.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Longest time that a layer needs after a fault: it may be in its longest pause.
const RECOVERY: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(150);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) flags: usize,
    pub(crate) flips: usize,
    pub(crate) faults: usize,
    pub(crate) merges: u64,
    pub(crate) soak: Duration,
}

/// The result of one cell.
pub(crate) struct Report {
    pub(crate) cell: String,
    pub(crate) seen: usize,
    pub(crate) of: usize,
    pub(crate) took: Vec<Duration>,
    pub(crate) wrong: Vec<String>,
}

/// Runs a scene; `None` if a program is missing.
pub(crate) fn run(scene: Scene, layers: &[Layer], size: Size, seed: u64) -> Option<Vec<Report>> {
    let mut backend = Backend::start(scene)?;
    let attached: Vec<_> = layers.iter().map(|layer| attach(&backend, *layer)).collect();
    let mut stage = Stage::new(&backend, &attached, size.flags, seed);
    stage.play(&mut backend, size, seed);
    Some(stage.reports())
}

pub(crate) struct Stage {
    pub(crate) scene: Scene,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) watchers: Vec<Watcher>,
    pub(crate) writers: Writers,
    random: Random,
    /// Flags that are missing without a deletion of ours.
    pub(crate) lost: Vec<bool>,
    busy: Busy,
    /// Errors of the scene, which count for all layers.
    pub(crate) wrong: Vec<String>,
}

impl Stage {
    pub(crate) fn new(backend: &Backend, attached: &[Attached], flags: usize, seed: u64) -> Self {
        let (scene, ledger) = (backend.scene, Arc::new(Ledger::new(flags)));
        let writers = Writers::new(backend, attached.iter().filter_map(|layer| layer.way.clone()));
        let watchers = attached.iter().map(|layer| Watcher::start(layer.view.clone(), &ledger)).collect();
        let random = Random::new(seed, &scene.cell(Layer::Bare));
        let (lost, busy, wrong) = (vec![true; flags], Busy::since_now(), Vec::new());
        Self { scene, ledger, watchers, writers, random, lost, busy, wrong }
    }

    fn play(&mut self, backend: &mut Backend, size: Size, seed: u64) {
        self.create_all(backend, true);
        faults::prepare(backend);
        match self.scene.situation {
            Situation::Flips | Situation::Recreate => self.flips(backend, size.flips, true),
            Situation::Soak | Situation::Cluster => self.soak(backend, size, seed),
            _ => {
                self.flips(backend, size.flips / 2, true);
                for _ in 0..size.faults {
                    self.suffer(backend, size, faults::lasts(backend.scene.situation));
                }
                self.flips(backend, size.flips - size.flips / 2, true);
            }
        }
        self.burst(backend);
        self.compare(backend);
        for seen in self.watchers.iter().map(|watcher| &watcher.seen) {
            histories::check(self.scene, &seen.view, &self.ledger).into_iter().for_each(|what| seen.wrong(what));
        }
    }

    pub(crate) fn create_all(&mut self, backend: &Backend, calm: bool) {
        for flag in 0..self.ledger.len() {
            if self.lost[flag] {
                self.write(backend, flag, Change::Create, true, calm);
            }
        }
        if self.lost.contains(&true) {
            self.wrong.push("not all flags could be created".to_owned());
        }
        self.wrong.extend(dependents::create(backend, self.ledger.len()));
        self.all_see(RECOVERY);
    }

    /// Causes the fault, ends it, and waits until all layers have recovered.
    pub(crate) fn suffer(&mut self, backend: &mut Backend, size: Size, lasts: Duration) {
        let harmed = faults::begin(backend, &self.ledger);
        self.ledger.away(faults::is_away(backend));
        let began = Instant::now();
        match (faults::takes_writes(backend), backend.scene.situation) {
            (true, Situation::Slow | Situation::Cut | Situation::Clock) => self.flips(backend, size.flips / 5, false),
            (true, _) => {
                for flag in 0..self.ledger.len() {
                    let change = if self.is_present(flag) { Change::Set } else { Change::Create };
                    self.write(backend, flag, change, true, false);
                }
            }
            // Writes into an older copy are lost with it; an empty store gets all flags again below.
            (false, Situation::Emptied | Situation::HalfLoaded) => {}
            (false, _) => {
                for _ in 0..2 {
                    let flag = self.random.below(self.ledger.len());
                    if !self.ledger.is_set_aside(flag) && self.is_present(flag) {
                        self.write(backend, flag, Change::Set, false, false);
                    }
                }
            }
        }
        std::thread::sleep(lasts.saturating_sub(began.elapsed()));
        self.ledger.away(false);
        faults::end(backend, harmed);
        self.watchers.iter().for_each(|watcher| watcher.seen.may_be_lost());
        if backend.scene.situation == Situation::Emptied {
            // Time for a layer to accept the empty store.
            std::thread::sleep(Duration::from_secs(3));
            self.lost.fill(true);
            // From when they are there again, a mirror that has them all is current.
            self.ledger.empty(true);
            // Not calm: a layer that doubts the empty store may still ask it again.
            self.create_all(backend, false);
            self.ledger.empty(false);
        }
        self.recover();
    }

    /// All layers are current again, within one deadline.
    pub(crate) fn recover(&mut self) {
        let flags: Vec<_> = (0..self.ledger.len()).filter(|flag| !self.ledger.is_set_aside(*flag)).collect();
        until(RECOVERY, || self.are_live() && flags.iter().all(|flag| self.is_seen(*flag, Duration::MAX)));
        flags.iter().for_each(|flag| _ = self.is_seen(*flag, Duration::ZERO));
        self.stale_after(RECOVERY);
    }

    fn are_live(&self) -> bool {
        self.watchers.iter().all(|watcher| watcher.seen.is_live())
    }

    pub(crate) fn all_live(&self, limit: Duration) {
        until(limit, || self.are_live());
        self.stale_after(limit);
    }

    fn stale_after(&self, limit: Duration) {
        for watcher in self.watchers.iter().filter(|watcher| !watcher.seen.is_live()) {
            let status = watcher.seen.view.local.as_ref().map(|local| local.status().health);
            watcher.seen.wrong(format!("not current {limit:?} after the fault: {status:?}"));
        }
    }

    pub(crate) fn write(&mut self, backend: &Backend, flag: usize, change: Change, stands: bool, calm: bool) {
        let number = self.ledger.send(flag, change != Change::Destroy, stands, calm);
        let now = (calm, self.ledger.away_for().is_some() && !faults::takes_writes(backend));
        let (who, outcome) = self.writers.write(backend, &mut self.random, (flag, number), change, now);
        let what = match outcome {
            Outcome::Done => {
                self.lost[flag] = false;
                return self.ledger.acknowledge(flag, who == "our writer");
            }
            Outcome::Refused(what) => {
                self.ledger.refuse(flag);
                what
            }
            Outcome::Unknown(what) => {
                self.ledger.set_aside(flag);
                // A cluster elects another leader whenever the machine is slow.
                if self.scene.situation == Situation::Cluster {
                    return;
                }
                what
            }
        };
        if calm || faults::takes_writes(backend) {
            self.wrong.push(format!("{who} could not write {}: {what}", name(flag)));
        }
    }

    /// Makes `count` writes, each to a flag whose last state all watchers have seen.
    pub(crate) fn flips(&mut self, backend: &Backend, count: usize, calm: bool) {
        let (began, flags) = (Instant::now(), self.ledger.len());
        let patience = if calm { PATIENCE } else { RECOVERY };
        let mut done = 0;
        while done < count {
            if began.elapsed() > LONGEST {
                return self.wrong.push(format!("after {LONGEST:?} only {done} of {count} flips were seen by all"));
            }
            let first = self.random.below(flags);
            let ready = (0..flags).map(|next| (first + next) % flags).find(|flag| self.is_seen(*flag, patience));
            let Some(flag) = ready else {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            };
            let present = self.is_present(flag);
            let destroys = match self.scene.situation {
                Situation::Recreate => true,
                Situation::Soak | Situation::Cluster => self.random.below(4) == 0,
                _ => false,
            };
            let change = match (present, destroys) {
                (false, _) => Change::Create,
                (true, true) => Change::Destroy,
                (true, false) => Change::Set,
            };
            self.write(backend, flag, change, true, calm);
            done += 1;
        }
        self.all_see(patience);
    }

    pub(crate) fn is_present(&self, flag: usize) -> bool {
        self.ledger.last(flag).is_some_and(|write| write.present)
    }

    /// Whether all watchers have seen the last state of a flag that may be written again.
    fn is_seen(&self, flag: usize, patience: Duration) -> bool {
        let Some(last) = self.ledger.last(flag).filter(|_| !self.ledger.is_set_aside(flag)) else { return false };
        let age = last.acknowledged.map_or(Duration::ZERO, |at| at.elapsed());
        self.watchers.iter().all(|watcher| {
            let seen = watcher.seen.last(flag) == last.number;
            if !seen && age > patience {
                watcher.seen.give_up(flag, last.number, age);
            }
            seen || age > patience
        })
    }

    pub(crate) fn all_see(&self, patience: Duration) {
        let flags = || (0..self.ledger.len()).filter(|flag| !self.ledger.is_set_aside(*flag));
        until(patience + Duration::from_secs(1), || flags().all(|flag| self.is_seen(flag, patience)));
    }

    /// After a series of writes the last one is seen.
    fn burst(&mut self, backend: &Backend) {
        let flags: Vec<_> = (0..self.ledger.len()).filter(|flag| !self.ledger.is_set_aside(*flag)).take(3).collect();
        for last in [false, false, false, false, false, false, false, true] {
            for flag in &flags {
                let change = if self.is_present(*flag) { Change::Set } else { Change::Create };
                self.write(backend, *flag, change, last, false);
            }
        }
        self.all_see(PATIENCE);
    }

    /// Acknowledged states are in the store, and the store's states are seen.
    pub(crate) fn compare(&mut self, backend: &Backend) {
        let deadline = Instant::now() + PATIENCE;
        for flag in 0..self.ledger.len() {
            let (kept, last) = match (backend.kept(flag), self.ledger.last(flag)) {
                (Ok(kept), Some(last)) => (kept, last),
                (Ok(_), None) => continue,
                (Err(what), _) => {
                    self.wrong.push(what);
                    continue;
                }
            };
            let is_kept = match kept {
                Some(number) => number == last.number || self.ledger.is_set_aside(flag) && number > last.number,
                None => !last.present,
            };
            if !is_kept {
                self.wrong.push(format!(
                    "{}: {} was acknowledged, and the store has {kept:?}",
                    name(flag),
                    last.number
                ));
                continue;
            }
            let number = kept.unwrap_or(last.number);
            for watcher in &self.watchers {
                let left = deadline.saturating_duration_since(Instant::now());
                if !until(left, || watcher.seen.last(flag) == number) {
                    watcher.seen.give_up(flag, number, PATIENCE);
                }
            }
        }
        match Finally::read(backend, self.ledger.len()) {
            Ok(last) => self.watchers.iter().for_each(|watcher| {
                // A cache may have read a dependent before it was written.
                until(PATIENCE, || last.differs(&watcher.seen.view).is_none());
                last.differs(&watcher.seen.view).into_iter().for_each(|what| watcher.seen.wrong(what));
            }),
            Err(what) => self.wrong.push(what),
        }
    }

    fn reports(self) -> Vec<Report> {
        let writes: Vec<(usize, Write)> = (0..self.ledger.len())
            .flat_map(|flag| self.ledger.writes(flag).into_iter().map(move |write| (flag, write)))
            .collect();
        let busy = self.busy.factor();
        let mut reports = Vec::new();
        for watcher in &self.watchers {
            let seen = &watcher.seen;
            let (mut found, mut of, mut took) = (0, 0, Vec::new());
            for (flag, write) in writes.iter().filter(|(_, write)| write.stands && write.acknowledged.is_some()) {
                of += 1;
                let Some(first) = seen.first(*flag, write.number) else { continue };
                found += 1;
                if write.calm && write.number > 1 {
                    took.push(Ledger::took(write, first));
                }
            }
            took.sort();
            if found < of {
                seen.wrong(format!("{} of {of} flips were never seen", of - found));
            }
            let bound = (seen.view.bound + percentile(&took, 50).unwrap_or_default() * 10).mul_f64(busy);
            if let Some(late) = percentile(&took, 99).filter(|late| *late > bound) {
                seen.wrong(format!("p99 is {late:.1?}, and the bound {bound:.1?}"));
            }
            let wrong = self.wrong.iter().take(5).cloned().chain(seen.all_wrong()).collect();
            reports.push(Report { cell: self.scene.cell(seen.view.layer), seen: found, of, took, wrong });
        }
        reports
    }
}

pub(crate) fn percentile(sorted: &[Duration], hundredths: usize) -> Option<Duration> {
    sorted.get((sorted.len() * hundredths / 100).min(sorted.len().checked_sub(1)?)).copied()
}
