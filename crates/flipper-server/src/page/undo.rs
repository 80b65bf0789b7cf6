//! Puts a flag back to what it was before an entry of its history.

use axum::response::Response;
use flipper::history::Entry;
use http::StatusCode;
use maud::html;

use super::change::{CONFIRMED, is_protected, question, see};
use super::draft::Fault;
use super::entry::{by, lines, record, verb};
use super::form::Form;
use super::history;
use super::layout::{self, Place, csrf};
use super::list::shown;
use super::viewer::Viewer;
use super::views::{diff, full_moment};
use super::write::{self, Outcome};
use super::{State, conflict, link, reason};
use crate::access::Role;
use crate::problem::Problem;

pub(super) async fn undo(state: &State, viewer: &Viewer, form: &Form, button: &str) -> Result<Response, Problem> {
    let mut parts = button.splitn(3, ' ').map(link::read);
    let (Some(id), Some(from), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Problem::bad_request("the form names no entry of a history"));
    };
    viewer.must(Role::Write, &name)?;
    let Some(entry) = history::find(state, &name, &from, &id).await? else { return Err(no_entry(&name)) };
    let now = state.app.store.get(&name).await?;
    if now.as_ref().map(|stored| &stored.record) != entry.after.as_ref() {
        return Ok(conflict::of_undo(state, viewer, &entry, now).await);
    }
    let features = match reason::features(state, viewer, form) {
        Ok(features) if form.has(CONFIRMED) => features,
        Ok(_) => return Ok(ask(state, viewer, form, &entry, None)),
        Err(fault) => return Ok(ask(state, viewer, form, &entry, Some(&fault).filter(|_| form.has(CONFIRMED)))),
    };
    match write::outcome(&state.app, &name, features.restore(&name, &entry).await).await {
        Outcome::Done if entry.before.is_none() => Ok(see(&format!("{}&done=undone", history::link_of(&name)))),
        Outcome::Done => Ok(see(&link::flag_after(&name, "undone"))),
        Outcome::Conflict(now) => Ok(conflict::of_undo(state, viewer, &entry, now).await),
        Outcome::Failed(problem) => Err(problem),
    }
}

fn no_entry(name: &str) -> Problem {
    let detail = "the history has no such entry any more";
    let problem = Problem::new(StatusCode::NOT_FOUND, "no_such_entry", "There is no such entry", detail);
    problem.hint("load the flag's history again").with("flag", name)
}

/// What the undo would do.
fn ask(state: &State, viewer: &Viewer, form: &Form, entry: &Entry, fault: Option<&Fault>) -> Response {
    let (before, after) = (record(&entry.before), record(&entry.after));
    let name = shown(&entry.name);
    let is_protected = before.or(after).is_some_and(|record| is_protected(state, &entry.name, record));
    let main = html! {
        h1 { "Undo this change of " (name) "?" }
        p.what { (verb(&entry.verb)) (by(entry)) " " (full_moment(entry.at)) }
        @if let Some(reason) = entry.reason() { p.why { (lines(reason)) } }
        @if is_protected { p { "This flag is protected: look twice." } }
        p.lead {
            @match (before, after) {
                (None, _) => "This would destroy the flag:",
                (_, None) => "This would create the flag again:",
                _ => "This would change:",
            }
        }
        (diff(after, before))
        form.simple method="post" action=(link::CHANGE) {
            (csrf(state, viewer))
            (question(form))
            (reason::field(state, "reason", reason::typed(form), fault))
            div.actions {
                button.bad[before.is_none()] { "Yes, undo it" }
                a.button.plain href=(link::flag(&entry.name)) { "No, leave it as it is" }
            }
        }
    };
    let mut response = layout::page(state, viewer, Place::History, "Undo", &main);
    *response.status_mut() = fault.map_or(StatusCode::OK, |_| StatusCode::UNPROCESSABLE_ENTITY);
    response
}
