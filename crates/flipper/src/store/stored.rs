//! A flag as stores hold it, readable or not.

use std::sync::Arc;

use super::Version;
use crate::error::{Error, ErrorKind, Result};
use crate::record::FlagRecord;

/// A flag as a store holds it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The name that it is stored under.
    pub name: String,
    /// Which of its states this is.
    pub version: Version,
    /// The flag, or why what is stored cannot be read as one. That is this flag's problem alone.
    pub record: Result<Arc<FlagRecord>, Corrupt>,
}

impl Stored {
    /// Reads a stored value; one that is no flag becomes a [`Corrupt`] record.
    #[must_use]
    pub fn from_json(name: impl Into<String>, version: Version, value: &[u8]) -> Self {
        let record = FlagRecord::from_json(value).map(Arc::new).map_err(|error| Corrupt::new(error.to_string()));
        Self { name: name.into(), version, record }
    }

    /// The record, for a caller who cannot do without.
    ///
    /// # Errors
    ///
    /// `Corrupt`, with the flag's name.
    pub fn readable(&self) -> Result<&Arc<FlagRecord>> {
        self.record.as_ref().map_err(|corrupt| Error::from(corrupt.clone()).with_flag(&self.name))
    }
}

/// Why a stored value cannot be read as a flag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Corrupt {
    reason: Arc<str>,
}

impl Corrupt {
    /// The reason says what was wrong and where; lower case, no full stop.
    #[must_use]
    pub fn new(reason: impl AsRef<str>) -> Self {
        Self { reason: Arc::from(reason.as_ref()) }
    }

    /// What was wrong, and where.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl From<Corrupt> for Error {
    fn from(corrupt: Corrupt) -> Self {
        Self::new(ErrorKind::Corrupt).with_source(corrupt)
    }
}
