//! What a page shows instead of overwriting what another has changed.

use axum::response::Response;
use flipper::__exchange::named;
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
use super::views::{audience, diff};
use crate::api::now;

/// `now`: the flag as it is; `None` if it is destroyed.
pub(super) async fn response(state: &State, viewer: &Viewer, wish: &Wish<'_>, now: Option<Stored>) -> Response {
    let base = wish.base();
    let mine = base.as_ref().and_then(|base| wanted(wish, base));
    let Some(now) = now else { return destroyed(state, viewer, wish, base.as_ref(), mine.as_ref()) };
    let theirs = now.record.as_ref().ok().map(|record| named(record, &wish.name).into_owned());
    let merged = match (&wish.what, &base, &theirs) {
        (What::Save(draft), Some(base), Some(theirs)) => Some(Draft::merged(base, draft, theirs)),
        _ => None,
    };
    let notice = match (&base, &merged, &theirs) {
        (Some(base), Some(merged), Some(theirs)) => both(base, mine.as_ref(), theirs, merged.is_clash),
        (_, _, Some(theirs)) => one(wish, theirs),
        (_, _, None) => html! { p { "The stored flag cannot be read any more." } },
    };
    let draft = merged.map(|merged| merged.draft);
    let notice = alert("Another has changed this flag meanwhile", &notice);
    let reason = wish.reason().to_owned();
    let view = View { notice: Some(notice), status: Some(StatusCode::CONFLICT), draft, reason, ..View::default() };
    view.response(state, viewer, &now).await
}

/// Whether the flag is what the form would have made of it: it was perhaps sent twice.
pub(super) fn is_as_wanted(wish: &Wish<'_>, now: &Stored) -> bool {
    let mine = match &wish.what {
        What::Save(_) => wish.base().and_then(|base| wanted(wish, &base)),
        _ => None,
    };
    mine.is_some_and(|mine| now.readable().is_ok_and(|now| *named(now, &wish.name) == mine))
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
        (base, Some(mine), Some(theirs)) => Some(Draft::merged(base.unwrap_or(theirs), &Draft::of(mine), theirs).draft),
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
        What::Flip(to) => mine.switch(*to, now()),
        What::Save(draft) | What::Preview(draft) => draft.apply(&mut mine).ok()?,
        What::Destroy => return None,
    }
    Some(mine)
}

/// `mine`: `None` for what cannot be read.
fn both(base: &FlagRecord, mine: Option<&FlagRecord>, theirs: &FlagRecord, is_clash: bool) -> Markup {
    html! {
        div.sides {
            section { h3 { "Changed meanwhile" } (diff(Some(base), Some(theirs))) }
            section {
                h3 { "Your change" }
                @match mine {
                    Some(mine) => (diff(Some(base), Some(mine))),
                    None => p { "A field of it needs another look: it cannot be read." },
                }
            }
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
            "It is now " strong { @if theirs.is_on_at(now()) { "on" } @else { "off" } } ", for " (audience(theirs)) ". Nothing was changed by you. "
            @match wish.what {
                What::Flip(to) if to == theirs.is_on_at(now()) => "That is the state that you wanted.",
                What::Flip(_) | What::Destroy => "You wanted:",
                What::Save(_) | What::Preview(_) => "Make your change again if you still want it.",
            }
        }
        @match wish.what {
            What::Flip(to) if to != theirs.is_on_at(now()) => {
                @let mine = { let mut mine = theirs.clone(); mine.switch(to, now()); mine };
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
