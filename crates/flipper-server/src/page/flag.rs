//! The page of one flag.

use std::sync::Arc;

use axum::extract::State as Shared;
use axum::response::Response;
use flipper::__words::{date, plain};
use flipper::client_data::{self, description};
use flipper::store::Stored;
use flipper::targeting::segment_of;
use flipper::{Error, ErrorKind, FlagRecord};
use http::{StatusCode, Uri};
use maud::{Markup, html};

use super::State;
use super::change::see;
use super::draft::{Draft, Fault};
use super::edit::Edit;
use super::layout::{self, Place, csrf};
use super::list::{breakable, labels, shown, switch};
use super::viewer::Viewer;
use super::views::{ago, audience, notice};
use super::{history, link, preview, reason, targeting};
use crate::api::{Name, tag};
use crate::app::is_segment;
use crate::problem::Problem;

/// The form of the switch.
const FLIP: &str = "flip";
/// As the script warns.
const CHANGED: &str = "Another has changed this flag while you edit it. If you save, the page shows both sides first.";

pub(super) async fn show(
    Shared(state): Shared<Arc<State>>,
    viewer: Viewer,
    Name(name): Name,
    uri: Uri,
) -> Result<Response, Problem> {
    one(&state, &viewer, &name, &uri).await
}

/// A flag whose name no path can have.
pub(super) async fn show_named(
    Shared(state): Shared<Arc<State>>,
    viewer: Viewer,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let name = query.into_iter().find(|(key, _)| key == "name").map(|(_, name)| name.into_owned());
    one(&state, &viewer, &name.unwrap_or_default(), &uri).await
}

async fn one(state: &State, viewer: &Viewer, name: &str, uri: &Uri) -> Result<Response, Problem> {
    viewer.must(crate::access::Role::Read, name)?;
    let view = View { notice: done(uri), ..View::default() };
    match held(state, name) {
        Ok(stored) if is_segment(&stored) => {
            let done = if view.notice.is_some() { "&done=undone" } else { "" };
            Ok(see(&format!("{}{done}", link::segment(segment_of(name).unwrap_or(name)))))
        }
        Ok(stored) => Ok(view.response(state, viewer, &stored).await),
        Err(_) => Ok(missing(state, viewer, name).await),
    }
}

