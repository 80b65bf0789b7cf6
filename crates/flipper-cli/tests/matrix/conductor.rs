//! `scripts/soak`: each store in a process of its own, some at once; the progress, and the table.

use std::collections::{HashSet, VecDeque};
use std::env;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use flipper_testkit::SmallDisk;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::invariants::Invariant;
use crate::resources::FEWEST;
use crate::soak::{self, DISK, FAKE_CLOCK, Tally};

const PROGRESS_EVERY: Duration = Duration::from_secs(30);
/// After its time a scene has this long to end.
const LONGEST_END: Duration = Duration::from_secs(400);
/// Without a panic, also after an interrupt.
const EARLY: &str = "did not end by itself ";
const DISK_KIBIBYTES: u32 = 128 << 10;

pub(crate) struct Plan {
    pub(crate) minutes: u64,
    pub(crate) seed: u64,
    /// How many at once.
    pub(crate) jobs: usize,
    pub(crate) filter: String,
}

#[derive(Debug, Default)]
struct Row {
    name: String,
    began: Option<Instant>,
    took: Duration,
    tally: Tally,
    /// Median and 99 of 100, in microseconds.
    flips: Option<(u64, u64)>,
    resources: String,
    /// Processes with too few samples for their growth.
    unjudged: usize,
    errors: Vec<String>,
    /// Faults without what they need.
    left_out: Vec<&'static str>,
    has_ended: bool,
    group: Option<Pid>,
}

impl Row {
    fn leave_out(&mut self, what: &'static str) {
        self.left_out.push(what);
        if env::var_os("CI").is_some() {
            self.errors.push(format!("a fault is left out: {what}"));
        }
    }
}

pub(crate) fn run(plan: &Plan) -> ExitCode {
    let names = soak::scenes().into_iter().map(soak::name).filter(|name| name.contains(&plan.filter));
    let rows: Vec<_> = names.map(|name| Mutex::new(Row { name, ..Row::default() })).collect();
    if rows.is_empty() {
        let names: Vec<_> = soak::scenes().into_iter().map(soak::name).collect();
        println!("no store has {:?} in its name; there are {}", plan.filter, names.join(", "));
        return ExitCode::from(2);
    }
    let jobs = plan.jobs.clamp(1, rows.len());
    let rounds = rows.len().div_ceil(jobs) as u64;
    let each = Duration::from_secs(plan.minutes * 60 / rounds);
    println!(
        "soak: seed {}, {} minutes, {} stores of {} s each, {jobs} at once; clocks {}",
        plan.seed,
        plan.minutes,
        rows.len(),
        each.as_secs(),
        if library().is_some() { "are set" } else { "are not set: libfaketime is not installed" },
    );
    let waiting: Mutex<VecDeque<usize>> = Mutex::new((0..rows.len()).collect());
    let began = Instant::now();
    let interrupted = thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let Some(next) = waiting.lock().unwrap().pop_front() else { return };
                        follow(&rows[next], plan.seed, each);
                    }
                })
            })
            .collect();
        let interrupted = wait(&rows, began, || threads.iter().all(thread::ScopedJoinHandle::is_finished));
        if interrupted {
            waiting.lock().unwrap().clear();
            rows.iter().filter_map(|row| row.lock().unwrap().group).for_each(end);
        }
        interrupted
    });
    let mut rows: Vec<_> = rows.into_iter().map(|row| row.into_inner().unwrap()).collect();
    if interrupted {
        rows.iter_mut().for_each(|row| row.errors.retain(|what| what != EARLY));
    }
    table(&rows, plan, began.elapsed(), interrupted)
}

/// Prints the progress until all is done; returns whether it was interrupted.
fn wait(rows: &[Mutex<Row>], began: Instant, is_done: impl Fn() -> bool) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let interrupt = tokio::signal::ctrl_c();
        tokio::pin!(interrupt);
        let mut shown = Instant::now();
        while !is_done() {
            tokio::select! {
                _ = &mut interrupt => return true,
                () = tokio::time::sleep(Duration::from_millis(200)) => {}
            }
            if shown.elapsed() > PROGRESS_EVERY {
                shown = Instant::now();
                progress(rows, began.elapsed());
            }
        }
        false
    })
}

