//! A new flag.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State as Shared;
use axum::response::Response;
use flipper::FeatureFlagClient;
use flipper::json::{Json, Object};
use flipper::store::Precondition;
use http::{HeaderMap, StatusCode};
use maud::{Markup, html};

use super::State;
use super::change::see;
use super::draft::Fault;
use super::form::Form;
use super::layout::{self, Place, csrf, sentence};
use super::link;
use super::list::shown;
use super::reason;
use super::viewer::Viewer;
use crate::access::Role;
use crate::problem::Problem;

#[derive(Default)]
struct New {
    name: String,
    description: String,
    owner: String,
    tags: String,
    reason: String,
}

pub(super) async fn show(Shared(state): Shared<Arc<State>>, viewer: Viewer) -> Result<Response, Problem> {
    viewer.must_read()?;
    if !viewer.writes_any() {
        return Err(viewer.must(Role::Write, "").err().unwrap_or_else(Problem::no_such_path));
    }
    Ok(page(&state, &viewer, &New::default(), None, None))
}

pub(super) async fn create(
    Shared(state): Shared<Arc<State>>,
    viewer: Viewer,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    viewer.must_read()?;
    let form = Form::own(&state, &viewer, &headers, body).await?;
    let text = |name: &str| form.text(name).trim().to_owned();
    let new = New {
        name: text("name"),
        description: text("description"),
        owner: text("owner"),
        tags: text("tags"),
        reason: reason::typed(&form).to_owned(),
    };
    if let Err(problem) = viewer.must(Role::Write, &new.name) {
        return Ok(refused(&state, &viewer, &new, &problem));
    }
    let features = match reason::features(&state, &viewer, &form) {
        Ok(features) => features,
        Err(fault) => {
            let mut response = page(&state, &viewer, &new, None, Some(&fault));
            *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
            return Ok(response);
        }
    };
    match put(&features, &new).await {
        Ok(()) => Ok(see(&link::flag_after(&new.name, "created"))),
        Err(error) => Ok(refused(&state, &viewer, &new, &Problem::from(error))),
    }
}

/// What was typed, and what is wrong with it.
fn refused(state: &State, viewer: &Viewer, new: &New, problem: &Problem) -> Response {
    let fault = match problem.status {
        StatusCode::CONFLICT => {
            html! { "There is a flag of this name already: " a href=(link::flag(&new.name)) { (shown(&new.name)) } "." }
        }
        _ => html! { (sentence(problem.to_object().get("detail").and_then(Json::as_str).unwrap_or_default())) },
    };
    let mut response = page(state, viewer, new, Some(&fault), None);
    *response.status_mut() = problem.status;
    response
}

async fn put(features: &FeatureFlagClient, new: &New) -> flipper::Result<()> {
    let mut record = features.new_record(&new.name)?;
    let mut data = Object::new();
    for (key, text) in [("description", &new.description), ("owner", &new.owner)] {
        if !text.is_empty() {
            data.insert(key, text.as_str());
        }
    }
    let tags: Vec<Json> = new.tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(Json::from).collect();
    if !tags.is_empty() {
        data.insert("tags", tags);
    }
    record.set_client_data(data);
    record.validate()?;
    features.put(&record, Precondition::Absent).await.map(drop)
}

fn page(state: &State, viewer: &Viewer, new: &New, fault: Option<&Markup>, of_reason: Option<&Fault>) -> Response {
    let main = html! {
        h1 { "New flag" }
        form.simple method="post" action=(link::NEW) {
            (csrf(state, viewer))
            div.field {
                label for="name" { "Name" }
                input #name name="name" value=(new.name) required autocomplete="off" spellcheck="false" maxlength="255"
                    aria-invalid=[fault.map(|_| "true")] aria-describedby="name-hint fault";
                p.hint #name-hint {
                    "As programs ask for it: up to 255 bytes, without a slash. Older OFREP clients cannot ask for a name with #, ?, % or \\."
                }
                div #fault role="alert" { @if let Some(fault) = fault { p.fault { (fault) } } }
            }
            (field("description", "Description", &new.description, "What it turns on."))
            (field("owner", "Owner", &new.owner, "A team or a person."))
            (field("tags", "Tags", &new.tags, "With commas."))
            (reason::field(state, "reason", &new.reason, of_reason))
            p.hint { "A new flag is off." }
            div.actions { button { "Create" } a.button.plain href=(link::LIST) { "Cancel" } }
        }
    };
    layout::page(state, viewer, Place::New, "New flag", &main)
}

fn field(name: &str, label: &str, value: &str, hint: &str) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) " " span.optional { "optional" } }
            input id=(name) name=(name) value=(value) autocomplete="off" aria-describedby={ (name) "-hint" };
            p.hint id={ (name) "-hint" } { (hint) }
        }
    }
}
