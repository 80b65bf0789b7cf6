//! What changed, when and by whom.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::State as Shared;
use axum::response::Response;
use flipper::history::{Entry, EntryId, HistoryQuery};
use flipper::{Error, ErrorKind, FeatureFlagStore, Result};
use futures_util::StreamExt;
use http::Uri;
use maud::{Markup, html};

use super::State;
use super::entry::{UNDO, item};
use super::filter::contains;
use super::flag::done;
use super::layout::{self, Place, csrf, sentence};
use super::link;
use super::list::{breakable, shown};
use super::viewer::Viewer;
use super::views::notice;
use crate::access::Role;
use crate::problem::Problem;

/// Of one page.
const ENTRIES: usize = 50;
/// On a flag's own page.
const FEW: usize = 10;
/// What a page reads to find entries of one actor, or of flags that the viewer may see.
const READ: usize = 2000;
/// While the store is away, a flag's page comes without its history.
const WAIT: Duration = Duration::from_secs(3);

const PERIODS: [(&str, &str); 4] = [("", "Any time"), ("1h", "Last hour"), ("1d", "Last day"), ("7d", "Last week")];

/// What a link asks for.
#[derive(Clone, Debug, Default)]
struct Ask {
    /// Of this flag alone.
    name: Option<String>,
    /// `2h`: the last two hours.
    since: String,
    /// A part of an actor's name.
    by: String,
    before: String,
}

impl Ask {
    fn of(uri: &Uri) -> Self {
        let mut ask = Self::default();
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            match &*name {
                "name" => ask.name = Some(value.into_owned()),
                "since" => ask.since = value.trim().to_owned(),
                "by" => ask.by = value.trim().to_owned(),
                "before" => ask.before = value.into_owned(),
                _ => {}
            }
        }
        ask
    }

    fn link(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(name) = &self.name {
            query.append_pair("name", name);
        }
        for (name, value) in [("since", &self.since), ("by", &self.by), ("before", &self.before)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        let query = query.finish();
        if query.is_empty() { link::HISTORY.to_owned() } else { format!("{}?{query}", link::HISTORY) }
    }

    fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut ask = Self { before: String::new(), ..self.clone() };
        change(&mut ask);
        ask
    }

    fn query(&self) -> Result<HistoryQuery, String> {
        let since = match &*self.since {
            "" => None,
            text => {
                let length = humantime::parse_duration(text).map_err(|error| {
                    format!("{text:?} is no length of time: {error}; write it like 30min, 2h or 3d")
                })?;
                Some(SystemTime::now().checked_sub(length).unwrap_or(SystemTime::UNIX_EPOCH))
            }
        };
        let query = self.name.as_ref().map_or_else(HistoryQuery::all, HistoryQuery::of);
        Ok(query.since(since).before(place(&self.before)))
    }
}

/// The page of all changes of a flag.
pub(super) fn link_of(name: &str) -> String {
    Ask { name: Some(name.to_owned()), ..Ask::default() }.link()
}

fn place(before: &str) -> Option<EntryId> {
    (!before.is_empty()).then(|| EntryId::new(before))
}

/// Entries, and after which older ones follow.
struct Part {
    entries: Vec<Entry>,
    next: Option<EntryId>,
}

async fn read(state: &State, query: HistoryQuery, most: usize, wanted: impl Fn(&Entry) -> bool) -> Result<Part> {
    in_time(async {
        let (mut part, mut last, mut read, mut places) = (Part { entries: Vec::new(), next: None }, None, 0, 0);
        let mut entries = state.app.features.entries(query);
        while let Some(entry) = entries.next().await {
            let entry = entry?;
            // An older entry shows a gap before it, which is still of this page.
            let is_full = places >= most && wanted(&entry) && !entry.id.is_gap();
            if is_full || read >= READ {
                part.next = last;
                break;
            }
            read += 1;
            if !entry.id.is_gap() {
                places += usize::from(wanted(&entry));
                last = Some(entry.id.clone());
            }
            if wanted(&entry) {
                part.entries.push(entry);
            }
        }
        Ok(part)
    })
    .await
}

async fn in_time<T>(reading: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| Err(Error::new(ErrorKind::Unavailable).with_message("the store has not answered in time"));
    tokio::time::timeout(WAIT, reading).await.unwrap_or_else(late)
}

