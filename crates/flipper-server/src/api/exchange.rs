//! `/api/v1/export` and `/api/v1/import`: many flags as text, as the command writes and reads it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::ops::Range;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use flipper::__exchange::{named, read};
use flipper::json::{Json, Object};
use flipper::store::{Precondition, Stored, Version};
use flipper::{Error, ErrorKind, FlagRecord};
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, StatusCode};

use super::head::Head;
use super::input::Input;
use super::{output, schema};
use crate::access::Role;
use crate::problem::Problem;

const LEFT_OUT: HeaderName = HeaderName::from_static("flipper-left-out");
const CHUNK: usize = 64 * 1024;
/// Of the problems and names in an answer.
const SHOWN: usize = 20;

/// All flags as text: an array of stored records, one in a line.
///
/// `/api/v1/import` and `flipper import` read it. Unreadable flags are left out; the header `Flipper-Left-Out` counts them.
#[utoipa::path(
    get,
    path = "/api/v1/export",
    tag = "exchange",
    responses(
        (status = 200, description = "The flags", body = Vec<Object>, content_type = "application/json"),
        schema::Refused,
    )
)]
pub(crate) async fn export(head: Head) -> Result<Response, Problem> {
    let Head { app, caller, .. } = &head;
    caller.must_have(Role::Read)?;
    head.query(&[])?;
    app.must_have_flags()?;
    let mut flags = app.store.table().list();
    flags.retain(|flag| caller.allows(Role::Read, &flag.name));
    let before = flags.len();
    flags.retain(|flag| flag.record.is_ok());
    let left_out = before - flags.len();
    let mut response = Response::new(Body::from_stream(stream::iter(Chunks { flags: flags.into_iter(), state: 0 })));
    response.headers_mut().insert(CONTENT_TYPE, output::JSON);
    response.headers_mut().insert(LEFT_OUT, HeaderValue::from(left_out));
    Ok(output::from_memory(app, response))
}

struct Chunks {
    flags: std::vec::IntoIter<Stored>,
    /// 0 before the first flag, 1 after it, 2 at the end.
    state: u8,
}

impl Iterator for Chunks {
    type Item = Result<Bytes, Infallible>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == 2 {
            return None;
        }
        let mut text = String::with_capacity(CHUNK + 4096);
        if self.state == 0 {
            text.push('[');
        }
        while text.len() < CHUNK {
            let Some(stored) = self.flags.next() else {
                text.push_str("\n]\n");
                self.state = 2;
                break;
            };
            let Ok(record) = &stored.record else { continue };
            text.push_str(if self.state == 0 { "\n" } else { ",\n" });
            text.push_str(&named(record, &stored.name).to_json());
            self.state = 1;
        }
        Some(Ok(text.into()))
    }
}

/// Writes the flags of an export.
///
/// The whole text is checked before anything is written; all that is wrong is in `problems`, with lines and columns. Without a mode, a flag
/// that the store has too, and not the same, is a conflict, and nothing is written. With `merge` the text's flag counts. With `replace`,
/// flags that the text does not have are destroyed too.
#[utoipa::path(
    post,
    path = "/api/v1/import",
    tag = "exchange",
    params(
        ("mode" = Option<schema::ImportMode>, Query, description = "`merge` or `replace`"),
        ("dry_run" = Option<bool>, Query, description = "Only counts what would be done"),
        schema::Reason,
    ),
    request_body(content = Vec<schema::Record>, content_type = "application/json"),
    responses(
        (status = 200, description = "What was done", body = schema::Imported),
        (status = 409, response = schema::Conflict),
        schema::Refused,
        schema::BadBody,
    )
)]
pub(crate) async fn import(head: Head, input: Input) -> Result<Response, Problem> {
    let features = head.writer()?;
    let query = head.query(&["mode", "dry_run"])?;
    let Head { app, caller, .. } = &head;
    let (merge, replace) = match query.get("mode") {
        None => (false, false),
        Some("merge") => (true, false),
        Some("replace") => (true, true),
        Some(other) => {
            return Err(Problem::bad_request(format!("the mode must be `merge` or `replace`, not {other:?}")));
        }
    };
    if replace {
        caller.must_have(Role::Admin)?;
    }
    let dry_run = query.bool("dry_run")?.unwrap_or_default();
    let bytes = input.read(app.limits.import, app).await?;
    let text = checked(&bytes)?;
    for (name, _) in &text.flags {
        caller.must(Role::Write, name)?;
    }
    let stored = app.store.list().await?;
    let plan = Plan::make(&text, &stored, |name| caller.allows(Role::Write, name))?;
    if !merge && !plan.change.is_empty() {
        return Err(plan.conflict());
    }
    let destroy: &[(&str, &Version)] = if replace { &plan.only_stored } else { &[] };
    let mut tally = Tally { unchanged: plan.unchanged, ..Tally::default() };
    if dry_run {
        (tally.created, tally.changed, tally.destroyed) = (plan.create.len(), plan.change.len(), destroy.len());
    } else {
        for record in &plan.create {
            let done = features.put(record, Precondition::Absent).await;
            tally.note(record.name(), done, |tally| &mut tally.created)?;
        }
        for (record, version) in &plan.change {
            let done = features.put(record, Precondition::Unchanged((*version).clone())).await;
            tally.note(record.name(), done, |tally| &mut tally.changed)?;
        }
        for (name, version) in destroy {
            let done = features.delete(name, Precondition::Unchanged((*version).clone())).await;
            tally.note(name, done, |tally| &mut tally.destroyed)?;
        }
    }
    Ok(output::json(StatusCode::OK, tally.to_object(dry_run)))
}

