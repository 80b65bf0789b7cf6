//! The model of the chain (DESIGN.md, "The mirror"). The mirrors and the hub's decisions are real; the store, the network, processes, the
//! clock and the scheduler are models.
//!
//! A run is its seed: `FLIPPER_MODEL_SEED=7` runs one, `FLIPPER_MODEL_RUNS=1000000` that many, from that seed on.

mod check;
mod follow;
mod node;
mod serve;
mod store;
mod world;

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use self::check::Rule;
use self::world::{Task, World};
use crate::clock;

const NAMES: [&str; 4] = ["A", "B", "C", "D"];
const DOUBT: Duration = Duration::from_secs(300);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Ordered versions and blocking queries, as Consul; after a start it answers from its past.
    Counting,
    /// Versions that are content, and pushed names, as Redis; after a start it reports that it loads.
    Content,
}

#[derive(Clone, Copy, Debug, Default)]
struct Design {
    /// A former design: the server reports from its own subscription, and answers from the mirror's memory.
    second_subscription: bool,
    /// A former design: the store's answers are believed, whatever it was before.
    believes_replays: bool,
}

#[derive(Clone, Copy, Debug)]
struct Setup {
    kind: Kind,
    mirrors: usize,
    design: Design,
    repeats: bool,
    /// The store may come back without flags, or with an old state.
    may_forget: bool,
    is_quiet: bool,
}

/// Returns the broken rules and the trace.
fn run(seed: u64, setup: Setup, actions: usize, traced: bool) -> (Vec<(Rule, String)>, Vec<String>) {
    let world = World::new(seed, setup, traced);
    let mut tasks = Vec::new();
    {
        let world = world.clone();
        world.clone().spawn(|| true, store::apply_log(world));
    }
    for level in 1..=setup.mirrors {
        let node = node::start(&world, level, None);
        world.nodes.borrow_mut().push(node);
    }
    for _ in 0..world.below(80).min(actions) {
        act(&world);
        for _ in 0..world.below(40) {
            world.step(&mut tasks);
        }
    }
    rest(&world, &mut tasks);
    drop(tasks);
    clock::model::set(None);
    (world.broken.take(), world.trace())
}

/// Without faults, until all is at rest.
fn rest(world: &Rc<World>, tasks: &mut Vec<Task>) {
    world.is_calm.set(true);
    world.note(|| "no more faults".to_owned());
    for _ in 0..200 {
        world.step(tasks);
    }
    let mut difference = None;
    for round in 0..90 {
        let mut sweeps = 0;
        while world.sweep(tasks) {
            sweeps += 1;
            if sweeps > 3000 {
                return world.breaks(Rule::AtRest, "there is no rest".to_owned());
            }
        }
        difference = world.difference();
        if difference.is_none() {
            return;
        }
        let is_doubted = world.nodes.borrow().iter().any(|node| node.shared.doubt_ends().is_some());
        world.advance(if round % 15 == 14 && is_doubted { DOUBT } else { Duration::from_secs(2) });
    }
    if let Some(difference) = difference {
        world.breaks(Rule::AtRest, difference);
    }
}

fn act(world: &Rc<World>) {
    let (name, present) = (world.below(NAMES.len()), world.below(4) > 0);
    let node = world.node(1 + world.below(world.setup.mirrors));
    let spawn = |future: world::Local<()>| {
        let up = node.clone();
        world.spawn(move || up.is_up(), future);
    };
    match world.below(if world.setup.is_quiet { 53 } else { 100 }) {
        0..25 => _ = store::write(world, name, present),
        25..45 => {
            let write = node::write(world.clone(), node.clone(), name, present);
            spawn(Box::pin(async { _ = write.await }));
        }
        45..53 => {
            let get = node::get(world.clone(), node.clone(), NAMES[name].to_owned());
            spawn(Box::pin(async { _ = get.await }));
        }
        53..62 => {
            let connection = if world.below(2) == 0 { &node.watching } else { &node.calling };
            connection.set(connection.get() + 1);
            world.note(|| format!("mirror {}: a connection is cut", node.level));
        }
        62..68 => store::restart(world),
        68..70 if world.setup.may_forget => store::set_back(world),
        70..73 if world.setup.may_forget => store::lose_flags(world),
        73..76 => store::flush(world),
        76..80 => node::restart(world, node.level),
        80..84 => node.save(),
        84..90 => world.advance(Duration::from_millis(world.below(20_000) as u64)),
        90..91 => world.advance(DOUBT),
        _ => {
            for _ in 0..world.below(14) {
                let _ = store::write(world, world.below(NAMES.len()), true);
            }
        }
    }
}

fn seeds() -> Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (seed, runs) = (number("FLIPPER_MODEL_SEED"), number("FLIPPER_MODEL_RUNS"));
    let runs = runs.map_or(if seed.is_some() { 1 } else { 2500 }, |runs| runs.div_ceil(4));
    let first = seed.unwrap_or_default();
    first..first + runs
}

