//! `/api/v1/flags`: one flag, and lists.

use axum::response::{IntoResponse, Response};
use flipper::json::Json;
use flipper::{Error, ErrorKind};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};

use super::edit::{self, Edit};
use super::head::Head;
use super::input::{Fields, Input};
use super::name::{Name, path_of};
use super::output;
use super::schema;
use super::write::{self, Written};
use crate::access::Role;
use crate::problem::Problem;

pub(super) const LIMIT: usize = 100;
pub(crate) const LARGEST_LIMIT: usize = 10_000;
/// Of one page, approximately.
pub(super) const PAGE_BYTES: usize = 4 << 20;

/// Flags by name, in pages.
///
/// `next` is the `after` of the next page, and null on the last.
#[utoipa::path(
    get,
    path = "/api/v1/flags",
    tag = "flags",
    params(
        ("after" = Option<String>, Query, description = "Only names after this one, by their bytes"),
        ("limit" = Option<u16>, Query, description = "At most so many flags; 100 without it", minimum = 1, maximum = 10_000),
        ("enabled" = Option<bool>, Query, description = "Only flags that are on, or off"),
        ("prefix" = Option<String>, Query, description = "Only names that begin with this"),
    ),
    responses(
        (status = 200, description = "A page", body = schema::FlagPage),
        (status = 304, description = "As in the `If-None-Match` of the request"),
        schema::Refused,
    )
)]
pub(crate) async fn list(head: Head) -> Result<Response, Problem> {
    let Head { app, caller, headers, .. } = &head;
    caller.must_have(Role::Read)?;
    let query = head.query(&["after", "limit", "enabled", "prefix"])?;
    let limit = query.number("limit", LARGEST_LIMIT)?.unwrap_or(LIMIT);
    let enabled = query.bool("enabled")?;
    let prefix = query.get("prefix").unwrap_or_default();
    app.must_have_flags()?;
    let all = app.flags();
    // Names are in the order of their bytes.
    let start = query.get("after").map_or(0, |after| all.partition_point(|flag| *flag.name <= *after));
    let start = start.max(all.partition_point(|flag| *flag.name < *prefix));
    let wanted = all[start..].iter().take_while(|flag| flag.name.starts_with(prefix)).filter(|flag| {
        caller.allows(Role::Read, &flag.name)
            && enabled.is_none_or(|enabled| flag.record.as_ref().is_ok_and(|record| record.is_enabled() == enabled))
    });
    let (mut text, mut count, mut next) = (String::from("{\"flags\": ["), 0, None);
    let mut last: Option<&str> = None;
    for stored in wanted {
        if count == limit || text.len() > PAGE_BYTES {
            next = last;
            break;
        }
        if count > 0 {
            text.push_str(", ");
        }
        text.push_str(&Json::from(output::flag(stored)).to_string());
        count += 1;
        last = Some(&stored.name);
    }
    let (next, status) = (next.map_or(Json::Null, Json::from), Json::from(output::status(&app.store.status())));
    text.push_str(&format!("], \"next\": {next}, \"status\": {status}}}"));
    let tag = output::tag_of(&text);
    Ok(output::from_memory(app, output::tagged(headers, &tag, || text)))
}

/// A flag.
#[utoipa::path(
    get,
    path = "/api/v1/flags/{name}",
    tag = "flags",
    params(schema::NamePath),
    responses(
        (status = 200, description = "The flag; its version is the `ETag`. While it is stale it is never 304", body = schema::Flag),
        (status = 304, description = "As in the `If-None-Match` of the request"),
        (status = 404, response = schema::NotFound),
        (status = 422, response = schema::Invalid),
        schema::Refused,
    )
)]
pub(crate) async fn get(head: Head, Name(name): Name) -> Result<Response, Problem> {
    let Head { app, caller, .. } = &head;
    caller.must(Role::Read, &name)?;
    head.query(&[])?;
    app.must_have_flags()?;
    write::must_be_flag(app, &name)?;
    let stored = app.store.table().get(&name).ok_or_else(|| Error::new(ErrorKind::FlagNotFound).with_flag(&name))?;
    Ok(head.answer(&stored, output::flag(&stored)))
}

