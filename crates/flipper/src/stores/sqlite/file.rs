//! Opens the database file, and detects that it was replaced.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::errors::{from_io, from_sqlite};
use super::schema;
use crate::error::{Error, ErrorKind, Result};

/// The connections hold the file open, so its number is not reused.
#[cfg(unix)]
type Id = (u64, u64);
/// On other systems an open database file cannot be deleted or renamed.
#[cfg(not(unix))]
type Id = ();

#[cfg(unix)]
fn id(metadata: &Metadata) -> Id {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn id(_: &Metadata) -> Id {}

/// They change with each write.
pub(super) type Content = (u64, Option<SystemTime>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    files: Files,
    main: Id,
    wal: Option<Id>,
    /// For a file read without locks, because it and its folder are read-only: SQLite may miss changes.
    unlocked: Option<Content>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Files {
    main: PathBuf,
    wal: PathBuf,
    shm: PathBuf,
}

impl Files {
    /// SQLite names the other files after the target of a link.
    fn of(path: &Path) -> Result<Self> {
        let main = match fs::canonicalize(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(deleted()),
            found => found.map_err(|error| from_io("database file", error))?,
        };
        let beside = |suffix: &str| {
            let mut name = OsString::from(&main);
            name.push(suffix);
            PathBuf::from(name)
        };
        Ok(Self { wal: beside("-wal"), shm: beside("-shm"), main })
    }
}

impl Identity {
    pub(super) fn log_rests(&self, time: Duration) -> bool {
        let written = fs::metadata(&self.files.wal).and_then(|wal| wal.modified());
        written.is_ok_and(|at| at.elapsed().is_ok_and(|since| since >= time))
    }

    pub(super) fn main(&self) -> &Path {
        &self.files.main
    }

    pub(super) fn is_of_the_files_of(&self, other: &Self) -> bool {
        (self.main, self.wal) == (other.main, other.wal)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Resolved each time: links are redirected and folders swapped.
    pub(super) path: PathBuf,
}

/// Writes within this time may leave the same modification time.
const TICK: Duration = Duration::from_millis(20);

impl Place {
    /// Creates the file if it is missing.
    pub(super) fn new(path: &Path) -> Result<Self> {
        let absolute = std::path::absolute(path).map_err(|error| from_io("path", error))?;
        let folder = absolute.parent().unwrap_or(&absolute);
        match fs::metadata(folder) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => {
                return Err(Error::unavailable("folder of the database file is not a folder").with_transient(false));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::unavailable("folder of the database file does not exist")
                    .with_transient(false)
                    .with_source(error));
            }
            Err(error) => return Err(from_io("folder of the database file", error)),
        }
        let found = fs::metadata(&absolute);
        if found.as_ref().is_ok_and(Metadata::is_dir) {
            return Err(Error::invalid_input("path is a folder, not a database file"));
        }
        if found.is_err() {
            let create = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
            Connection::open_with_flags(&absolute, create | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(from_sqlite)?;
        }
        Ok(Self { path: absolute })
    }

    /// The content is taken before anything that the caller reads.
    pub(super) fn connect(&self, patience: Duration) -> Result<(Connection, Identity, Content)> {
        // The file may be replaced meanwhile.
        for _ in 0..5 {
            let files = Files::of(&self.path)?;
            let before = id(&existing(&files.main)?);
            let opened = match open(&files, Mode::Shared, patience) {
                Err(error) if may_be_read_without_locks(&files, &error) => open(&files, Mode::WithoutLocks, patience)?,
                opened => opened?,
            };
            if opened.1.main == before && self.look(&opened.1).is_ok() {
                return Ok(opened);
            }
            self.abandon(opened.0, &opened.1);
        }
        Err(Error::unavailable("database file is being replaced again and again"))
    }

    /// Returns the content; fails if the path no longer leads to these files.
    pub(super) fn look(&self, identity: &Identity) -> Result<Content> {
        let main = existing(&self.path)?;
        if id(&main) != identity.main {
            return Err(Error::unavailable("database file was replaced"));
        }
        if metadata(&identity.files.wal)?.as_ref().map(id) != identity.wal {
            return Err(Error::unavailable("database's -wal file was deleted or replaced"));
        }
        let content = content_of(&main);
        if identity.unlocked.is_some_and(|known| known != content) {
            return Err(Error::unavailable("database file was changed while it was read without locks"));
        }
        Ok(content)
    }

    pub(super) fn is_missing(&self) -> bool {
        matches!(metadata(&self.path), Ok(None))
    }

    /// Closes a connection to files that may have been deleted or replaced. All acknowledged writes end up in the original database file,
    /// none in another file that now has its name: SQLite itself would delete that file's -wal file by name; and opened beside the old -wal
    /// file, it would take over its content (<https://sqlite.org/howtocorrupt.html>, 1.4 and 4.2).
    pub(super) fn abandon(&self, connection: Connection, identity: &Identity) {
        let by_name = |path: &Path| fs::metadata(path).ok().as_ref().map(id);
        let files = &identity.files;
        let wal = by_name(&files.wal);
        let shm = by_name(&files.shm);
        let replaced = by_name(&files.main).is_some_and(|main| main != identity.main);
        let wal_is_ours = wal.is_some() && wal == identity.wal;
        // One without content has just been made, after ours was removed.
        let has_content = || fs::metadata(&files.wal).is_ok_and(|wal| wal.len() > 0);
        if wal_is_ours || !has_content() {
            empty_wal(&connection, identity);
        }
        leave(connection);
        if wal_is_ours && replaced {
            for (path, old) in [(&files.wal, wal), (&files.shm, shm)] {
                if old.is_some() && by_name(path) == old {
                    // Fails if another process removed it.
                    let _ = fs::remove_file(path);
                }
            }
        }
    }
}

/// Returns whether all of the -wal file is now in the database file.
pub(super) fn checkpoint(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok(row.get::<_, i64>(0)? == 0))
}

pub(super) fn empty_wal(connection: &Connection, identity: &Identity) -> bool {
    !is_read_only(connection) && checkpoint(connection).unwrap_or_else(|error| {
        tracing::warn!(file = %identity.files.main.display(), %error, "the old database file lacks its last changes");
        false
    })
}

fn metadata(path: &Path) -> Result<Option<Metadata>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(from_io("database file", error)),
    }
}

