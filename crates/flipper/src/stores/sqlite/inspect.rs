//! What an operator wants to know about the file.

use std::path::Path;

use rusqlite::Connection;

use super::errors::from_sqlite;
use crate::error::Result;
use crate::identity::Identity;
use crate::inspection::{Check, Finding};

/// Larger files are not checked through: it takes a second for some 100 MiB.
const SMALL: u64 = 64 * 1024 * 1024;

/// The file by its whole name; which file that leads to is the epoch.
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

/// Of an open connection to the file. Writes nothing.
pub(super) fn inspect(path: &Path, connection: &Connection) -> Result<Vec<Check>> {
    let text = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0)).map_err(from_sqlite);
    let size = std::fs::metadata(path).map_or(0, |file| file.len());
    let flags: i64 = connection.query_row("SELECT count(*) FROM flags", [], |row| row.get(0)).map_err(from_sqlite)?;
    let mut checks = vec![
        Check::new("reachable", Finding::Fine, format!("{} ({size} bytes)", path.display())),
        Check::new("identity", Finding::Fine, identity(path).to_string()),
        Check::new("version", Finding::Fine, format!("SQLite {}", text("SELECT sqlite_version()")?)),
        Check::new("flags", Finding::Fine, flags.to_string()),
    ];
    let mode = text("PRAGMA journal_mode")?;
    checks.push(match mode.as_str() {
        "wal" => Check::new("kind", Finding::Fine, "journal mode wal"),
        other => Check::new("kind", Finding::Problem, format!("journal mode {other}"))
            .hint("somebody has changed it; it is changed back when the file can be written"),
    });
    checks.push(match network(path) {
        Some(kind) => Check::new("push", Finding::Fault, format!("the file is on a network file system ({kind})"))
            .hint("SQLite's WAL mode needs a local disk; `flipper serve` shares a file between machines"),
        None => Check::new(
            "push",
            Finding::Fine,
            "the file system notifies of changes, and the file is checked 20 times a second",
        ),
    });
    let read_only = connection.is_readonly("main").map_err(from_sqlite)?;
    checks.push(if read_only {
        Check::new("rights", Finding::Problem, "may be read and not written").hint("file and folder must be writable")
    } else {
        Check::new("rights", Finding::Fine, "may be read and written")
    });
    if size <= SMALL {
        let verdict = text("PRAGMA quick_check(1)")?;
        checks.push(match verdict.as_str() {
            "ok" => Check::new("integrity", Finding::Fine, "the file is intact"),
            damage => Check::new("integrity", Finding::Fault, damage.to_owned())
                .hint("export what can be read (`flipper export`), and import it into a new file"),
        });
    }
    Ok(checks)
}

/// The kind of network file system that the file is on, if it is on one.
#[cfg(target_os = "linux")]
fn network(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    let mounted = |line: &str| -> Option<(usize, String)> {
        let mut fields = line.split(' ').skip(1);
        // Spaces and the like are written as octal escapes; such a mount is passed over.
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