fn setup(seed: u64, kind: Kind, mirrors: usize, design: Design) -> Setup {
    Setup {
        kind,
        mirrors,
        design,
        repeats: seed.is_multiple_of(4),
        may_forget: seed.is_multiple_of(2),
        is_quiet: false,
    }
}

/// Until one seed breaks a rule; to the end if `FLIPPER_MODEL_COUNT` is set.
fn all_hold(kind: Kind, mirrors: usize) {
    let Range { start, end } = seeds();
    let runs_all = std::env::var_os("FLIPPER_MODEL_COUNT").is_some();
    let setup = |seed| setup(seed, kind, mirrors, Design::default());
    let (next, broken) = (AtomicU64::new(start), Mutex::new(BTreeMap::new()));
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return;
        }
        let Some(first) = run(seed, setup(seed), usize::MAX, false).0.into_iter().next() else { continue };
        broken.lock().unwrap_or_else(PoisonError::into_inner).insert(seed, first);
        if !runs_all {
            next.store(end, Ordering::Relaxed);
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));

    let broken = broken.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut seeds_of = BTreeMap::<_, Vec<_>>::new();
    for (seed, (rule, _)) in &broken {
        seeds_of.entry(format!("{rule:?}")).or_default().push(seed);
    }
    let report = |(rule, seeds): (&String, &Vec<&u64>)| {
        format!("{} runs break {rule}, the first with seeds {:?}", seeds.len(), &seeds[..seeds.len().min(10)])
    };
    let counts = seeds_of.iter().map(report).collect::<Vec<_>>().join("\n");
    if let Some((seed, (rule, what))) = broken.first_key_value() {
        let trace = shortest(*seed, setup(*seed), *rule).join("\n");
        panic!("{kind:?}, {mirrors} mirrors: {counts}\nseed {seed}: {rule:?}: {what}\n{trace}");
    }
}

fn shortest(seed: u64, setup: Setup, rule: Rule) -> Vec<String> {
    let breaks = |actions: &usize| run(seed, setup, *actions, false).0.iter().any(|broken| broken.0 == rule);
    let actions = (0..80).find(breaks).unwrap_or(usize::MAX);
    let mut trace = run(seed, setup, actions, true).1;
    if let Some(end) = trace.iter().position(|line| line.contains(&format!("BROKEN {rule:?}"))) {
        trace.truncate(end + 1);
    }
    trace
}

#[test]
fn one_server_over_a_store_that_counts() {
    all_hold(Kind::Counting, 2);
}

#[test]
fn one_server_over_a_store_of_contents() {
    all_hold(Kind::Content, 2);
}

#[test]
fn two_servers_over_a_store_that_counts() {
    all_hold(Kind::Counting, 3);
}

#[test]
fn two_servers_over_a_store_of_contents() {
    all_hold(Kind::Content, 3);
}

/// They once broke a rule: by numbers that began again, by a doubt that a read should have ended, or an equal number should not have, and
/// by an older snapshot file of the server.
#[test]
fn runs_that_broke_a_rule() {
    for (kind, mirrors, seed) in [
        (Kind::Counting, 2, 1_795_934_428),
        (Kind::Counting, 3, 1_795_975_230),
        (Kind::Counting, 2, 77_029_184),
        (Kind::Counting, 2, 77_209_454),
    ] {
        let broken = run(seed, setup(seed, kind, mirrors, Design::default()), usize::MAX, false).0;
        assert!(broken.is_empty(), "{kind:?}, {mirrors} mirrors, seed {seed}: {broken:?}");
    }
}

/// Of 200.
fn broken(rule: Rule, setup: impl Fn(u64) -> Setup) -> usize {
    let is_broken = |seed: &u64| run(*seed, setup(*seed), usize::MAX, false).0.iter().any(|broken| broken.0 == rule);
    (0..200).filter(is_broken).count()
}

#[test]
fn the_model_finds_changes_lost_between_two_subscriptions() {
    let design = Design { second_subscription: true, ..Design::default() };
    let setup = |seed| Setup { is_quiet: true, ..setup(seed, Kind::Content, 2, design) };
    let (announced, lost) = (broken(Rule::Announced, setup), broken(Rule::AtRest, setup));
    println!("of 200 runs, {announced} announce what cannot be read yet, and {lost} end without a change");
    assert!(announced > 50 && lost > 0);
}

#[test]
fn the_model_finds_replays_that_are_believed() {
    let design = Design { believes_replays: true, ..Design::default() };
    let back = broken(Rule::GoesBack, |seed| setup(seed, Kind::Counting, 2, design));
    println!("of 200 runs, {back} go back to an older state");
    assert!(back > 30);
}
