use std::sync::Arc;

use super::Precondition;
use crate::error::{Error, Result};

const LONGEST_ACTOR: usize = 255;
const LONGEST_SOURCE: usize = 64;
const LONGEST_REASON: usize = 4096;

/// How a store is to write: under which condition, and what its history says of the write. A [`Precondition`] alone is one, for a write
/// that nothing is known about.
///
/// ```
/// use flipper::history::Cause;
/// use flipper::store::{Precondition, WriteOptions};
///
/// let cause = Cause::default().with_actor("alice")?.with_reason("incident 42")?;
/// let options = WriteOptions::from(Precondition::Absent).with_verb("create").with_cause(cause);
/// assert_eq!(options.cause.unwrap().actor(), Some("alice"));
/// # Ok::<(), flipper::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteOptions {
    /// The condition.
    pub when: Precondition,
    /// What the write does; without it a history says what it did, as [`Entry::new`](crate::history::Entry::new) has it.
    pub verb: Option<&'static str>,
    /// Who writes, why, and from where; without it a history says that the flag was changed outside.
    pub cause: Option<Arc<Cause>>,
}

impl WriteOptions {
    /// Sets the verb.
    #[must_use]
    pub fn with_verb(mut self, verb: &'static str) -> Self {
        self.verb = Some(verb);
        self
    }

    /// Sets the cause.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Arc<Cause>>) -> Self {
        self.cause = Some(cause.into());
        self
    }
}

impl From<Precondition> for WriteOptions {
    fn from(when: Precondition) -> Self {
        Self { when, verb: None, cause: None }
    }
}

/// Who changes a flag, why, and from where. Its limits are checked when it is made, so a store need not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    actor: Option<Arc<str>>,
    reason: Option<Arc<str>>,
    source: Arc<str>,
}

/// From `program`, by no actor in particular.
impl Default for Cause {
    fn default() -> Self {
        Self { actor: None, reason: None, source: Arc::from("program") }
    }
}

impl Cause {
    /// As a store has it: `None` without a source, as that was no write of this library. Nothing is checked.
    #[must_use]
    pub fn stored(source: Option<&str>, actor: Option<&str>, reason: Option<&str>) -> Option<Self> {
        Some(Self { source: source?.into(), actor: actor.map(Arc::from), reason: reason.map(Arc::from) })
    }

    /// Sets who: 1 to 255 bytes without control characters.
    ///
    /// # Errors
    ///
    /// `InvalidInput`.
    pub fn with_actor(mut self, actor: impl AsRef<str>) -> Result<Self> {
        self.actor = Some(checked("actor", actor.as_ref(), LONGEST_ACTOR, char::is_control)?);
        Ok(self)
    }

    /// Sets why: 1 byte to 4 KiB, any text.
    ///
    /// # Errors
    ///
    /// `InvalidInput`.
    pub fn with_reason(mut self, reason: impl AsRef<str>) -> Result<Self> {
        // No database stores it in text.
        self.reason = Some(checked("reason", reason.as_ref(), LONGEST_REASON, |letter| letter == '\0')?);
        Ok(self)
    }

    /// Sets from where, such as `command`, `page`, `api` or, by default, `program`: 1 to 64 bytes without control characters.
    ///
    /// # Errors
    ///
    /// `InvalidInput`.
    pub fn with_source(mut self, source: impl AsRef<str>) -> Result<Self> {
        self.source = checked("source", source.as_ref(), LONGEST_SOURCE, char::is_control)?;
        Ok(self)
    }

    /// Who.
    #[must_use]
    pub fn actor(&self) -> Option<&str> {
        self.actor.as_deref()
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// From where.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }
}

/// The actor for a caller whose name another program chose: without control characters, and no longer than an actor may be.
#[must_use]
pub fn actor_of(name: &str) -> Option<String> {
    let mut actor = String::new();
    for letter in name.chars().map(|letter| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter }) {
        if actor.len() + letter.len_utf8() > LONGEST_ACTOR {
            break;
        }
        actor.push(letter);
    }
    (!actor.is_empty()).then_some(actor)
}

fn checked(what: &str, text: &str, longest: usize, is_wrong: impl Fn(char) -> bool) -> Result<Arc<str>> {
    if text.is_empty() {
        return Err(Error::invalid_input(format!("{what} is empty")));
    }
    if text.len() > longest {
        return Err(Error::invalid_input(format!("{what} has {} bytes, more than {longest}", text.len())));
    }
    match text.char_indices().find(|(_, letter)| is_wrong(*letter)) {
        Some((at, letter)) => Err(Error::invalid_input(format!("{what} has the character {letter:?} at byte {at}"))),
        None => Ok(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_or_too_long_is_refused() {
        let refused = |cause: Result<Cause>| cause.unwrap_err().to_string();
        let cause = Cause::default();
        assert_eq!(refused(cause.clone().with_actor("")), "actor is empty");
        assert_eq!(refused(cause.clone().with_actor("a".repeat(256))), "actor has 256 bytes, more than 255");
        assert_eq!(refused(cause.clone().with_actor("al\nice")), "actor has the character '\\n' at byte 2");
        assert_eq!(refused(cause.clone().with_reason("x".repeat(1 << 20))), "reason has 1048576 bytes, more than 4096");
        assert_eq!(refused(cause.clone().with_reason("\0")), "reason has the character '\\0' at byte 0");
        assert_eq!(refused(cause.clone().with_source("")), "source is empty");
        let longest = cause.with_actor("é".repeat(127)).and_then(|cause| cause.with_reason("x\n".repeat(2048)));
        assert_eq!(longest.unwrap().reason().map(str::len), Some(4096));
    }

    #[test]
    fn any_name_is_an_actor() {
        for (name, actor) in [
            ("alice", Some("alice".to_owned())),
            ("", None),
            ("a\tb\u{85}", Some("a\u{fffd}b\u{fffd}".to_owned())),
            (&"a".repeat(300), Some("a".repeat(255))),
            (&"é".repeat(300), Some("é".repeat(127))),
        ] {
            assert_eq!(actor_of(name), actor);
            assert!(actor.is_none_or(|actor| Cause::default().with_actor(actor).is_ok()));
        }
    }
}
