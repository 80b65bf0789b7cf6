//! Times checks against what they are made of (`cases.rs`, `limits.rs`), and against the Python library:
//! `cargo bench --bench evaluation`.
//!
//! All cases take turns in short batches, so that other load hits all alike. A figure is the median of the rounds, a ratio
//! the median of the rounds' ratios. `docs/benchmarks-evaluation.md` has the results.
#![expect(clippy::print_stdout, reason = "a report is what this program is for")]

mod cases;
mod limits;

use std::cell::Cell;
use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Far shorter than a time slice of the scheduler, so that it interrupts few batches.
const BATCH: Duration = Duration::from_micros(50);
const RUST: Duration = Duration::from_secs(28);
const PYTHON: Duration = Duration::from_secs(10);

struct Case {
    name: &'static str,
    /// Returns the time of that many checks.
    run: Box<dyn Fn(usize) -> Duration>,
    /// The fewest checks of a batch.
    least: usize,
    beside: Option<Beside>,
    /// The same check in `evaluation.py`.
    python: Option<&'static str>,
}

struct Beside {
    cases: Vec<&'static str>,
    limit: Limit,
}

#[derive(Clone, Copy)]
enum Limit {
    None,
    Times(f64),
    /// Nanoseconds.
    Plus(f64),
}

impl Case {
    fn new<T>(name: &'static str, check: impl Fn() -> T + 'static) -> Self {
        let run = move |checks| {
            let begin = Instant::now();
            for _ in 0..checks {
                black_box(check());
            }
            begin.elapsed()
        };
        Self { name, run: Box::new(run), least: 16, beside: None, python: None }
    }

    /// The items in turn, all of them in each batch.
    fn turns<C: 'static, T>(name: &'static str, items: Arc<Vec<C>>, check: impl Fn(&C) -> T + 'static) -> Self {
        let (least, next) = (items.len(), Cell::new(0));
        let run = move |checks| {
            let mut at = next.get();
            let begin = Instant::now();
            for _ in 0..checks {
                black_box(check(black_box(&items[at])));
                at = if at + 1 == items.len() { 0 } else { at + 1 };
            }
            next.set(at);
            begin.elapsed()
        };
        Self { name, run: Box::new(run), least, beside: None, python: None }
    }

    fn beside<const N: usize>(mut self, cases: [&'static str; N], limit: Limit) -> Self {
        self.beside = Some(Beside { cases: cases.into(), limit });
        self
    }

    fn python(mut self, key: &'static str) -> Self {
        self.python = Some(key);
        self
    }
}

fn calibrate(case: &Case) -> usize {
    let mut checks = case.least;
    while (0..5).map(|_| (case.run)(checks)).min().is_some_and(|best| best < BATCH) {
        checks *= 2;
    }
    checks
}

/// Nanoseconds of a check, by case and round.
fn rounds(cases: &[Case], time: Duration) -> HashMap<&'static str, Vec<f64>> {
    let checks: Vec<usize> = cases.iter().map(calibrate).collect();
    let mut figures: HashMap<_, Vec<f64>> = HashMap::new();
    let begin = Instant::now();
    loop {
        for (case, checks) in cases.iter().zip(&checks) {
            let ns = (case.run)(*checks).as_secs_f64() * 1e9 / *checks as f64;
            figures.entry(case.name).or_default().push(ns);
        }
        if begin.elapsed() > time {
            return figures;
        }
    }
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn compared(name: &str, Beside { cases, limit }: &Beside, figures: &HashMap<&'static str, Vec<f64>>) -> String {
    let own = &figures[name];
    let measure = |round: usize| cases.iter().map(|name| figures[name][round]).sum::<f64>();
    let ratio = median(own.iter().enumerate().map(|(round, ns)| ns / measure(round)));
    let more = median(own.iter().enumerate().map(|(round, ns)| ns - measure(round)));
    let (limit, met) = match limit {
        Limit::None => (String::new(), None),
        Limit::Times(most) => (format!("{most} ×"), Some(ratio <= *most)),
        Limit::Plus(most) => (format!("+ {most} ns"), Some(more <= *most)),
    };
    let verdict = met.map_or("", |met| if met { "met" } else { "MISSED" });
    format!("{} | {ratio:.2} × | {more:+.1} | {limit} | {verdict}", cases.join(" + "))
}

struct Python {
    about: String,
    /// Nanoseconds by key.
    figures: HashMap<String, f64>,
}

impl Python {
    fn measure() -> Result<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let own = here.join("../../.cache/python/bin/python");
        let python = env::var_os("FLIPPER_PYTHON").map(PathBuf::from).or_else(|| own.exists().then_some(own));
        let python = python.ok_or("neither FLIPPER_PYTHON nor .cache/python has one with flipper-client")?;
        let mut command = Command::new(&python);
        command.arg(here.join("benches/evaluation/evaluation.py")).arg(PYTHON.as_secs().to_string());
        let output = command.output().map_err(|error| format!("{}: {error}", python.display()))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        let text = String::from_utf8(output.stdout)?;
        let mut lines = text.lines();
        let about = lines.next().ok_or("it printed nothing")?.to_owned();
        let figures = lines.filter_map(|line| {
            let (key, ns) = line.split_once('\t')?;
            Some((key.to_owned(), ns.parse().ok()?))
        });
        Ok(Self { about, figures: figures.collect() })
    }
}

fn main() -> Result<()> {
    // `cargo test --benches` leaves `--bench` out: one round shows that this runs.
    let whole = env::args().any(|argument| argument == "--bench");
    let python = if whole { Python::measure() } else { Err("this is but a test run".into()) };
    let cases: Vec<_> = cases::cases()?.into_iter().chain(limits::cases()?).collect();
    let figures = rounds(&cases, if whole { RUST } else { Duration::ZERO });
    match &python {
        Ok(python) => println!("Python: {}", python.about),
        Err(reason) => println!("PYTHON WAS LEFT OUT: {reason}"),
    }
    println!("Rounds: {}\n", figures[cases[0].name].len());
    println!(
        "| check | ns | beside | ratio | ns more | limit | | Python, ns | × Rust |\n|---|---|---|---|---|---|---|---|---|"
    );
    for case in &cases {
        let ns = median(figures[case.name].iter().copied());
        let python = python.as_ref().ok().and_then(|python| python.figures.get(case.python?));
        let python = python.map_or("|".into(), |python| format!("{python:.0} | {:.0}", python / ns));
        let beside = case.beside.as_ref().map_or("| | | |".into(), |beside| compared(case.name, beside, &figures));
        println!("| {} | {ns:.1} | {beside} | {python} |", case.name);
    }
    Ok(())
}