fn existing(path: &Path) -> Result<Metadata> {
    metadata(path)?.ok_or_else(deleted)
}

pub(super) fn is_past((_, written): Content) -> bool {
    written.is_none_or(|at| at.elapsed().is_ok_and(|since| since > TICK))
}

fn content_of(metadata: &Metadata) -> Content {
    (metadata.len(), metadata.modified().ok())
}

fn open(files: &Files, mode: Mode, patience: Duration) -> Result<(Connection, Identity, Content)> {
    let mut content = content_of(&existing(&files.main)?);
    let mut connection = connect(files, mode, patience)?;
    schema::prepare(&mut connection, patience)?;
    if matches!(mode, Mode::Shared) {
        // `prepare` may have created the tables.
        content = content_of(&existing(&files.main)?);
    }
    // SQLite creates the -wal file at the first read.
    schema::data_version(&connection).map_err(from_sqlite)?;
    let (main, wal) = (id(&existing(&files.main)?), metadata(&files.wal)?.as_ref().map(id));
    let unlocked = matches!(mode, Mode::WithoutLocks).then_some(content);
    Ok((connection, Identity { files: files.clone(), main, wal, unlocked }, content))
}

fn connect(files: &Files, mode: Mode, busy_timeout: Duration) -> Result<Connection> {
    let connect = || -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = match mode {
            Mode::Shared => Connection::open_with_flags(&files.main, flags | OpenFlags::SQLITE_OPEN_READ_WRITE)?,
            Mode::WithoutLocks => {
                let flags = flags | OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
                Connection::open_with_flags(immutable_uri(&files.main), flags)?
            }
        };
        connection.busy_timeout(busy_timeout)?;
        connection.pragma_update(None, "synchronous", "full")?;
        // The file's schema is data: it must run no functions with side effects.
        connection.pragma_update(None, "trusted_schema", false)?;
        Ok(connection)
    };
    connect().map_err(from_sqlite)
}

/// Without a -wal file nothing has the database open, and it can be read even without a -shm file.
fn may_be_read_without_locks(files: &Files, error: &Error) -> bool {
    let refused = matches!(error.kind(), ErrorKind::Unauthorized)
        || (error.kind() == ErrorKind::Unavailable && !error.is_transient());
    refused && matches!(fs::metadata(&files.wal), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

#[derive(Clone, Copy)]
enum Mode {
    Shared,
    WithoutLocks,
}

pub(super) fn is_read_only(connection: &Connection) -> bool {
    connection.is_readonly("main").unwrap_or(false)
}

fn deleted() -> Error {
    Error::unavailable("database file was deleted")
}

pub(super) fn leave(connection: Connection) {
    if let Err(error) = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true) {
        tracing::warn!(%error, "SQLite does not know how to leave a file alone");
    }
    drop(connection);
}

fn immutable_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => uri.push(char::from(*byte)),
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri + "?immutable=1"
}
