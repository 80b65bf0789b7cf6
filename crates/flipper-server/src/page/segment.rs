//! The page of one segment, and its form.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State as Shared;
use axum::response::Response;
use flipper::FlagRecord;
use flipper::store::{Precondition, Stored};
use flipper::targeting::{When, segment_of, stored_name};
use http::{HeaderMap, StatusCode, Uri};
use maud::{Markup, html};

use super::change::{CONFIRMED, is_protected, question, see};
use super::draft::Fault;
use super::form::Form;
use super::layout::{self, Place, csrf, sentence};
use super::list::{breakable, shown};
use super::segments::{brief, users};
use super::targeting::without_flag;
use super::viewer::Viewer;
use super::views::notice;
use super::write::{self, Outcome};
use super::{State, history, link, reason};
use crate::access::Role;
use crate::api::{now, tag};
use crate::app::is_segment;
use crate::problem::Problem;

const NEW_NAME: &str = "new-name";

/// What the form has, or will have.
#[derive(Default)]
struct View {
    name: String,
    /// `None` for what is stored.
    typed: Option<String>,
    /// Of what is stored; empty for a new segment.
    version: Option<String>,
    faults: Vec<Fault>,
    notice: Option<Markup>,
    status: StatusCode,
    reason: String,
}

pub(super) async fn show(Shared(state): Shared<Arc<State>>, viewer: Viewer, uri: Uri) -> Result<Response, Problem> {
    viewer.must_read()?;
    let query: Vec<_> = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let get = |key: &str| query.iter().find(|(other, _)| other == key).map(|(_, value)| value.clone());
    let name = get("name").unwrap_or_default();
    if !name.is_empty() {
        viewer.must(Role::Read, &stored_name(&name))?;
    }
    let done = get("done").is_some().then(|| notice("good", &html! { "The segment is saved." }));
    Ok(View { name, notice: done, ..View::default() }.response(&state, &viewer).await)
}

pub(super) async fn change(
    Shared(state): Shared<Arc<State>>,
    viewer: Viewer,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    viewer.must_read()?;
    let form = Form::own(&state, &viewer, &headers, body).await?;
    // Of a new one as it was typed.
    let name = form.get(NEW_NAME).map_or_else(|| link::read(form.text("name")), |typed| typed.trim().to_owned());
    let stored_as = stored_name(&name);
    viewer.must(Role::Write, &stored_as)?;
    if !form.has("when") || !form.has("version") {
        return Err(Problem::bad_request("the form has no field \"when\" or \"version\""));
    }
    let typed = form.text("when").replace("\r\n", "\n");
    let is_destroyed = form.text("do") == "destroy";
    let mut view = View {
        name,
        typed: Some(typed),
        version: Some(form.text("version").to_owned()),
        reason: reason::typed(&form).to_owned(),
        ..View::default()
    };
    let stored = match state.app.store.get(&stored_as).await? {
        Some(stored) if !is_segment(&stored) => return Err(Problem::bad_request("this is a flag, not a segment")),
        stored => stored,
    };
    if stored.as_ref().map(|stored| tag(&stored.version)).unwrap_or_default() != form.text("version") {
        return Ok(view.conflict(&state, &viewer, stored).await);
    }
    let after = if is_destroyed { None } else { Some(view.record(&state, stored.as_ref()).await) };
    let after = match after.transpose() {
        Ok(after) => after,
        Err(fault) => {
            view.refuse(fault);
            return Ok(view.response(&state, &viewer).await);
        }
    };
    let features = match reason::features(&state, &viewer, &form) {
        Ok(features) if form.has(CONFIRMED) || !view.asks_twice(&state) => features,
        Ok(_) => return Ok(view.ask(&state, &viewer, &form, stored.as_ref(), after.as_ref())),
        Err(fault) => {
            view.refuse(fault);
            return Ok(view.response(&state, &viewer).await);
        }
    };
    let outcome = match (&after, &stored) {
        (Some(after), Some(stored)) => {
            let when = Precondition::Unchanged(stored.version.clone());
            write::outcome(&state.app, &stored_as, features.put(after, when).await.map(drop)).await
        }
        (Some(after), None) => {
            write::outcome(&state.app, &stored_as, features.put(after, Precondition::Absent).await.map(drop)).await
        }
        (None, Some(stored)) => write::destroy(&state.app, &features, stored).await,
        (None, None) => Outcome::Done,
    };
    match outcome {
        Outcome::Done if is_destroyed => Ok(see(link::SEGMENTS)),
        Outcome::Done => Ok(see(&format!("{}&done=saved", link::segment(&view.name)))),
        Outcome::Conflict(now) => Ok(view.conflict(&state, &viewer, now).await),
        Outcome::Failed(problem) => Err(problem),
    }
}