struct Text<'a> {
    text: &'a str,
    flags: Vec<(String, Range<usize>)>,
}

fn checked(bytes: &[u8]) -> Result<Text<'_>, Problem> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Problem::bad_request(format!("the body is not UTF-8 at byte {}", error.valid_up_to())))?;
    let flags = read(text, |name| format!("{name:?}"), Error::chain).map_err(|problems| {
        let first = problems.first().cloned().unwrap_or_default();
        let detail = match problems.len() {
            1 => first,
            more => format!("{more} problems, the first: {first}"),
        };
        Problem::new(StatusCode::BAD_REQUEST, "malformed_flags", "The body is not the text of flags", detail)
            .hint("nothing was written; correct what is named, and send the whole again")
            .with("problems", problems.into_iter().take(SHOWN).collect::<Vec<_>>())
    })?;
    Ok(Text { text, flags })
}

struct Plan<'a> {
    create: Vec<FlagRecord>,
    change: Vec<(FlagRecord, &'a Version)>,
    unchanged: usize,
    only_stored: Vec<(&'a str, &'a Version)>,
}

impl<'a> Plan<'a> {
    fn make(text: &Text<'_>, stored: &'a [Stored], may: impl Fn(&str) -> bool) -> Result<Self, Problem> {
        let known: HashMap<&str, &Stored> = stored.iter().map(|stored| (&*stored.name, stored)).collect();
        let mut plan = Self { create: Vec::new(), change: Vec::new(), unchanged: 0, only_stored: Vec::new() };
        let mut named_ones = std::collections::HashSet::with_capacity(text.flags.len());
        for (name, range) in &text.flags {
            named_ones.insert(name.as_str());
            let record = FlagRecord::from_json(&text.text[range.clone()])?;
            match known.get(name.as_str()) {
                None => plan.create.push(record),
                Some(stored) if stored.record.as_ref().is_ok_and(|held| *named(held, name) == record) => {
                    plan.unchanged += 1;
                }
                Some(stored) => plan.change.push((record, &stored.version)),
            }
        }
        let rest = stored.iter().filter(|stored| !named_ones.contains(&*stored.name) && may(&stored.name));
        plan.only_stored = rest.map(|stored| (&*stored.name, &stored.version)).collect();
        Ok(plan)
    }

    fn conflict(&self) -> Problem {
        let names: Vec<Json> = self.change.iter().take(SHOWN).map(|(record, _)| record.name().into()).collect();
        let detail = format!("the store has {} of the flags too, and not the same", self.change.len());
        Problem::new(StatusCode::CONFLICT, "flags_differ", "The store has other flags of these names", detail)
            .hint("nothing was written; `?mode=merge` writes over them")
            .with("flags", names)
    }
}

#[derive(Default)]
struct Tally {
    created: usize,
    changed: usize,
    destroyed: usize,
    unchanged: usize,
    failed: Vec<Object>,
}

impl Tally {
    /// An outage ends the import; the same request goes on from there.
    fn note(
        &mut self,
        name: &str,
        done: flipper::Result<Version>,
        counter: impl Fn(&mut Self) -> &mut usize,
    ) -> Result<(), Problem> {
        match done {
            Ok(_) => *counter(self) += 1,
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                let written = self.created + self.changed + self.destroyed;
                return Err(Problem::from(error).hint("the same request goes on from there").with("written", written));
            }
            Err(error) => {
                let mut failed: Object = [("name", name)].into_iter().collect();
                failed.insert("error", Problem::from(error).to_object());
                self.failed.push(failed);
            }
        }
        Ok(())
    }

    fn to_object(&self, dry_run: bool) -> Object {
        [
            ("dry_run", Json::from(dry_run)),
            ("created", self.created.into()),
            ("changed", self.changed.into()),
            ("destroyed", self.destroyed.into()),
            ("unchanged", self.unchanged.into()),
            ("failed", self.failed.clone().into()),
        ]
        .into_iter()
        .collect()
    }
}
