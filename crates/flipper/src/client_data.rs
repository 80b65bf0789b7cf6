//! Keys of the client data with a meaning: whose flag it is, what for, and until when. The command and the web page read and show them, and
//! programs in any language may.
//!
//! ```
//! use flipper::{FeatureFlagClient, MemoryFeatureFlagStore, client_data};
//! use serde_json::json;
//!
//! # futures_executor::block_on(async {
//! let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
//! features.create("NEW_CHECKOUT").client_data(json!({"owner": "shop", "tags": ["pay"], "expires": "2027-03-31"})).await?;
//!
//! let flag = features.record("NEW_CHECKOUT")?;
//! assert_eq!(client_data::owner(&flag), Some("shop"));
//! assert_eq!(client_data::tags(&flag), ["pay"]);
//! assert!(client_data::expires(&flag)?.is_some());
//! # Ok::<(), flipper::Error>(()) }).unwrap();
//! ```

use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};
use crate::json::Json;
use crate::record::FlagRecord;

/// What the flag turns on: a text.
pub const DESCRIPTION: &str = "description";
/// A team or a person: a text.
pub const OWNER: &str = "owner";
/// A list of texts.
pub const TAGS: &str = "tags";
/// The last day of the flag, in UTC: a text like `2027-03-31`.
pub const EXPIRES: &str = "expires";
/// The address of a page about the flag, such as a ticket: a text.
pub const LINK: &str = "link";
/// Whether the web page asks twice before it changes the flag: a boolean.
pub const PROTECTED: &str = "protected";

const DAY: u64 = 86_400;

/// The text under [`DESCRIPTION`].
#[must_use]
pub fn description(flag: &FlagRecord) -> Option<&str> {
    text(flag, DESCRIPTION)
}

/// The text under [`OWNER`].
#[must_use]
pub fn owner(flag: &FlagRecord) -> Option<&str> {
    text(flag, OWNER)
}

/// The texts under [`TAGS`].
#[must_use]
pub fn tags(flag: &FlagRecord) -> Vec<&str> {
    let tags = flag.client_data().get(TAGS).and_then(Json::as_array).unwrap_or_default();
    tags.iter().filter_map(Json::as_str).collect()
}

/// The text under [`LINK`].
#[must_use]
pub fn link(flag: &FlagRecord) -> Option<&str> {
    text(flag, LINK)
}

/// Whether [`PROTECTED`] is `true`.
#[must_use]
pub fn is_protected(flag: &FlagRecord) -> bool {
    flag.client_data().get(PROTECTED).and_then(Json::as_bool).unwrap_or_default()
}

/// When the last day of the flag is over, if it has one under [`EXPIRES`].
///
/// # Errors
///
/// `InvalidInput` if that is no date.
pub fn expires(flag: &FlagRecord) -> Result<Option<SystemTime>> {
    let Some(stored) = flag.client_data().get(EXPIRES).filter(|stored| !matches!(stored, Json::Null)) else {
        return Ok(None);
    };
    let days = stored.as_str().and_then(days_since_1970);
    let wrong = || Error::invalid_input(format!("{EXPIRES:?} is {stored}, and not a day like \"2027-03-31\""));
    days.map(|days| Some(SystemTime::UNIX_EPOCH + Duration::from_secs((days + 1) * DAY))).ok_or_else(wrong)
}

fn text<'a>(flag: &'a FlagRecord, key: &str) -> Option<&'a str> {
    flag.client_data().get(key)?.as_str()
}

/// Of a day as `2027-03-31`.
fn days_since_1970(text: &str) -> Option<u64> {
    let [year, month, day] = &*text.split('-').collect::<Vec<_>>() else { return None };
    let number = |digits: &str, length: usize| {
        let is_number = digits.len() == length && digits.bytes().all(|digit| digit.is_ascii_digit());
        digits.parse::<u64>().ok().filter(|_| is_number)
    };
    let (year, month, day) = (number(year, 4)?, number(month, 2)?, number(day, 2)?);
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = match month {
        2 => 28 + u64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year < 1970 || !(1..=length).contains(&day) {
        return None;
    }
    // Years that begin in March put the leap day at their end.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    Some(365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(data: &str) -> FlagRecord {
        let mut flag = FlagRecord::new("F", 1);
        flag.set_client_data(Json::parse(data).unwrap().as_object().unwrap().clone());
        flag
    }

    #[test]
    fn only_values_of_their_types_are_read() {
        let whole = flag(
            r#"{"description": "d", "owner": "o", "tags": ["a", 1, "b"], "link": "https://x.example", "protected": true}"#,
        );
        assert_eq!(
            (description(&whole), owner(&whole), link(&whole)),
            (Some("d"), Some("o"), Some("https://x.example"))
        );
        assert_eq!((tags(&whole), is_protected(&whole)), (vec!["a", "b"], true));
        let odd =
            flag(r#"{"description": 1, "owner": null, "tags": "a", "link": [], "protected": "true", "expires": null}"#);
        assert_eq!((description(&odd), owner(&odd), link(&odd), tags(&odd)), (None, None, None, vec![]));
        assert!(!is_protected(&odd) && expires(&odd).unwrap().is_none());
    }

    #[test]
    fn the_last_day_counts() {
        let seconds = |day: &str| {
            let end = expires(&flag(&format!(r#"{{"expires": "{day}"}}"#))).unwrap().unwrap();
            end.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
        };
        assert_eq!(seconds("1970-01-01"), DAY);
        assert_eq!(seconds("2024-02-29"), 1_709_251_200);
        assert_eq!(seconds("2027-12-31"), 1_830_297_600);
        assert_eq!(seconds("9999-12-31"), 253_402_300_800);
    }

    #[test]
    fn what_is_no_day_is_an_error() {
        for wrong in [
            "\"2027-02-29\"",
            "\"2027-13-01\"",
            "\"2027-00-01\"",
            "\"2027-3-31\"",
            "\"31.3.2027\"",
            "\"\"",
            "7",
            "\"+027-01-01\"",
        ] {
            let error = expires(&flag(&format!(r#"{{"expires": {wrong}}}"#))).unwrap_err().to_string();
            assert_eq!(error, format!("\"expires\" is {wrong}, and not a day like \"2027-03-31\""));
        }
        assert!(expires(&flag(r#"{"expires": "1969-12-31"}"#)).is_err());
    }
}