impl View {
    fn refuse(&mut self, fault: Fault) {
        self.notice = Some(notice("bad", &html! { "Nothing was saved. A field needs another look." }));
        self.status = StatusCode::UNPROCESSABLE_ENTITY;
        self.faults.push(fault);
    }

    /// What the form makes of the segment.
    async fn record(&self, state: &State, before: Option<&Stored>) -> Result<FlagRecord, Fault> {
        let stored_as = stored_name(&self.name);
        let before = before.and_then(|stored| stored.record.as_deref().ok());
        let mut record = match before {
            Some(record) => flipper::__exchange::named(record, &stored_as).into_owned(),
            None => {
                // Refuses what is no name.
                let checked = state.app.features.new_record(&self.name);
                checked.map_err(|error| Fault::new("name", without_flag(&error, &self.name)))?;
                FlagRecord::new(&*stored_as, now())
            }
        };
        let text = self.typed.as_deref().unwrap_or_default().trim();
        // What is not changed stays as it is stored.
        if before.and_then(FlagRecord::segment).is_none_or(|when| when.to_string() != text) {
            let wrong = |error: flipper::evaluation::ParseConditionError| match &text[error.span()] {
                "" => Fault::new("when", format!("at the end: {}", error.message())),
                part => Fault::new("when", format!("at “{part}”: {}", error.message())),
            };
            record.set_segment(Some(text.parse::<When>().map_err(wrong)?));
        }
        let checked = match record.validate() {
            Ok(()) => state.app.features.check_links(&record, before).await,
            wrong => wrong,
        };
        checked.map_err(|error| Fault::new("when", without_flag(&error, &stored_as)))?;
        Ok(record)
    }

    /// A segment is as protected as the flags whose rules name it.
    fn asks_twice(&self, state: &State) -> bool {
        let of_flag =
            |stored: &Stored| stored.record.as_ref().is_ok_and(|record| is_protected(state, &stored.name, record));
        state.page.protects(&self.name) || users(state, &self.name).iter().any(of_flag)
    }

    async fn conflict(mut self, state: &State, viewer: &Viewer, now: Option<Stored>) -> Response {
        let theirs = now.as_ref().and_then(|stored| Some(stored.record.as_ref().ok()?.segment()?.to_string()));
        let text = match (&theirs, &now) {
            (Some(theirs), _) => html! {
                p { "It is now:" } p { code { (brief(theirs)) } }
                p { "The form below has what you typed. Save it if it should replace that, or " a href=(link::segment(&self.name)) { "drop your change" } "." }
            },
            (None, Some(_)) => html! { p { "What is stored cannot be read any more." } },
            (None, None) => html! { p { "It is destroyed. Save the form below if it should be there again." } },
        };
        let title = "Another has changed this segment meanwhile, so nothing is saved";
        self.notice = Some(html! { div.notice.warn role="alert" { h2 { (title) } (text) } });
        self.version = Some(now.map(|stored| tag(&stored.version)).unwrap_or_default());
        self.status = StatusCode::CONFLICT;
        self.response(state, viewer).await
    }

    fn ask(
        &self,
        state: &State,
        viewer: &Viewer,
        form: &Form,
        before: Option<&Stored>,
        after: Option<&FlagRecord>,
    ) -> Response {
        let text =
            |record: Option<&FlagRecord>| record.and_then(FlagRecord::segment).map(|when| brief(&when.to_string()));
        let before = text(before.and_then(|stored| stored.record.as_deref().ok()));
        let after = text(after);
        let title = format!("Change the segment {}?", shown(&self.name));
        let main = html! {
            h1 { (title) }
            p.lead { "Protected flags depend on this segment, so the page asks twice. This is what would change:" }
            dl.diff { div {
                dt { "segment" }
                @if let Some(before) = &before { dd { del { (before) } } }
                @if let Some(after) = &after { dd { ins { (after) } } }
            } }
            form.simple method="post" action=(link::SEGMENT) {
                (csrf(state, viewer))
                (question(form))
                (reason::field(state, "reason", &self.reason, None))
                div.actions {
                    button.bad[after.is_none()] { "Yes, change it" }
                    a.button.plain href=(link::segment(&self.name)) { "No, leave it as it is" }
                }
            }
        };
        layout::page(state, viewer, Place::Segments, &title, &main)
    }

    async fn response(&self, state: &State, viewer: &Viewer) -> Response {
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
                p.lead { "There is no such segment. Rules that name it do not hold." }
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
                @else {
                    ul {
                        @for stored in &users {
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
