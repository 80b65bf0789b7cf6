//! The list of flags.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State as Shared;
use axum::response::Response;
use flipper::__words::{next_turn, plain};
use flipper::FlagRecord;
use flipper::client_data::description;
use flipper::store::Stored;
use http::Uri;
use maud::{Markup, html};

use super::State;
use super::filter::{self, Filter, Show};
use super::layout::{self, Place};
use super::link;
use super::reason;
use super::viewer::Viewer;
use super::views::{audience, notice};
use crate::api::{now, tag};
use crate::problem::Problem;

/// Of one page.
const ROWS: usize = 100;
/// Of a choice.
const CHOICES: usize = 500;
/// Of a name, in bytes.
const LONG: usize = 16;
/// The one form of all rows.
const FLIP: &str = "flip";

pub(super) async fn show(Shared(state): Shared<Arc<State>>, viewer: Viewer, uri: Uri) -> Result<Response, Problem> {
    viewer.must_read()?;
    let filter = Filter::of(&uri);
    let mut all = state.app.flags();
    all.retain(|flag| viewer.reads(&flag.name));
    let matching: Vec<&Stored> = all.iter().filter(|flag| filter.matches(flag)).collect();
    // Names are in the order of their bytes.
    let start = match filter.after.is_empty() {
        true => 0,
        false => matching.partition_point(|flag| *flag.name <= *filter.after),
    };
    let rows = &matching[start..matching.len().min(start + ROWS)];
    let main = html! {
        (done(&uri))
        div.head {
            h1 { "Flags" }
            @if viewer.writes_any() { a.button href=(link::NEW) { "New flag" } }
        }
        (search(&filter, &all))
        form #(FLIP) method="post" action=(link::CHANGE) {
            (layout::csrf(&state, &viewer))
            input type="hidden" name="back" value=(filter.link());
        }
        div.bar {
            p.count #count data-live { (count(start, rows.len(), matching.len(), all.len())) }
            @if viewer.writes_any() { (reason::beside_switches(&state, FLIP)) }
        }
        @match rows.is_empty() {
            true => div.empty #flags data-live { (empty(&filter, all.is_empty(), &viewer)) },
            false => ul.flags #flags data-live role="list" aria-label="Flags" {
                @for flag in rows { (row(&state, &viewer, flag)) }
            },
        }
        nav.pages #pages data-live aria-label="Pages of the list" {
            @if start > 0 {
                a.button.plain href=(filter.with(|_| {}).link()) { "First page" }
                a.button.plain rel="prev" href=(previous(&filter, &matching, start).link()) { "Previous" }
            }
            @if let Some(last) = rows.last().filter(|_| start + rows.len() < matching.len()) {
                a.button.plain rel="next" href=(filter.with(|next| next.after.clone_from(&last.name)).link()) { "Next" }
            }
        }
    };
    Ok(layout::page(&state, &viewer, Place::Flags, "Flags", &main))
}

fn done(uri: &Uri) -> Markup {
    let is_destroyed = uri.query().is_some_and(|query| query.split('&').any(|part| part == "done=destroyed"));
    html! { @if is_destroyed { (notice("good", &html! { "The flag is destroyed." })) } }
}

fn search(filter: &Filter, all: &[Stored]) -> Markup {
    let (owners, tags) = filter::choices(all.iter());
    html! {
        form.search role="search" action=(link::LIST) {
            div.field.wide {
                label for="q" { "Search" }
                input #q type="search" name="q" value=(filter.search) placeholder="Name or description" autocomplete="off" spellcheck="false";
            }
            (choice("owner", "Owner", &filter.owner, &owners))
            (choice("tag", "Tag", &filter.tag, &tags))
            @if filter.show != Show::All { input type="hidden" name="show" value=(filter.show.code()); }
            button.plain { "Search" }
        }
        nav.chips #chips data-live aria-label="Filter by state" {
            @for show in Show::CHOICES {
                a href=(filter.with(|other| other.show = show).link()) title=[show.hint()]
                    aria-current=[(show == filter.show).then_some("true")] { (show.name()) }
            }
            @if all.iter().any(|flag| flag.record.is_err()) {
                a href=(filter.with(|other| other.show = Show::Unreadable).link())
                    aria-current=[(Show::Unreadable == filter.show).then_some("true")] { (Show::Unreadable.name()) }
            }
        }
    }
}

fn choice(name: &str, label: &str, chosen: &str, choices: &BTreeSet<String>) -> Markup {
    html! {
        @if !choices.is_empty() || !chosen.is_empty() {
            div.field {
                label for=(name) { (label) }
                select #(name) name=(name) {
                    option value="" { "All" }
                    @if !chosen.is_empty() && !choices.contains(chosen) { option value=(chosen) selected { (plain(chosen)) } }
                    @for choice in choices.iter().take(CHOICES) {
                        option value=(choice) selected[choice == chosen] { (plain(choice)) }
                    }
                }
            }
        }
    }
}

