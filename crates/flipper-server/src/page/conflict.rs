//! What a page shows instead of overwriting what another has changed.

use axum::response::Response;
use flipper::__exchange::named;
use flipper::__words::difference;
use flipper::FlagRecord;
use flipper::history::Entry;
use flipper::store::Stored;
use http::StatusCode;
use maud::{Markup, html};

use super::State;
use super::change::{What, Wish};
use super::draft::Draft;
use super::entry::record;
use super::flag::View;
use super::history;
use super::layout::{self, Place};
use super::link;
use super::list::shown;
use super::viewer::Viewer;
use super::views::{audience, diff, diff_of};

/// `now`: the flag as it is; `None` if it is destroyed.
pub(super) async fn response(state: &State, viewer: &Viewer, wish: &Wish<'_>, now: Option<Stored>) -> Response {
    let base = wish.base();
    let mine = base.as_ref().and_then(|base| wanted(wish, base));
    let Some(now) = now else { return destroyed(state, viewer, wish, base.as_ref(), mine.as_ref()) };
    let theirs = now.record.as_ref().ok().map(|record| named(record, &wish.name).into_owned());
    let notice = match (&base, &mine, &theirs) {
        (Some(base), Some(mine), Some(theirs)) => both(base, mine, theirs),
        (_, _, Some(theirs)) => one(wish, theirs),
        (_, _, None) => html! { p { "The stored flag cannot be read any more." } },
    };
    let draft = match (&wish.what, &base, &theirs) {
        (What::Save(draft), Some(base), Some(theirs)) => {
            Some(Draft::merged(&Draft::of(base), draft, &Draft::of(theirs)))
        }
        _ => None,
    };
    let notice = alert("Another has changed this flag meanwhile", &notice);
    let reason = wish.reason().to_owned();
    let view = View { notice: Some(notice), status: Some(StatusCode::CONFLICT), draft, reason, ..View::default() };
    view.response(state, viewer, &now).await
}

fn alert(title: &str, text: &Markup) -> Markup {
    html! { div.notice.warn role="alert" { h2 { (title) } (text) } }
}

/// The flag is not as this entry left it. `now`: as it is; `None` if it is destroyed.
pub(super) async fn of_undo(state: &State, viewer: &Viewer, entry: &Entry, now: Option<Stored>) -> Response {
    const TITLE: &str = "This flag was changed since, so nothing is undone";
    let (base, mine) = (record(&entry.after), record(&entry.before));
    let Some(now) = now else {
        let main = html! {
            h1 { (shown(&entry.name)) }
            (alert(TITLE, &html! { p { "It is destroyed. Its history has the destruction, which can be undone." } }))
            p { a href=(history::link_of(&entry.name)) { "To its history" } }
        };
        let mut response = layout::page(state, viewer, Place::History, &shown(&entry.name), &main);
        *response.status_mut() = StatusCode::CONFLICT;
        return response;
    };
    let theirs = now.record.as_ref().ok().map(|record| named(record, &entry.name).into_owned());
    let draft = match (base, mine, &theirs) {
        (base, Some(mine), Some(theirs)) => {
            Some(Draft::merged(&Draft::of(base.unwrap_or(theirs)), &Draft::of(mine), &Draft::of(theirs)))
        }
        _ => None,
    };
    let text = match (base, mine, &theirs) {
        (_, _, None) => html! { p { "The stored flag cannot be read any more." } },
        (_, None, Some(theirs)) => html! {
            p { "The undo would have destroyed a flag that is now:" }
            (diff(None, Some(theirs)))
            p { "Destroy it below if you still want it." }
        },
        (None, Some(mine), Some(theirs)) => html! {
            p { "It was created again. The undo would have changed:" }
            (diff(Some(theirs), Some(mine)))
            (how(theirs, mine))
        },
        (Some(base), Some(mine), Some(theirs)) => html! {
            div.sides {
                section { h3 { "Changed since" } (diff(Some(base), Some(theirs))) }
                section { h3 { "What the undo would have changed" } (diff(Some(base), Some(mine))) }
            }
            (how(theirs, &merged(base, mine, theirs)))
        },
    };
    let view = View { notice: Some(alert(TITLE, &text)), status: Some(StatusCode::CONFLICT), draft, ..View::default() };
    view.response(state, viewer, &now).await
}

