//! The mirror's order under random interleavings of own writes, foreign writes, deletes, resets, failures, and events that
//! come late, twice or in another order.
//!
//! The model store numbers every state. Two rules hold: the mirror takes in no state that is older than an acknowledged own
//! write, and at rest it has what the store has.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../src/wrappers/mirrored/order/mod.rs"]
#[expect(dead_code, reason = "the model uses all but what the snapshot file needs")]
mod order;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fastrand::Rng;
use order::{Observed, Order, Outcome, Read, Sent, Verdict, Write};

const NAMES: [&str; 3] = ["A", "B", "C"];

/// How the model store reports changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watch {
    /// Hints, opaque versions.
    Hints,
    /// Opaque versions, each read on a hint, with the time of the read.
    TimedReads,
    /// Opaque versions; polls that are compared.
    Polling,
    /// Ordered versions with each change; no times, even in resets.
    Ordered,
    /// Ordered versions, and resets with times. The store may be set back to an earlier state, and counts on from there.
    OrderedSetBack,
}

impl Watch {
    const fn is_ordered(self) -> bool {
        matches!(self, Self::Ordered | Self::OrderedSetBack)
    }
}

/// A state of a flag; `made` numbers all states of the store, deletions included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Flag {
    present: bool,
    number: u64,
    made: u64,
}

type Flags = BTreeMap<&'static str, Flag>;

#[derive(Debug)]
enum Job {
    /// A pending own write; `landed` once the store has done it.
    Write {
        name: &'static str,
        write: Option<Write>,
        present: bool,
        landed: Option<Flag>,
        set_back: u32,
    },
    /// A read that the order asked for.
    Read {
        read: Read,
        served: Option<Flag>,
    },
    Get {
        name: &'static str,
        sent: Sent,
        served: Option<Flag>,
    },
    /// A read after an own write during which a reset came.
    ReadBack {
        name: &'static str,
        sent: Sent,
        served: Option<Flag>,
        written: Flag,
        set_back: u32,
    },
    Timed {
        name: &'static str,
        at: Instant,
        served: Option<Flag>,
    },
    /// A read of all names, for a reset or a comparison.
    List {
        reset: bool,
        at: Instant,
        served: Option<Flags>,
    },
    Event {
        name: &'static str,
        flag: Option<Flag>,
        at: Option<Instant>,
    },
    Reset {
        flags: Flags,
        at: Option<Instant>,
    },
}

struct Model {
    watch: Watch,
    /// Takes every event for the newest state, like a mirror without rules.
    naive: bool,
    rng: Rng,
    now: Instant,
    made: u64,
    number: u64,
    store: Flags,
    backups: Vec<(u64, Flags)>,
    polled: Flags,
    following: bool,
    order: Order,
    mirror: Flags,
    acknowledged: BTreeMap<&'static str, u64>,
    set_back: u32,
    jobs: Vec<Job>,
    broken: Option<String>,
}

impl Model {
    fn new(seed: u64, watch: Watch, naive: bool) -> Self {
        let mut model = Self {
            watch,
            naive,
            rng: Rng::with_seed(seed),
            now: Instant::now(),
            made: 0,
            number: 0,
            store: Flags::new(),
            backups: Vec::new(),
            polled: Flags::new(),
            following: false,
            order: Order::default(),
            mirror: Flags::new(),
            acknowledged: BTreeMap::new(),
            set_back: 0,
            jobs: Vec::new(),
            broken: None,
        };
        for name in NAMES {
            if model.rng.bool() {
                model.change(name, true);
            }
        }
        model.follow();
        model
    }

    fn run(mut self) -> Result<(), String> {
        for _ in 0..self.rng.usize(10..120) {
            self.start_something();
            for _ in 0..self.rng.usize(0..4) {
                self.step();
            }
        }
        for _ in 0..100_000 {
            if self.jobs.is_empty() {
                self.settle();
                if self.jobs.is_empty() {
                    break;
                }
            }
            self.step();
        }
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        if !self.jobs.is_empty() {
            return Err("never comes to rest".to_owned());
        }
        for name in NAMES {
            let (store, mirror) = (self.flag(name), self.mirror.get(name).copied().unwrap_or_default());
            let same = if store.present { store == mirror } else { !mirror.present };
            if !same {
                return Err(format!("{name} ends as {mirror:?}, the store has {store:?}"));
            }
        }
        Ok(())
    }

