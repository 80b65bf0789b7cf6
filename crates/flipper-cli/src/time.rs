//! Times of schedules.

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::fmt::temporal::{Pieces, PiecesOffset};
use jiff::tz::TimeZone;

use crate::failure::{Done, Failure};
use crate::text::plain;

const FORMS: &str = "write it like 2026-12-01T09:00+01:00, 2026-12-01T09:00[Europe/Berlin] or +2h";

/// The zone of `--zone`.
pub(crate) fn zone(name: &str) -> Done<TimeZone> {
    TimeZone::get(name).map_err(|_| {
        Failure::usage(format!("there is no time zone {:?}", plain(name))).hint("write it like Europe/Berlin or UTC")
    })
}

/// Seconds since 1970. `zone` is for times without one.
pub(crate) fn seconds(text: &str, zone: Option<&TimeZone>, now: i64) -> Done<i64> {
    let refuse = |what: &str| Failure::usage(format!("the time {:?} {what}", plain(text)));
    if let Some(after) = text.strip_prefix('+') {
        let after =
            humantime::parse_duration(after).map_err(|error| refuse(&format!("is no time: {error}")).hint(FORMS))?;
        let seconds = i64::try_from(after.as_secs()).ok().and_then(|after| now.checked_add(after));
        return seconds.ok_or_else(|| refuse("is too far away"));
    }
    let pieces = Pieces::parse(text).map_err(|_| refuse("is no time").hint(FORMS))?;
    let local = pieces.date().to_datetime(pieces.time().unwrap_or(Time::midnight()));
    let named = match pieces.time_zone_annotation() {
        Some(named) => Some(named.to_time_zone().map_err(|_| refuse("names no time zone that exists").hint(FORMS))?),
        None => None,
    };
    let at = match (pieces.offset(), named.as_ref().or(zone)) {
        (Some(offset), _) => {
            let offset = match offset {
                PiecesOffset::Numeric(offset) => offset.offset(),
                _ => jiff::tz::Offset::UTC,
            };
            let at = offset.to_timestamp(local).map_err(|_| refuse("is in no year from 1 to 9999"))?;
            if let Some(named) =
                named.filter(|named| named.to_offset(at) != offset && pieces.offset() != Some(PiecesOffset::Zulu))
            {
                let real = named.to_offset(at);
                return Err(refuse(&format!("has the offset {offset}, where its time zone has {real}")));
            }
            at
        }
        (None, Some(zone)) => match zone.to_ambiguous_timestamp(local) {
            at if at.is_ambiguous() => {
                let why = "is skipped there, or is there twice, as clocks are changed";
                return Err(refuse(why).hint("write its offset: 2026-10-25T02:30+01:00"));
            }
            at => at.compatible().map_err(|_| refuse("is in no year from 1 to 9999"))?,
        },
        (None, None) => {
            return Err(refuse("has no time zone")
                .hint(format!("write {text}Z, {text}+01:00 or {text}[Europe/Berlin], or add --zone Europe/Berlin")));
        }
    };
    // A check reads whole seconds.
    Ok(at.as_second())
}

/// `2026-12-01T08:00:00Z`, or with a zone `2026-12-01T09:00:00+01:00[Europe/Berlin]`.
pub(crate) fn shown(seconds: i64, zone: Option<&TimeZone>) -> String {
    match (Timestamp::from_second(seconds), zone) {
        (Ok(at), Some(zone)) => at.to_zoned(zone.clone()).to_string(),
        (Ok(at), None) => at.to_string(),
        (Err(_), _) => format!("Unix time {seconds}"),
    }
}

/// How long until then: `2 h`.
pub(crate) fn until(at: i64, now: i64) -> String {
    match at.saturating_sub(now) {
        left if left <= 0 => "passed".to_owned(),
        left if left < 120 => format!("in {left} s"),
        left if left < 7200 => format!("in {} min", left / 60),
        left if left < 2 * 86_400 => format!("in {} h", left / 3600),
        left => format!("in {} d", left / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_489_200;

    fn read(text: &str, in_zone: Option<&str>) -> Result<String, String> {
        let zone = in_zone.map(|name| zone(name).unwrap());
        seconds(text, zone.as_ref(), NOW).map(|at| shown(at, None)).map_err(|failure| failure.to_string())
    }

    #[test]
    fn times() {
        for (text, zone, expected) in [
            ("2026-12-01T09:00+01:00", None, "2026-12-01T08:00:00Z"),
            ("2026-12-01T09:00+01:00", Some("America/New_York"), "2026-12-01T08:00:00Z"),
            ("2026-12-01 09:00:30Z", None, "2026-12-01T09:00:30Z"),
            ("2026-12-01T09:00[Europe/Berlin]", None, "2026-12-01T08:00:00Z"),
            ("2026-07-01T09:00[Europe/Berlin]", None, "2026-07-01T07:00:00Z"),
            ("2026-12-01T09:00+01:00[Europe/Berlin]", None, "2026-12-01T08:00:00Z"),
            ("2026-12-01T08:00Z[Europe/Berlin]", None, "2026-12-01T08:00:00Z"),
            ("2026-12-01T09:00", Some("Europe/Berlin"), "2026-12-01T08:00:00Z"),
            ("2026-12-01", Some("Europe/Berlin"), "2026-11-30T23:00:00Z"),
            ("2026-10-25T02:30+01:00", Some("Europe/Berlin"), "2026-10-25T01:30:00Z"),
        ] {
            assert_eq!(read(text, zone).as_deref(), Ok(expected), "{text} {zone:?}");
        }
        assert_eq!(seconds("+2h", None, NOW).unwrap(), NOW + 7200);
        assert_eq!(
            shown(1_796_112_000, Some(&zone("Europe/Berlin").unwrap())),
            "2026-12-01T09:00:00+01:00[Europe/Berlin]"
        );
    }

    #[test]
    fn what_is_no_time() {
        for (text, zone, what) in [
            ("2026-12-01T09:00", None, "has no time zone; write 2026-12-01T09:00Z"),
            ("2026-12-01", None, "has no time zone"),
            ("2026-13-01T09:00Z", None, "is no time; write it like"),
            ("soon", None, "is no time"),
            ("+soon", None, "is no time: expected number at 0"),
            ("+99999999999999999999y", None, "is no time"),
            ("2026-12-01T09:00[Europe/Berlyn]", None, "names no time zone"),
            ("2026-12-01T09:00+05:00[Europe/Berlin]", None, "has the offset +05, where its time zone has +01"),
            ("2026-03-29T02:30", Some("Europe/Berlin"), "is skipped there, or is there twice"),
            ("2026-10-25T02:30[Europe/Berlin]", None, "is skipped there, or is there twice"),
        ] {
            let error = read(text, zone).unwrap_err();
            assert!(error.contains(what), "{text}: {error}");
        }
        assert!(zone("Europe/Berlyn").is_err());
        assert_eq!(until(NOW + 90, NOW), "in 90 s");
    }
}
