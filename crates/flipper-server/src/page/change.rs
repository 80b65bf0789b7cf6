//! All changes of a flag that exists: each is a form with the flag's name, and the version that the page showed.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use flipper::__exchange::named;
use flipper::FlagRecord;
use flipper::json::Json;
use flipper::store::Stored;
use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, StatusCode};
use maud::{Markup, html};

use super::conflict;
use super::draft::{Draft, Fault};
use super::flag::{Base, View, held};
use super::form::Form;
use super::layout::{self, Place, csrf, sentence};
use super::list::shown;
use super::reason;
use super::viewer::Viewer;
use super::views::{diff, notice};
use super::write::{self, Outcome};
use super::{State, link, preview, targeting, undo};
use crate::access::Role;
use crate::api::now;
use crate::app::is_segment;
use crate::problem::Problem;

/// Of a second question.
pub(super) const CONFIRMED: &str = "confirmed";

/// The flag as the form's page showed it.
const BASE: &str = "base";

/// What a form asks for.
pub(super) struct Wish<'a> {
    pub(super) name: String,
    pub(super) version: &'a str,
    pub(super) what: What,
    form: &'a Form,
}

pub(super) enum What {
    Flip(bool),
    Save(Box<Draft>),
    Preview(Box<Draft>),
    Destroy,
}

impl<'a> Wish<'a> {
    fn read(form: &'a Form) -> Result<Self, Problem> {
        let unknown = || Problem::bad_request("the form asks for nothing that this page does");
        // Of a row: what to do, the version and the name.
        if let Some(flip) = form.get("flip") {
            let mut parts = flip.splitn(3, ' ');
            let (Some(to), Some(version), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
                return Err(unknown());
            };
            let to = match to {
                "on" => true,
                "off" => false,
                _ => return Err(unknown()),
            };
            return Ok(Self { name: link::read(name), version, what: What::Flip(to), form });
        }
        let what = match form.text("do") {
            "save" => What::Save(Box::new(Draft::read_whole(form)?)),
            "preview" => What::Preview(Box::new(Draft::read(form))),
            "destroy" => What::Destroy,
            _ => return Err(unknown()),
        };
        Ok(Self { name: link::read(form.text("name")), version: form.text("version"), what, form })
    }

    /// The flag as the form's page showed it.
    pub(super) fn base(&self) -> Option<FlagRecord> {
        let record = FlagRecord::from_json(self.form.get(BASE)?).ok()?;
        Some(named(&record, &self.name).into_owned())
    }

    /// The flag that the form changes.
    fn of(&self, stored: &Stored) -> Option<Base> {
        let record = self.base().or_else(|| Some(named(stored.readable().ok()?, &self.name).into_owned()))?;
        Some(Base { version: self.version.to_owned(), record })
    }

    pub(super) fn reason(&self) -> &str {
        reason::typed(self.form)
    }

    /// The state to go to.
    fn verb(&self) -> &'static str {
        match self.what {
            What::Flip(true) => "Turn on",
            What::Flip(false) => "Turn off",
            What::Save(_) | What::Preview(_) => "Change",
            What::Destroy => "Destroy",
        }
    }
}

pub(super) async fn change(
    Shared(state): Shared<Arc<State>>,
    viewer: Viewer,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    viewer.must_read()?;
    let form = Form::own(&state, &viewer, &headers, body).await?;
    if let Some(button) = form.get("undo") {
        return undo::undo(&state, &viewer, &form, button).await;
    }
    let wish = Wish::read(&form)?;
    // It has a form of its own, which knows no switch.
    if held(&state, &wish.name).is_ok_and(|stored| is_segment(&stored)) {
        return Err(Problem::bad_request("this is a segment, not a flag"));
    }
    if let What::Preview(draft) = &wish.what {
        viewer.must(Role::Read, &wish.name)?;
        return try_out(&state, &viewer, &wish, draft).await;
    }
    viewer.must(Role::Write, &wish.name)?;
    let outcome = match write::current(&state.app, &wish.name, wish.version).await {
        Err(outcome) => outcome,
        Ok(stored) => match carry_out(&state, &viewer, &wish, &stored).await {
            Ok(outcome) => outcome,
            Err(question) => return Ok(*question),
        },
    };
    match outcome {
        Outcome::Done => Ok(done(&viewer, &wish)),
        Outcome::Conflict(Some(now)) if conflict::is_as_wanted(&wish, &now) => Ok(done(&viewer, &wish)),
        Outcome::Conflict(now) => Ok(conflict::response(&state, &viewer, &wish, now).await),
        Outcome::Failed(problem) => failed(&state, &viewer, &wish, problem).await,
    }
}

