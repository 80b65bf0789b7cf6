use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use regex::{Regex, RegexBuilder};
use semver::Version;

use crate::conditions::Operator;
use crate::json::Json;

/// Bytes of a compiled regular expression; what most people write takes some thousand.
const PATTERN_SIZE: usize = 256 * 1024;
/// Bytes of its text.
const PATTERN_LENGTH: usize = 1_000;

/// What the value of an attribute must be. [`When`](super::When) has the text of each.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Test {
    /// The comparisons of a [`Condition`](crate::Condition), with the same rules.
    Compare(Operator, Json),
    /// A text that has one of these texts there. A list of texts is searched for an equal one, by `Contains`.
    Text {
        /// Where.
        place: Place,
        /// One of them must be there.
        values: Vec<String>,
        /// Whether upper and lower case are equal.
        ignore_case: bool,
    },
    /// A text in which this regular expression occurs.
    Matches(String),
    /// A semantic version that compares so with this one. Not `In` and `NotIn`.
    Semver(Operator, String),
    /// A time that compares so with this one. Not `In` and `NotIn`.
    Date(Operator, String),
    /// An IP address in one of these networks, such as `10.0.0.0/8`.
    Network(Vec<String>),
    /// It is given, and not null.
    Exists,
}

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At its start.
    Start,
    /// At its end.
    End,
    /// Anywhere.
    Anywhere,
}

impl Test {
    /// Refuses what could never hold.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Compare(Operator::In | Operator::NotIn, Json::Array(values)) if values.is_empty() => {
                Err("a list of values is empty".to_owned())
            }
            Self::Compare(Operator::In | Operator::NotIn, Json::Null | Json::Bool(_) | Json::Number(_)) => {
                Err("`in` needs a list of values".to_owned())
            }
            Self::Compare(..) | Self::Exists => Ok(()),
            Self::Text { values, .. } if values.is_empty() => Err("a list of texts is empty".to_owned()),
            Self::Text { .. } => Ok(()),
            Self::Matches(text) => pattern(text).map(drop),
            Self::Semver(operator, text) => ordered(*operator)
                .and_then(|()| version(text).map(drop).ok_or_else(|| format!("{text:?} is no semantic version"))),
            Self::Date(operator, text) => ordered(*operator).and_then(|()| {
                date(text).map(drop).ok_or_else(|| {
                    format!(
                        "{text:?} is no date; write 2026-12-01, or with a time and a time zone 2026-12-01T09:00+01:00"
                    )
                })
            }),
            Self::Network(texts) if texts.is_empty() => Err("a list of networks is empty".to_owned()),
            Self::Network(texts) => texts.iter().try_for_each(|text| {
                network(text).map(drop).ok_or_else(|| format!("{text:?} is no network; write 10.0.0.0/8 or fd00::/8"))
            }),
        }
    }
}

fn ordered(operator: Operator) -> Result<(), String> {
    match operator {
        Operator::In | Operator::NotIn => Err("versions and dates have no lists".to_owned()),
        _ => Ok(()),
    }
}

/// Matching takes time linear in the text, whatever the pattern.
pub(crate) fn pattern(text: &str) -> Result<Regex, String> {
    if text.len() > PATTERN_LENGTH {
        let length = text.len();
        return Err(format!("a regular expression has {length} bytes, more than the {PATTERN_LENGTH} allowed"));
    }
    let mut builder = RegexBuilder::new(text);
    builder.size_limit(PATTERN_SIZE).dfa_size_limit(PATTERN_SIZE).nest_limit(64);
    builder.build().map_err(|error| match error {
        regex::Error::CompiledTooBig(limit) => {
            format!("the regular expression {text:?} takes more than the {limit} bytes allowed once compiled")
        }
        // Its last line says what is wrong; those before draw the place.
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("a regular expression cannot be read: {last}")
        }
    })
}

pub(crate) fn version(text: &str) -> Option<Version> {
    Version::parse(text.trim()).ok()
}

/// A time with its zone, or a day, which begins at midnight UTC.
pub(crate) fn date(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(time) = Timestamp::from_str(text) {
        return Some(time);
    }
    // A civil date would ignore a time without a zone.
    let day = Date::from_str(text).ok().filter(|_| text.len() <= "2026-12-01".len())?;
    Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// A time in the value of an attribute. It may also be as the type `OffsetDateTime` of the crate `time` prints it, since OpenFeature's SDK for
/// Rust sends that: `2026-01-02 3:04:05.0 +00:00:00`.
pub(crate) fn date_of_text(text: &str) -> Option<Timestamp> {
    date(text).or_else(|| {
        let (day, rest) = text.trim().split_once(' ')?;
        let (clock, zone) = rest.split_once(' ')?;
        let pad = if clock.find(':') == Some(1) { "0" } else { "" };
        Timestamp::from_str(&format!("{day}T{pad}{clock}{zone}")).ok()
    })
}

/// Seconds since 1970.
pub(crate) fn date_of_seconds(seconds: f64) -> Option<Timestamp> {
    let duration = SignedDuration::try_from_secs_f64(seconds).ok()?;
    Timestamp::from_duration(duration).ok()
}

/// Of one network: an address alone is a network of its own.
pub(crate) fn network(text: &str) -> Option<Network> {
    let text = text.trim();
    let network: IpNet = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    // One of IPv4, written as one of IPv6.
    let of_four = match (network.network().to_canonical(), network.prefix_len().checked_sub(96)) {
        (address @ IpAddr::V4(_), Some(length)) => IpNet::new(address, length).ok(),
        _ => None,
    };
    Some(Network(of_four.unwrap_or(network)))
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Network(IpNet);

impl Network {
    pub(crate) fn contains(self, address: IpAddr) -> bool {
        // A socket for both versions shows an IPv4 address as one of IPv6.
        self.0.contains(&address) || self.0.contains(&address.to_canonical())
    }
}