/// The state of the switch, which the form has no field for.
fn merged(base: &FlagRecord, mine: &FlagRecord, theirs: &FlagRecord) -> FlagRecord {
    let mut merged = theirs.clone();
    if base.is_enabled() != mine.is_enabled() {
        merged.set_enabled(mine.is_enabled());
    }
    merged
}

fn how(theirs: &FlagRecord, wanted: &FlagRecord) -> Markup {
    html! {
        p {
            "The form below has the flag as it is now, with what the undo would have changed: save it if you still want that."
            @if theirs.is_enabled() != wanted.is_enabled() {
                " It does not turn the flag " (if wanted.is_enabled() { "on" } else { "off" }) ": use the switch for that."
            }
        }
    }
}

/// What the form makes of the flag that its page showed.
fn wanted(wish: &Wish<'_>, base: &FlagRecord) -> Option<FlagRecord> {
    let mut mine = base.clone();
    match &wish.what {
        What::Flip(to) => mine.set_enabled(*to),
        What::Save(draft) | What::Preview(draft) => draft.apply(&mut mine).ok()?,
        What::Destroy => return None,
    }
    Some(mine)
}

fn both(base: &FlagRecord, mine: &FlagRecord, theirs: &FlagRecord) -> Markup {
    let (yours, others) = (difference(Some(base), Some(mine)), difference(Some(base), Some(theirs)));
    let is_clash =
        yours.iter().any(|your| others.iter().any(|other| other.what == your.what && other.after != your.after));
    html! {
        div.sides {
            section { h3 { "Changed meanwhile" } (diff_of(&others)) }
            section { h3 { "Your change" } (diff_of(&yours)) }
        }
        p {
            "Nothing is saved yet. The form below has the flag as it is now, with your change"
            @if is_clash { "; where both changed the same, it has yours" }
            ". Save it, or "
            a href=(link::flag(theirs.name())) { "drop your change" }
            "."
        }
    }
}

/// Of a change without a form of all fields.
fn one(wish: &Wish<'_>, theirs: &FlagRecord) -> Markup {
    html! {
        p {
            "It is now " strong { @if theirs.is_enabled() { "on" } @else { "off" } } ", for " (audience(theirs)) ". Nothing was changed by you. "
            @match wish.what {
                What::Flip(to) if to == theirs.is_enabled() => "That is the state that you wanted.",
                _ => "You wanted:",
            }
        }
        @match wish.what {
            What::Flip(to) if to != theirs.is_enabled() => {
                @let mine = { let mut mine = theirs.clone(); mine.set_enabled(to); mine };
                (diff(Some(theirs), Some(&mine)))
                p { "Use the switch below if you still want it." }
            }
            What::Destroy => {
                (diff(Some(theirs), None))
                p { "Destroy it below if you still want it." }
            }
            _ => {}
        }
    }
}

fn destroyed(
    state: &State,
    viewer: &Viewer,
    wish: &Wish<'_>,
    base: Option<&FlagRecord>,
    mine: Option<&FlagRecord>,
) -> Response {
    let main = html! {
        h1 { (shown(&wish.name)) }
        div.notice.warn role="alert" {
            h2 { "Another has destroyed this flag meanwhile" }
            @if let (Some(base), Some(mine)) = (base, mine) {
                p { "Your change was not made:" }
                (diff(Some(base), Some(mine)))
            }
        }
        p { a href=(link::LIST) { "To the list of flags" } }
    };
    let mut response = layout::page(state, viewer, Place::Flags, &shown(&wish.name), &main);
    *response.status_mut() = StatusCode::CONFLICT;
    response
}