    fn flag(&self, name: &str) -> Flag {
        self.store.get(name).copied().unwrap_or_default()
    }

    fn tick(&mut self) {
        self.now += Duration::from_nanos(self.rng.u64(0..3));
    }

    fn start_something(&mut self) {
        self.tick();
        let name = NAMES[self.rng.usize(0..NAMES.len())];
        match self.rng.u32(0..100) {
            0..30 => {
                let busy = |job: &Job| matches!(job, Job::Write { name: other, write: Some(_), .. } if *other == name);
                if !self.jobs.iter().any(busy) {
                    let write = Some(self.order.start_write(name));
                    let present = self.rng.u32(0..4) > 0;
                    self.jobs.push(Job::Write { name, write, present, landed: None, set_back: self.set_back });
                }
            }
            30..55 => {
                let present = self.rng.u32(0..4) > 0;
                self.change(name, present);
            }
            55..75 => self.read(),
            75..82 => self.jobs.push(Job::Get { name, sent: self.order.sent(self.now), served: None }),
            82..88 if self.following => self.lose(),
            88..92 if self.watch == Watch::OrderedSetBack => self.set_back(),
            92..95 => self.backups.push((self.number, self.store.clone())),
            _ => self.follow(),
        }
    }

    /// Starts what is still needed when nothing is pending.
    fn settle(&mut self) {
        self.tick();
        if !self.following {
            self.follow();
        }
        self.read();
        if self.watch == Watch::Polling && self.polled != self.store {
            self.jobs.push(Job::List { reset: false, at: self.now, served: None });
        }
    }

    fn read(&mut self) {
        while let Some(read) = self.order.start_read(self.now) {
            self.jobs.push(Job::Read { read, served: None });
        }
    }

    fn change(&mut self, name: &'static str, present: bool) -> Flag {
        if !present && !self.flag(name).present {
            return self.flag(name);
        }
        self.made += 1;
        self.number += 1;
        let flag = Flag { present, number: self.number, made: self.made };
        self.store.insert(name, flag);
        if self.following {
            match self.watch {
                Watch::Polling => {}
                Watch::Hints => {
                    self.jobs.push(Job::Event { name, flag: None, at: None });
                    if self.rng.u32(0..5) == 0 {
                        self.jobs.push(Job::Event { name, flag: None, at: None });
                    }
                }
                Watch::TimedReads => self.jobs.push(Job::Timed { name, at: self.now, served: None }),
                Watch::Ordered | Watch::OrderedSetBack => {
                    self.jobs.push(Job::Event { name, flag: Some(flag), at: None });
                }
            }
        }
        flag
    }

    /// Cuts the connection and drops the pending events.
    fn lose(&mut self) {
        self.following = false;
        self.jobs
            .retain(|job| !matches!(job, Job::Timed { .. } | Job::List { .. } | Job::Event { .. } | Job::Reset { .. }));
    }

    fn follow(&mut self) {
        if !std::mem::replace(&mut self.following, true) {
            self.jobs.push(Job::List { reset: true, at: self.now, served: None });
        } else if self.watch == Watch::Polling && !self.jobs.iter().any(|job| matches!(job, Job::List { .. })) {
            self.jobs.push(Job::List { reset: false, at: self.now, served: None });
        }
    }

    /// Replaces the store with an earlier state; its count goes on from there.
    fn set_back(&mut self) {
        let Some((number, flags)) = self.backups.pop() else { return };
        self.lose();
        // The store restarts for it, so pending answers are lost.
        for job in &mut self.jobs {
            if let Job::Read { served, .. } | Job::Get { served, .. } | Job::ReadBack { served, .. } = job {
                *served = None;
            }
        }
        self.set_back += 1;
        self.number = number;
        self.store = flags;
    }

