//! Causes and ends faults of a backend.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use flipper::SqliteFeatureFlagStore;
use flipper_testkit::consul::Fault;
use flipper_testkit::redis::RedisServer;
use flipper_testkit::{Harm, wait_until};
use rustix::process::Signal;

use crate::backends::{self, ALLOW, Backend, Kind, sqlite3};
use crate::cells::{Situation, Store};
use crate::ledger::Ledger;
use crate::soak::{self, CLOCK};

/// Log entries that a restarted Consul applies again.
const LOG: usize = 1500;
const DENY: &str = "key_prefix \"features\" { policy = \"deny\" }";

pub(crate) struct Harmed {
    /// The process that holds the lock of a file.
    holder: Option<Child>,
    /// Fills the disk.
    filler: Option<PathBuf>,
}

/// Whether direct writes succeed during the fault.
pub(crate) fn takes_writes(backend: &Backend) -> bool {
    matches!(
        (&backend.kind, backend.scene.situation),
        (_, Situation::Slow | Situation::Cut | Situation::Permission | Situation::Damaged | Situation::Clock)
            | (Kind::Redis(_) | Kind::Postgres(_), Situation::Failover)
            | (Kind::Consul(_) | Kind::S3 { .. }, Situation::Refusing)
    )
}

/// Whether no client can read the backend during the fault.
pub(crate) fn is_away(backend: &Backend) -> bool {
    match (&backend.kind, backend.scene.situation) {
        (Kind::Memory(_), _) => false,
        (_, Situation::Slow | Situation::Cut | Situation::Damaged | Situation::Clock | Situation::Full) => false,
        // The shell would create a new file in its place, and delete the log of the one that comes back.
        (Kind::Sqlite(_), situation) => situation == Situation::Refusing,
        _ => true,
    }
}

pub(crate) fn lasts(situation: Situation) -> Duration {
    Duration::from_secs(if situation == Situation::Stopped { 10 } else { 2 })
}

/// Prepares a long log, or an older copy.
pub(crate) fn prepare(backend: &Backend) {
    if backend.scene.situation != Situation::HalfLoaded {
        return;
    }
    match &backend.kind {
        Kind::Redis(redis) | Kind::Served { redis, .. } => {
            redis.command(&["DEBUG", "POPULATE", "200", "other"]);
            redis.command(&["BGREWRITEAOF"]);
            let done = "aof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0";
            wait_until("the file is written", || redis.command(&["INFO", "persistence"]).text().contains(done));
        }
        Kind::Consul(agent) => (0..LOG).for_each(|number| agent.put(&format!("other/{}", number % 10), &[b'x'; 500])),
        Kind::Sqlite(path) => _ = sqlite3(path, &format!(".backup {}", older(backend).display())).unwrap(),
        // It replays its log after the crash.
        Kind::Postgres(server) => {
            server.psql(
                "CREATE TABLE IF NOT EXISTS other (n bigint); INSERT INTO other SELECT generate_series(1, 200000)",
            );
        }
        Kind::Memory(_) | Kind::S3 { .. } => {}
    }
}

fn older(backend: &Backend) -> std::path::PathBuf {
    backend.home.path().join("older.db")
}

