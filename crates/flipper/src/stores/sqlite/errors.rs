use std::path::Path;
use std::{fmt, io};

use rusqlite::ErrorCode;
use rusqlite::ffi::{
    SQLITE_CANTOPEN_ISDIR, SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_SHORT_READ, SQLITE_READONLY_DBMOVED,
    SQLITE_READONLY_DIRECTORY,
};

use crate::error::{Error, ErrorKind};

pub(super) struct Named<'a>(pub(super) &'a Path);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sqlite({})", self.0.display())
    }
}

pub(super) fn closed() -> Error {
    Error::unavailable("store is closed").with_transient(false)
}

pub(super) fn from_io(what: &str, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => ErrorKind::Unauthorized,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind).with_message(format!("{what} cannot be accessed")).with_source(error)
}

/// The files do not fit together, perhaps because the -wal file was removed while it was opened.
pub(super) fn is_torn(error: &Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<rusqlite::Error>());
    source
        .and_then(rusqlite::Error::sqlite_error)
        .is_some_and(|failure| failure.extended_code == SQLITE_IOERR_SHORT_READ)
}

pub(super) fn from_sqlite(error: rusqlite::Error) -> Error {
    use ErrorKind::{InvalidInput, Unauthorized, Unavailable, Unsupported};

    let (code, extended) = match &error {
        rusqlite::Error::SqliteFailure(failure, _) => (failure.code, failure.extended_code),
        rusqlite::Error::InvalidPath(_) | rusqlite::Error::NulError(_) => {
            return Error::invalid_input("path cannot be used for a database file").with_source(error);
        }
        _ => {
            return Error::unavailable("database does not have this store's layout")
                .with_transient(false)
                .with_source(error);
        }
    };
    let (kind, transient, message) = match (code, extended) {
        (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => {
            (Unavailable, true, "database file is locked by another program")
        }
        (ErrorCode::FileLockingProtocolFailed, _) => {
            (Unavailable, true, "database file could not be locked, too many programs are at it")
        }
        (ErrorCode::DiskFull, _) | (_, SQLITE_IOERR_SHMSIZE) => {
            (Unavailable, true, "no space is left for the database file")
        }
        (_, SQLITE_READONLY_DBMOVED) => (Unavailable, true, "database file was moved or deleted"),
        (_, SQLITE_READONLY_DIRECTORY) => (Unauthorized, false, "folder of the database file is read-only"),
        (ErrorCode::ReadOnly, _) => (Unauthorized, false, "database file is read-only"),
        (ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied, _) => {
            (Unauthorized, false, "database file may not be used")
        }
        (_, SQLITE_CANTOPEN_ISDIR) => (InvalidInput, false, "path is a folder, not a database file"),
        (ErrorCode::CannotOpen, _) => (Unavailable, false, "database file cannot be opened"),
        (ErrorCode::NotADatabase, _) => (InvalidInput, false, "file is not an SQLite database"),
        (ErrorCode::DatabaseCorrupt, _) => (Unavailable, false, "database file is damaged"),
        (ErrorCode::SystemIoFailure, _) => (Unavailable, true, "database file cannot be read or written"),
        (ErrorCode::OutOfMemory, _) => (Unavailable, true, "not enough memory for the database"),
        (ErrorCode::TooBig, _) => (InvalidInput, false, "flag is larger than SQLite takes"),
        (ErrorCode::ConstraintViolation, _) => {
            (Unavailable, false, "database refused the flag, by a constraint that is not this store's")
        }
        (ErrorCode::OperationInterrupted | ErrorCode::OperationAborted | ErrorCode::SchemaChanged, _) => {
            (Unavailable, true, "database interrupted the operation")
        }
        (ErrorCode::NoLargeFileSupport, _) => (Unsupported, false, "file is larger than this system allows"),
        // Mostly SQLITE_ERROR: a table or trigger was removed.
        _ => (Unavailable, false, "database does not have this store's layout"),
    };
    Error::new(kind).with_message(message).with_transient(transient).with_source(error)
}
