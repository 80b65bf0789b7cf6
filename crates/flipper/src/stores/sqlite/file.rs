//! The file on the disk: opening it, and noticing that it is another one.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::errors::{from_io, from_sqlite, unavailable};
use super::schema::{self, All};
use crate::error::{Error, ErrorKind, Result};

/// Which file a name stands for. The connections hold the file, so that its number is not given to another one.
#[cfg(unix)]
type Id = (u64, u64);
/// Elsewhere an open database file cannot be deleted or renamed.
#[cfg(not(unix))]
type Id = ();

#[cfg(unix)]
fn id(metadata: &Metadata) -> Id {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn id(_: &Metadata) -> Id {}

/// The files that connections were opened on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    main: Id,
    wal: Option<Id>,
    /// For a file read without locks, since it and its folder are read-only: SQLite does not promise to see changes then.
    state: Option<(u64, Option<SystemTime>)>,
}

/// The connections of one store to one file.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) reader: Connection,
    pub(super) writer: Connection,
    pub(super) identity: Identity,
    pub(super) all: All,
}

/// Where the database is.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) main: PathBuf,
    wal: PathBuf,
    shm: PathBuf,
    busy_timeout: Duration,
}

/// Longer waits of the follower would make it late for others; it comes again anyway.
const READER_PATIENCE: Duration = Duration::from_millis(250);