/// Creates a flag.
#[utoipa::path(
    post,
    path = "/api/v1/flags",
    tag = "flags",
    params(schema::Reason),
    request_body(content = schema::NewFlag),
    responses(
        (status = 201, description = "The new flag; its path is the `Location`", body = schema::Flag),
        (status = 409, response = schema::Conflict),
        schema::Refused,
        schema::BadBody,
    )
)]
pub(crate) async fn create(head: Head, input: Input) -> Result<Response, Problem> {
    let features = head.writer()?;
    head.query(&[])?;
    let body = input.json(&head.app).await?;
    let known: Vec<_> = ["name"].into_iter().chain(edit::FIELDS).collect();
    let fields = Fields::of(&body, "the body", &known)?;
    let name = fields.required_text("name")?;
    head.caller.must(Role::Write, name)?;
    let written = write::create(&features, name, Edit::read(&fields)?).await?;
    let mut response = answer(&written);
    // Relative to the request's path, of which a proxy may have cut a part.
    let path = path_of("flags/", name);
    response.headers_mut().extend(HeaderValue::from_str(&path).ok().map(|path| (LOCATION, path)));
    Ok(response)
}

/// Creates or replaces a flag.
///
/// Fields that are not given get their value of a new flag. `If-None-Match: *` only creates it, `If-Match` with its `ETag` only replaces it
/// in that version.
#[utoipa::path(
    put,
    path = "/api/v1/flags/{name}",
    tag = "flags",
    params(schema::NamePath, schema::Conditions, schema::Reason),
    request_body(content = schema::Edit),
    responses(
        (status = 200, description = "The replaced flag", body = schema::Flag),
        (status = 201, description = "The new flag", body = schema::Flag),
        schema::Refused,
        schema::BadCondition,
        schema::BadBody,
    )
)]
pub(crate) async fn replace(head: Head, Name(name): Name, input: Input) -> Result<Response, Problem> {
    let (features, when) = head.writer_of(&name)?;
    let body = input.json(&head.app).await?;
    let fields = Fields::of(&body, "the body", &edit::FIELDS)?;
    write::replace(&head.app, &features, &name, Edit::read(&fields)?, &when).await.map(|written| answer(&written))
}

/// Changes the given fields of a flag.
///
/// Client data is merged; null removes a key. With `If-Match` the flag is changed only in that version; without it, changes by others at
/// the same time are kept.
#[utoipa::path(
    patch,
    path = "/api/v1/flags/{name}",
    tag = "flags",
    params(schema::NamePath, schema::Conditions, schema::Reason),
    request_body(content = schema::Edit),
    responses(
        (status = 200, description = "The changed flag", body = schema::Flag),
        schema::Refused,
        schema::BadCondition,
        schema::BadBody,
    )
)]
pub(crate) async fn change(head: Head, Name(name): Name, input: Input) -> Result<Response, Problem> {
    let (features, when) = head.writer_of(&name)?;
    let body = input.json(&head.app).await?;
    let fields = Fields::of(&body, "the body", &edit::FIELDS)?;
    write::change(&head.app, &features, &name, &Edit::read(&fields)?, &when).await.map(|written| answer(&written))
}

/// Destroys a flag, even an unreadable one.
#[utoipa::path(
    delete,
    path = "/api/v1/flags/{name}",
    tag = "flags",
    params(schema::NamePath, schema::Conditions, schema::Reason),
    responses(
        (status = 204, description = "The flag is gone"),
        schema::Refused,
        schema::BadCondition,
    )
)]
pub(crate) async fn destroy(head: Head, Name(name): Name) -> Result<Response, Problem> {
    let (features, when) = head.writer_of(&name)?;
    write::destroy(&head.app, &features, &name, &when).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn answer(written: &Written) -> Response {
    let status = if written.is_new { StatusCode::CREATED } else { StatusCode::OK };
    output::with_tag(&written.stored.version, output::json(status, output::flag(&written.stored)))
}
