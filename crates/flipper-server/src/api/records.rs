//! `/api/v1/records`: flags and versions exactly as the store has them, for stores over this server. Names are in the body, where nothing
//! on the way changes them.

use std::convert::Infallible;
use std::time::Instant;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use flipper::__feed::{history, wire};
use flipper::history::HistoryQuery;
use flipper::json::{Json, Object};
use flipper::store::{Precondition, Stored, Version, WriteOptions};
use flipper::{Error, ErrorKind, FlagRecord};
use futures_util::{StreamExt, stream};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use tokio::sync::mpsc;

use super::caller::Caller;
use super::head::Head;
use super::input::{Fields, Input};
use super::{cause, output, schema};
use crate::access::Role;
use crate::app::App;
use crate::problem::Problem;

const LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson");
const CHUNK: usize = 64 * 1024;
/// Flags that were read and not yet sent.
const AHEAD: usize = 256;
pub(crate) const MOST: usize = 1000;
/// Puts in one call of the store.
const AT_ONCE: usize = 100;

/// All flags, as the store has them now: a JSON object in each line.
///
/// The last line is `{"end": NUMBER}`, or has an `error`.
#[utoipa::path(
    get,
    path = "/api/v1/records",
    tag = "exact",
    responses(
        (status = 200, description = "The flags", body = String, content_type = "application/x-ndjson"),
        schema::Refused,
    )
)]
pub(crate) async fn list(head: Head) -> Result<Response, Problem> {
    head.caller.must_have(Role::Read)?;
    head.query(&[])?;
    let Head { app, caller, .. } = head;
    let (sender, mut flags) = mpsc::channel::<flipper::Result<Stored>>(AHEAD);
    let store = app.store.clone();
    tokio::spawn(async move {
        let mut stream = store.stream();
        while let Some(flag) = stream.next().await {
            if sender.send(flag).await.is_err() {
                break;
            }
        }
    });
    // An outage is a status, unless it begins later.
    let first = flags.recv().await.transpose()?;
    let lines = Lines { first, flags, caller, count: 0, is_over: false };
    let chunks = stream::unfold(lines, |mut lines| async move {
        let chunk = lines.chunk().await?;
        Some((Ok::<_, Infallible>(chunk), lines))
    });
    let mut response = Response::new(Body::from_stream(chunks));
    response.headers_mut().insert(CONTENT_TYPE, LINES);
    Ok(output::of_store(&app, response))
}

struct Lines {
    first: Option<Stored>,
    flags: mpsc::Receiver<flipper::Result<Stored>>,
    caller: Caller,
    count: usize,
    is_over: bool,
}

impl Lines {
    async fn chunk(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        let mut text = String::new();
        while text.len() < CHUNK && !self.is_over {
            let flag = match self.first.take() {
                Some(flag) => Some(Ok(flag)),
                None => self.flags.recv().await,
            };
            let line: Object = match flag {
                Some(Ok(flag)) if self.caller.allows(Role::Read, &flag.name) => {
                    self.count += 1;
                    wire::state(&flag)
                }
                Some(Ok(_)) => continue,
                Some(Err(error)) => {
                    self.is_over = true;
                    [("error", wire::error(&error))].into_iter().collect()
                }
                None => {
                    self.is_over = true;
                    [("end", self.count)].into_iter().collect()
                }
            };
            text.push_str(&Json::from(line).to_string());
            text.push('\n');
        }
        Some(text.into())
    }
}

/// Reads and writes flags exactly, each on its own.
///
/// An operation is `{"get": NAME}`, `{"known": NAME}` (from the server's memory), `{"history": {…}}` (one in a body), `{"put": RECORD, "when": …}` with the
/// record's text, or `{"delete": NAME, "when": …}`. `when` is `"any"`, `"absent"` or `{"unchanged": VERSION}`. The headers are those of all
/// writes of the request.
#[utoipa::path(
    post,
    path = "/api/v1/records",
    tag = "exact",
    params(schema::Reason, schema::Verb),
    request_body(content = Vec<schema::RecordOperation>),
    responses(
        (status = 200, description = "A result for each operation", body = Vec<schema::RecordResult>),
        schema::Refused,
        schema::BadBody,
    )
)]
pub(crate) async fn apply(head: Head, input: Input) -> Result<Response, Problem> {
    let Head { app, caller, headers, .. } = &head;
    caller.must_have(Role::Read)?;
    head.query(&[])?;
    // Parsed, a body takes many times its size. What a reader sends is names.
    let body = match caller.must_have(Role::Write) {
        Ok(()) => input.record_json(app).await?,
        Err(_) => input.json(app).await?,
    };
    let operations = body.as_array().ok_or_else(|| Problem::invalid("the body must be an array of operations"))?;
    if operations.len() > MOST {
        return Err(Problem::invalid(format!("the body has {} operations, more than {MOST}", operations.len())));
    }
    let operations = operations.iter().enumerate().map(|(index, json)| Operation::read(json, index));
    let operations = operations.collect::<Result<Vec<_>, _>>()?;
    for operation in &operations {
        operation.must_be_allowed(caller)?;
    }
    // Each may have megabytes.
    if operations.iter().filter(|operation| matches!(operation, Operation::History(_))).count() > 1 {
        return Err(Problem::invalid("the body has more than one `history`"));
    }
    let options = match operations.iter().any(Operation::is_write) {
        true => cause::options(caller, headers)?,
        false => Precondition::Any.into(),
    };
    let mut results: Vec<Json> = Vec::with_capacity(operations.len());
    let mut down: Option<Object> = None;
    let last_begin = app.limits.last_begin();
    let mut rest = operations.into_iter().peekable();
    while let Some(operation) = rest.next() {
        if down.is_none() && Instant::now() > last_begin {
            let error = Error::new(ErrorKind::Unavailable).with_message("the operations before took too long");
            down = Some(wire::error(&error.with_nothing_written(true)));
        }
        let answers = match (&down, operation) {
            (Some(error), _) => vec![Err(error.clone())],
            // Puts in a row are one call of the store.
            (None, Operation::Put(record, when)) => {
                let mut records = vec![*record];
                let alike = |next: &Operation| matches!(next, Operation::Put(_, other) if *other == when);
                while records.len() < AT_ONCE
                    && let Some(Operation::Put(record, _)) = rest.next_if(alike)
                {
                    records.push(*record);
                }
                let written = app.features.put_all_as(&records, under(&options, when)).await.into_iter();
                written.map(|written| sent(written.map(|version| version_of(&version)), &mut down)).collect()
            }
            (None, operation) => vec![sent(operation.run(app, caller, &options).await, &mut down)],
        };
        let answers = answers.into_iter();
        results.extend(
            answers.map(|answer| answer.unwrap_or_else(|error| [("error", error)].into_iter().collect()).into()),
        );
    }
    let mut response = Response::new(Body::from(Json::Array(results).to_string()));
    response.headers_mut().insert(CONTENT_TYPE, output::JSON);
    *response.status_mut() = StatusCode::OK;
    Ok(output::of_store(app, response))
}

