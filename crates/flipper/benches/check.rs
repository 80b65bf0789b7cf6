//! Times a check against the least work that answers it: `cargo bench --bench check`.
//!
//! Each case and its limit take turns, so that other load hits both alike. A figure is the median of the rounds, a ratio the
//! median of the rounds' ratios. `docs/benchmarks.md` has the results.
#![expect(clippy::print_stdout, reason = "a report is what this program is for")]

use std::collections::HashMap;
use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use flipper::store::{FlagTable, Version};
use flipper::{FeatureFlag, FeatureFlagClient, MemoryFeatureFlagStore};
use foldhash::fast::RandomState;
use futures_executor::block_on;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const SIZES: [usize; 3] = [100, 10_000, 1_000_000];
/// Short, so that most batches end before the scheduler interrupts them.
const BATCH: Duration = Duration::from_micros(500);
const ROUNDS: usize = 151;
const BATCH_OF_WRITES: usize = 100;
const GROWTHS: usize = 3;
const FLIP_EVERY: Duration = Duration::from_millis(1);

/// The least that a check could read of a flag.
struct Bare {
    on: AtomicBool,
    _record: Box<str>,
}

struct Flags {
    features: FeatureFlagClient,
    /// Shuffled, and in memory in this order: callers have their names in the processor's cache.
    names: Vec<Box<str>>,
    disabled: Vec<Box<str>>,
    missing: Vec<Box<str>>,
    handles: Vec<FeatureFlag>,
    disabled_handle: FeatureFlag,
    map: HashMap<Box<str>, Arc<Bare>, RandomState>,
    bare: Vec<Arc<Bare>>,
}

impl Flags {
    /// Enables half of the flags at random, so that the processor cannot predict the answer.
    fn new(size: usize) -> Result<Self> {
        fastrand::seed(size as u64);
        let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
        let mut map = HashMap::with_hasher(RandomState::default());
        let mut names: Vec<String> = (0..size).map(name).collect();
        for name in &names {
            let on = fastrand::bool();
            block_on(features.create(name).enabled(on).into_future())?;
            let bare = Bare { on: AtomicBool::new(on), _record: name.as_str().into() };
            map.insert(name.as_str().into(), Arc::new(bare));
        }
        fastrand::shuffle(&mut names);
        let handles: Vec<_> = names.iter().map(|name| features.get(name)).collect();
        let disabled = texts(names.iter().zip(&handles).filter(|(_, flag)| !flag.is_enabled()).map(|(name, _)| name));
        Ok(Self {
            disabled_handle: features.get(&*disabled[0]),
            bare: names.iter().map(|name| map[name.as_str()].clone()).collect(),
            names: texts(&names),
            missing: texts((size..size * 2).map(name)),
            features,
            disabled,
            handles,
            map,
        })
    }

    fn flip(&self, number: usize) -> Result<()> {
        let (flag, on) = (&self.handles[number], &self.bare[number].on);
        let to = !on.load(Ordering::Relaxed);
        on.store(to, Ordering::Release);
        block_on(async { if to { flag.enable().await } else { flag.disable().await } })?;
        Ok(())
    }

