use std::path::Path;

use rusqlite::Connection;

use super::errors::from_sqlite;
use crate::error::Result;
use crate::identity::Identity;
use crate::inspection::Check;

/// Larger files get no integrity check, which takes a second per some 100 MiB.
const SMALL: u64 = 64 * 1024 * 1024;

/// The file that the absolute path leads to is the epoch.
pub(super) fn identity(path: &Path) -> Identity {
    let identity = Identity::new(format!("sqlite:{}", path.display()));
    match epoch(path) {
        Some(epoch) => identity.with_epoch(epoch),
        None => identity,
    }
}

#[cfg(unix)]
fn epoch(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|file| format!("{:x}:{:x}", file.dev(), file.ino()))
}

#[cfg(not(unix))]
fn epoch(_: &Path) -> Option<String> {
    None
}

pub(super) fn inspect(path: &Path, connection: &Connection) -> Result<Vec<Check>> {
    let text = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0)).map_err(from_sqlite);
    let size = std::fs::metadata(path).map_or(0, |file| file.len());
    let flags: i64 = connection.query_row("SELECT count(*) FROM flags", [], |row| row.get(0)).map_err(from_sqlite)?;
    let mut checks = vec![
        Check::fine("reachable", format!("{} ({size} bytes)", path.display())),
        Check::fine("identity", identity(path).to_string()),
        Check::fine("version", format!("SQLite {}", text("SELECT sqlite_version()")?)),
        Check::fine("flags", flags.to_string()),
    ];
    let mode = text("PRAGMA journal_mode")?;
    checks.push(match mode.as_str() {
        "wal" => Check::fine("kind", "journal mode wal"),
        other => Check::problem("kind", format!("journal mode {other}"))
            .hint("another program changed it; it is changed back when the file can be written"),
    });
    checks.push(match network(path) {
        Some(kind) => Check::fault("push", format!("the file is on a network file system ({kind})"))
            .hint("SQLite's WAL mode needs a local disk; `flipper serve` shares a file between machines"),
        None => Check::fine("push", "the file system notifies of changes, and the file is checked 20 times a second"),
    });
    let read_only = connection.is_readonly("main").map_err(from_sqlite)?;
    checks.push(if read_only {
        Check::problem("rights", "may be read and not written").hint("file and folder must be writable")
    } else {
        Check::fine("rights", "may be read and written")
    });
    if size <= SMALL {
        let verdict = text("PRAGMA quick_check(1)")?;
        checks.push(match verdict.as_str() {
            "ok" => Check::fine("integrity", "the file is intact"),
            damage => Check::fault("integrity", damage.to_owned())
                .hint("export what can be read (`flipper export`), and import it into a new file"),
        });
    }
    Ok(checks)
}

#[cfg(target_os = "linux")]
fn network(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    let mounted = |line: &str| -> Option<(usize, String)> {
        let mut fields = line.split(' ').skip(1);
        // Mounts with escaped characters, such as spaces, are skipped.
        let (point, kind) = (fields.next()?, fields.next()?);
        path.starts_with(point).then(|| (point.len(), kind.to_owned()))
    };
    let (_, kind) = mounts.lines().filter_map(mounted).max_by_key(|(length, _)| *length)?;
    let networked = ["nfs", "cifs", "smb", "9p", "fuse.sshfs", "ceph", "glusterfs", "fuse.gluster", "lustre", "afs"];
    networked.iter().any(|known| kind.starts_with(known)).then_some(kind)
}

#[cfg(not(target_os = "linux"))]
fn network(_: &Path) -> Option<String> {
    None
}