fn sent(result: Result<Object, Error>, down: &mut Option<Object>) -> Result<Object, Object> {
    result.map_err(|error| {
        let sent = wire::error(&error);
        if error.kind() == ErrorKind::Unavailable {
            *down = Some(sent.clone());
        }
        sent
    })
}

fn under(options: &WriteOptions, when: Precondition) -> WriteOptions {
    let mut options = options.clone();
    options.when = when;
    options
}

fn version_of(version: &Version) -> Object {
    [("version", wire::version(version))].into_iter().collect()
}

enum Operation {
    Get(String),
    Known(String),
    History(HistoryQuery),
    Put(Box<FlagRecord>, Precondition),
    Delete(String, Precondition),
}

impl Operation {
    fn read(json: &Json, index: usize) -> Result<Self, Problem> {
        let fields =
            Fields::of(json, format!("operation {index}"), &["get", "known", "history", "put", "delete", "when"])?;
        let when = match fields.get("when") {
            None => Precondition::Any,
            Some(when) => wire::read_precondition(when).map_err(|error| fields.wrong("when", &error))?,
        };
        let given = ["get", "known", "put", "delete"].map(|name| fields.text(name));
        let [get, known, put, delete] = given;
        match (get?, known?, fields.get("history"), put?, delete?) {
            (Some(name), None, None, None, None) => Ok(Self::Get(name.to_owned())),
            (None, Some(name), None, None, None) => Ok(Self::Known(name.to_owned())),
            (None, None, Some(query), None, None) => {
                history::read_query(query).map(Self::History).map_err(|error| fields.wrong("history", &error))
            }
            (None, None, None, None, Some(name)) => Ok(Self::Delete(name.to_owned(), when)),
            (None, None, None, Some(text), None) => {
                let record = FlagRecord::from_json(text).map_err(|error| fields.wrong("put", &error))?;
                Ok(Self::Put(Box::new(record), when))
            }
            _ => Err(Problem::invalid(format!(
                "operation {index} must have exactly one of `get`, `known`, `history`, `put` and `delete`"
            ))),
        }
    }

    fn is_write(&self) -> bool {
        matches!(self, Self::Put(..) | Self::Delete(..))
    }

    fn must_be_allowed(&self, caller: &Caller) -> Result<(), Problem> {
        match self {
            Self::Get(name) | Self::Known(name) => caller.must(Role::Read, name),
            Self::History(HistoryQuery { name: Some(name), .. }) => caller.must(Role::Read, name),
            // Its entries are filtered.
            Self::History(_) => Ok(()),
            Self::Put(record, _) => caller.must(Role::Write, record.name()),
            Self::Delete(name, _) => caller.must(Role::Write, name),
        }
    }

    async fn run(self, app: &App, caller: &Caller, options: &WriteOptions) -> Result<Object, Error> {
        match self {
            Self::Get(name) => Ok(read(&name, app.store.get(&name).await?)),
            Self::Known(name) if app.has_flags() => Ok(read(&name, app.store.table().get(&name))),
            Self::Known(_) => Err(Error::new(ErrorKind::Unavailable).with_message("there are no flags yet")),
            Self::History(query) => super::history::exact(app, caller, &query).await,
            Self::Put(record, when) => {
                app.features.put_as(&record, under(options, when)).await.map(|version| version_of(&version))
            }
            Self::Delete(name, when) => {
                app.features.delete_as(&name, under(options, when)).await.map(|version| version_of(&version))
            }
        }
    }
}

fn read(name: &str, stored: Option<Stored>) -> Object {
    match stored {
        Some(stored) => wire::state(&stored),
        None => {
            let mut object: Object = [("name", name)].into_iter().collect();
            object.insert("absent", true);
            object
        }
    }
}