impl Place {
    /// Creates the file if there is none.
    pub(super) fn new(path: &Path, busy_timeout: Duration) -> Result<Self> {
        let absolute = std::path::absolute(path).map_err(|error| from_io("path", error))?;
        let folder = absolute.parent().unwrap_or(&absolute);
        match fs::metadata(folder) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(unavailable("folder of the database file is not a folder").with_transient(false)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(unavailable("folder of the database file does not exist")
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
        // SQLite names its other files after the one that a link leads to.
        let main = fs::canonicalize(&absolute).map_err(|error| from_io("database file", error))?;
        let beside = |suffix: &str| {
            let mut name = OsString::from(&main);
            name.push(suffix);
            PathBuf::from(name)
        };
        Ok(Self { wal: beside("-wal"), shm: beside("-shm"), main, busy_timeout })
    }

    /// Opens the file, which must exist, and reads all flags.
    pub(super) fn open(&self) -> Result<Opened> {
        // Again, if it was replaced while it was being opened.
        for _ in 0..5 {
            let before = self.main_id()?.ok_or_else(deleted)?;
            let opened = match self.open_with(Mode::Shared) {
                Err(error) if self.may_be_read_without_locks(&error) => self.open_with(Mode::WithoutLocks)?,
                opened => opened?,
            };
            if opened.identity.main == before && self.look(&opened.identity).is_ok() {
                return Ok(opened);
            }
        }
        Err(unavailable("database file is being replaced again and again"))
    }

    fn open_with(&self, mode: Mode) -> Result<Opened> {
        let state = match mode {
            Mode::Shared => None,
            Mode::WithoutLocks => Some(state(&self.metadata(&self.main)?.ok_or_else(deleted)?)),
        };
        let mut writer = self.connect(mode, self.busy_timeout)?;
        schema::prepare(&mut writer, self.busy_timeout)?;
        let reader = self.connect(mode, READER_PATIENCE.min(self.busy_timeout))?;
        let all = schema::read_all(&reader)?;
        let main = self.main_id()?.ok_or_else(deleted)?;
        let wal = self.metadata(&self.wal)?.as_ref().map(id);
        Ok(Opened { reader, writer, identity: Identity { main, wal, state }, all })
    }

    fn connect(&self, mode: Mode, busy_timeout: Duration) -> Result<Connection> {
        let connect = || -> rusqlite::Result<Connection> {
            let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = match mode {
                Mode::Shared => Connection::open_with_flags(&self.main, flags | OpenFlags::SQLITE_OPEN_READ_WRITE)?,
                Mode::WithoutLocks => {
                    let flags = flags | OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
                    Connection::open_with_flags(immutable_uri(&self.main), flags)?
                }
            };
            connection.busy_timeout(busy_timeout)?;
            connection.pragma_update(None, "synchronous", "full")?;
            // What stands in the file's schema is data, and runs no functions with side effects.
            connection.pragma_update(None, "trusted_schema", false)?;
            Ok(connection)
        };
        connect().map_err(from_sqlite)
    }

    /// A file that nobody has open can be read even where the files for sharing it cannot be made.
    fn may_be_read_without_locks(&self, error: &Error) -> bool {
        let refused = matches!(error.kind(), ErrorKind::Unauthorized)
            || (error.kind() == ErrorKind::Unavailable && !error.is_transient());
        refused && matches!(fs::metadata(&self.wal), Err(error) if error.kind() == io::ErrorKind::NotFound)
    }

    /// Whether these are still the files that the names stand for.
    pub(super) fn look(&self, identity: &Identity) -> Result<()> {
        let Some(main) = self.metadata(&self.main)? else { return Err(deleted()) };
        if id(&main) != identity.main {
            return Err(unavailable("database file was replaced"));
        }
        if self.metadata(&self.wal)?.as_ref().map(id) != identity.wal {
            return Err(unavailable("database's -wal file was deleted or replaced"));
        }
        if identity.state.as_ref().is_some_and(|known| *known != state(&main)) {
            return Err(unavailable("database file was changed while it was read without locks"));
        }
        Ok(())
    }

    /// Closes connections to files that may not be there any more, in such a way that what was acknowledged is in the main
    /// file, wherever it is, and that nothing of it gets into another file that now has its name.
    ///
    /// SQLite by itself would delete, by name, the -wal file of that other file; and that file, opened with the old -wal file
    /// beside it, would take over its content (<https://sqlite.org/howtocorrupt.html>, 1.4 and 4.2).
    pub(super) fn abandon(&self, writer: Connection, reader: Option<Connection>, identity: &Identity) {
        let by_name = |path: &Path| fs::metadata(path).ok().as_ref().map(id);
        let wal = by_name(&self.wal);
        let shm = by_name(&self.shm);
        let replaced = by_name(&self.main).is_some_and(|main| main != identity.main);
        let gone = by_name(&self.main).is_none();
        let wal_is_ours = wal.is_some() && wal == identity.wal;
        if let Some(reader) = reader {
            leave(reader);
        }
        let mut emptied = false;
        if (wal_is_ours || wal.is_none()) && !is_read_only(&writer) {
            let busy = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
            emptied = matches!(busy, Ok(0));
            if let Err(error) = busy {
                tracing::warn!(file = %self.main.display(), %error, "the old database file lacks its last changes");
            }
        }
        leave(writer);
        if wal_is_ours && (replaced || gone && emptied) {
            for (path, old) in [(&self.wal, wal), (&self.shm, shm)] {
                if old.is_some() && by_name(path) == old {
                    // Fails where another process was faster.
                    let _ = fs::remove_file(path);
                }
            }
        }
    }

    fn main_id(&self) -> Result<Option<Id>> {
        Ok(self.metadata(&self.main)?.as_ref().map(id))
    }

    fn metadata(&self, path: &Path) -> Result<Option<Metadata>> {
        match fs::metadata(path) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(from_io("database file", error)),
        }
    }
}

#[derive(Clone, Copy)]
enum Mode {
    Shared,
    WithoutLocks,
}

/// Whether the file could only be opened for reading.
pub(super) fn is_read_only(connection: &Connection) -> bool {
    connection.is_readonly("main").unwrap_or(false)
}

fn deleted() -> Error {
    unavailable("database file was deleted")
}

fn state(metadata: &Metadata) -> (u64, Option<SystemTime>) {
    (metadata.len(), metadata.modified().ok())
}

/// Closes without the housekeeping that goes by the file's name.
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
            other => {
                uri.push('%');
                uri.push_str(&format!("{other:02X}"));
            }
        }
    }
    uri + "?immutable=1"
}