/// Of a page that is loaded again after its form was answered.
pub(super) async fn nothing() -> Response {
    see(link::LIST)
}

/// Or an answer instead of a write: a question first, or that there is nothing to write.
async fn carry_out(state: &State, viewer: &Viewer, wish: &Wish<'_>, stored: &Stored) -> Result<Outcome, Box<Response>> {
    let record = stored.record.as_ref().ok().map(|record| named(record, &wish.name));
    let mut after = record.as_deref().cloned();
    match (&wish.what, &mut after) {
        (What::Destroy, _) => {
            after = None;
            let typed = wish.form.text("typed");
            if typed != wish.name && typed != shown(&wish.name) {
                let text = html! { "Nothing was destroyed: what you typed is not the name of this flag." };
                let view = View {
                    notice: Some(notice("bad", &text)),
                    status: Some(StatusCode::UNPROCESSABLE_ENTITY),
                    reason: reason::typed(wish.form).to_owned(),
                    ..View::default()
                };
                return Err(Box::new(view.response(state, viewer, stored).await));
            }
        }
        (_, None) => {
            return Ok(Outcome::Failed(stored.readable().map_or_else(Problem::from, |_| Problem::bad_request(""))));
        }
        (What::Flip(to), Some(after)) => after.switch(*to, now()),
        (What::Save(draft) | What::Preview(draft), Some(after)) => {
            let mut faults = draft.apply(after).err().unwrap_or_default();
            if let (true, Some(before)) = (faults.is_empty(), record.as_deref()) {
                match targeting::must_exist(&state.app.features, after, before).await {
                    Ok(()) => {}
                    Err(Ok(fault)) => faults.push(fault),
                    Err(Err(problem)) => return Ok(Outcome::Failed(problem)),
                }
            }
            if !faults.is_empty() {
                let text = html! { "Nothing was saved. " (if faults.len() == 1 { "A field needs another look." } else { "Some fields need another look." }) };
                let view = View {
                    notice: Some(notice("bad", &text)),
                    status: Some(StatusCode::UNPROCESSABLE_ENTITY),
                    draft: Some(Draft::clone(draft)),
                    faults,
                    users: wish.form.get("users").map(str::to_owned),
                    reason: reason::typed(wish.form).to_owned(),
                    ..View::default()
                };
                return Err(Box::new(view.response(state, viewer, stored).await));
            }
            if record.as_deref() == Some(&*after) {
                return Err(Box::new(see(&link::flag_after(&wish.name, "same"))));
            }
        }
    }
    // Also a flag that cannot be read.
    let is_protected = state.page.protects(&wish.name)
        || record.as_deref().is_some_and(|record| is_protected(state, &wish.name, record));
    let features = match reason::features(state, viewer, wish.form) {
        Ok(features) if wish.form.has(CONFIRMED) || !is_protected => features,
        why => {
            let question = Question { wish, is_protected, fault: why.err() };
            return Err(Box::new(question.response(state, viewer, record.as_deref(), after.as_ref())));
        }
    };
    Ok(match after {
        None => write::destroy(&state.app, &features, stored).await,
        Some(after) => write::replace(&state.app, &features, stored, &after).await,
    })
}

/// Whether changes of this flag are asked about twice.
pub(super) fn is_protected(state: &State, name: &str, record: &FlagRecord) -> bool {
    flipper::client_data::is_protected(record) || state.page.protects(name)
}

/// The page asks before it writes.
struct Question<'a> {
    wish: &'a Wish<'a>,
    is_protected: bool,
    /// Of the reason.
    fault: Option<Fault>,
}

impl Question<'_> {
    fn response(
        &self,
        state: &State,
        viewer: &Viewer,
        before: Option<&FlagRecord>,
        after: Option<&FlagRecord>,
    ) -> Response {
        let wish = self.wish;
        let (name, verb) = (shown(&wish.name), wish.verb());
        let title = format!("{verb} {name}?");
        // Who was not asked yet has made no mistake.
        let is_asked = wish.form.has(CONFIRMED) || reason::is_given(wish.form);
        let fault = self.fault.as_ref().filter(|_| is_asked);
        let main = html! {
            h1 { (title) }
            p.lead {
                @if self.is_protected { "This flag is protected, so the page asks twice. " }
                @else if state.page.requires_reason() { "This server asks for a reason of each change. " }
                "This is what would change:"
            }
            @if before.is_none() && after.is_none() { p.hint { "The flag is destroyed. It cannot be read, so what was in it cannot be shown." } }
            @else { (diff(before, after)) }
            form.simple method="post" action=(link::CHANGE) {
                (csrf(state, viewer))
                (question(wish.form))
                (reason::field(state, "reason", reason::typed(wish.form), fault))
                div.actions {
                    button.bad[after.is_none()] { "Yes, " (verb.to_lowercase()) " " (name) }
                    a.button.plain href=(link::flag(&wish.name)) { "No, leave it as it is" }
                }
            }
        };
        let mut response = layout::page(state, viewer, Place::Flags, &title, &main);
        *response.status_mut() = fault.map_or(StatusCode::OK, |_| StatusCode::UNPROCESSABLE_ENTITY);
        response
    }
}

