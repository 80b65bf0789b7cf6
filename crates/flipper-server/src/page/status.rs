//! How current the flags are, and who follows them.

use std::sync::Arc;

use axum::extract::State as Shared;
use axum::response::Response;
use flipper::__words::plain;
use flipper::FeatureFlagStore;
use flipper::store::{Health, Updates};
use maud::{Markup, html};

use super::State;
use super::layout::{self, Place};
use super::link;
use super::viewer::Viewer;
use super::views::{moment, span};
use crate::problem::Problem;

/// Of a list of followers.
const SHOWN: usize = 200;

pub(super) async fn show(Shared(state): Shared<Arc<State>>, viewer: Viewer) -> Result<Response, Problem> {
    viewer.must_read()?;
    let app = &state.app;
    let status = app.store.status();
    // For one who sees them: there may be thousands.
    let followers = if viewer.is_admin { app.changes.who_follows() } else { Vec::new() };
    let count = app.changes.followers();
    let identity = status.identity.clone().unwrap_or_else(|| app.store.identity());
    let flags = app.flags();
    let flags = flags.iter().filter(|flag| viewer.reads(&flag.name)).count();
    let unreadable = status.corrupt.keys().filter(|name| viewer.reads(name)).collect::<Vec<_>>();
    let circles = viewer.circles(app);
    let main = html! {
        h1 { "Status" }
        section aria-labelledby="store" {
            h2 #store { "The store" }
            dl.facts #facts data-live {
                (fact("Flags", &html! {
                    @match &status.health {
                        Health::Live => span.badge.on { "Current" },
                        Health::Stale { since, reason } => { span.badge.bad { "Stale" } " since " (moment(*since)) ": " (plain(reason)) },
                        _ => "Unknown",
                    }
                }))
                (fact("Last confirmed", &html! {
                    @match status.age() { Some(age) => { (span(age)) " ago" }, None => "never" }
                }))
                (fact("Changes arrive", &html! { (updates(status.updates)) }))
                (fact("History", &html! {
                    @if app.store.capabilities().history { a href=(link::HISTORY) { "Kept by the store" } } @else { "Not kept by this store" }
                }))
                (fact("In memory", &html! { (flags) @if flags == 1 { " flag" } @else { " flags" } }))
                (fact("Store", &html! { (plain(&app.store.to_string())) }))
                (fact("Identity", &html! { code { (plain(&identity.to_string())) } }))
                @if !unreadable.is_empty() {
                    (fact("Unreadable", &html! {
                        @for name in unreadable { a href=(link::flag(name)) { (plain(name)) } " " }
                    }))
                }
                @if !circles.is_empty() {
                    (fact("In a circle", &html! {
                        p { "These need each other: such flags are off, and such segments hold for no caller." }
                        ul { @for circle in &circles { li { (circle) } } }
                    }))
                }
            }
        }
        section aria-labelledby="connected" {
            h2 #connected { "Who is connected" }
            div #followers data-live {
                p { (count) @if count == 1 { " follower of changes, " } @else { " followers of changes, " }
                    (app.counts.connections()) " open connections over HTTP"
                    @for (protocol, count) in state.page.connected() { ", " (count) " over " (plain(protocol)) }
                    "."
                }
                @if !followers.is_empty() {
                    div.scroll tabindex="0" role="region" aria-label="Followers" { table {
                        thead { tr { th scope="col" { "Who" } th scope="col" { "Program" } th scope="col" { "Since" } } }
                        tbody {
                            @for follower in followers.iter().take(SHOWN) {
                                tr {
                                    td { (plain(&follower.who)) }
                                    td { (program(&follower.program)) }
                                    td { (moment(follower.since)) }
                                }
                            }
                        }
                    } }
                    @if followers.len() > SHOWN { p.hint { "And " (followers.len() - SHOWN) " more." } }
                }
            }
        }
    };
    Ok(layout::page(&state, &viewer, Place::Status, "Status", &main))
}

/// Browsers have long names, and follow for this page.
fn program(name: &str) -> String {
    match name.starts_with("Mozilla/") {
        true => "this page, in a browser".to_owned(),
        false => plain(name).into_owned(),
    }
}

fn fact(name: &str, value: &Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn updates(updates: Updates) -> String {
    match updates {
        Updates::Local => "by this server alone".to_owned(),
        Updates::Push => "at once, from the store".to_owned(),
        Updates::Notifications { check_every } => {
            format!("at once, from the store, which is also asked every {}", span(check_every))
        }
        Updates::Poll { every } => format!("by asking the store every {every:?}"),
        _ => "in a way that this page does not know".to_owned(),
    }
}