pub(crate) fn begin(backend: &mut Backend, ledger: &Ledger) -> Harmed {
    let mut harmed = Harmed { holder: None, filler: None };
    let situation = backend.scene.situation;
    if situation == Situation::Emptied {
        ledger.empty(true);
    }
    match situation {
        Situation::Clock => {
            // S3 refuses requests whose time differs by more than a quarter of an hour.
            set_clock(backend, if backend.scene.store == Store::S3 { "+10m" } else { "+2h" });
            return harmed;
        }
        Situation::Full => {
            harmed.filler = Some(fill_disk());
            return harmed;
        }
        _ => {}
    }
    if let (Some(relay), Situation::Cut | Situation::Slow) = (&backend.relay, situation) {
        relay.harm(match situation {
            Situation::Cut => Harm::Cut(12),
            _ => Harm::Delay(Duration::from_millis(200)),
        });
        return harmed;
    }
    if let (Some(proxy), Situation::Refusing) = (&backend.proxy, situation) {
        proxy.fault(Fault::Answer(503, String::new(), "No cluster leader".to_owned()));
        return harmed;
    }
    if let (Some(proxy), Situation::Refusing | Situation::Permission) = (&backend.s3_proxy, situation) {
        let (status, code) = if situation == Situation::Refusing { (503, "SlowDown") } else { (403, "AccessDenied") };
        proxy.refuse("HTTP/1.1", status, code, usize::MAX);
        return harmed;
    }
    let older = older(backend);
    match (&mut backend.kind, situation) {
        (Kind::Postgres(server), Situation::Stopped) => server.pause(),
        (Kind::Postgres(server), Situation::Permission) => {
            server.psql("REVOKE SELECT, INSERT, UPDATE, DELETE ON feature_flags FROM app");
        }
        (Kind::Postgres(server), _) => server.kill(),
        (Kind::Redis(server), Situation::Stopped) => server.pause(),
        (Kind::Redis(server), Situation::Permission) => _ = server.command(&["ACL", "SETUSER", "app", "-@all"]),
        (Kind::Redis(server), _) => server.kill(),
        (Kind::Consul(agent), Situation::Stopped) => agent.pause(),
        (Kind::Consul(agent), Situation::Permission) => agent.policy("app", DENY),
        (Kind::Consul(agent), _) => agent.kill(),
        (Kind::S3 { server, .. }, Situation::Stopped) => server.pause(),
        (Kind::S3 { server, .. }, _) => server.kill(),
        (Kind::Served { server: Some(server), .. }, Situation::Stopped) => server.signal(Signal::STOP),
        (Kind::Served { redis, .. }, Situation::Refusing) => redis.kill(),
        (Kind::Served { redis, server, .. }, _) => {
            *server = None;
            match situation {
                Situation::HalfLoaded => redis.kill(),
                Situation::Emptied => _ = redis.command(&["FLUSHALL"]),
                _ => {}
            }
        }
        (Kind::Sqlite(path), Situation::Killed | Situation::Stopped) => {
            let mut holder =
                Command::new("sqlite3").arg(&*path).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
            let stdin = holder.stdin.as_mut().unwrap();
            // Half of a change, which no reader may see.
            writeln!(stdin, ".timeout 5000\nBEGIN IMMEDIATE;\nDELETE FROM flags;").unwrap();
            harmed.holder = Some(holder);
        }
        (Kind::Sqlite(path), Situation::HalfLoaded) => {
            let numbers = (0..ledger.len()).map(|flag| (flag, 1)).collect::<Vec<_>>();
            ledger.went_back(numbers);
            let now = path.with_file_name("now.db");
            sqlite3(path, &format!(".backup {}", now.display())).unwrap();
            sqlite3(path, &format!(".restore {}", older.display())).unwrap();
        }
        (Kind::Sqlite(path), Situation::Emptied) => {
            for end in ["", "-wal", "-shm"] {
                let _ = fs::remove_file(format!("{}{end}", path.display()));
            }
        }
        (Kind::Sqlite(path), Situation::Permission) => set_mode(path, 0o000),
        (Kind::Sqlite(path), _) => fs::rename(&*path, path.with_file_name("away.db")).unwrap(),
        (Kind::Memory(_), _) => {}
    }
    harmed
}