fn progress(rows: &[Mutex<Row>], elapsed: Duration) {
    let (mut all, mut errors, mut now) = (Tally::default(), 0, Vec::new());
    for row in rows.iter().map(|row| row.lock().unwrap()) {
        all.faults += row.tally.faults;
        all.writes += row.tally.writes;
        all.checks += row.tally.checks;
        errors += row.errors.len();
        if row.began.is_some() && !row.has_ended {
            now.push(row.name.clone());
        }
    }
    let Tally { faults, writes, checks, .. } = all;
    let (minutes, seconds) = (elapsed.as_secs() / 60, elapsed.as_secs() % 60);
    println!(
        "{minutes:>3}:{seconds:02}  {faults} faults, {writes} writes, {checks} checks, {errors} errors; {}",
        now.join(", ")
    );
}

/// Runs the process of one store to its end.
fn follow(row: &Mutex<Row>, seed: u64, lasts: Duration) {
    let name = row.lock().unwrap().name.clone();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--scene", &name, "--seconds", &lasts.as_secs().to_string(), "--seed", &seed.to_string()]);
    command.env("TMPDIR", folder.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    match library() {
        Some(library) => _ = command.env(FAKE_CLOCK, library),
        None if name.ends_with("-cluster") => {}
        None => row.lock().unwrap().leave_out("clock: libfaketime is not installed"),
    }
    let disk = matches!(&*name, "sqlite" | "redis").then(|| SmallDisk::mount(DISK_KIBIBYTES));
    match &disk {
        Some(Ok(disk)) => _ = command.env(DISK, disk.path()).env("TMPDIR", disk.path()),
        Some(Err(why)) => {
            println!("{name}: no full disk: {why}");
            row.lock().unwrap().leave_out("full: no small disk");
        }
        None => {}
    }
    // With its servers, so that an interrupt ends this process last.
    let mut process = command.process_group(0).spawn().unwrap();
    let group = Pid::from_child(&process);
    {
        let mut row = row.lock().unwrap();
        (row.began, row.group) = (Some(Instant::now()), Some(group));
    }
    let errors = BufReader::new(process.stderr.take().unwrap());
    let last_words = thread::spawn(move || last_panic(errors.lines().map_while(Result::ok)));
    let (sender, lines) = std::sync::mpsc::channel();
    let output = BufReader::new(process.stdout.take().unwrap());
    thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let deadline = Instant::now() + lasts + LONGEST_END;
    let mut known = HashSet::new();
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => note(&mut row.lock().unwrap(), &mut known, &line),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                row.lock().unwrap().errors.push(format!("did not end {LONGEST_END:?} after its time"));
                break;
            }
            Err(_) => break,
        }
    }
    let had_ended = row.lock().unwrap().has_ended;
    end(group);
    let _ = process.wait();
    let mut row = row.lock().unwrap();
    if !had_ended {
        let panic = last_words.join().unwrap_or_default();
        if !panic.is_empty() {
            println!("{}: ERROR {panic}", row.name);
        }
        row.errors.push(format!("{EARLY}{panic}"));
    }
    (row.has_ended, row.group) = (true, None);
    row.took = row.began.map_or(Duration::ZERO, |began| began.elapsed());
}

/// Where, and the first line of why.
fn last_panic(lines: impl Iterator<Item = String>) -> String {
    let (mut panic, mut has_begun) = (String::new(), false);
    for line in lines {
        if has_begun {
            panic += &line;
        }
        has_begun = line.contains("panicked at");
        if has_begun {
            panic = line + " ";
        }
    }
    panic
}

fn end(group: Pid) {
    // Fails once all have ended.
    let _ = kill_process_group(group, Signal::TERM);
}

