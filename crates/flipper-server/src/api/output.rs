//! Answers: flags as JSON, entity tags, and how current they are.

use std::time::UNIX_EPOCH;

use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flipper::__feed::history::KEPT;
use flipper::__feed::origin::{self, STORE};
use flipper::json::{Json, Object};
use flipper::store::{Health, Status, Stored, Version};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use sha2::{Digest, Sha256};

use super::targeting;
use crate::etag;
use crate::problem::Problem;

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
const STALE: HeaderName = HeaderName::from_static("flipper-stale");

/// A version as people and caches see it: short, and the same for the same version. A version that is content may be long.
pub(crate) fn tag(version: &Version) -> String {
    match version.as_ordered() {
        Some(number) => format!("o{number}"),
        None => format!("h{}", digest(version.as_opaque().unwrap_or_default())),
    }
}

fn digest(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(bytes))
}

pub(crate) fn flag(stored: &Stored) -> Object {
    let mut flag = Object::new();
    flag.insert("name", stored.name.as_str());
    flag.insert("version", tag(&stored.version));
    match &stored.record {
        Err(corrupt) => {
            flag.insert("unreadable", corrupt.reason());
        }
        Ok(record) => {
            flag.insert("enabled", record.is_enabled());
            flag.insert("client_data", valid(record.client_data()));
            let conditions = |conditions: &[flipper::Condition]| {
                Json::Array(conditions.iter().map(|condition| valid(&condition.to_json())).collect())
            };
            flag.insert("conditions", conditions(record.conditions()));
            flag.insert("deny_conditions", conditions(record.deny_conditions()));
            flag.insert("strict", record.is_strict());
            flag.insert("bucketer", valid(&record.bucketer().to_json()));
            targeting::show(record, &mut flag);
            flag.insert("created_date", record.created_date().map_or(Json::Null, Json::from));
        }
    }
    flag
}

/// Python stores numbers that are not finite, which no JSON has; `/api/v1/records` has the exact text.
pub(crate) fn valid(json: &Json) -> Json {
    match json {
        Json::Number(number) if number.as_f64().is_some_and(|number| !number.is_finite()) => Json::Null,
        Json::Array(items) => Json::Array(items.iter().map(valid).collect()),
        Json::Object(object) => Json::Object(object.iter().map(|(key, value)| (key, valid(value))).collect()),
        other => other.clone(),
    }
}

/// Only what does not change while nothing happens, so that an answer keeps its entity tag.
pub(crate) fn status(status: &Status) -> Object {
    let mut object = Object::new();
    match &status.health {
        Health::Live => object.insert("health", "live"),
        Health::Stale { since, reason } => {
            object.insert("health", "stale");
            let since = since.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            object.insert("stale_since", since);
            object.insert("reason", &**reason)
        }
        _ => object.insert("health", "unknown"),
    };
    object
}

