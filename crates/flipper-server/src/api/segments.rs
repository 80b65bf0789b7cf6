//! `/api/v1/segments`: callers that rules name together. Stored beside the flags, they have a name, an `ETag` and a history as flags have.

use axum::response::{IntoResponse, Response};
use flipper::json::{Json, Object};
use flipper::store::{Precondition, Stored, validate_name};
use flipper::targeting::{SEGMENTS, segment_of, stored_name};
use flipper::{Error, ErrorKind, FlagRecord};
use http::StatusCode;

use super::flags::{LARGEST_LIMIT, LIMIT, PAGE_BYTES};
use super::head::Head;
use super::input::{Fields, Input};
use super::name::{Name, path_of};
use super::output::{self, When};
use super::write::{ATTEMPTS, destroy_any, existing, written};
use super::{now, schema, targeting};
use crate::access::Role;
use crate::app::is_segment;
use crate::problem::Problem;

/// Segments by name, in pages.
///
/// `next` is the `after` of the next page, and null on the last.
#[utoipa::path(
    get,
    path = "/api/v1/segments",
    tag = "segments",
    params(
        ("after" = Option<String>, Query, description = "Only names after this one, by their bytes"),
        ("limit" = Option<u16>, Query, description = "At most so many segments; 100 without it", minimum = 1, maximum = 10_000),
    ),
    responses(
        (status = 200, description = "A page", body = schema::SegmentPage),
        (status = 304, description = "As in the `If-None-Match` of the request"),
        schema::Refused,
    )
)]
pub(crate) async fn list(head: Head) -> Result<Response, Problem> {
    let Head { app, caller, headers, .. } = &head;
    caller.must_have(Role::Read)?;
    let query = head.query(&["after", "limit"])?;
    let limit = query.number("limit", LARGEST_LIMIT)?.unwrap_or(LIMIT);
    app.must_have_flags()?;
    let all = app.store.table().list();
    let after = query.get("after").map(stored_name);
    let start = after.map_or(0, |after| all.partition_point(|stored| *stored.name <= *after));
    let start = start.max(all.partition_point(|stored| *stored.name < *SEGMENTS));
    let wanted = all[start..].iter().take_while(|stored| stored.name.starts_with(SEGMENTS));
    let wanted = wanted.filter(|stored| is_segment(stored) && caller.allows(Role::Read, &stored.name));
    let (mut shown, mut bytes, mut next): (Vec<Object>, _, _) = (Vec::new(), 0, Json::Null);
    let mut last: Option<&str> = None;
    for stored in wanted {
        if shown.len() == limit || bytes > PAGE_BYTES {
            next = last.map_or(Json::Null, Json::from);
            break;
        }
        let segment = show(stored);
        bytes += Json::from(segment.clone()).to_string().len();
        shown.push(segment);
        last = segment_of(&stored.name);
    }
    let page: Object =
        [("segments", Json::from(shown)), ("next", next), ("status", output::status(&app.store.status()).into())]
            .into_iter()
            .collect();
    let text = Json::from(page).to_string();
    let tag = output::tag_of(&text);
    Ok(output::from_memory(app, output::tagged(headers, &tag, || text)))
}

/// A segment.
#[utoipa::path(
    get,
    path = "/api/v1/segments/{name}",
    tag = "segments",
    params(schema::SegmentPath),
    responses(
        (status = 200, description = "The segment; its version is the `ETag`. While it is stale it is never 304", body = schema::Segment),
        (status = 304, description = "As in the `If-None-Match` of the request"),
        (status = 404, response = schema::NotFound),
        (status = 422, response = schema::Invalid),
        schema::Refused,
    )
)]
pub(crate) async fn get(head: Head, Name(name): Name) -> Result<Response, Problem> {
    let stored_as = stored_name(&name);
    head.caller.must(Role::Read, &stored_as)?;
    head.query(&[])?;
    head.app.must_have_flags()?;
    let stored = head.app.store.table().get(&stored_as).filter(is_segment).ok_or_else(|| missing(&name))?;
    Ok(head.answer(&stored, show(&stored)))
}

