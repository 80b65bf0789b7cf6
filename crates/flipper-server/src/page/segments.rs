//! The list of segments.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use axum::extract::State as Shared;
use axum::response::Response;
use flipper::__words::plain;
use flipper::store::Stored;
use flipper::targeting::{segment_of, stored_name};
use maud::{Markup, html};

use super::State;
use super::layout::{self, Place};
use super::link;
use super::list::breakable;
use super::viewer::Viewer;
use crate::app::is_segment;
use crate::problem::Problem;

/// Letters of whom a segment is about. All are on its own page.
const LONGEST: usize = 200;

pub(super) async fn show(Shared(state): Shared<Arc<State>>, viewer: Viewer) -> Result<Response, Problem> {
    viewer.must_read()?;
    let mut all = state.app.store.table().list();
    all.retain(|stored| is_segment(stored) && viewer.reads(&stored.name));
    let main = html! {
        h1 { "Segments" }
        p.lead { "Callers that rules name together: " code { "in segment beta" } ". A change shows at once in each flag whose rules name it." }
        @if viewer.writes_any() { p { a.button href=(link::SEGMENT) { "New segment" } } }
        @if all.is_empty() { p { "There are no segments." } }
        @else { ul.flags #segments data-live { @for stored in &all { (row(stored)) } } }
    };
    Ok(layout::page(&state, &viewer, Place::Segments, "Segments", &main))
}

fn row(stored: &Stored) -> Markup {
    let name = segment_of(&stored.name).unwrap_or(&stored.name);
    html! {
        li data-name=(stored.name) {
            div.name { a href=(link::segment(name)) { (breakable(name)) } }
            @match stored.record.as_ref().ok().and_then(|record| record.segment()) {
                None => { div.state { span.badge.bad { "Unreadable" } } div.who {} }
                Some(when) => { div.state {} div.who { p { (brief(&when.to_string())) } } }
            }
        }
    }
}

pub(super) fn brief(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}… ({} letters)", plain(&text[..end]), text.chars().count()),
        None => plain(text).into_owned(),
    }
}

/// The flags and segments that name it, in the order of their names.
pub(super) fn users(state: &State, segment: &str) -> Vec<Stored> {
    let mut all = state.app.store.table().list();
    all.retain(|stored| {
        let mut names_it = false;
        each_named(stored, &mut |name| names_it |= name == segment);
        names_it && stored.name != stored_name(segment)
    });
    all
}

/// The same, and those that name a segment of these, and so on.
pub(super) fn dependents(state: &State, segment: &str) -> Vec<Stored> {
    let all = state.app.store.table().list();
    let mut users: HashMap<String, Vec<usize>> = HashMap::new();
    for (place, stored) in all.iter().enumerate() {
        each_named(stored, &mut |name| users.entry(name.to_owned()).or_default().push(place));
    }
    let (mut found, mut wanted) = (BTreeSet::new(), vec![segment]);
    while let Some(name) = wanted.pop() {
        let new = users.remove(name).unwrap_or_default().into_iter().filter(|place| found.insert(*place));
        wanted.extend(new.filter_map(|place| segment_of(&all[place].name).filter(|_| is_segment(&all[place]))));
    }
    found.into_iter().map(|place| all[place].clone()).collect()
}

fn each_named(stored: &Stored, name: &mut dyn FnMut(&str)) {
    let Ok(record) = &stored.record else { return };
    let whens = record.rules().iter().filter_map(|rule| rule.when.as_ref()).chain(record.segment());
    whens.for_each(|when| when.each_segment(&mut |segment| name(segment)));
}
