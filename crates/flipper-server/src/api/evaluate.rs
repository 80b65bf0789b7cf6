//! `/api/v1/evaluate`: what a check answers, and why.

use axum::response::Response;
use flipper::evaluation::{Chosen, Reason};
use flipper::json::{Json, Object};
use flipper::{Context, Error, ErrorKind};
use http::StatusCode;

use super::caller::Caller;
use super::head::Head;
use super::input::{Fields, Input};
use super::name::Name;
use super::{output, schema};
use crate::access::Role;
use crate::problem::Problem;

/// Evaluates a flag for a context, and explains the answer.
#[utoipa::path(
    post,
    path = "/api/v1/evaluate/{name}",
    tag = "evaluation",
    params(schema::NamePath),
    request_body(content = schema::EvaluationRequest),
    responses(
        (status = 200, description = "The answer", body = schema::Evaluation),
        (status = 404, response = schema::NotFound),
        schema::Refused,
        schema::BadBody,
    )
)]
pub(crate) async fn evaluate(head: Head, Name(name): Name, input: Input) -> Result<Response, Problem> {
    let Head { app, caller, .. } = &head;
    caller.must(Role::Evaluate, &name)?;
    head.query(&[])?;
    let body = input.small_json(app).await?;
    let fields = Fields::of(&body, "the body", &["context"])?;
    let context: Context = match fields.object("context")? {
        Some(attributes) => attributes.iter().map(|(name, value)| (name, value.clone())).collect(),
        None => Context::new(),
    };
    app.must_have_flags()?;
    super::write::must_be_flag(app, &name)?;
    let evaluation = app.features.evaluate(&name, &context);
    if evaluation.reason == Reason::NoSuchFlag {
        return Err(Error::new(ErrorKind::FlagNotFound).with_flag(&name).into());
    }
    let bucket = evaluation.bucket.as_ref().map(|bucket| {
        let score = Json::try_from(bucket.score).unwrap_or_default();
        let fields =
            [("score", score), ("percentage", bucket.percentage.clone()), ("is_shared", bucket.is_shared.into())];
        Json::from(fields.into_iter().collect::<Object>())
    });
    let object: Object = [
        ("name", Json::from(name)),
        ("enabled", evaluation.is_enabled.into()),
        ("rule", evaluation.reason.code().into()),
        ("reason", shown(&evaluation.reason, caller).into()),
        ("variant", evaluation.variant.as_ref().map_or(Json::Null, variant)),
        ("bucket", bucket.unwrap_or_default()),
        ("not_given", evaluation.not_given.into()),
        ("stale", output::stale(&app.store.status()).map_or(Json::Null, Json::from)),
    ]
    .into_iter()
    .collect();
    Ok(output::from_memory(app, output::json(StatusCode::OK, object)))
}

/// Names no flag that the caller may not evaluate.
fn shown(reason: &Reason, caller: &Caller) -> String {
    match reason {
        Reason::Prerequisite { flag, unmet } if !caller.allows(Role::Evaluate, flag) => {
            format!("another flag, which must be on, {unmet}")
        }
        other => other.to_string(),
    }
}

pub(crate) fn variant(chosen: &Chosen) -> Json {
    let fields = [("name", Json::from(chosen.name())), ("value", output::valid(chosen.value()))];
    fields.into_iter().collect::<Object>().into()
}