/// Creates or replaces a segment.
///
/// The change shows at once in each flag whose rules name it. `If-None-Match: *` only creates it, `If-Match` with its `ETag` only replaces
/// it in that version.
#[utoipa::path(
    put,
    path = "/api/v1/segments/{name}",
    tag = "segments",
    params(schema::SegmentPath, schema::Conditions, schema::Reason),
    request_body(content = schema::SegmentInput),
    responses(
        (status = 200, description = "The replaced segment", body = schema::Segment),
        (status = 201, description = "The new segment", body = schema::Segment),
        schema::Refused,
        schema::BadCondition,
        schema::BadBody,
    )
)]
pub(crate) async fn replace(head: Head, Name(name): Name, input: Input) -> Result<Response, Problem> {
    let stored_as = stored_name(&name);
    let (features, when) = head.writer_of(&stored_as)?;
    let app = &head.app;
    let body = input.record_json(app).await?;
    let fields = Fields::of(&body, "the body", &["when"])?;
    let segment = targeting::when(&fields)?;
    for _ in 0..ATTEMPTS {
        let stored = match when {
            When::Absent => None,
            When::Always => app.store.get(&stored_as).await?,
            When::Exists | When::OneOf(_) => Some(existing(app, &stored_as, &when).await?),
        };
        if stored.as_ref().is_some_and(|stored| !is_segment(stored)) {
            let taken = Problem::from(Error::new(ErrorKind::FlagExists).with_flag(&*stored_as));
            return Err(taken.hint(flag_instead(&stored_as)));
        }
        let before = stored.as_ref().and_then(|stored| stored.record.as_deref().ok());
        let mut record = match before {
            Some(record) => record.clone(),
            None if stored.is_some() => FlagRecord::new(&*stored_as, now()),
            None => {
                // Refuses what is no name.
                features.new_record(&name)?;
                FlagRecord::new(&*stored_as, now())
            }
        };
        record.set_segment(Some(segment.clone()));
        record.validate()?;
        features.check_links(&record, before).await?;
        let is_new = stored.is_none();
        let precondition = stored.map_or(Precondition::Absent, |stored| Precondition::Unchanged(stored.version));
        match features.put(&record, precondition).await {
            Ok(version) => {
                let written = written(record, version, is_new);
                let status = if written.is_new { StatusCode::CREATED } else { StatusCode::OK };
                let shown = output::json(status, show(&written.stored));
                return Ok(output::with_tag(&written.stored.version, shown));
            }
            Err(error) if error.kind() == ErrorKind::Conflict && when == When::Always => {}
            Err(error) if error.kind() == ErrorKind::Conflict => return Err(Problem::precondition_failed(&stored_as)),
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::new(ErrorKind::Conflict).with_flag(stored_as).into())
}

/// Deletes a segment, even an unreadable one.
///
/// From then on a rule whose `when` names it does not hold, also under `not`, unless the rest of the `when` decides.
#[utoipa::path(
    delete,
    path = "/api/v1/segments/{name}",
    tag = "segments",
    params(schema::SegmentPath, schema::Conditions, schema::Reason),
    responses(
        (status = 204, description = "The segment is gone"),
        schema::Refused,
        schema::BadCondition,
    )
)]
pub(crate) async fn destroy(head: Head, Name(name): Name) -> Result<Response, Problem> {
    let stored_as = stored_name(&name);
    let (features, when) = head.writer_of(&stored_as)?;
    validate_name(&stored_as)?;
    let app = &head.app;
    if app.store.get(&stored_as).await?.is_some_and(|stored| !is_segment(&stored)) {
        return Err(missing(&name).hint(flag_instead(&stored_as)));
    }
    match destroy_any(app, &features, &stored_as, &when).await {
        Err(problem) if problem.status == StatusCode::NOT_FOUND => Err(missing(&name)),
        done => done.map(|()| StatusCode::NO_CONTENT.into_response()),
    }
}

pub(super) fn show(stored: &Stored) -> Object {
    let mut segment = Object::new();
    segment.insert("name", segment_of(&stored.name).unwrap_or(&stored.name));
    segment.insert("version", output::tag(&stored.version));
    match &stored.record {
        Err(corrupt) => {
            segment.insert("unreadable", corrupt.reason());
        }
        Ok(record) => {
            segment.insert("when", record.segment().map_or(Json::Null, |when| output::valid(&when.to_json())));
            segment.insert("created_date", record.created_date().map_or(Json::Null, Json::from));
        }
    }
    segment
}

/// Another program may have stored a flag under such a name.
fn flag_instead(stored_as: &str) -> String {
    format!("it is a flag: {}", path_of("/api/v1/flags/", stored_as))
}

fn missing(segment: &str) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        ErrorKind::FlagNotFound.code(),
        "There is no such segment",
        format!("there is no segment {segment:?}"),
    )
    .hint("PUT creates it")
    .with("segment", segment)
}