    fn step(&mut self) {
        self.tick();
        if self.jobs.is_empty() {
            return;
        }
        // Any job may be the next: events overtake each other. The trait requires a reset before numbered events.
        let resets = |job: &Job| matches!(job, Job::Reset { .. } | Job::List { reset: true, .. });
        let mut at = self.rng.usize(0..self.jobs.len());
        if self.watch.is_ordered() && matches!(self.jobs[at], Job::Event { .. }) {
            at = self.jobs.iter().position(resets).unwrap_or(at);
        }
        let job = self.jobs.remove(at);
        self.go_on(job);
    }

    fn go_on(&mut self, job: Job) {
        let now = self.now;
        match job {
            Job::Write { name, write, present, landed: None, set_back } => {
                if self.rng.u32(0..8) == 0 {
                    // Unknown outcome: the write may still land later.
                    if let Some(write) = write {
                        self.order.end_write(name, &write, Outcome::Unknown, now);
                    }
                    if self.rng.bool() {
                        self.jobs.push(Job::Write { name, write: None, present, landed: None, set_back });
                    }
                } else if write.is_some() && self.rng.u32(0..8) == 0 {
                    self.order.end_write(name, &write.unwrap(), Outcome::Refused, now);
                } else {
                    let flag = self.change(name, present);
                    self.jobs.push(Job::Write { name, write, present, landed: Some(flag), set_back });
                }
            }
            Job::Write { name, write: Some(write), landed: Some(flag), set_back, .. } => {
                let known = self.rng.u32(0..8) > 0;
                let observed = self.observed(flag);
                let outcome = if known { Outcome::Done(observed) } else { Outcome::Unknown };
                match self.order.end_write(name, &write, outcome, now) {
                    _ if !known => {}
                    Verdict::Unclear => self.read_back(name, flag, set_back),
                    verdict => {
                        if verdict == Verdict::Newer {
                            self.take_in(name, flag);
                        }
                        self.returned(name, flag, set_back);
                    }
                }
            }
            Job::ReadBack { name, sent, served: None, written, set_back } => {
                let served = Some(self.flag(name));
                self.jobs.push(Job::ReadBack { name, sent, served, written, set_back });
            }
            Job::ReadBack { name, sent, served: Some(flag), written, set_back } => {
                self.found(name, sent, flag);
                match self.order.is_unclear(name, sent) {
                    true => self.read_back(name, written, set_back),
                    false => self.returned(name, written, set_back),
                }
            }
            Job::Write { .. } => {}
            Job::Read { read, served: None } => {
                let name = NAMES.into_iter().find(|name| **name == *read.name).unwrap();
                let served = Some(self.flag(name));
                self.jobs.push(Job::Read { read, served });
            }
            Job::Read { read, served: Some(flag) } => {
                let name = NAMES.into_iter().find(|name| **name == *read.name).unwrap();
                let failed = self.rng.u32(0..6) == 0;
                let observed = if flag.present { self.observed(flag) } else { Observed::ABSENT };
                if self.order.end_read(&read, (!failed).then_some(observed), now) || (self.naive && !failed) {
                    self.take_in(name, flag);
                }
            }
            Job::Get { name, sent, served: None } => {
                let served = Some(self.flag(name));
                self.jobs.push(Job::Get { name, sent, served });
            }
            Job::Get { name, sent, served: Some(flag) } => self.found(name, sent, flag),
            Job::Timed { name, at, served: None } => {
                let served = Some(self.flag(name));
                self.jobs.push(Job::Timed { name, at, served });
            }
            Job::Timed { name, at, served: Some(flag) } => {
                self.jobs.push(Job::Event { name, flag: Some(flag), at: Some(at) });
            }
            Job::List { reset, at, served: None } => {
                let served = Some(self.store.clone());
                self.jobs.push(Job::List { reset, at, served });
            }
            Job::List { reset, at, served: Some(flags) } => self.listed(reset, at, flags),
            Job::Event { name, flag: None, .. } => self.order.hint(name, now),
            Job::Event { name, flag: Some(flag), at } => {
                let observed = self.observed(flag);
                if self.order.event(name, observed, at, now) || self.naive {
                    self.take_in(name, flag);
                }
            }
            Job::Reset { flags, at } => self.reset(&flags, at),
        }
    }

