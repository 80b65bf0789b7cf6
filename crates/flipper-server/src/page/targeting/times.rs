//! Times in UTC, as a browser's field has them.

use std::time::UNIX_EPOCH;

use flipper::__words::{date, percent, share};
use flipper::targeting::Step;

/// `2026-12-01T08:00`, or with seconds that are not 0: browsers send a time in its shortest form, whatever the page has.
pub(super) fn written(at: i64) -> String {
    let text = date(at);
    let text = text.trim_end_matches('Z');
    let is_short = text.matches(':').count() > 1;
    text.strip_suffix(":00").filter(|_| is_short).unwrap_or(text).to_owned()
}

/// With seconds or without, with a `Z` or without.
pub(super) fn read(text: &str) -> Result<i64, String> {
    let plain = text.trim().trim_end_matches(['Z', 'z']).replace('T', " ");
    let has_seconds = plain.matches(':').count() > 1;
    let full = if has_seconds { plain } else { format!("{plain}:00") };
    let wrong = || format!("“{text}” is no time, such as 2026-12-01T08:00, in UTC");
    let time = humantime::parse_rfc3339_weak(&full).map_err(|_| wrong())?;
    let since = time.duration_since(UNIX_EPOCH).map_err(|_| wrong())?;
    i64::try_from(since.as_secs()).map_err(|_| wrong())
}

/// `25% from 2026-12-01T08:00`
pub(super) fn step(step: &Step) -> String {
    format!("{} from {}", percent(step.share), written(step.at))
}

pub(super) fn read_step(line: &str) -> Result<Step, String> {
    let (part, at) = line.split_once(" from ").ok_or("a step is a share and a time: `25% from 2026-12-01T08:00`")?;
    Ok(Step { share: share(part)?, at: read(at)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_browsers_write_them() {
        assert_eq!(written(1_796_112_000), "2026-12-01T08:00");
        assert_eq!(written(1_796_112_030), "2026-12-01T08:00:30");
        for text in ["2026-12-01T08:00:00", "2026-12-01T08:00", "2026-12-01 08:00Z", " 2026-12-01T08:00:00Z "] {
            assert_eq!(read(text), Ok(1_796_112_000), "{text}");
        }
        for text in ["", "soon", "2026-12-01", "2026-13-01T08:00", "08:00"] {
            assert!(read(text).is_err(), "{text}");
        }
        let read = read_step("12.5% from 2026-12-01T08:00").unwrap();
        assert_eq!(step(&read), "12.5% from 2026-12-01T08:00");
        assert!(read_step("25%").is_err());
    }
}
