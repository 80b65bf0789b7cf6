use tokio_postgres::error::{Severity, SqlState};

use crate::error::{Error, ErrorKind};

/// Why a query has no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// Before anything was sent.
    Connecting(tokio_postgres::Error),
    ConnectingLate,
    /// The server had ended the connection, for this reason.
    NotSent(tokio_postgres::Error),
    Asking(tokio_postgres::Error),
    AskingLate,
    /// Ours, with all that is to say.
    Known(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Known(error)
    }
}

impl Failure {
    pub(super) fn lost(why: &str) -> Self {
        Self::Known(Error::unavailable(why))
    }

    pub(super) fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Connecting(error) | Self::Asking(error) => error.code(),
            _ => None,
        }
    }

    /// An answer of the server, or of a pool in front.
    pub(super) fn is_servers(&self) -> bool {
        matches!(self, Self::Asking(error) if error.as_db_error().is_some())
    }

    /// The table's columns have changed since the statement was prepared, or something in between has dropped it.
    pub(super) fn is_outdated_plan(&self) -> bool {
        matches!(self.code(), Some(code) if *code == SqlState::FEATURE_NOT_SUPPORTED || *code == SqlState::INVALID_SQL_STATEMENT_NAME)
    }

    pub(super) fn is_missing(&self) -> bool {
        self.code() == Some(&SqlState::UNDEFINED_TABLE)
    }

    /// A question that this server never answers to this user.
    pub(super) fn is_refused(&self) -> bool {
        self.is_forbidden() || self.code() == Some(&SqlState::UNDEFINED_FUNCTION)
    }

    /// Or this user may not call it. The statement did nothing.
    pub(super) fn has_no_function(&self) -> bool {
        self.is_refused() || self.code() == Some(&SqlState::INVALID_SCHEMA_NAME)
    }

    pub(super) fn is_forbidden(&self) -> bool {
        self.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE)
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION)
    }

    /// The transaction was undone to let another one go on.
    pub(super) fn gave_way(&self) -> bool {
        matches!(self.code(), Some(code) if *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED)
    }

    /// The server closed the connection before it read the query.
    pub(super) fn was_idle(&self) -> bool {
        matches!(self, Self::NotSent(_)) || self.code().is_some_and(|code| code.code() == "57P05")
    }

    /// Of no further use; after a failover the next one leads to the primary.
    pub(super) fn ends_connection(&self) -> bool {
        let Self::Asking(error) = self else { return true };
        match error.as_db_error() {
            Some(found) => found.parsed_severity() != Some(Severity::Error) || self.is_read_only(),
            None => true,
        }
    }

    /// Whether nothing was written: an error, unlike the end of a connection, undoes the transaction.
    fn is_certain(&self) -> bool {
        match self {
            Self::Connecting(_) | Self::ConnectingLate | Self::NotSent(_) => true,
            Self::Known(error) => error.nothing_written(),
            Self::AskingLate => false,
            Self::Asking(error) => {
                let undone = error.as_db_error().is_some_and(|found| found.parsed_severity() == Some(Severity::Error));
                // A cancelled commit may have happened: read again.
                self.was_idle() || undone && !self.code().is_some_and(|code| code.code().starts_with("57"))
            }
        }
    }

    /// The driver's error has no password.
    pub(super) fn into_error(self) -> Error {
        let certain = self.is_certain();
        let error = match self {
            Self::Known(error) => return error,
            Self::ConnectingLate => Error::unavailable("the server did not accept a connection in time"),
            Self::AskingLate => Error::unavailable("the server did not answer in time"),
            Self::Connecting(error) | Self::NotSent(error) | Self::Asking(error) => from_driver(&error),
        };
        error.with_nothing_written(certain)
    }
}

fn from_driver(error: &tokio_postgres::Error) -> Error {
    let Some(found) = error.as_db_error() else {
        let (text, source) = (error.to_string(), std::error::Error::source(error).map(ToString::to_string));
        let failed = match text.as_str() {
            text if text.starts_with("authentication") => Error::new(ErrorKind::Unauthorized),
            text if text.starts_with("invalid conf") && source.as_deref() == Some("password missing") => {
                Error::new(ErrorKind::Unauthorized)
            }
            text if text.starts_with("invalid conf") => {
                Error::invalid_input("the server cannot be connected to like this")
            }
            text if text.starts_with("error deserializing") => {
                Error::invalid_input("a column of the table has another type than is expected: text and bytea")
            }
            _ => Error::new(ErrorKind::Unavailable),
        };
        return failed.with_source(source.map_or(text.clone(), |source| format!("{text}: {source}")));
    };
    let (kind, message) = match found.routine() {
        // Of the code that a name has which is too long for an index.
        Some("PreCommit_Notify") => (ErrorKind::Unavailable, Some("server's queue of notifications is full")),
        _ => describe(found.code().code()),
    };
    // Without its detail, which may be a row.
    let failed = Error::new(kind).with_source(format!("{} ({})", found.message(), found.code().code()));
    match message {
        Some(message) => failed.with_message(message),
        None => failed,
    }
}

/// By SQLSTATE.
fn describe(code: &str) -> (ErrorKind, Option<&'static str>) {
    use ErrorKind::{InvalidInput, InvalidName, Unauthorized, Unavailable, Unsupported};

    let (kind, message) = match (code, code.get(..2).unwrap_or_default()) {
        ("25006", _) => (Unavailable, "server is a standby, or takes no writes for another reason"),
        ("28P01" | "28000", _) => (Unauthorized, "server refused the user or the password"),
        ("42501", _) => (Unauthorized, "server does not allow this user that"),
        ("55P03", _) => (Unavailable, "another transaction holds the flag, or the table, for too long"),
        ("57014", _) => (Unavailable, "server ended the query"),
        ("57P03", _) => (Unavailable, "server is starting, or shutting down"),
        ("53300", _) => (Unavailable, "server has as many connections as it takes (`max_connections`)"),
        ("3D000", _) => (InvalidInput, "server has no database of this name"),
        ("3F000", _) => (InvalidInput, "database has no schema of this name"),
        ("42P01", _) => (Unavailable, "table is missing"),
        ("42703", _) => (InvalidInput, "table has no such column"),
        ("42P10", _) => (InvalidInput, "table's column of names is neither its primary key nor unique"),
        ("22001", _) => (InvalidName, "flag's name is longer than the table's column takes"),
        ("22021" | "22P05", _) => (
            InvalidName,
            "flag's name, or its change's actor or reason, has characters that the database's encoding lacks",
        ),
        ("54000", _) => (InvalidName, "flag's name is longer than an index of the table takes"),
        (_, "08" | "53" | "57" | "58" | "40") => return (Unavailable, None),
        (_, "28") => return (Unauthorized, None),
        (_, "23") => (InvalidInput, "a rule of the table refuses the flag"),
        (_, "22" | "54") => return (InvalidInput, None),
        _ => (Unsupported, "server refused the query"),
    };
    (kind, Some(message))
}
