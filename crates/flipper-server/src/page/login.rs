//! Login with a token. The browser then has a cookie, and not the token.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Request, State as Shared};
use axum::response::Response;
use http::header::{AUTHORIZATION, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use maud::{Markup, html};

use super::change::see;
use super::form::{CSRF, Form};
use super::layout::{self, sentence};
use super::viewer::Viewer;
use super::{State, link, session};
use crate::access::{Role, Session, foreign_origin};
use crate::problem::{Problem, Reason};
use crate::request::peer;

/// Of the form, in bytes: anyone may send it.
const LARGEST: usize = 16 * 1024;
/// Forms of no one yet.
const BOUND: &str = "login";

pub(super) async fn show(Shared(state): Shared<Arc<State>>, session: Option<Extension<Session>>, uri: Uri) -> Response {
    let next = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).find(|(key, _)| key == "next");
    let next = next.as_ref().map(|(_, next)| &**next).unwrap_or_default();
    if !state.app.access.has_tokens() || session.is_some() {
        return see(link::own(next).unwrap_or(link::LIST));
    }
    page(&state, next, None)
}

pub(super) async fn log_in(Shared(state): Shared<Arc<State>>, request: Request) -> Result<Response, Problem> {
    if !state.app.access.has_tokens() {
        return Ok(see(link::LIST));
    }
    let (parts, body) = request.into_parts();
    if foreign_origin(&parts.headers, &parts.uri, state.app.ofrep.origin()).is_some() {
        let detail = "a page of another origin sent this form";
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", "You may not do this", detail));
    }
    let form = Form::read(&state, &parts.headers, body, LARGEST).await?;
    let next = form.text("next");
    if !state.csrf.is_valid(form.text(CSRF), BOUND) {
        return Ok(page(&state, next, Some("the form was too old; try again")));
    }
    let access = match access(&state, form.text("token").trim(), peer(&parts.extensions)) {
        Ok(access) => access,
        Err(why) => return Ok(page(&state, next, Some(&why))),
    };
    // The browser forgets its cookie.
    if let Some(old) = session::cookie(&parts.headers, &parts.uri) {
        state.sessions.end(old);
    }
    let id = state.sessions.begin(access);
    let is_encrypted = state.page.is_behind_tls() || session::is_encrypted(&parts.headers, &parts.extensions);
    let (headers, uri) = (&parts.headers, &parts.uri);
    let cookie = id.and_then(|id| session::set_cookie(headers, uri, Some(&id), is_encrypted)).ok_or_else(|| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The server failed", "the system has no randomness")
    })?;
    let mut response = see(link::own(next).unwrap_or(link::LIST));
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

/// What a request with this token may do. It counts as one: guesses are limited.
fn access(state: &State, token: &str, peer: Option<IpAddr>) -> Result<crate::access::Access, String> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = Uri::from_static(link::LIST);
    let bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| "that is no token".to_owned())?;
    request.headers_mut().insert(AUTHORIZATION, bearer);
    let refused = |response: Box<Response>| {
        let why = response.extensions().get::<Reason>().map(|reason| reason.0.to_string());
        why.unwrap_or_else(|| "that is no token of this server".to_owned())
    };
    match state.app.access.guard(&request, peer).map_err(refused)? {
        Some(access) if access.role >= Role::Read => Ok(access),
        _ => Err("this token may only evaluate flags; the page needs one with the role read".to_owned()),
    }
}

pub(super) async fn log_out(
    Shared(state): Shared<Arc<State>>,
    viewer: Viewer,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    Form::own(&state, &viewer, &headers, body).await?;
    if let Some(id) = session::cookie(&headers, &uri) {
        state.sessions.end(id);
    }
    let mut response = see(link::LOGIN);
    response.headers_mut().extend(session::set_cookie(&headers, &uri, None, false).map(|cookie| (SET_COOKIE, cookie)));
    Ok(response)
}

fn page(state: &State, next: &str, fault: Option<&str>) -> Response {
    let main: Markup = html! {
        h1 { "Log in" }
        form.simple method="post" action=(link::LOGIN) {
            input type="hidden" name=(CSRF) value=(state.csrf.token(BOUND));
            input type="hidden" name="next" value=(next);
            div.field {
                label for="token" { "Token" }
                input #token type="password" name="token" required autocomplete="current-password" spellcheck="false"
                    aria-invalid=[fault.map(|_| "true")] aria-describedby="token-hint fault";
                p.hint #token-hint { "It begins with " code { "flp_" } "; " code { "flipper token create" } " makes one." }
                div #fault role="alert" { @if let Some(fault) = fault { p.fault { (sentence(fault)) } } }
            }
            div.actions { button { "Log in" } }
        }
        // To a page that another site links to, a browser does not send the cookie.
        @if let Some(next) = link::own(next).filter(|_| fault.is_none()) {
            p.hint { "Already logged in? " a href=(next) { "Go on" } "." }
        }
    };
    let status = if fault.is_some() { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
    layout::with_status(status, layout::bare("Log in", &main))
}