/// The entry with this id, in the part of the history of the flag `name` that begins after `from`.
pub(super) async fn find(state: &State, name: &str, from: &str, id: &str) -> Result<Option<Entry>> {
    in_time(async {
        let mut entries = state.app.features.entries(HistoryQuery::of(name).before(place(from))).take(READ);
        while let Some(entry) = entries.next().await.transpose()? {
            if entry.id.as_str() == id {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    })
    .await
}

pub(super) async fn show(
    Shared(state): Shared<Arc<State>>,
    viewer: Viewer,
    uri: Uri,
) -> std::result::Result<Response, Problem> {
    viewer.must_read()?;
    let ask = Ask::of(&uri);
    if let Some(name) = &ask.name {
        viewer.must(Role::Read, name)?;
    }
    let (entries, next) = if is_kept(&state) { listed(&state, &viewer, &ask).await } else { (none(), None) };
    let main = html! {
        @match &ask.name {
            None => h1 { "History" },
            Some(name) => {
                p.path { a href=(link::flag(name)) { span aria-hidden="true" { "← " } (shown(name)) } }
                h1 { "History of " (breakable(name)) }
            }
        }
        @if let Some(notice) = done(&uri) { (notice) }
        @if is_kept(&state) {
            (filters(&ask))
            (undo_form(&state, &viewer))
        }
        (entries)
        nav.pages #pages data-live aria-label="Pages of the history" {
            @if !ask.before.is_empty() { a.button.plain href=(ask.with(|_| {}).link()) { "Newest" } }
            @if let Some(next) = next {
                a.button.plain rel="next" href=(ask.with(|older| next.as_str().clone_into(&mut older.before)).link()) { "Older" }
            }
        }
    };
    let title = ask.name.as_deref().map_or_else(|| "History".to_owned(), |name| format!("History of {}", shown(name)));
    Ok(layout::page(&state, &viewer, Place::History, &title, &main))
}

async fn listed(state: &State, viewer: &Viewer, ask: &Ask) -> (Markup, Option<EntryId>) {
    let query = match ask.query() {
        Ok(query) => query,
        Err(fault) => return (notice("bad", &html! { (sentence(&fault)) }), None),
    };
    let wanted = |entry: &Entry| {
        viewer.reads(&entry.name) && (ask.by.is_empty() || entry.actor().is_some_and(|actor| contains(actor, &ask.by)))
    };
    let is_all = ask.by.is_empty() && viewer.is_unlimited();
    match read(state, query.limit(if is_all { ENTRIES + 1 } else { READ / 4 }), ENTRIES, wanted).await {
        Err(error) => (unread(&error), None),
        Ok(part) => (list(viewer, &part, &ask.before, ask.name.is_none()), part.next),
    }
}

/// Of a flag's own page.
pub(super) async fn section(state: &State, viewer: &Viewer, name: &str) -> Markup {
    let (entries, is_more) = match is_kept(state) {
        false => (none(), false),
        true => match read(state, HistoryQuery::of(name).limit(FEW + 1), FEW, |_| true).await {
            Err(error) => (unread(&error), false),
            Ok(part) => (list(viewer, &part, "", false), part.next.is_some()),
        },
    };
    html! {
        section.history aria-labelledby="history" {
            h2 #history { "History" }
            @if is_kept(state) { (undo_form(state, viewer)) }
            (entries)
            p #older data-live { @if is_more { a href=(link_of(name)) { "Older changes" } } }
        }
    }
}

pub(super) fn is_kept(state: &State) -> bool {
    state.app.store.capabilities().history
}

fn none() -> Markup {
    html! { p.hint { "This store keeps no history." } }
}

fn unread(error: &Error) -> Markup {
    html! { div #entries data-live { p.fault { "The history cannot be read: " (sentence(&error.chain())) } } }
}

fn list(viewer: &Viewer, part: &Part, from: &str, is_of_all: bool) -> Markup {
    html! {
        @if part.entries.is_empty() {
            div #entries data-live { p.hint { @if part.next.is_some() { "Nothing here; older entries may match." } @else { "No change is known." } } }
        } @else {
            ol.entries #entries data-live role="list" aria-label="Changes, the newest first" {
                @for entry in &part.entries { (item(viewer, entry, from, is_of_all)) }
            }
        }
    }
}

fn undo_form(state: &State, viewer: &Viewer) -> Markup {
    html! {
        @if viewer.writes_any() { form #(UNDO) method="post" action=(link::CHANGE) { (csrf(state, viewer)) } }
    }
}

fn filters(ask: &Ask) -> Markup {
    html! {
        form.search role="search" action=(link::HISTORY) {
            @if let Some(name) = &ask.name { input type="hidden" name="name" value=(name); }
            div.field {
                label for="by" { "By" }
                input #by type="search" name="by" value=(ask.by) placeholder="Name" autocomplete="off" spellcheck="false";
            }
            div.field {
                label for="since" { "Since" }
                input #since name="since" value=(ask.since) placeholder="Such as 2h" autocomplete="off" spellcheck="false";
            }
            button.plain { "Filter" }
        }
        nav.chips #chips data-live aria-label="Filter by time" {
            @for (since, name) in PERIODS {
                a href=(ask.with(|other| since.clone_into(&mut other.since)).link())
                    aria-current=[(since == ask.since).then_some("true")] { (name) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_read_as_it_was_written() {
        let uri = |text: &str| text.parse::<Uri>().unwrap();
        let ask = Ask::of(&uri("/flags/-/history?name=a%26b&since=2h&by=ann&before=1-0&x=1"));
        assert_eq!(ask.link(), "/flags/-/history?name=a%26b&since=2h&by=ann&before=1-0");
        assert_eq!(ask.with(|ask| ask.by.clear()).link(), "/flags/-/history?name=a%26b&since=2h");
        assert_eq!(Ask::default().link(), "/flags/-/history");
        assert_eq!(link_of(""), "/flags/-/history?name=");
        assert!(ask.query().is_ok());
        let error = Ask::of(&uri("/flags/-/history?since=soon")).query().unwrap_err();
        assert!(error.starts_with("\"soon\" is no length of time"), "{error}");
    }
}
