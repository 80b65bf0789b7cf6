//! Segments are stored beside the flags, under names that no new flag can have.

/// The names of segments begin with it, as keys begin with a base key.
pub const SEGMENTS: &str = "segments/";

/// The name under which a store has this segment.
///
/// ```
/// use flipper::targeting::{segment_of, stored_name};
///
/// assert_eq!(stored_name("beta"), "segments/beta");
/// assert_eq!(segment_of("segments/beta"), Some("beta"));
/// assert_eq!(segment_of("CHECKOUT"), None);
/// ```
#[must_use]
pub fn stored_name(segment: &str) -> String {
    [SEGMENTS, segment].concat()
}

/// The segment of a stored name, if it is one.
#[must_use]
pub fn segment_of(stored_name: &str) -> Option<&str> {
    stored_name.strip_prefix(SEGMENTS)
}
