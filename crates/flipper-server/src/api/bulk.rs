//! `/api/v1/bulk`: many writes in one request, each on its own.

use std::time::Instant;

use axum::response::Response;
use flipper::FeatureFlagClient;
use flipper::json::{Json, Object};
use http::StatusCode;

use super::caller::Caller;
use super::edit::{self, Edit};
use super::head::Head;
use super::input::{Fields, Input};
use super::output::{self, When};
use super::{schema, write};
use crate::access::Role;
use crate::app::App;
use crate::problem::Problem;

pub(crate) const MOST: usize = 1000;

/// Writes many flags.
///
/// Each operation succeeds or fails on its own; the results are in their order. While the store is unavailable, or
/// when those before took half of the time that a request may take, the remaining operations are not tried.
#[utoipa::path(
    post,
    path = "/api/v1/bulk",
    tag = "flags",
    params(schema::Reason),
    request_body(content = Vec<schema::Operation>),
    responses(
        (status = 200, description = "The results", body = schema::Results),
        schema::Refused,
        schema::BadBody,
    )
)]
pub(crate) async fn bulk(head: Head, input: Input) -> Result<Response, Problem> {
    let features = head.writer()?;
    head.query(&[])?;
    let Head { app, caller, .. } = &head;
    let body = input.json(app).await?;
    let operations = body.as_array().ok_or_else(|| Problem::invalid("the body must be an array of operations"))?;
    if operations.len() > MOST {
        let detail = format!("the body has {} operations, more than the {MOST} allowed", operations.len());
        return Err(Problem::invalid(detail).hint("send them in several requests"));
    }
    // All are read before the first is done.
    let operations = operations.iter().enumerate().map(|(index, json)| Operation::read(json, index));
    let operations = operations.collect::<Result<Vec<_>, _>>()?;
    let mut results: Vec<Object> = Vec::with_capacity(operations.len());
    let mut down: Option<Problem> = None;
    let last_begin = app.limits.last_begin();
    for operation in operations {
        if down.is_none() && Instant::now() > last_begin {
            down = Some(Problem::not_tried());
        }
        let done = match &down {
            Some(problem) => Err(problem.clone()),
            None => operation.run(app, caller, &features).await,
        };
        let mut result = Object::new();
        result.insert("name", operation.name.as_str());
        match done {
            Ok((status, version)) => {
                result.insert("status", u32::from(status.as_u16()));
                result.insert("version", version.map_or(Json::Null, Json::from));
            }
            Err(problem) => {
                result.insert("status", u32::from(problem.status.as_u16()));
                result.insert("error", problem.to_object());
                if problem.status == StatusCode::SERVICE_UNAVAILABLE {
                    down = Some(problem);
                }
            }
        }
        results.push(result);
    }
    Ok(output::json(StatusCode::OK, [("results", results)].into_iter().collect()))
}

struct Operation {
    kind: Kind,
    name: String,
    edit: Edit,
    when: When,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Create,
    Change,
    Replace,
    Destroy,
}

impl Operation {
    fn read(json: &Json, index: usize) -> Result<Self, Problem> {
        let known: Vec<_> = ["op", "name", "if_version"].into_iter().chain(edit::FIELDS).collect();
        let fields = Fields::of(json, format!("operation {index}"), &known)?;
        let kind = match fields.required_text("op")? {
            "create" => Kind::Create,
            "change" => Kind::Change,
            "replace" => Kind::Replace,
            "destroy" => Kind::Destroy,
            other => {
                let detail = format!("operation {index}: {other:?} is not `create`, `change`, `replace` or `destroy`");
                return Err(Problem::invalid(detail).with("field", "op"));
            }
        };
        let when = match fields.text("if_version")? {
            Some(version) => When::OneOf(vec![version.to_owned()]),
            None => When::Always,
        };
        let name = fields.required_text("name")?.to_owned();
        Ok(Self { kind, name, edit: Edit::read(&fields)?, when })
    }

    async fn run(
        &self,
        app: &App,
        caller: &Caller,
        features: &FeatureFlagClient,
    ) -> Result<(StatusCode, Option<String>), Problem> {
        caller.must(Role::Write, &self.name)?;
        if app.require_if_match && self.when == When::Always && self.kind != Kind::Create {
            return Err(Problem::new(
                StatusCode::PRECONDITION_REQUIRED,
                "precondition_required",
                "The operation needs a precondition",
                "this server takes changes of a flag only with its version",
            )
            .hint("GET the flag, and send its version as `if_version`"));
        }
        let written = match self.kind {
            Kind::Create => write::create(features, &self.name, self.edit.clone()).await?,
            Kind::Change => write::change(app, features, &self.name, &self.edit, &self.when).await?,
            Kind::Replace => write::replace(app, features, &self.name, self.edit.clone(), &self.when).await?,
            Kind::Destroy => {
                write::destroy(app, features, &self.name, &self.when).await?;
                return Ok((StatusCode::NO_CONTENT, None));
            }
        };
        let status = if written.is_new { StatusCode::CREATED } else { StatusCode::OK };
        Ok((status, Some(output::tag(&written.stored.version))))
    }
}
