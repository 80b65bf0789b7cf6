use axum::response::Response;
use flipper::store::Stored;
use flipper::targeting::{segment_of, stored_name};
use http::StatusCode;
use maud::{Markup, html};

use super::super::layout::{self, Place, csrf, sentence};
use super::super::list::{breakable, shown};
use super::super::segments::users;
use super::super::viewer::Viewer;
use super::super::views::notice;
use super::super::{State, history, link, reason};
use super::{MISSING, NEW_NAME, View};
use crate::api::tag;
use crate::app::is_segment;

impl View {
    pub(super) async fn response(&self, state: &State, viewer: &Viewer) -> Response {
        let stored_as = stored_name(&self.name);
        let stored = state.app.store.table().get(&stored_as).filter(is_segment);
        let is_new = self.name.is_empty() || (stored.is_none() && self.version.as_deref() == Some(""));
        let title = if self.name.is_empty() { "New segment".to_owned() } else { shown(&self.name) };
        let mut status = self.status;
        let main = html! {
            p.path { a href=(link::SEGMENTS) { span aria-hidden="true" { "← " } "Segments" } }
            @if let Some(notice) = &self.notice { (notice) }
            h1 { (breakable(&title)) }
            @if stored.is_none() && !is_new {
                p.lead { "There is no such segment. " (MISSING) }
            }
            @if let Some(Err(corrupt)) = stored.as_ref().map(|stored| &stored.record) {
                (notice("bad", &html! { "The stored segment cannot be read: " (flipper::__words::plain(corrupt.reason())) "." }))
            }
            @if stored.is_some() || self.typed.is_some() || viewer.writes(&stored_as) || is_new {
                (self.form(state, viewer, stored.as_ref()))
            }
            @if !self.name.is_empty() { (self.used(state, viewer)) (history::section(state, viewer, &stored_as).await) }
        };
        if stored.is_none() && !is_new && status == StatusCode::OK {
            status = StatusCode::NOT_FOUND;
        }
        let mut response = layout::page(state, viewer, Place::Segments, &title, &main);
        *response.status_mut() = status;
        response
    }

    fn form(&self, state: &State, viewer: &Viewer, stored: Option<&Stored>) -> Markup {
        let own = || stored.and_then(|stored| Some(stored.record.as_ref().ok()?.segment()?.to_string()));
        let text = self.typed.clone().or_else(own).unwrap_or_default();
        let version =
            self.version.clone().unwrap_or_else(|| stored.map(|stored| tag(&stored.version)).unwrap_or_default());
        let may_write =
            if self.name.is_empty() { viewer.writes_any() } else { viewer.writes(&stored_name(&self.name)) };
        html! {
            form.simple method="post" action=(link::SEGMENT) {
                (csrf(state, viewer))
                input type="hidden" name="version" value=(version);
                fieldset disabled[!may_write] {
                    legend.hidden { "Segment" }
                    @if stored.is_some() || (self.version.is_some() && self.faults.iter().all(|fault| fault.field != "name")) || (!self.name.is_empty() && self.typed.is_none()) {
                        input type="hidden" name="name" value=(link::written(&self.name));
                    } @else {
                        div.field {
                            label for="name" { "Name" }
                            input #name name=(NEW_NAME) value=(self.name) required autocomplete="off" spellcheck="false" maxlength="255"
                                aria-invalid=[self.is_wrong("name")] aria-describedby="name-fault";
                            (self.fault("name"))
                        }
                    }
                    div.field {
                        label for="when" { "Who is in it" }
                        p.hint #when-hint { "Checks with " code { "and" } ", " code { "or" } ", " code { "not" } " and brackets: " code { "plan = pro and country in de, fr" } ", or a list: " code { "user_id in 7, 8" } "." }
                        textarea #when.code name="when" rows="8" spellcheck="false" required aria-invalid=[self.is_wrong("when")] aria-describedby="when-hint when-fault" { (text) }
                        (self.fault("when"))
                    }
                    @if may_write { (reason::field(state, "reason", &self.reason, self.faults.iter().find(|fault| fault.field == reason::FIELD))) }
                }
                @if may_write {
                    div.actions {
                        button name="do" value="save" { "Save" }
                        @if stored.is_some() { button.bad name="do" value="destroy" formnovalidate { "Destroy" } }
                    }
                }
            }
        }
    }

    fn used(&self, state: &State, viewer: &Viewer) -> Markup {
        let mut users = users(state, &self.name);
        users.retain(|stored| viewer.reads(&stored.name));
        html! {
            section aria-labelledby="used" {
                h2 #used { "Used by" }
                @if users.is_empty() { p.hint { "No rule names it." } }
                @else { (list(&users)) }
            }
        }
    }

    /// What names the segment that would be destroyed.
    pub(super) fn losers(&self, state: &State, viewer: &Viewer) -> Markup {
        let all = users(state, &self.name);
        let (shown, hidden): (Vec<_>, Vec<_>) = all.into_iter().partition(|stored| viewer.reads(&stored.name));
        html! {
            @if !(shown.is_empty() && hidden.is_empty()) {
                p { "These use it. " (MISSING) }
                (list(&shown))
                @if !hidden.is_empty() { p { (hidden.len()) " more, which your token does not cover." } }
            }
        }
    }

    fn is_wrong(&self, field: &str) -> Option<&'static str> {
        self.faults.iter().any(|fault| fault.field == field).then_some("true")
    }

    fn fault(&self, field: &str) -> Markup {
        html! {
            @for fault in self.faults.iter().filter(|fault| fault.field == field) {
                p.fault id={ (field) "-fault" } role="alert" { (sentence(&fault.message)) }
            }
        }
    }
}

fn list(users: &[Stored]) -> Markup {
    html! {
        ul.used {
            @for stored in users {
                li {
                    @match segment_of(&stored.name).filter(|_| is_segment(stored)) {
                        Some(segment) => { "segment " a href=(link::segment(segment)) { (breakable(segment)) } }
                        None => a href=(link::flag(&stored.name)) { (breakable(&stored.name)) },
                    }
                }
            }
        }
    }
}