/// All that the form has, to be sent again with a yes, and with the reason of a field beside it.
pub(super) fn question(form: &Form) -> Markup {
    let rest = form.rest().filter(|(name, _)| ![CONFIRMED, reason::FIELD].contains(name));
    html! {
        @for (name, value) in rest { input type="hidden" name=(name) value=(value); }
        input type="hidden" name=(CONFIRMED) value="yes";
    }
}

fn done(viewer: &Viewer, wish: &Wish<'_>) -> Response {
    if viewer.is_script {
        return StatusCode::NO_CONTENT.into_response();
    }
    let back = link::own(wish.form.text("back")).filter(|back| *back != link::flag(&wish.name));
    let to = match (&wish.what, back) {
        (What::Flip(_), Some(back)) => back.to_owned(),
        (What::Flip(true), None) => link::flag_after(&wish.name, "on"),
        (What::Flip(false), None) => link::flag_after(&wish.name, "off"),
        (What::Save(_) | What::Preview(_), _) => link::flag_after(&wish.name, "saved"),
        (What::Destroy, _) => format!("{}?done=destroyed", link::LIST),
    };
    see(&to)
}

/// After a form the browser loads this page.
pub(super) fn see(to: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().extend(HeaderValue::try_from(to).ok().map(|to| (LOCATION, to)));
    response
}

/// The flag's page with what went wrong, and with what was typed.
async fn failed(state: &State, viewer: &Viewer, wish: &Wish<'_>, problem: Problem) -> Result<Response, Problem> {
    let Ok(stored) = held(state, &wish.name) else { return Err(problem) };
    let object = problem.to_object();
    let text = |field: &str| object.get(field).and_then(Json::as_str).map(sentence).unwrap_or_default();
    let text = html! { strong { (text("title")) } " " (text("detail")) " " (text("hint")) };
    let (draft, of) = match &wish.what {
        What::Save(draft) => (Some(Draft::clone(draft)), wish.of(&stored)),
        _ => (None, None),
    };
    let view = View {
        notice: Some(notice("bad", &text)),
        status: Some(problem.status),
        draft,
        of,
        users: wish.form.get("users").map(str::to_owned),
        reason: reason::typed(wish.form).to_owned(),
        ..View::default()
    };
    Ok(view.response(state, viewer, &stored).await)
}

async fn try_out(state: &State, viewer: &Viewer, wish: &Wish<'_>, draft: &Draft) -> Result<Response, Problem> {
    let (most, stored) = (state.app.limits.body, held(state, &wish.name)?);
    let writes = viewer.writes(&wish.name);
    if writes && wish.form.text(BASE).len() > most {
        return Err(Problem::too_large(most));
    }
    // What the form shows, whatever the flag is meanwhile. But the form may be made up, and ask about other flags and segments than this flag
    // does: only who could save it may try it out.
    let mut record = match writes.then(|| wish.base()).flatten() {
        Some(base) => base,
        None => named(stored.readable()?, &wish.name).into_owned(),
    };
    let users = wish.form.text("users").replace("\r\n", "\n");
    // A browser sends no fields that the viewer may not change.
    let draft = if writes { draft.clone() } else { Draft::of(&record) };
    let reason = reason::typed(wish.form).to_owned();
    let mut view = View {
        draft: Some(draft.clone()),
        of: writes.then(|| wish.of(&stored)).flatten(),
        users: Some(users.clone()),
        reason,
        ..View::default()
    };
    match draft.apply(&mut record) {
        Ok(()) => view.preview = Some(preview::answers(&state.app, &record, users).await?),
        Err(faults) => {
            view.preview = Some(html! {
                @for fault in &faults { p.fault { (sentence(&fault.message)) } }
            });
            view.faults = faults;
        }
    }
    Ok(view.response(state, viewer, &stored).await)
}