pub(crate) fn end(backend: &mut Backend, harmed: Harmed) {
    let situation = backend.scene.situation;
    if situation == Situation::Clock {
        return set_clock(backend, if backend.scene.store == Store::S3 { "-5m" } else { "-1h" });
    }
    if let Some(filler) = harmed.filler {
        fs::remove_file(filler).unwrap();
        if let Kind::Redis(redis) = &backend.kind {
            // It looks once a second.
            wait_until("Redis takes writes", || redis.command(&["SET", "other", "1"]).text() == "OK");
        }
        return;
    }
    if let (Some(relay), Situation::Cut | Situation::Slow) = (&backend.relay, situation) {
        assert!(situation != Situation::Cut || relay.cuts() > 0, "no connection was cut");
        return relay.harm(Harm::None);
    }
    if let (Some(proxy), Situation::Refusing) = (&backend.proxy, situation) {
        return proxy.fault(Fault::None);
    }
    if let (Some(proxy), Situation::Refusing | Situation::Permission) = (&backend.s3_proxy, situation) {
        return proxy.obey();
    }
    match (&mut backend.kind, situation) {
        (Kind::Postgres(server), Situation::Stopped) => server.resume(),
        (Kind::Postgres(server), Situation::Permission) => {
            server.psql("GRANT SELECT, INSERT, UPDATE, DELETE ON feature_flags TO app");
        }
        (Kind::Postgres(server), Situation::Emptied) => {
            server.restart_empty();
            backends::prepare(server);
        }
        (Kind::Postgres(server), _) => server.restart(),
        (Kind::Redis(server), Situation::Stopped) => server.resume(),
        (Kind::Redis(server), Situation::Permission) => _ = server.command(&["ACL", "SETUSER", "app", "+@all"]),
        (Kind::Redis(server), Situation::Emptied) => server.restart_empty(),
        (Kind::Redis(server), Situation::HalfLoaded) => restart_slowly(server),
        (Kind::Redis(server), _) => server.restart(),
        (Kind::Consul(agent), Situation::Stopped) => agent.resume(),
        (Kind::Consul(agent), Situation::Permission) => agent.policy("app", ALLOW),
        (Kind::Consul(agent), Situation::Emptied) => agent.restart_empty(),
        (Kind::Consul(agent), Situation::HalfLoaded) => (0..3).for_each(|_| agent.restart()),
        (Kind::Consul(agent), _) => agent.restart(),
        (Kind::S3 { server, .. }, Situation::Stopped) => server.resume(),
        (Kind::S3 { server, bucket }, Situation::Emptied) => server.restart_empty(bucket),
        (Kind::S3 { server, bucket }, _) => server.restart(bucket),
        (Kind::Served { server: Some(server), .. }, Situation::Stopped) => server.signal(Signal::CONT),
        (Kind::Served { redis, .. }, Situation::Refusing) => redis.restart(),
        (Kind::Served { redis, .. }, Situation::HalfLoaded) => {
            redis.restart_with("key-load-delay 10000\nloading-process-events-interval-bytes 1024");
            backend.serve();
            if let Kind::Served { redis, .. } = &backend.kind {
                redis.wait();
            }
        }
        (Kind::Served { .. }, _) => backend.serve(),
        (Kind::Sqlite(path), Situation::HalfLoaded) => {
            let now = path.with_file_name("now.db");
            sqlite3(path, &format!(".restore {}", now.display())).unwrap();
        }
        (Kind::Sqlite(path), Situation::Emptied) => _ = SqliteFeatureFlagStore::new(&*path).unwrap(),
        (Kind::Sqlite(path), Situation::Permission) => set_mode(path, 0o600),
        (Kind::Sqlite(path), Situation::Refusing) => fs::rename(path.with_file_name("away.db"), &*path).unwrap(),
        _ => {}
    }
    if let Some(mut holder) = harmed.holder {
        holder.kill().unwrap();
        holder.wait().unwrap();
    }
}

/// For the served processes, which look once a second.
fn set_clock(backend: &Backend, offset: &str) {
    fs::write(backend.home.path().join(CLOCK), offset).unwrap();
}

fn fill_disk() -> PathBuf {
    let path = soak::disk().unwrap().join("filler");
    let mut file = fs::File::create(&path).unwrap();
    let full = std::io::repeat(b'x').take(u64::MAX);
    // Fails when it is full.
    let _ = std::io::copy(&mut { full }, &mut file);
    path
}

/// The server refuses calls with LOADING for some seconds.
fn restart_slowly(server: &mut RedisServer) {
    server.restart_with("key-load-delay 10000\nloading-process-events-interval-bytes 1024");
    server.wait();
}

#[cfg(unix)]
fn set_mode(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
