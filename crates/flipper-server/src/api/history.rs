//! `/api/v1/history` and `/api/v1/restore`: who changed which flag, when and why, and back again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::response::{IntoResponse, Response};
use flipper::__feed::history as wire;
use flipper::Error;
use flipper::history::{Entry, EntryId, HistoryQuery};
use flipper::json::{Json, Object};
use futures_util::TryStreamExt;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};

use super::caller::Caller;
use super::head::Head;
use super::input::{Fields, Input};
use super::{output, schema, segments};
use crate::access::Role;
use crate::app::{App, is_segment};
use crate::problem::Problem;

const LIMIT: usize = 100;
const LARGEST_LIMIT: usize = 1000;
/// Entries that one request looks through.
const MOST_READ: usize = 2000;
/// Of one page, approximately.
const PAGE_BYTES: usize = 4 << 20;

/// The changes of one flag or of all, the newest first.
///
/// An entry has the fields of the flag that differ, as they are stored. A change that the store did not see has the source `outside`. A page
/// may have fewer entries than its limit, even none: `next` is the `before` of the next page, and null on the last.
#[utoipa::path(
    get,
    path = "/api/v1/history",
    tag = "history",
    params(
        ("name" = Option<String>, Query, description = "Only of this flag, also from before it was destroyed"),
        ("actor" = Option<String>, Query, description = "Only by this actor"),
        ("since" = Option<String>, Query, description = "Only entries whose time is not before this one (RFC 3339, in UTC)"),
        ("before" = Option<String>, Query, description = "Only entries older than the one with this `id`"),
        ("limit" = Option<u16>, Query, description = "At most so many entries; 100 without it", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, description = "A page", body = schema::HistoryPage),
        (status = 422, response = schema::Invalid),
        (status = 501, response = schema::Unsupported),
        schema::Refused,
    )
)]
pub(crate) async fn list(head: Head) -> Result<Response, Problem> {
    let Head { app, caller, .. } = &head;
    caller.must_have(Role::Read)?;
    let given = head.query(&["name", "actor", "since", "before", "limit"])?;
    let limit = given.number("limit", LARGEST_LIMIT)?.unwrap_or(LIMIT);
    let mut query = HistoryQuery::all().before(given.get("before").map(EntryId::new));
    if let Some(name) = given.get("name") {
        flipper::store::validate_name(name)?;
        caller.must(Role::Read, name)?;
        query.name = Some(name.to_owned());
    }
    query.since = given.get("since").map(since).transpose()?;
    let actor = given.get("actor");
    let wanted = |entry: &Entry| {
        caller.allows(Role::Read, &entry.name) && actor.is_none_or(|actor| entry.actor() == Some(actor))
    };
    let mut page = Page::default();
    // One more, which shows whether that is all.
    let mut entries = app.features.__entries_by_size(query.limit(limit + 1));
    while let Some(entry) = entries.try_next().await? {
        // A gap shows only beside the entry after it, which the next page would not know: so it is in this page, above its limit. The next one
        // begins after an entry.
        let is_gap = entry.cause.is_none() && entry.id.is_gap();
        if !is_gap && page.next.is_some() && page.is_full(limit) {
            return Ok(page.answer());
        }
        page.add(wanted(&entry).then(|| shown(&entry)));
        if !is_gap {
            page.next = Some(entry.id);
        }
    }
    page.next = None;
    Ok(page.answer())
}

