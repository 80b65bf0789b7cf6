//! The page of one segment, and its form.

mod view;

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
use super::layout::{self, Place, csrf};
use super::list::shown;
use super::segments::{brief, dependents, users};
use super::targeting::without_flag;
use super::viewer::Viewer;
use super::views::{diff, notice};
use super::write::{self, Outcome};
use super::{State, link, reason};
use crate::access::Role;
use crate::api::{now, tag};
use crate::app::is_segment;
use crate::problem::Problem;

const NEW_NAME: &str = "new-name";
/// What checks answer without the segment.
const MISSING: &str =
    "A rule whose condition names it does not hold, also under “not”, unless the rest of the condition decides.";

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
    let done = match get("done").as_deref() {
        Some("saved") => Some("The segment is saved."),
        Some("undone") => Some("The change is undone."),
        _ => None,
    };
    Ok(View { name, notice: done.map(|text| notice("good", &html! { (text) })), ..View::default() }
        .response(&state, &viewer)
        .await)
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
        Ok(features) if form.has(CONFIRMED) || !view.must_ask(&state, is_destroyed) => features,
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

    /// A segment is as protected as the flags that depend on it, also through other segments.
    fn is_protected(&self, state: &State) -> bool {
        let is_one = |stored: &Stored| {
            let own = segment_of(&stored.name).unwrap_or(&stored.name);
            state.page.protects(own)
                || stored.record.as_ref().is_ok_and(|record| is_protected(state, &stored.name, record))
        };
        state.page.protects(&self.name) || dependents(state, &self.name).iter().any(is_one)
    }

    /// Also before flags lose it that are not protected.
    fn must_ask(&self, state: &State, is_destroyed: bool) -> bool {
        (is_destroyed && !users(state, &self.name).is_empty()) || self.is_protected(state)
    }

    async fn conflict(mut self, state: &State, viewer: &Viewer, now: Option<Stored>) -> Response {
        let theirs =
            now.as_ref().and_then(|stored| stored.record.as_deref().ok()).filter(|record| record.segment().is_some());
        let mine =
            theirs.zip(self.typed.as_deref().and_then(|typed| typed.parse::<When>().ok())).map(|(theirs, when)| {
                let mut mine = theirs.clone();
                mine.set_segment(Some(when));
                mine
            });
        let text = match (theirs, &now) {
            (Some(theirs), _) => html! {
                @if let Some(mine) = &mine { p { "What it is now, and what you typed:" } (diff(Some(theirs), Some(mine))) }
                @else { p { "It is now:" } p { code { (brief(&theirs.segment().map(ToString::to_string).unwrap_or_default())) } } }
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
        let before = before.and_then(|stored| stored.record.as_deref().ok());
        let verb = if after.is_none() { "Destroy" } else { "Change" };
        let title = format!("{verb} the segment {}?", shown(&self.name));
        let main = html! {
            h1 { (title) }
            p.lead {
                @if self.is_protected(state) { "Protected flags depend on this segment, so the page asks twice. " }
                "This is what would change:"
            }
            (diff(before, after))
            @if after.is_none() { (self.losers(state, viewer)) }
            form.simple method="post" action=(link::SEGMENT) {
                (csrf(state, viewer))
                (question(form))
                (reason::field(state, "reason", &self.reason, None))
                div.actions {
                    button.bad[after.is_none()] { "Yes, " (verb.to_lowercase()) " it" }
                    a.button.plain href=(link::segment(&self.name)) { "No, leave it as it is" }
                }
            }
        };
        layout::page(state, viewer, Place::Segments, &title, &main)
    }
}
