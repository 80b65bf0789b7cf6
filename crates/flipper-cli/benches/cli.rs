//! The command compared with the stores' own tools, in one run: `scripts/bench cli`. docs/cli.md has the numbers.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a benchmark")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flipper::store::Precondition;
use flipper::{FeatureFlagStore, FlagRecord, RedisFeatureFlagStore, SqliteFeatureFlagStore};
use flipper_testkit::program;
use flipper_testkit::redis::RedisServer;

const FLIPPER: &str = env!("CARGO_BIN_EXE_flipper");
const NAME: &str = "FLAG_000042";

/// `cargo test` omits `--bench`, and only checks that this runs.
fn is_whole() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

fn many() -> usize {
    if is_whole() { 100_000 } else { 1000 }
}

fn runs() -> usize {
    if is_whole() { 200 } else { 1 }
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let records: Vec<_> = (0..many()).map(record).collect();
    let file = folder.path().join("flags.json");
    let lines: Vec<_> = records.iter().map(FlagRecord::to_json).collect();
    fs::write(&file, format!("[\n{}\n]\n", lines.join(",\n"))).unwrap();
    println!("file of {} flags: {:.1} MiB", many(), fs::metadata(&file).unwrap().len() as f64 / 1024.0 / 1024.0);

    let sqlite = |name: &str| folder.path().join(name);
    let url = |path: &Path| format!("sqlite:{}", path.display());
    import(
        "SQLite",
        &url(&sqlite("imported.db")),
        &file,
        bulk(&SqliteFeatureFlagStore::new(sqlite("bulk.db")).unwrap(), &records),
    );
    for (what, path) in [("SQLite, 100,000 flags", sqlite("imported.db")), ("SQLite, 10 flags", sqlite("few.db"))] {
        if !path.exists() {
            bulk(&SqliteFeatureFlagStore::new(&path).unwrap(), &records[38..48]);
        }
        let mut shell = Command::new(program("sqlite3").expect("sqlite3 is not installed; scripts/setup installs it"));
        shell.arg(&path).arg(format!("SELECT record FROM flags WHERE name = '{NAME}'"));
        get(what, "sqlite3", &mut shell, &url(&path));
    }

    let Some(redis) = RedisServer::start() else { return };
    let store = RedisFeatureFlagStore::from_url(&format!("{}?base_key=bulk", redis.url())).unwrap();
    import("Redis", &redis.url(), &file, bulk(&store, &records));
    let mut shell = Command::new(program("redis-cli").expect("redis-cli is not installed; scripts/setup installs it"));
    shell.args(["-p", &redis.port().to_string(), "get", &format!("features/{NAME}")]);
    get("Redis", "redis-cli", &mut shell, &redis.url());
}

fn record(number: usize) -> FlagRecord {
    let mut record = FlagRecord::new(format!("FLAG_{number:06}"), 1_700_000_000);
    record.set_enabled(number.is_multiple_of(2));
    record.set_client_data([("description", "a flag for the benchmark"), ("owner", "shop")].into_iter().collect());
    record
}

/// The time of the store's own `put_all`.
fn bulk(store: &impl FeatureFlagStore, records: &[FlagRecord]) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let started = Instant::now();
    let results = runtime.block_on(store.put_all(records, Precondition::Any.into()));
    assert!(results.iter().all(Result::is_ok));
    started.elapsed()
}

/// Imports into an empty store, replaces everything, and copies to a file.
fn import(what: &str, url: &str, file: &Path, bulk: Duration) {
    let (took, peak) = measure(&["--store", url, "import", &file.to_string_lossy()]);
    let rate = |took: Duration| many() as f64 / took.as_secs_f64();
    println!(
        "import into {what}: {:.0} flags/s, {:.0} % of `put_all`'s {:.0} (limit: at least 50 %); peak {peak:.0} MiB (limit: 200)",
        rate(took),
        rate(took) / rate(bulk) * 100.0,
        rate(bulk)
    );
    let copy = format!("sqlite:{}", file.with_extension(what).display());
    for (command, arguments) in [
        ("import --replace", &["--store", url, "import", "--replace", "--yes", &file.to_string_lossy()][..]),
        ("sync to a new file", &["sync", url, &copy]),
        ("sync of the same", &["sync", url, &copy]),
    ] {
        let (took, peak) = measure(arguments);
        println!("{command}, {what}: {:.0} flags/s; peak {peak:.0} MiB (limit: 200)", rate(took));
    }
}

/// The time of a command, and its peak memory in MiB.
fn measure(arguments: &[&str]) -> (Duration, f64) {
    let started = Instant::now();
    let mut child = Command::new(FLIPPER).args(arguments).stderr(Stdio::null()).spawn().unwrap();
    let mut peak = 0;
    let status = loop {
        peak = peak.max(high_water(child.id()));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    assert!(status.success(), "{arguments:?}");
    (started.elapsed(), peak as f64 / 1024.0)
}

/// The peak memory of a process so far, in KiB.
fn high_water(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(0)
}

fn get(what: &str, other: &str, shell: &mut Command, url: &str) {
    let mut flipper = Command::new(FLIPPER);
    flipper.args(["--store", url, "--json", "get", NAME]);
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..runs() {
        // In turns, so that both run under the same load.
        for (command, times) in [&mut flipper, &mut *shell].into_iter().zip(&mut times) {
            let started = Instant::now();
            let output = command.output().unwrap();
            times.push(started.elapsed());
            assert!(String::from_utf8_lossy(&output.stdout).contains(NAME), "{command:?}");
        }
    }
    let [ours, theirs] = times.map(|mut times| {
        times.sort_unstable();
        times[runs() / 2].as_secs_f64() * 1000.0
    });
    println!(
        "{what}: `flipper get` {ours:.1} ms, `{other}` {theirs:.1} ms, {:.1} times as long (limit: 3)",
        ours / theirs
    );
}
