mod kind;

use std::error::Error as StdError;
use std::fmt;

pub use kind::ErrorKind;

type Source = Box<dyn StdError + Send + Sync>;

/// A `Result` whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of a flag, a store or an argument.
///
/// [`kind`](Self::kind) is for programs. `Display` has this level only, with the flag and the store if known, [`source`](StdError::source)
/// the cause.
///
/// ```
/// use flipper::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Unavailable).with_store("redis(features)").with_flag("CHECKOUT");
/// assert_eq!(error.to_string(), "store is unavailable: flag \"CHECKOUT\" in redis(features)");
/// assert!(error.is_transient());
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Option<String>,
    store: Option<String>,
    flag: Option<String>,
    transient: bool,
    nothing_written: bool,
    source: Option<Source>,
}

impl Error {
    /// An error of this kind. `Conflict` and `Unavailable` are transient. [Nothing was written](Self::nothing_written) after `Conflict`,
    /// `FlagExists`, `FlagNotFound`, `InvalidInput`, `InvalidName`, `Unsupported` and `Vetoed`. Setters change both.
    #[must_use]
    pub fn new(kind: ErrorKind) -> Self {
        Self(Box::new(Inner {
            kind,
            message: None,
            store: None,
            flag: None,
            transient: matches!(kind, ErrorKind::Conflict | ErrorKind::Unavailable),
            nothing_written: matches!(
                kind,
                ErrorKind::Conflict
                    | ErrorKind::FlagExists
                    | ErrorKind::FlagNotFound
                    | ErrorKind::InvalidInput
                    | ErrorKind::InvalidName
                    | ErrorKind::Unsupported
                    | ErrorKind::Vetoed
            ),
            source: None,
        }))
    }

    /// Replaces the general message; lower case, no full stop.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.0.message = Some(message.into());
        self
    }

    /// Names the store, without secrets.
    #[must_use]
    pub fn with_store(mut self, store: impl fmt::Display) -> Self {
        self.0.store = Some(store.to_string());
        self
    }

    /// Names the flag.
    #[must_use]
    pub fn with_flag(mut self, flag: impl Into<String>) -> Self {
        self.0.flag = Some(flag.into());
        self
    }

    /// Sets the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Sets [`is_transient`](Self::is_transient).
    #[must_use]
    pub fn with_transient(mut self, transient: bool) -> Self {
        self.0.transient = transient;
        self
    }

    /// Sets [`nothing_written`](Self::nothing_written).
    #[must_use]
    pub fn with_nothing_written(mut self, certain: bool) -> Self {
        self.0.nothing_written = certain;
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The store, if one is involved.
    #[must_use]
    pub fn store(&self) -> Option<&str> {
        self.0.store.as_deref()
    }

    /// The flag, if one is involved.
    #[must_use]
    pub fn flag(&self) -> Option<&str> {
        self.0.flag.as_deref()
    }

    /// This error and its causes in one text.
    ///
    /// ```
    /// # use flipper::{Error, ErrorKind};
    /// let error = Error::new(ErrorKind::Unavailable).with_source(std::io::Error::other("connection refused"));
    /// assert_eq!(error.chain(), "store is unavailable: connection refused");
    /// ```
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let next = error.to_string();
            // Drivers repeat the text of their own source.
            if !text.contains(&next) {
                text.push_str(": ");
                text.push_str(&next);
            }
            cause = error.source();
        }
        text
    }

    /// Whether the same call may succeed later by itself.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.0.transient
    }

    /// Whether the call certainly wrote nothing: it was refused, or never sent. Else the outcome is unknown: the write may still be done.
    ///
    /// ```
    /// use flipper::{Error, ErrorKind};
    ///
    /// assert!(Error::new(ErrorKind::Conflict).nothing_written());
    /// assert!(!Error::new(ErrorKind::Unavailable).nothing_written());
    /// assert!(Error::new(ErrorKind::Unavailable).with_nothing_written(true).nothing_written());
    /// ```
    #[must_use]
    pub fn nothing_written(&self) -> bool {
        self.0.nothing_written
    }

    /// A copy for other waiters on the same result. It keeps only the text of the first cause.
    pub(crate) fn copy(&self) -> Self {
        let Inner { kind, ref message, ref store, ref flag, transient, nothing_written, .. } = *self.0;
        let source = self.source().map(|source| source.to_string().into());
        Self(Box::new(Inner {
            kind,
            message: message.clone(),
            store: store.clone(),
            flag: flag.clone(),
            transient,
            nothing_written,
            source,
        }))
    }

    pub(crate) fn invalid_input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput).with_message(message)
    }

    pub(crate) fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt).with_message(message)
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable).with_message(message)
    }

    pub(crate) fn not_found(flag: &str) -> Self {
        Self::new(ErrorKind::FlagNotFound).with_flag(flag)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.message.as_deref().unwrap_or_else(|| self.0.kind.describe()))?;
        match (&self.0.flag, &self.0.store) {
            (Some(flag), Some(store)) => write!(f, ": flag {flag:?} in {store}"),
            (Some(flag), None) => write!(f, ": flag {flag:?}"),
            (None, Some(store)) => write!(f, ": {store}"),
            (None, None) => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("flag", &self.0.flag)
            .field("store", &self.0.store)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
