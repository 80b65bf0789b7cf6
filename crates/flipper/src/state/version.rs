//! Which state of a flag: its version, and what a write asks of it.

use std::fmt::{self, Debug};
use std::sync::Arc;

/// Under what condition a write happens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Precondition {
    /// Always.
    Any,
    /// If there is no such flag.
    Absent,
    /// If the flag exists and has this version.
    Unchanged(Version),
}

impl Precondition {
    /// Whether it holds for a flag of this version; `None` where there is no flag.
    ///
    /// ```
    /// use flipper::store::{Precondition, Version};
    ///
    /// let version = Version::ordered(7);
    /// assert!(Precondition::Unchanged(version.clone()).holds(Some(&version)));
    /// assert!(!Precondition::Absent.holds(Some(&version)));
    /// assert!(Precondition::Any.holds(None));
    /// ```
    #[must_use]
    pub fn holds(&self, current: Option<&Version>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => current.is_none(),
            Self::Unchanged(version) => current == Some(version),
        }
    }
}

/// One state of one flag, as its store tells states apart.
#[derive(Clone, PartialEq, Eq)]
pub struct Version(Repr);

#[derive(Clone, PartialEq, Eq)]
enum Repr {
    Ordered(u64),
    /// Up to so many bytes, and their number: a digest has no memory of its own.
    Short(u8, [u8; SHORT]),
    Long(Arc<[u8]>),
}

/// With these a version is no larger than without.
const SHORT: usize = 22;

impl Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Ordered(number) => write!(f, "Ordered({number})"),
            _ => write!(f, "Opaque(b\"{}\")", self.as_opaque().unwrap_or_default().escape_ascii()),
        }
    }
}

impl Version {
    /// For stores that count their writes: the greater is the newer. A number must never be used twice for one name, across
    /// deletion and re-creation too: count for the store, not for the flag.
    #[must_use]
    pub const fn ordered(number: u64) -> Self {
        Self(Repr::Ordered(number))
    }

    /// For stores that can only compare content: equal bytes mean equal content, and nothing says which is newer.
    #[must_use]
    pub fn opaque(bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        let mut short = [0; SHORT];
        match (u8::try_from(bytes.len()), short.get_mut(..bytes.len())) {
            (Ok(length), Some(start)) => {
                start.copy_from_slice(bytes);
                Self(Repr::Short(length, short))
            }
            _ => Self(Repr::Long(Arc::from(bytes))),
        }
    }

    /// The number of an ordered version.
    #[must_use]
    pub const fn as_ordered(&self) -> Option<u64> {
        match self.0 {
            Repr::Ordered(number) => Some(number),
            Repr::Short(..) | Repr::Long(_) => None,
        }
    }

    /// The bytes of an opaque version.
    #[must_use]
    pub fn as_opaque(&self) -> Option<&[u8]> {
        match &self.0 {
            Repr::Ordered(_) => None,
            Repr::Short(length, bytes) => bytes.get(..usize::from(*length)),
            Repr::Long(bytes) => Some(bytes),
        }
    }
}
