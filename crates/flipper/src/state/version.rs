use std::fmt::{self, Debug};
use std::sync::Arc;

/// The condition of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Precondition {
    /// Always.
    Any,
    /// If the flag is missing.
    Absent,
    /// If the flag exists and has this version.
    Unchanged(Version),
}

impl Precondition {
    /// Whether it holds for this version; `None`: the flag is missing.
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

/// One state of a flag, as its store distinguishes states.
#[derive(Clone, PartialEq, Eq)]
pub struct Version(Repr);

#[derive(Clone, PartialEq, Eq)]
enum Repr {
    Ordered(u64),
    /// Length and bytes, inline; long enough for a digest.
    Short(u8, [u8; SHORT]),
    Long(Arc<[u8]>),
}

/// The largest with which `Version` does not grow.
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
    /// For stores that count: a greater number is newer. No number may return for a name, even after deletion and re-creation: count per
    /// store, not per flag.
    #[must_use]
    pub const fn ordered(number: u64) -> Self {
        Self(Repr::Ordered(number))
    }

    /// For stores that only compare content: equal bytes are equal content, and neither is newer.
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

    pub(crate) fn opaque_hex(&self) -> String {
        self.as_opaque().unwrap_or_default().iter().map(|byte| format!("{byte:02x}")).collect()
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