    /// Flips a thousand times a second: the flag of the single-flag cases and a random one, in turn.
    fn keep_flipping(&self, stop: &AtomicBool) -> Result<()> {
        let mut next = Instant::now();
        let mut hot = false;
        while !stop.load(Ordering::Relaxed) {
            hot = !hot;
            self.flip(if hot { 0 } else { fastrand::usize(..self.handles.len()) })?;
            next += FLIP_EVERY;
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        Ok(())
    }
}

/// 10 to 40 bytes, each unique.
fn name(number: usize) -> String {
    let length = fastrand::usize(3..=33);
    std::iter::repeat_with(fastrand::lowercase).take(length).chain(format!("{number:07}").chars()).collect()
}

fn texts<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Vec<Box<str>> {
    names.into_iter().map(|name| name.as_ref().into()).collect()
}

struct Case {
    name: &'static str,
    /// Returns how many of the checks were true.
    run: fn(flags: &Flags, first: usize, checks: usize) -> usize,
    limit: usize,
}

const ATOMIC: usize = 0;
const HANDLE: usize = 1;
const EACH_ATOMIC: usize = 3;
const LOOKUP: usize = 5;
const NAME: usize = 6;
const NO_LOOKUP: usize = 8;

const CASES: [Case; 10] = [
    Case {
        name: "limit: an `AtomicBool`",
        limit: ATOMIC,
        run: |flags, _, checks| one(&flags.bare[0].on, checks, load),
    },
    Case {
        name: "handle",
        limit: ATOMIC,
        run: |flags, _, checks| one(&flags.handles[0], checks, FeatureFlag::is_enabled),
    },
    Case {
        name: "handle, disabled flag",
        limit: ATOMIC,
        run: |flags, _, checks| one(&flags.disabled_handle, checks, FeatureFlag::is_enabled),
    },
    Case {
        name: "limit: each flag's `Arc<AtomicBool>`",
        limit: EACH_ATOMIC,
        run: |flags, start, checks| each(&flags.bare, start, checks, |bare| load(&bare.on)),
    },
    Case {
        name: "each flag's handle",
        limit: EACH_ATOMIC,
        run: |flags, start, checks| each(&flags.handles, start, checks, FeatureFlag::is_enabled),
    },
    Case {
        name: "limit: `HashMap` lookup",
        limit: LOOKUP,
        run: |flags, start, checks| each(&flags.names, start, checks, |name| lookup(flags, name)),
    },
    Case {
        name: "name",
        limit: LOOKUP,
        run: |flags, start, checks| each(&flags.names, start, checks, |name| flags.features.is_enabled(name)),
    },
    Case {
        name: "name, disabled flags",
        limit: LOOKUP,
        run: |flags, start, checks| each(&flags.disabled, start, checks, |name| flags.features.is_enabled(name)),
    },
    Case {
        name: "limit: `HashMap` lookup, missing",
        limit: NO_LOOKUP,
        run: |flags, start, checks| each(&flags.missing, start, checks, |name| lookup(flags, name)),
    },
    Case {
        name: "name, missing flags",
        limit: NO_LOOKUP,
        run: |flags, start, checks| each(&flags.missing, start, checks, |name| flags.features.is_enabled(name)),
    },
];

fn one<T>(item: &T, checks: usize, check: impl Fn(&T) -> bool) -> usize {
    (0..checks).map(|_| usize::from(check(black_box(item)))).sum()
}

fn each<T>(items: &[T], start: usize, checks: usize, check: impl Fn(&T) -> bool) -> usize {
    let mut at = start % items.len();
    let mut on = 0;
    for _ in 0..checks {
        on += usize::from(check(black_box(&items[at])));
        at = if at + 1 == items.len() { 0 } else { at + 1 };
    }
    on
}

fn load(on: &AtomicBool) -> bool {
    on.load(Ordering::Acquire)
}

fn lookup(flags: &Flags, name: &str) -> bool {
    flags.map.get(name).is_some_and(|bare| load(&bare.on))
}

/// Nanoseconds a check. Each batch begins at other flags than the last, so that it finds few of them in the cache.
fn measure(flags: &Flags, threads: usize, case: &Case, batch: usize, checks: usize) -> f64 {
    let time = |thread: usize, barrier: &Barrier| {
        let start = (batch + thread) * checks;
        barrier.wait();
        let begin = Instant::now();
        black_box((case.run)(flags, start, checks));
        begin.elapsed().as_secs_f64() * 1e9 / checks as f64
    };
    let barrier = Barrier::new(threads);
    let all: Vec<f64> = thread::scope(|scope| {
        let others: Vec<_> = (1..threads)
            .map(|thread| {
                scope.spawn({
                    let barrier = &barrier;
                    move || time(thread, barrier)
                })
            })
            .collect();
        let own = time(0, &barrier);
        others.into_iter().filter_map(|other| other.join().ok()).chain([own]).collect()
    });
    all.iter().sum::<f64>() / all.len() as f64
}

/// Nanoseconds by thread count, case and round.
type Figures = [Vec<Vec<f64>>; 2];

fn rounds(flags: &Flags, rounds: usize) -> Figures {
    let checks: Vec<usize> = CASES.iter().map(|case| calibrate(flags, case)).collect();
    let mut figures = [vec![Vec::new(); CASES.len()], vec![Vec::new(); CASES.len()]];
    for round in 0..rounds {
        for (case, checks) in checks.iter().enumerate() {
            for threads in [1, 2] {
                let batch = (round * CASES.len() + case) * 3 + threads;
                let ns = measure(flags, threads, &CASES[case], batch, *checks);
                figures[threads - 1][case].push(ns);
            }
        }
    }
    figures
}

fn calibrate(flags: &Flags, case: &Case) -> usize {
    let mut checks = 1_000;
    loop {
        let ns = measure(flags, 1, case, 0, checks) * checks as f64;
        if ns > BATCH.as_nanos() as f64 / 2.0 {
            return checks;
        }
        checks *= 2;
    }
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn ratio(values: &[f64], limit: &[f64]) -> f64 {
    median(values.iter().zip(limit).map(|(value, limit)| value / limit))
}

/// The speed of each of two threads relative to one alone.
fn scaling(figures: &Figures, case: usize) -> f64 {
    median(figures[0][case].iter().zip(&figures[1][case]).map(|(one, two)| one / two))
}

fn scaling_beside(figures: &Figures, case: usize, other: usize) -> f64 {
    let of = |case: usize| figures[0][case].iter().zip(&figures[1][case]).map(|(one, two)| one / two);
    median(of(case).zip(of(other)).map(|(case, other)| case / other))
}

#[derive(Default)]
struct Promises(Vec<(String, bool)>);

impl Promises {
    fn keep(&mut self, what: String, kept: bool) {
        self.0.push((what, kept));
    }

    fn checks(&mut self, size: usize, writer: &str, figures: &Figures) {
        for threads in [1, 2] {
            let of = |case: usize| &figures[threads - 1][case];
            let at = format!("{size} flags, {threads} thread(s){writer}");
            let over = |case: usize, times: f64, plus: f64| {
                let limit = of(CASES[case].limit);
                median(of(case).iter().zip(limit).map(|(value, limit)| value - (limit * times + plus)))
            };
            for case in [HANDLE, HANDLE + 1] {
                let name = CASES[case].name;
                self.keep(format!("{name} ≤ 3 × the load + 1 ns: {at}"), over(case, 3.0, 1.0) <= 0.0);
            }
            if size == 10_000 {
                self.keep(format!("name ≤ 2 × the lookup + 5 ns: {at}"), over(NAME, 2.0, 5.0) <= 0.0);
            }
        }
        for case in [HANDLE, NAME] {
            let what = format!("{} on two threads ≥ 0.9 × the load's scaling: {size} flags{writer}", CASES[case].name);
            self.keep(what, scaling_beside(figures, case, ATOMIC) >= 0.9);
        }
    }
}

fn print_checks(size: usize, writer: &str, figures: &Figures) {
    for (number, case) in CASES.iter().enumerate() {
        let of = |threads: usize, case: usize| &figures[threads - 1][case];
        let times = |threads| format!("{:.2}", ratio(of(threads, number), of(threads, case.limit)));
        let (scales, relative) = (scaling(figures, number), scaling_beside(figures, number, case.limit));
        let is_limit = case.limit == number;
        println!(
            "| {size}{writer} | {} | {:.2} | {} | {:.2} | {} | {scales:.2} | {} |",
            case.name,
            median(of(1, number).iter().copied()),
            if is_limit { "".into() } else { times(1) },
            median(of(2, number).iter().copied()),
            if is_limit { "".into() } else { times(2) },
            if is_limit { "".into() } else { format!("{relative:.2}") },
        );
    }
}

/// Nanoseconds of each call.
fn timed(calls: usize, mut call: impl FnMut(usize) -> Result<()>) -> Result<Vec<f64>> {
    let mut times = Vec::with_capacity(calls);
    for number in 0..calls {
        let begin = Instant::now();
        call(number)?;
        times.push(begin.elapsed().as_secs_f64() * 1e9);
    }
    Ok(times)
}

fn writes(all: &[(usize, Flags)], rounds: usize, promises: &mut Promises) -> Result<()> {
    let mut flips = vec![Vec::new(); all.len()];
    let mut creates = vec![Vec::new(); all.len()];
    for round in 0..rounds {
        for (place, (size, flags)) in all.iter().enumerate() {
            let order: Vec<usize> = (0..BATCH_OF_WRITES).map(|_| fastrand::usize(..*size)).collect();
            // Callers have the name in the cache, but not the flag.
            let names: Vec<Box<str>> = order.iter().map(|number| flags.names[*number].clone()).collect();
            let to: Vec<bool> =
                order.iter().map(|number| !flags.bare[*number].on.fetch_not(Ordering::Relaxed)).collect();
            flips[place].push(median(timed(names.len(), |number| {
                let (name, features) = (&names[number], &flags.features);
                block_on(async {
                    if to[number] { features.enable(name).await } else { features.disable(name).await }
                })?;
                Ok(())
            })?));
            let names: Vec<String> =
                (0..BATCH_OF_WRITES).map(|number| name(size * 2 + round * BATCH_OF_WRITES + number)).collect();
            creates[place].push(median(timed(names.len(), |number| {
                block_on(flags.features.create(names[number].as_str()).into_future())?;
                Ok(())
            })?));
        }
    }
    println!("\n| flags | a flip, ns | × of that at {} | a create, ns |\n|---|---|---|---|", all[0].0);
    for (place, (size, _)) in all.iter().enumerate() {
        let (flip, create) = (median(flips[place].clone()), median(creates[place].clone()));
        let times = ratio(&flips[place], &flips[0]);
        println!("| {size} | {flip:.0} | {times:.2} | {create:.0} |");
        promises.keep(format!("a flip at {size} flags ≤ 1.5 × one at {}", all[0].0), times <= 1.5);
        promises.keep(format!("a create at {size} flags ≤ 10 µs"), create <= 10_000.0);
    }
    Ok(())
}

/// The longest that a new name takes, and so that other writers wait, while the table grows. It grows at the same names each time, so of each
/// name the shortest time counts: the scheduler interrupts others.
fn growth(most: usize, promises: &mut Promises) {
    let mut shortest = vec![Duration::MAX; most];
    for _ in 0..GROWTHS {
        let table = FlagTable::new();
        for (number, shortest) in shortest.iter_mut().enumerate() {
            let name = name(number);
            let begin = Instant::now();
            table.remove(&name, Version::ordered(number as u64));
            *shortest = begin.elapsed().min(*shortest);
        }
    }
    let longest = shortest.iter().enumerate().max_by_key(|(_, took)| **took);
    let (number, took) = longest.map_or((0, Duration::ZERO), |(number, took)| (number, *took));
    println!("\nGrowing to {most} names: at most {:.3} ms, at {number}", took.as_secs_f64() * 1e3);
    promises.keep(format!("a new name ≤ 2 ms while growing to {most}"), took <= Duration::from_millis(2));
}

/// Arguments: `--bench`, and the numbers of flags instead of [`SIZES`].
fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut sizes: Vec<usize> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = SIZES.to_vec();
    }
    let mut round_count = ROUNDS;
    // `cargo test --benches` leaves `--bench` out: one round shows that this runs.
    if !arguments.iter().any(|argument| argument == "--bench") {
        sizes.truncate(1);
        round_count = 1;
    }
    let mut promises = Promises::default();
    let all = sizes.iter().map(|size| Ok((*size, Flags::new(*size)?))).collect::<Result<Vec<_>>>()?;

    println!(
        "| flags | check | ns | × limit | ns, 2 threads | × limit | scaling | × limit's |\n|---|---|---|---|---|---|---|---|"
    );
    for (size, flags) in &all {
        let figures = rounds(flags, round_count);
        print_checks(*size, "", &figures);
        promises.checks(*size, "", &figures);

        let stop = AtomicBool::new(false);
        let figures = thread::scope(|scope| {
            let writer = scope.spawn(|| flags.keep_flipping(&stop));
            let figures = rounds(flags, round_count);
            stop.store(true, Ordering::Relaxed);
            writer.join().map_err(|_| "the writer panicked")??;
            Ok::<_, Box<dyn Error + Send + Sync>>(figures)
        })?;
        print_checks(*size, ", writer", &figures);
        promises.checks(*size, ", writer", &figures);
    }
    writes(&all, round_count, &mut promises)?;
    for (size, _) in &all {
        growth(size * 5 / 4, &mut promises);
    }

    println!();
    for (what, kept) in &promises.0 {
        println!("{} {what}", if *kept { "kept  " } else { "BROKEN" });
    }
    Ok(())
}