/// Since when and why the flags are, if they are.
pub(crate) fn stale(status: &Status) -> Option<Object> {
    let Health::Stale { since, reason } = &status.health else { return None };
    let mut object = Object::new();
    object.insert("since", since.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
    object.insert("reason", &**reason);
    Some(object)
}

/// A JSON answer from memory, with the header that says since when it is stale.
pub(crate) fn from_memory(app: &crate::app::App, response: Response) -> Response {
    with_staleness(&app.store.status(), response)
}

fn with_staleness(status: &Status, mut response: Response) -> Response {
    if let Health::Stale { since, reason } = &status.health {
        let since = humantime::format_rfc3339_seconds(*since);
        let reason: String = reason.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
        if let Ok(value) = HeaderValue::from_str(&format!("since={since}; {reason}")) {
            response.headers_mut().insert(STALE, value);
        }
    }
    response
}

/// For stores over this server: which one answers, and whether it has a history.
pub(crate) fn of_store(app: &crate::app::App, mut response: Response) -> Response {
    let status = app.store.status();
    // An edge knows the store behind all servers only once it has its flags.
    if let Some(store) = status.last_sync.and(status.identity)
        && let Ok(digest) = HeaderValue::from_str(&origin::digest(&store.to_string()))
    {
        response.headers_mut().insert(STORE, digest);
    }
    if app.store.capabilities().history {
        response.headers_mut().insert(KEPT, HeaderValue::from_static("kept"));
    }
    response
}

pub(crate) fn json(status: StatusCode, object: Object) -> Response {
    let mut response = text(Json::Object(object).to_string());
    *response.status_mut() = status;
    response
}

fn text(json: String) -> Response {
    let mut response = json.into_response();
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// JSON with an entity tag; 304 if the client has it.
pub(crate) fn tagged(headers: &HeaderMap, tag: &str, json: impl FnOnce() -> String) -> Response {
    let tag = format!("\"{tag}\"");
    let mut response = match etag::matches(headers, &tag) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => text(json()),
    };
    // A cache asks each time, which costs it little.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response.headers_mut().extend(etag::header(tag).map(|tag| (ETAG, tag)));
    response
}

/// For no cache: the version does not change when the flag is no longer stale.
pub(crate) fn passing(version: &Version, object: Object) -> Response {
    let mut response = with_tag(version, json(StatusCode::OK, object));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The entity tag of an answer that has no version of its own.
pub(crate) fn tag_of(json: &str) -> String {
    format!("a{}", digest(json.as_bytes()))
}

pub(crate) fn with_tag(version: &Version, mut response: Response) -> Response {
    response.headers_mut().extend(etag::header(format!("\"{}\"", tag(version))).map(|tag| (ETAG, tag)));
    response
}

fn tags(given: &str) -> impl Iterator<Item = &str> {
    given.split(',').map(str::trim)
}

/// The condition of a write, from its headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Always,
    /// `If-None-Match: *`
    Absent,
    /// `If-Match: *`
    Exists,
    /// `If-Match`, with these entity tags.
    OneOf(Vec<String>),
}

impl When {
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let text = |value: &HeaderValue| {
            let text = value.to_str().map(str::to_owned);
            text.map_err(|_| Problem::bad_request("a precondition's header is not ASCII"))
        };
        let absent = headers.get(IF_NONE_MATCH).map(text).transpose()?;
        let given = headers.get_all(IF_MATCH).iter().map(text).collect::<Result<Vec<_>, _>>()?;
        match (absent.as_deref().map(str::trim), given.is_empty()) {
            (None, true) => Ok(Self::Always),
            (Some("*"), true) => Ok(Self::Absent),
            (Some(_), true) => Err(Problem::bad_request("a write takes `If-None-Match: *` only")
                .hint("`If-Match` with the flag's ETag changes the flag only in that version")),
            (Some(_), false) => Err(Problem::bad_request("the request has both If-Match and If-None-Match")),
            (None, false) => {
                let given = given.join(",");
                if given.trim() == "*" {
                    return Ok(Self::Exists);
                }
                let strong: Option<Vec<_>> =
                    tags(&given).map(|tag| Some(tag.strip_prefix('"')?.strip_suffix('"')?.to_owned())).collect();
                strong.map(Self::OneOf).ok_or_else(|| {
                    Problem::bad_request("If-Match has an entity tag that is not strong, or without its quotes")
                        .hint("send the flag's ETag as it came, with its quotes")
                })
            }
        }
    }

    pub(crate) fn holds(&self, current: Option<&Version>) -> bool {
        match (self, current) {
            (Self::Always, _) | (Self::Absent, None) | (Self::Exists, Some(_)) => true,
            (Self::OneOf(tags), Some(version)) => tags.contains(&tag(version)),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn when(name: HeaderName, value: &'static str) -> Result<When, Problem> {
        When::of(&[(name, HeaderValue::from_static(value))].into_iter().collect())
    }

    #[test]
    fn conditions_of_writes() {
        assert_eq!(When::of(&HeaderMap::new()).unwrap(), When::Always);
        assert_eq!(when(IF_NONE_MATCH, "*").unwrap(), When::Absent);
        assert_eq!(when(IF_MATCH, " * ").unwrap(), When::Exists);
        assert_eq!(when(IF_MATCH, "\"o1\", \"h2\"").unwrap(), When::OneOf(vec!["o1".into(), "h2".into()]));
        for (name, value) in [(IF_NONE_MATCH, "\"o1\""), (IF_MATCH, "o1"), (IF_MATCH, "W/\"o1\""), (IF_MATCH, "")] {
            assert_eq!(when(name, value).unwrap_err().status, StatusCode::BAD_REQUEST, "{value}");
        }
    }

    #[test]
    fn versions_as_tags() {
        let (counted, content) = (Version::ordered(17), Version::opaque("x".repeat(10_000)));
        assert_eq!(tag(&counted), "o17");
        assert_eq!(tag(&content).len(), 44);
        let when = When::OneOf(vec![tag(&content)]);
        assert!(when.holds(Some(&content)) && !when.holds(Some(&counted)) && !when.holds(None));
    }
}