    fn found(&mut self, name: &'static str, sent: Sent, flag: Flag) {
        let observed = if flag.present { self.observed(flag) } else { Observed::ABSENT };
        if self.order.found(name, sent, observed, self.now) == Verdict::Newer {
            self.take_in(name, flag);
        }
    }

    fn read_back(&mut self, name: &'static str, written: Flag, set_back: u32) {
        self.tick();
        let sent = self.order.sent(self.now);
        self.jobs.push(Job::ReadBack { name, sent, served: None, written, set_back });
    }

    fn returned(&mut self, name: &'static str, flag: Flag, set_back: u32) {
        let acknowledged = self.acknowledged.entry(name).or_default();
        *acknowledged = flag.made.max(*acknowledged);
        self.check(name);
        let mirror = self.mirror.get(name).copied().unwrap_or_default();
        // After a set-back, numbers mean nothing until the reset.
        if set_back == self.set_back && self.flag(name) == flag && mirror.made != flag.made {
            self.broken.get_or_insert(format!("{name} is {mirror:?} when the write of {flag:?} returns"));
        }
    }

    fn listed(&mut self, reset: bool, at: Instant, flags: Flags) {
        let old = std::mem::replace(&mut self.polled, flags.clone());
        if reset {
            let timed = self.watch != Watch::Ordered;
            self.jobs.push(Job::Reset { flags, at: timed.then_some(at) });
            return;
        }
        for name in NAMES {
            if old.get(name) != flags.get(name) {
                let flag = flags.get(name).copied();
                self.jobs.push(Job::Event { name, flag, at: Some(at) });
            }
        }
    }

    fn reset(&mut self, flags: &Flags, at: Option<Instant>) {
        self.order.start_reset(flags.len());
        for (name, flag) in flags.iter().filter(|(_, flag)| flag.present) {
            let observed = self.observed(*flag);
            if self.order.listed(*name, observed, at, self.now).is_some() || self.naive {
                self.take_in(name, *flag);
            }
        }
        for name in self.order.not_listed() {
            if self.order.missing(&name, at, self.now) || self.naive {
                let name = NAMES.into_iter().find(|known| **known == *name).unwrap();
                self.take_in(name, flags.get(name).copied().unwrap_or_default());
            }
        }
    }

    fn observed(&self, flag: Flag) -> Observed {
        Observed { present: flag.present, number: self.watch.is_ordered().then_some(flag.number) }
    }

    fn take_in(&mut self, name: &'static str, flag: Flag) {
        self.mirror.insert(name, flag);
        self.check(name);
    }

    fn check(&mut self, name: &'static str) {
        // A set-back store may forget what it acknowledged.
        if self.set_back > 0 {
            return;
        }
        let acknowledged = self.acknowledged.get(name).copied().unwrap_or_default();
        let mirror = self.mirror.get(name).copied().unwrap_or_default();
        if mirror.made < acknowledged {
            self.broken.get_or_insert(format!("{name} is {mirror:?} after state {acknowledged} was acknowledged"));
        }
    }
}

fn runs() -> u64 {
    std::env::var("FLIPPER_MODEL_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(5_000)
}

fn all_hold(watch: Watch) {
    for seed in 0..runs() {
        if let Err(broken) = Model::new(seed, watch, false).run() {
            panic!("{watch:?}, seed {seed}: {broken}");
        }
    }
}

#[test]
fn hints() {
    all_hold(Watch::Hints);
}

#[test]
fn timed_reads() {
    all_hold(Watch::TimedReads);
}

#[test]
fn polling() {
    all_hold(Watch::Polling);
}

#[test]
fn ordered() {
    all_hold(Watch::Ordered);
}

#[test]
fn ordered_and_set_back() {
    all_hold(Watch::OrderedSetBack);
}

#[test]
fn the_model_finds_a_mirror_without_rules() {
    for watch in [Watch::TimedReads, Watch::Polling, Watch::Ordered] {
        let broken = (0..500).filter(|seed| Model::new(*seed, watch, true).run().is_err()).count();
        assert!(broken > 150, "{watch:?}: only {broken} of 500 runs");
    }
}
