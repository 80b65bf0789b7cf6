//! Bodies and queries: read whole, within limits, with unknown fields refused by name.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use flipper::Error;
use flipper::json::{Json, Object};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::app::App;
use crate::problem::Problem;

/// Of contexts, in bytes, as for OFREP.
const SMALL: usize = 64 * 1024;

/// A body of JSON that is not read yet: first the caller's rights are checked.
#[derive(Debug)]
pub(crate) struct Input(HeaderMap, Body);

impl FromRequest<Arc<App>> for Input {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &Arc<App>) -> Result<Self, Infallible> {
        let (parts, body) = request.into_parts();
        Ok(Self(parts.headers, body))
    }
}

impl Input {
    pub(crate) async fn json(self, app: &App) -> Result<Json, Problem> {
        parse(&self.read(app.limits.body, app).await?)
    }

    /// Of whole records, and of segments with all their callers.
    pub(crate) async fn record_json(self, app: &App) -> Result<Json, Problem> {
        parse(&self.read(app.limits.record.max(app.limits.body), app).await?)
    }

    /// Of a caller that may only evaluate.
    pub(crate) async fn small_json(self, app: &App) -> Result<Json, Problem> {
        parse(&self.read(app.limits.body.min(SMALL), app).await?)
    }

    /// The whole body, of at most `most` bytes.
    pub(crate) async fn read(self, most: usize, app: &App) -> Result<Bytes, Problem> {
        let Self(headers, body) = self;
        must_be_json(&headers)?;
        if let Some(encoding) = headers.get(CONTENT_ENCODING)
            && encoding != "identity"
        {
            return Err(unsupported("the body is compressed".to_owned()).hint("send it without Content-Encoding"));
        }
        let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > most as u64) {
            return Err(Problem::too_large(most));
        }
        match tokio::time::timeout(app.limits.body_time, Limited::new(body, most).collect()).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::too_large(most)),
            Ok(Err(error)) => Err(Problem::bad_request(format!("the body ended early: {error}"))),
            Err(_) => Err(Problem::timeout("the body did not come in time")),
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Json, Problem> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Problem::bad_request(format!("the body is not UTF-8 at byte {}", error.valid_up_to())))?;
    Json::parse_strict(text).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "malformed_json", "The body is not JSON", error.to_string())
            .hint("correct the text at that place")
    })
}

fn must_be_json(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json")) {
        return Ok(());
    }
    let detail = match given {
        "" => "the body has no Content-Type".to_owned(),
        _ => format!("the body is {given:?}, and has to be JSON"),
    };
    Err(unsupported(detail).hint("send Content-Type: application/json"))
}

fn unsupported(detail: String) -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "The body is of another type than this path takes",
        detail,
    )
}

/// The fields of an object.
pub(crate) struct Fields<'a> {
    object: &'a Object,
    what: String,
}

impl<'a> Fields<'a> {
    /// `what` is for messages: "the body", "operation 3".
    pub(crate) fn of(json: &'a Json, what: impl Into<String>, known: &[&str]) -> Result<Self, Problem> {
        let what = what.into();
        let Some(object) = json.as_object() else {
            return Err(Problem::invalid(format!("{what} must be an object, not {}", type_name(json))));
        };
        if let Some(unknown) = object.keys().find(|key| !known.contains(key)) {
            let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
            let detail = format!("{what} has the unknown field {unknown:?}; there are {}", known.join(", "));
            return Err(Problem::invalid(detail).with("field", unknown));
        }
        Ok(Self { object, what })
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a Json> {
        self.object.get(name)
    }

    pub(crate) fn bool(&self, name: &str) -> Result<Option<bool>, Problem> {
        self.typed(name, "true or false", Json::as_bool)
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, Problem> {
        self.typed(name, "a string", Json::as_str)
    }

    pub(crate) fn object(&self, name: &str) -> Result<Option<&'a Object>, Problem> {
        self.typed(name, "an object", Json::as_object)
    }

    pub(crate) fn array(&self, name: &str) -> Result<Option<&'a [Json]>, Problem> {
        self.typed(name, "an array", Json::as_array)
    }

    pub(crate) fn required_text(&self, name: &str) -> Result<&'a str, Problem> {
        self.text(name)?.ok_or_else(|| self.missing(name))
    }

    pub(crate) fn missing(&self, name: &str) -> Problem {
        Problem::invalid(format!("{} lacks the field {name:?}", self.what)).with("field", name)
    }

    pub(crate) fn wrong(&self, name: &str, error: &Error) -> Problem {
        Problem::invalid(format!("{}, field {name:?}: {}", self.what, error.chain())).with("field", name)
    }

    /// Of an item of an array.
    pub(crate) fn wrong_at(&self, name: &str, index: usize, error: &Error) -> Problem {
        Problem::invalid(format!("{}, field {name:?}, item {index}: {}", self.what, error.chain())).with("field", name)
    }

    fn typed<T>(&self, name: &str, form: &str, read: impl Fn(&'a Json) -> Option<T>) -> Result<Option<T>, Problem> {
        let Some(json) = self.object.get(name) else { return Ok(None) };
        read(json).map(Some).ok_or_else(|| {
            let detail = format!("{}: field {name:?} must be {form}, not {}", self.what, type_name(json));
            Problem::invalid(detail).with("field", name)
        })
    }
}

fn type_name(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
        _ => "a string",
    }
}

/// The parameters of a query, each at most once.
#[derive(Debug)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn of(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            if !known.contains(&&*name) {
                let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let detail = format!("the query has the unknown parameter {name:?}; there are {known}");
                return Err(Problem::bad_request(detail).with("parameter", &*name));
            }
            if parameters.iter().any(|(known, _)| *known == name) {
                return Err(Problem::bad_request(format!("the query has {name:?} twice")).with("parameter", &*name));
            }
            parameters.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(parameters))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn bool(&self, name: &str) -> Result<Option<bool>, Problem> {
        match self.get(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(wrong(name, "true or false", other)),
        }
    }

    /// From 1 to `most`.
    pub(crate) fn number(&self, name: &str, most: usize) -> Result<Option<usize>, Problem> {
        let Some(given) = self.get(name) else { return Ok(None) };
        let number = given.parse().ok().filter(|number| (1..=most).contains(number));
        number.map(Some).ok_or_else(|| wrong(name, &format!("a number from 1 to {most}"), given))
    }
}

fn wrong(name: &str, form: &str, given: &str) -> Problem {
    Problem::bad_request(format!("the parameter {name:?} must be {form}, not {given:?}")).with("parameter", name)
}