fn count(start: usize, shown: usize, matching: usize, all: usize) -> String {
    let of = match matching == all {
        true => flags(all),
        false => format!("{} of {}", thousands(matching), flags(all)),
    };
    match shown < matching {
        true => format!("{}–{} of {of}", thousands(start + 1), thousands(start + shown)),
        false => of,
    }
}

fn flags(count: usize) -> String {
    if count == 1 { "1 flag".to_owned() } else { format!("{} flags", thousands(count)) }
}

fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn previous(filter: &Filter, matching: &[&Stored], start: usize) -> Filter {
    // The flag before the page before.
    let before = start.checked_sub(ROWS + 1).and_then(|place| matching.get(place));
    filter.with(|previous| previous.after = before.map(|flag| flag.name.clone()).unwrap_or_default())
}

fn empty(filter: &Filter, is_none: bool, viewer: &Viewer) -> Markup {
    html! {
        @if filter.is_any() {
            p { "No flag matches." }
            p { a href=(link::LIST) { "Show all flags" } }
        } @else if is_none {
            p { "There are no flags yet." }
            @if viewer.writes_any() { p { a.button href=(link::NEW) { "Create the first" } } }
        } @else { p { "There is nothing after this." } }
    }
}

fn row(state: &State, viewer: &Viewer, flag: &Stored) -> Markup {
    let name = &*flag.name;
    html! {
        li data-name=(name) {
            div.name {
                a href=(link::flag(name)) { (breakable(name)) }
                @if let Some(text) = flag.record.as_ref().ok().and_then(|record| description(record)) { p { (plain(text)) } }
            }
            @match &flag.record {
                Err(_) => { div.state { span.badge.bad { "Unreadable" } } div.who {} }
                Ok(record) => {
                    div.state { (switch(viewer, flag, record, FLIP)) }
                    div.who {
                        p { (plain(&audience(record))) }
                        @if let Some((at, next)) = next(record) { p data-turn=(at) { (next) } }
                        (labels(state, name, record))
                    }
                }
            }
        }
    }
}

/// When the flag's schedule turns next, and what it does then.
fn next(record: &FlagRecord) -> Option<(i64, String)> {
    let schedule = record.schedule()?;
    Some((schedule.next_turn(now())?, next_turn(record)?))
}

/// An empty name has nothing to click on.
pub(super) fn shown(name: &str) -> String {
    match name {
        "" => "(empty name)".to_owned(),
        name => plain(name).into_owned(),
    }
}

/// A long name breaks after its parts.
pub(super) fn breakable(name: &str) -> Markup {
    let name = shown(name);
    let is_end = |c: char| matches!(c, '_' | '-' | '.' | ':');
    html! {
        @if name.len() < LONG { (name) }
        @else {
            @for part in name.split_inclusive(is_end) { (part) wbr; }
        }
    }
}

pub(super) fn labels(state: &State, name: &str, record: &FlagRecord) -> Markup {
    let (owner, tags) = (filter::owner(record), filter::tags(record));
    let is_protected = super::change::is_protected(state, name, record);
    html! {
        @if owner.is_some() || !tags.is_empty() || is_protected {
            p.labels {
                @if is_protected { span.badge { "Protected" } }
                @if let Some(owner) = owner { span.owner { (plain(owner)) } }
                @for tag in tags { span.tag { (plain(tag)) } }
            }
        }
    }
}

/// A button of this form for who may press it, else the state alone.
pub(super) fn switch(viewer: &Viewer, flag: &Stored, record: &FlagRecord, form: &str) -> Markup {
    let is_on = record.is_on_at(now());
    let state = if is_on { "On" } else { "Off" };
    let to = if is_on { "off" } else { "on" };
    html! {
        @if viewer.writes(&flag.name) {
            button.switch role="switch" aria-checked=(is_on) aria-label=(shown(&flag.name)) form=(form) name="flip"
                value={ (to) " " (tag(&flag.version)) " " (link::written(&flag.name)) } { (state) }
            // Off by its schedule alone: it would turn on.
            @if record.is_enabled() && !is_on && record.schedule().is_some_and(|schedule| schedule.next_turn(now()).is_some()) {
                button.plain.small form=(form) name="flip" aria-label={ "Keep off: " (shown(&flag.name)) }
                    value={ "off " (tag(&flag.version)) " " (link::written(&flag.name)) } { "Keep off" }
            }
        } @else {
            span.badge.on[is_on] data-state data-flag=(shown(&flag.name)) { (state) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        assert_eq!([count(0, 1, 1, 1), count(0, 21, 21, 21)], ["1 flag", "21 flags"]);
        assert_eq!([count(0, 1, 1, 2), count(100, 100, 1001, 1001)], ["1 of 2 flags", "101–200 of 1,001 flags"]);
    }
}
