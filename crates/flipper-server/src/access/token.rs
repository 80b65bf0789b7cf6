use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::role::Role;
use super::secret::{Digest, hex, unhex};

/// Bytes, for lists and logs.
const LONGEST_NAME: usize = 100;
/// Bytes, as for a flag's name.
const LONGEST_PREFIX: usize = 255;
const MOST_PREFIXES: usize = 100;

/// A token as the file has it: what it allows, and the hash of its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Names it in `revoke`, in lists and in logs.
    pub id: String,
    /// What it is for.
    pub name: String,
    #[serde(serialize_with = "write_digest", deserialize_with = "read_digest")]
    pub(super) sha256: Digest,
    /// What it allows.
    pub role: Role,
    /// It allows only flags whose names begin with one of these; empty: all flags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<String>,
    /// When it was made.
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub created: SystemTime,
    /// From then on it allows nothing.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "write_optional",
        deserialize_with = "read_optional"
    )]
    pub expires: Option<SystemTime>,
    /// Since then it allows nothing.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "write_optional",
        deserialize_with = "read_optional"
    )]
    pub revoked: Option<SystemTime>,
}

/// What a new token is for, and what it allows.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// What it is for.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// It allows only flags whose names begin with one of these; empty: all flags.
    pub prefixes: Vec<String>,
    /// For how long it is valid.
    pub lifetime: Option<Duration>,
}

/// Whether a token still allows anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Validity {
    /// It does.
    Valid,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

impl Token {
    /// Whether it allows anything at this time.
    #[must_use]
    pub fn validity(&self, now: SystemTime) -> Validity {
        match (self.revoked, self.expires) {
            (Some(_), _) => Validity::Revoked,
            (None, Some(expires)) if expires <= now => Validity::Expired,
            _ => Validity::Valid,
        }
    }

    /// What is wrong with it, other than its form.
    pub(super) fn fault(&self) -> Option<String> {
        if self.id.is_empty() || self.id.len() > 32 || !self.id.bytes().all(|c| c.is_ascii_alphanumeric()) {
            return Some(format!("the id {:?} is not 1 to 32 letters and digits", self.id));
        }
        name_fault(&self.name).or_else(|| prefixes_fault(&self.prefixes))
    }
}

pub(super) fn name_fault(name: &str) -> Option<String> {
    let is_wrong = name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control);
    is_wrong
        .then(|| format!("the name {name:?} of a token is not 1 to {LONGEST_NAME} bytes without control characters"))
}

pub(super) fn prefixes_fault(prefixes: &[String]) -> Option<String> {
    if prefixes.len() > MOST_PREFIXES {
        return Some(format!("a token has at most {MOST_PREFIXES} prefixes"));
    }
    // An empty one would allow all flags.
    let wrong = |prefix: &&String| {
        prefix.is_empty()
            || prefix.len() > LONGEST_PREFIX
            || prefix.contains('/')
            || prefix.chars().any(char::is_control)
    };
    let wrong = prefixes.iter().find(wrong)?;
    Some(format!(
        "no flag's name begins with {wrong:?}: a prefix is 1 to {LONGEST_PREFIX} bytes, without `/` and control characters"
    ))
}

/// Whole seconds, as the file has them.
pub(super) fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.id, self.name)
    }
}

fn write_digest<S: Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex(digest))
}

fn read_digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
    let text = String::deserialize(deserializer)?;
    unhex(&text).ok_or_else(|| serde::de::Error::custom("sha256 is not 64 hexadecimal digits"))
}

fn write_time<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_seconds(*time))
}

fn read_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = |_| serde::de::Error::custom(format!("{text:?} is no time such as \"2027-01-31T12:00:00Z\""));
    humantime::parse_rfc3339(&text).map_err(wrong)
}

fn write_optional<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => write_time(time, serializer),
        None => serializer.serialize_none(),
    }
}

fn read_optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SystemTime>, D::Error> {
    read_time(deserializer).map(Some)
}
