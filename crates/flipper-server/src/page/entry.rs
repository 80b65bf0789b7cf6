//! One entry of a history, in words.

use flipper::__words::{Changed, difference, plain};
use flipper::FlagRecord;
use flipper::history::{Entry, FlagState};
use maud::{Markup, html};

use super::link;
use super::list::{breakable, shown};
use super::viewer::Viewer;
use super::views::{diff_of, full_moment};

/// The form of all buttons of a page that undo.
pub(super) const UNDO: &str = "undo";

/// Lines of a difference. What is longer is a click away.
const LINES: usize = 12;
/// Of a line, in bytes.
const LONGEST: usize = 400;
/// Of a verb or a source, which a store of one's own may choose, in bytes.
const WORD: usize = 64;

/// `from`: the entry that the list begins after, which finds this one again.
pub(super) fn item(viewer: &Viewer, entry: &Entry, from: &str, is_of_all: bool) -> Markup {
    html! {
        li {
            p.what {
                strong { (verb(&entry.verb)) }
                @if is_of_all { " " a href=(link::flag(&entry.name)) { (breakable(&entry.name)) } }
                (by(entry))
                " " (full_moment(entry.at))
            }
            @if let Some(reason) = entry.reason() { p.why { (lines(reason)) } }
            (change(entry, true))
            @if viewer.writes(&entry.name) && is_undoable(entry) {
                button.plain.small form=(UNDO) name="undo" aria-label={ "Undo: " (verb(&entry.verb)) " " (shown(&entry.name)) }
                    value={ (link::word(entry.id.as_str())) " " (link::word(from)) " " (link::written(&entry.name)) } { "Undo…" }
            }
        }
    }
}

/// An unreadable state can not be put back.
pub(super) fn is_undoable(entry: &Entry) -> bool {
    !matches!(entry.before, Some(Err(_))) && entry.before != entry.after
}

/// What was done.
pub(super) fn verb(verb: &str) -> String {
    let known = match verb {
        "create" => "Created",
        "destroy" => "Destroyed",
        "enable" => "Turned on",
        "disable" => "Turned off",
        "set_client_data" => "Client data changed",
        "add_condition" => "Condition added",
        "set_conditions" => "Conditions changed",
        "set_bucketer" => "Rollout changed",
        "update" => "Changed",
        "restore" => "Restored",
        other => return shortened(other, WORD),
    };
    known.to_owned()
}

/// Who, and from where.
pub(super) fn by(entry: &Entry) -> Markup {
    html! {
        @let program = entry.source().strip_prefix("outside");
        @if program.is_some() { " " span.badge title="By a program that does not say who writes" { "Outside" } }
        @if let Some(actor) = entry.actor() { " by " b { (plain(actor)) } }
        @match program {
            None => { ", " (source(entry.source())) }
            Some(program) if program.is_empty() => {}
            Some(program) => { ", from " (shortened(program.trim_start_matches(": "), WORD)) }
        }
    }
}

fn source(source: &str) -> String {
    match source {
        "page" => "on the page".to_owned(),
        "command" => "with the command".to_owned(),
        "api" => "over the API".to_owned(),
        "program" => "from a program".to_owned(),
        other => format!("from {}", shortened(other, WORD)),
    }
}

/// A text that may have several lines.
pub(super) fn lines(text: &str) -> String {
    text.lines().map(plain).collect::<Vec<_>>().join("\n")
}

/// What differs between before and after; `is_short`: as far as it fits into a list.
pub(super) fn change(entry: &Entry, is_short: bool) -> Markup {
    let unreadable = |state: &FlagState| matches!(state, Some(Err(_)));
    let mut changes = difference(record(&entry.before), record(&entry.after));
    let more = if is_short { changes.len().saturating_sub(LINES) } else { 0 };
    if is_short {
        changes.truncate(LINES);
        changes.iter_mut().for_each(shorten);
    }
    html! {
        @if unreadable(&entry.before) { p.hint { "It could not be read before." } }
        @if unreadable(&entry.after) { p.hint { "It could not be read afterwards." } }
        @if !changes.is_empty() || entry.before == entry.after { (diff_of(&changes)) }
        @if more > 0 { p.hint { "And " (more) " more lines." } }
    }
}

/// The flag in this state, if it exists and can be read.
pub(super) fn record(state: &FlagState) -> Option<&FlagRecord> {
    state.as_ref()?.as_deref().ok()
}

fn shorten(changed: &mut Changed) {
    let texts = [Some(&mut changed.what), changed.before.as_mut(), changed.after.as_mut()];
    for text in texts.into_iter().flatten().filter(|text| text.len() > LONGEST) {
        *text = shortened(text, LONGEST);
    }
}

fn shortened(text: &str, most: usize) -> String {
    let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= most).last().unwrap_or_default();
    if text.len() <= most { plain(text).into_owned() } else { format!("{}…", plain(&text[..end])) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_letters() {
        assert_eq!(shortened("abc", 3), "abc");
        assert_eq!(shortened("abcd", 3), "abc…");
        assert_eq!(shortened("aéé", 2), "a…");
        assert_eq!(shortened("é\u{1b}", 1), "…");
    }

    #[test]
    fn unknown_verbs_are_shown_as_they_are() {
        assert_eq!([verb("enable"), verb("<b>\u{1b}")], ["Turned on", "<b>\\x1b"]);
    }
}
