use std::fmt;
use std::str::FromStr;

use super::{Error, Result};

/// What went wrong. Each kind has a stable [code](Self::code); `Display` writes it, and `FromStr` reads it.
///
/// ```
/// use flipper::ErrorKind;
///
/// assert_eq!(ErrorKind::FlagNotFound.code(), "flag_not_found");
/// assert_eq!("flag_not_found".parse::<ErrorKind>()?, ErrorKind::FlagNotFound);
/// # Ok::<(), flipper::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The flag does not exist.
    FlagNotFound,
    /// The flag exists already.
    FlagExists,
    /// A new flag cannot have the name (empty, over 255 bytes, `/` or control characters), or the store cannot store it.
    InvalidName,
    /// A URL, client data, a condition or a bucketer is invalid.
    InvalidInput,
    /// The stored flag is unreadable.
    Corrupt,
    /// Other writers changed the flag until the write timed out.
    Conflict,
    /// A subscriber refused the write.
    Vetoed,
    /// The store is unreachable, too slow, or cannot accept the write now.
    Unavailable,
    /// The store refused the credentials, or they lack the right.
    Unauthorized,
    /// The store, or this build, does not support it.
    Unsupported,
}

impl ErrorKind {
    const ALL: [Self; 10] = [
        Self::FlagNotFound,
        Self::FlagExists,
        Self::InvalidName,
        Self::InvalidInput,
        Self::Corrupt,
        Self::Conflict,
        Self::Vetoed,
        Self::Unavailable,
        Self::Unauthorized,
        Self::Unsupported,
    ];

    /// The variant's name in `snake_case`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::FlagNotFound => "flag_not_found",
            Self::FlagExists => "flag_exists",
            Self::InvalidName => "invalid_name",
            Self::InvalidInput => "invalid_input",
            Self::Corrupt => "corrupt",
            Self::Conflict => "conflict",
            Self::Vetoed => "vetoed",
            Self::Unavailable => "unavailable",
            Self::Unauthorized => "unauthorized",
            Self::Unsupported => "unsupported",
        }
    }

    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::FlagNotFound => "flag not found",
            Self::FlagExists => "flag exists already",
            Self::InvalidName => "invalid flag name",
            Self::InvalidInput => "invalid input",
            Self::Corrupt => "stored flag cannot be read",
            Self::Conflict => "flag was changed concurrently",
            Self::Vetoed => "write was vetoed by a subscriber",
            Self::Unavailable => "store is unavailable",
            Self::Unauthorized => "store refused access",
            Self::Unsupported => "not supported",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl FromStr for ErrorKind {
    type Err = Error;

    /// Reads a [code](Self::code).
    ///
    /// # Errors
    ///
    /// `InvalidInput` for another text, such as a newer version's code.
    fn from_str(code: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|kind| kind.code() == code);
        found.ok_or_else(|| Error::invalid_input(format!("{code:?} is not the code of an error kind")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_names_of_the_variants_and_can_be_read_back() {
        for kind in ErrorKind::ALL {
            assert_eq!(kind.code().replace('_', ""), format!("{kind:?}").to_lowercase());
            assert_eq!(kind.to_string().parse::<ErrorKind>().unwrap(), kind);
        }
        assert_eq!("FlagNotFound".parse::<ErrorKind>().unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
