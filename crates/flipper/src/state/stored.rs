use std::sync::Arc;

use super::Version;
use crate::error::{Error, ErrorKind, Result};
use crate::record::FlagRecord;

/// A flag as a store holds it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The name that it is stored under.
    pub name: String,
    /// Which of the flag's states this is.
    pub version: Version,
    /// The flag, or why it is unreadable.
    pub record: Result<Arc<FlagRecord>, Corrupt>,
}

impl Stored {
    /// Reads a stored value, perhaps as [`Corrupt`].
    #[must_use]
    pub fn from_json(name: impl Into<String>, version: Version, value: &[u8]) -> Self {
        let record = FlagRecord::from_json(value).map(Arc::new).map_err(|error| Corrupt::new(error.to_string()));
        Self { name: name.into(), version, record }
    }

    /// The record, or an error.
    ///
    /// # Errors
    ///
    /// `Corrupt`, with the flag's name.
    pub fn readable(&self) -> Result<&Arc<FlagRecord>> {
        self.record.as_ref().map_err(|corrupt| Error::from(corrupt.clone()).with_flag(&self.name))
    }
}

/// Why a stored value is unreadable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Corrupt {
    reason: Arc<str>,
}

impl Corrupt {
    /// `reason`: what and where; lower case, no full stop.
    #[must_use]
    pub fn new(reason: impl AsRef<str>) -> Self {
        Self { reason: Arc::from(reason.as_ref()) }
    }

    /// What is wrong, and where.
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
