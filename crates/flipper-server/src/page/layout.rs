//! The frame of each page.

use axum::response::{IntoResponse, Response};
use flipper::__words::plain;
use flipper::store::{Health, Status};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use maud::{DOCTYPE, Markup, html};

use super::State;
use super::assets::{ICON, SCRIPT, STYLE};
use super::form::CSRF;
use super::link;
use super::viewer::Viewer;
use super::views::fixed_moment;
use crate::api::now;

pub(super) const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// The part of the site that a page belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Flags,
    New,
    Segments,
    History,
    Status,
}

pub(super) fn page(state: &State, viewer: &Viewer, place: Place, title: &str, main: &Markup) -> Response {
    let link = |to: &str, name: &str, here: Place| {
        html! { a href=(to) aria-current=[(place == here).then_some("page")] { (name) } }
    };
    let status = state.app.store.status();
    answer(document(
        title,
        Some(link::CHANGES),
        &html! {
            header.top {
                a.brand href=(link::LIST) { img src=(ICON.path) alt="" width="22" height="22"; "Flipper" }
                nav aria-label="Pages" {
                    (link(link::LIST, "Flags", Place::Flags))
                    (link(link::SEGMENTS, "Segments", Place::Segments))
                    (link(link::HISTORY, "History", Place::History))
                    @if viewer.writes_any() { (link(link::NEW, "New flag", Place::New)) }
                    (link(link::STATUS, "Status", Place::Status))
                }
                @if let Some(who) = &viewer.who {
                    div.who {
                        span { (plain(who)) }
                        @if viewer.is_logged_in {
                            form method="post" action=(link::LOGOUT) {
                                (csrf(state, viewer))
                                button.quiet { "Log out" }
                            }
                        }
                    }
                }
            }
            (banner(&status))
            main #main tabindex="-1" { (main) }
            footer {
                span { "Flags of " (plain(&state.app.store.to_string())) }
                span { "Flipper " (env!("CARGO_PKG_VERSION")) }
            }
        },
    ))
}

/// While the flags are not those of the store; the script shows the second half when it loses the server.
fn banner(status: &Status) -> Markup {
    html! {
        div #banner data-live role="status" {
            @if let Health::Stale { since, reason } = &status.health {
                div.banner.warn {
                    strong { "These flags are stale." }
                    " The store is not followed since " (fixed_moment(*since)) ": " (plain(reason)) ". "
                    @if status.last_sync.is_some() { "Programs go on with the last known flags. Changes may fail until the store is back." }
                    @else { "No flags have arrived yet." }
                }
            }
        }
        div.banner.warn #lost role="status" hidden {}
    }
}

pub(super) fn csrf(state: &State, viewer: &Viewer) -> Markup {
    html! { input type="hidden" name=(CSRF) value=(viewer.csrf(state)); }
}

/// A page without a viewer.
pub(super) fn bare(title: &str, main: &Markup) -> Markup {
    document(
        title,
        None,
        &html! {
            header.top { a.brand href=(link::LIST) { img src=(ICON.path) alt="" width="22" height="22"; "Flipper" } }
            main.narrow #main tabindex="-1" { (main) }
        },
    )
}

pub(super) fn error(title: &str, detail: &str, hint: &str) -> Markup {
    let title = if title.is_empty() { "That did not work" } else { title };
    bare(
        title,
        &html! {
            h1 { (title) }
            @if !detail.is_empty() { p { (sentence(detail)) } }
            @if !hint.is_empty() { p.hint { (sentence(hint)) } }
            p { a href=(link::LIST) { "To the list of flags" } }
        },
    )
}

/// Messages begin in lower case and have no full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?']) || text.is_empty() { "" } else { "." };
    format!("{first}{}{end}", plain(letters.as_str()))
}

fn document(title: &str, changes: Option<&str>, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="description" content="Feature flags: who gets what, and who changed it";
                title { (plain(title)) " · Flipper" }
                link rel="icon" href=(ICON.path) type="image/svg+xml";
                link rel="stylesheet" href=(STYLE.path);
                script src=(SCRIPT.path) defer {}
            }
            body data-changes=[changes] data-now=(now()) {
                a.skip href="#main" { "Skip to the content" }
                (body)
                div #said.hidden role="status" aria-live="polite" {}
            }
        }
    }
}

pub(super) fn answer(page: Markup) -> Response {
    with_status(StatusCode::OK, page)
}

pub(super) fn with_status(status: StatusCode, page: Markup) -> Response {
    let mut response = page.into_string().into_response();
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HTML);
    response
}