/// Makes a flag what it was before an entry.
///
/// The flag must still be as the entry left it; else nothing is written (409).
#[utoipa::path(
    post,
    path = "/api/v1/restore",
    tag = "history",
    params(schema::Reason),
    request_body(content = schema::Restore),
    responses(
        (status = 200, description = "The flag, or the segment in its own form", body = schema::Restored),
        (status = 204, description = "There was no flag before the entry, and the flag is gone"),
        (status = 404, response = schema::NotFound),
        (status = 409, response = schema::Conflict),
        (status = 501, response = schema::Unsupported),
        schema::Refused,
        schema::BadBody,
    )
)]
pub(crate) async fn restore(head: Head, input: Input) -> Result<Response, Problem> {
    let features = head.writer()?;
    head.query(&[])?;
    let body = input.json(&head.app).await?;
    let fields = Fields::of(&body, "the body", &["name", "id"])?;
    let (name, id) = (fields.required_text("name")?, fields.required_text("id")?);
    head.caller.must(Role::Write, name)?;
    flipper::store::validate_name(name)?;
    let mut entries = features.__entries_by_size(HistoryQuery::of(name));
    let mut read = 0;
    let entry = loop {
        match entries.try_next().await? {
            Some(entry) if entry.id.as_str() == id => break entry,
            Some(_) if read < MOST_READ => read += 1,
            Some(_) => {
                return Err(no_such_entry(&format!("the newest {MOST_READ} entries of flag {name:?}"), name, id));
            }
            None => return Err(no_such_entry(&format!("the history of flag {name:?}"), name, id)),
        }
    };
    features.restore(name, &entry).await?;
    // Own writes are in memory.
    Ok(match head.app.store.table().get(name) {
        Some(stored) => {
            let shown = if is_segment(&stored) { segments::show(&stored) } else { output::flag(&stored) };
            output::with_tag(&stored.version, output::json(StatusCode::OK, shown))
        }
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// Entries to the byte, for stores over this server.
pub(super) async fn exact(app: &App, caller: &Caller, query: &HistoryQuery) -> Result<Object, Error> {
    let page = flipper::history::__page(&app.store, query, PAGE_BYTES, |name| caller.allows(Role::Read, name)).await?;
    Ok(wire::page(&page))
}

#[derive(Default)]
struct Page {
    entries: Vec<Json>,
    bytes: usize,
    read: usize,
    next: Option<EntryId>,
}

impl Page {
    /// `None` for an entry that was read in vain.
    fn add(&mut self, entry: Option<Object>) {
        self.read += 1;
        if let Some(entry) = entry {
            let entry = Json::from(entry);
            self.bytes += entry.to_string().len();
            self.entries.push(entry);
        }
    }

    fn is_full(&self, limit: usize) -> bool {
        self.entries.len() >= limit || self.bytes > PAGE_BYTES || self.read >= MOST_READ
    }

    fn into_object(self) -> Object {
        let next = self.next.map_or(Json::Null, |id| id.as_str().into());
        [("entries", Json::from(self.entries)), ("next", next)].into_iter().collect()
    }

    fn answer(self) -> Response {
        let mut response = output::json(StatusCode::OK, self.into_object());
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }
}

fn shown(entry: &Entry) -> Object {
    let text = |text: Option<&str>| text.map_or(Json::Null, Json::from);
    let (before, after) = entry.differences();
    [
        ("id", Json::from(entry.id.as_str())),
        ("name", entry.name.as_str().into()),
        ("at", humantime::format_rfc3339_micros(between_1970_and_9999(entry.at)).to_string().into()),
        ("actor", text(entry.actor())),
        ("verb", (&*entry.verb).into()),
        ("reason", text(entry.reason())),
        ("source", entry.source().into()),
        ("before", output::valid(&before)),
        ("after", output::valid(&after)),
    ]
    .into_iter()
    .collect()
}

/// `humantime` knows no others.
fn between_1970_and_9999(time: SystemTime) -> SystemTime {
    time.clamp(UNIX_EPOCH, UNIX_EPOCH + Duration::from_secs(253_402_300_799))
}

fn since(text: &str) -> Result<SystemTime, Problem> {
    humantime::parse_rfc3339(text).map_err(|_| {
        let detail = format!("the parameter \"since\" must be a time such as 2027-01-31T12:00:00Z, not {text:?}");
        Problem::bad_request(detail).with("parameter", "since")
    })
}

fn no_such_entry(searched: &str, name: &str, id: &str) -> Problem {
    let detail = format!("there is no entry {id:?} in {searched}");
    Problem::new(StatusCode::NOT_FOUND, "no_such_entry", "There is no such entry", detail)
        .hint("GET /api/v1/history?name=NAME lists them; old ones are forgotten")
        .with("flag", name)
}