fn note(row: &mut Row, known: &mut HashSet<String>, line: &str) {
    let Some((kind, text)) = line.strip_prefix('=').and_then(|line| line.split_once('\t')) else {
        if !line.is_empty() {
            println!("{}: {line}", row.name);
        }
        return;
    };
    match kind {
        "tally" => row.tally = text.parse().unwrap_or(row.tally),
        "took" => {
            row.flips = text.split_once(' ').and_then(|(half, most)| Some((half.parse().ok()?, most.parse().ok()?)));
        }
        "resources" => text.clone_into(&mut row.resources),
        "unjudged" => row.unjudged = text.parse().unwrap_or_default(),
        "end" => row.has_ended = true,
        "error" => {
            // Its first part is where it was found, the second may be a layer.
            let rest = |text: &str| text.split_once(": ").map_or(String::new(), |(_, rest)| rest.to_owned());
            let (found, bare) = (rest(text), rest(&rest(text)));
            // At the end each layer repeats what is wrong with the whole scene.
            let key = if text.starts_with("end: ") { bare.clone() } else { found };
            if known.contains(&bare) || !known.insert(key) {
                return;
            }
            let at = row.began.map_or(Duration::ZERO, |began| began.elapsed()).as_secs();
            let error = format!("{text} [{}; fault {}, {at} s]", Invariant::of(text).name(), row.tally.faults + 1);
            println!("{}: ERROR {error}", row.name);
            row.errors.push(error);
        }
        _ => {}
    }
}

fn table(rows: &[Row], plan: &Plan, took: Duration, interrupted: bool) -> ExitCode {
    println!(
        "\n| store | minutes | faults | writes | checks | lost by the store | flips: median, p99 | this process, quarter → end | left out | errors |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for row in rows.iter().filter(|row| row.began.is_some()) {
        let Tally { faults, writes, checks, lost } = row.tally;
        let millis = |micros: u64| micros as f64 / 1000.0;
        let flips =
            row.flips.map_or(String::new(), |(half, most)| format!("{:.1}, {:.0} ms", millis(half), millis(most)));
        let minutes = row.took.as_secs_f64() / 60.0;
        let (name, resources, errors) = (&row.name, &row.resources, row.errors.len());
        let left_out = row.left_out.join("; ");
        println!(
            "| {name} | {minutes:.1} | {faults} | {writes} | {checks} | {lost} | {flips} | {resources} | {left_out} | {errors} |"
        );
    }
    let errors: Vec<_> = rows.iter().flat_map(|row| row.errors.iter().map(move |what| (&row.name, what))).collect();
    println!();
    let unjudged: usize = rows.iter().map(|row| row.unjudged).sum();
    for invariant in Invariant::ALL {
        let broken = errors.iter().filter(|(_, what)| Invariant::of(what) == *invariant).count();
        let verdict = match few(rows) {
            _ if broken > 0 => format!("BROKEN {broken} times"),
            Some(few) if invariant.is_growth() => format!("not measured: {few}, {FEWEST} are needed"),
            None if invariant.is_growth() && unjudged > 0 => {
                format!("held; not measured: {unjudged} processes, which had fewer than {FEWEST} samples")
            }
            _ => "held".to_owned(),
        };
        println!("{:<55} {verdict}", invariant.name());
    }
    errors.iter().for_each(|(name, what)| println!("{name}: {what}"));
    let state = if interrupted { "interrupted" } else { "done" };
    println!("\n{state} after {:.1} minutes, {} errors; seed {}", took.as_secs_f64() / 60.0, errors.len(), plan.seed);
    if !errors.is_empty() {
        let filter = if plan.filter.is_empty() { String::new() } else { format!(" --filter {}", plan.filter) };
        println!("repeat: scripts/soak {} --seed {} --jobs {}{filter}", plan.minutes, plan.seed, plan.jobs);
    }
    if errors.is_empty() && !interrupted { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The stores with too few samples for their growth, which are one for each fault.
fn few(rows: &[Row]) -> Option<String> {
    let few = rows.iter().filter(|row| row.began.is_some() && row.tally.faults < FEWEST as u64);
    let few: Vec<_> = few.map(|row| format!("{} faults of {}", row.tally.faults, row.name)).collect();
    (!few.is_empty()).then(|| few.join(", "))
}

/// Where Debian installs it.
fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten();
    folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.exists())
}