/// A flag that was destroyed has a history still, and its destruction can be undone.
async fn missing(state: &State, viewer: &Viewer, name: &str) -> Response {
    let main = html! {
        p.path { a href=(link::LIST) { span aria-hidden="true" { "← " } "Flags" } }
        h1 { (breakable(name)) }
        p.lead { "There is no such flag. Programs that check it take it for off." }
        (history::section(state, viewer, name).await)
    };
    let mut response = layout::page(state, viewer, Place::Flags, &shown(name), &main);
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

/// The flag in memory.
pub(super) fn held(state: &State, name: &str) -> Result<Stored, Problem> {
    let stored = state.app.store.table().get(name);
    stored.ok_or_else(|| {
        let problem = Problem::from(Error::new(ErrorKind::FlagNotFound).with_flag(name));
        problem.hint("another may have destroyed it")
    })
}

/// What was done before this page came.
pub(super) fn done(uri: &Uri) -> Option<Markup> {
    let mut query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let text = match &*query.find(|(key, _)| key == "done")?.1 {
        "created" => "The flag is created. It is off.",
        "on" => "The flag is on.",
        "off" => "The flag is off.",
        "saved" => "The changes are saved.",
        "undone" => "The change is undone.",
        "same" => "Nothing had to be changed.",
        _ => return None,
    };
    Some(notice("good", &html! { (text) }))
}

/// A flag as a form's page showed it.
pub(super) struct Base {
    pub(super) version: String,
    pub(super) record: FlagRecord,
}

/// The page, with what a request adds to it.
#[derive(Default)]
pub(super) struct View {
    pub(super) notice: Option<Markup>,
    pub(super) status: Option<StatusCode>,
    /// What the form has; `None` for the flag as it is.
    pub(super) draft: Option<Draft>,
    /// Which flag the form changes; `None` for the flag as it is.
    pub(super) of: Option<Base>,
    pub(super) faults: Vec<Fault>,
    pub(super) users: Option<String>,
    pub(super) preview: Option<Markup>,
    pub(super) reason: String,
}

impl View {
    pub(super) async fn response(&self, state: &State, viewer: &Viewer, stored: &Stored) -> Response {
        let name = &*stored.name;
        let history = history::section(state, viewer, name).await;
        let main = html! {
            p.path { a href=(link::LIST) { span aria-hidden="true" { "← " } "Flags" } }
            @if let Some(notice) = &self.notice { (notice) }
            @let is_old = self.of.as_ref().is_some_and(|of| of.version != tag(&stored.version));
            div.notice.warn #changed role="status" hidden[!is_old] { @if is_old { (CHANGED) } }
            @match &stored.record {
                Ok(record) => (self.readable(state, viewer, stored, record)),
                Err(corrupt) => {
                    h1 { (shown(name)) }
                    (notice("bad", &html! { "The stored flag cannot be read, and programs take it for off: " (plain(corrupt.reason())) ". Repair it in the store, or destroy it here." }))
                }
            }
            (history)
            @if viewer.writes(name) { (destroy(state, viewer, stored, &self.reason)) }
        };
        let mut response = layout::page(state, viewer, Place::Flags, &shown(name), &main);
        *response.status_mut() = self.status.unwrap_or(StatusCode::OK);
        response
    }

    fn readable(&self, state: &State, viewer: &Viewer, stored: &Stored, record: &FlagRecord) -> Markup {
        let name = &*stored.name;
        // What was typed is a change of that flag. With the version of another it would overwrite the changes between.
        let (version, base) = match &self.of {
            Some(of) => (of.version.clone(), &of.record),
            None => (tag(&stored.version), record),
        };
        let own = Draft::of(base);
        let users = self.users.clone().unwrap_or_else(|| preview::examples(record));
        let edit = Edit {
            name,
            version: &version,
            base,
            draft: self.draft.as_ref().unwrap_or(&own),
            faults: &self.faults,
            users: &users,
            preview: self.preview.as_ref(),
            reason: &self.reason,
        };
        html! {
            form #(FLIP) method="post" action=(link::CHANGE) {
                (csrf(state, viewer))
                input type="hidden" name="back" value=(link::flag(name));
            }
            div.flag #flag data-live data-name=(name) data-version=(tag(&stored.version)) {
                div.head {
                    h1 { (breakable(name)) }
                    (switch(viewer, stored, record, FLIP))
                }
                @if let Some(text) = description(record) { p.lead { (plain(text)) } }
                dl.facts {
                    div { dt { "For" } dd { (plain(&audience(record))) } }
                    (targeting::facts(record))
                    @if let Some(created) = record.created_date() {
                        div { dt { "Created" } dd { time datetime=(date(created)) title=(date(created)) { (ago(created)) } } }
                    }
                    @if let Some(link) = link_of(record) {
                        div { dt { "Link" } dd { a href=(link) rel="noreferrer" { (plain(link)) } } }
                    }
                }
                (labels(state, name, record))
            }
            @if viewer.writes(name) { (reason::beside_switches(state, FLIP)) }
            (edit.form(state, viewer))
        }
    }
}

/// Only a web address: a link to a script would run it.
fn link_of(record: &FlagRecord) -> Option<&str> {
    let link = client_data::link(record)?;
    ["https://", "http://"].iter().any(|scheme| link.starts_with(scheme)).then_some(link)
}

fn needs(flag: &Stored, other: &str) -> bool {
    flag.record.as_ref().is_ok_and(|record| record.prerequisites().iter().any(|needed| needed.flag == other))
}

fn destroy(state: &State, viewer: &Viewer, stored: &Stored, reason: &str) -> Markup {
    html! {
        details.danger {
            summary { "Destroy this flag" }
            form method="post" action=(link::CHANGE) {
                (csrf(state, viewer))
                input type="hidden" name="name" value=(link::written(&stored.name));
                input type="hidden" name="version" data-version-of="" value=(tag(&stored.version));
                p { "Programs that still check it find no flag, and take it for off." }
                @let needing: Vec<_> = state.app.flags().into_iter().filter(|other| viewer.reads(&other.name) && needs(other, &stored.name)).collect();
                @if !needing.is_empty() {
                    p {
                        "These flags need it, and are off then: "
                        @for (place, other) in needing.iter().enumerate() {
                            @if place > 0 { ", " }
                            a href=(link::flag(&other.name)) { (breakable(&other.name)) }
                        }
                        "."
                    }
                }
                div.field {
                    label for="typed" { "Type its name to destroy it" }
                    input #typed name="typed" autocomplete="off" spellcheck="false" required;
                }
                (reason::field(state, "reason-destroy", reason, None))
                button.bad name="do" value="destroy" { "Destroy" }
            }
        }
    }
}
