//! Pieces that several pages show.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flipper::__words::{Changed, date, difference, now, plain, targeting};
use flipper::FlagRecord;
use maud::{Markup, html};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A time, with its age.
pub(super) fn moment(time: SystemTime) -> Markup {
    let seconds = seconds(time);
    html! { time datetime=(date(seconds)) title=(date(seconds)) { (ago(seconds)) } }
}

/// A time as people write it in logs, and its age.
pub(super) fn full_moment(time: SystemTime) -> Markup {
    let seconds = seconds(time);
    html! { time datetime=(date(seconds)) { (utc(seconds)) span.age { (ago(seconds)) } } }
}

/// A time without its age, where the page is not rendered again as it grows.
pub(super) fn fixed_moment(time: SystemTime) -> Markup {
    let seconds = seconds(time);
    html! { time datetime=(date(seconds)) { (utc(seconds)) } }
}

pub(super) fn utc(seconds: i64) -> String {
    date(seconds).replace('T', " ").replace('Z', " UTC")
}

fn seconds(time: SystemTime) -> i64 {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

/// `just now`, `5 min ago`, `12 days ago`.
pub(super) fn ago(since: i64) -> String {
    match u64::try_from(now().saturating_sub(since)) {
        Err(_) => "in the future".to_owned(),
        Ok(seconds) if seconds < MINUTE => "just now".to_owned(),
        Ok(seconds) => format!("{} ago", span(Duration::from_secs(seconds))),
    }
}

/// `in 5 min`.
pub(super) fn until(at: i64) -> String {
    format!("in {}", span(Duration::from_secs(u64::try_from(at.saturating_sub(now())).unwrap_or_default())))
}

/// `12 s`, `5 min`, `3 h`, `12 days`, `4 years`.
pub(super) fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds < MINUTE => format!("{seconds} s"),
        seconds if seconds < HOUR => format!("{} min", seconds / MINUTE),
        seconds if seconds < 2 * DAY => format!("{} h", seconds / HOUR),
        seconds if seconds < 730 * DAY => format!("{} days", seconds / DAY),
        seconds => format!("{} years", seconds / (365 * DAY)),
    }
}

/// Who gets a flag, in the words of the command.
pub(super) fn audience(record: &FlagRecord) -> String {
    match (record.is_enabled(), targeting(record)) {
        (true, None) => "everybody".to_owned(),
        (true, Some(targeting)) => targeting,
        (false, None) => "no one".to_owned(),
        (false, Some(targeting)) => format!("no one; when on: {targeting}"),
    }
}

/// What differs between two states, a line each: `-` was there, `+` comes. Signs and words say it, not colours alone.
pub(super) fn diff(before: Option<&FlagRecord>, after: Option<&FlagRecord>) -> Markup {
    diff_of(&difference(before, after))
}

pub(super) fn diff_of(changes: &[Changed]) -> Markup {
    html! {
        @if changes.is_empty() { p.hint { "Nothing differs." } }
        @else {
            dl.diff {
                @for Changed { what, before, after } in changes {
                    div {
                        dt { (plain(what)) }
                        @if let Some(before) = before { dd { del { (shown(what, before)) } } }
                        @if let Some(after) = after { dd { ins { (shown(what, after)) } } }
                    }
                }
            }
        }
    }
}

fn shown<'a>(what: &str, how: &'a str) -> &'a str {
    match (what, how) {
        ("enabled", "true") => "on",
        ("enabled", "false") => "off",
        (_, how) => how,
    }
}

/// A message at the top of a page.
pub(super) fn notice(kind: &str, text: &Markup) -> Markup {
    html! { div class={ "notice " (kind) } role=(if kind == "bad" { "alert" } else { "status" }) { (text) } }
}
