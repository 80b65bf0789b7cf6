use axum::body::Body;
use axum::response::Response;
use flipper::__openfeature as openfeature;
use flipper::FlagRecord;
use flipper::context::Value;
use http::{HeaderMap, StatusCode};

use super::error::{Code, error};
use super::outcome::{Given, Outcome};
use super::{Ofrep, answer, context, json};
use crate::access::{Access, Role};
use crate::app::App;
use crate::etag;

/// Enough for most answers.
const CAPACITY: usize = 256;
/// In bytes.
const LONGEST_NAME: usize = 4096;

pub(super) async fn answer(ofrep: &Ofrep, access: &Access, key: &str, headers: &HeaderMap, body: Body) -> Response {
    match try_answer(ofrep, access, key, headers, body).await {
        Ok(response) | Err(response) => response,
    }
}

async fn try_answer(
    ofrep: &Ofrep,
    access: &Access,
    key: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Response> {
    let refuse = |(code, details): (Code, String)| error(code.status(), Some(key), code, &details);
    let body = answer::read(body, Some(key)).await?;
    let context = context::read(&body).map_err(refuse)?;
    let attributes = context::attributes(&context, &ofrep.app.ofrep.targeting_key);
    let is_stale = ofrep.is_stale(Some(key)).await?;
    // No name is longer: a key of slashes alone would cost a search for each.
    let app = &ofrep.app;
    let (name, path) = openfeature::split(key, |name| name.len() <= LONGEST_NAME && app.has_flag(name));
    if !access.allows(Role::Evaluate, name) {
        let details = format!("no access to the flag {name:?}: it has none of the name prefixes of the token");
        return Err(error(StatusCode::FORBIDDEN, Some(key), Code::General, &details));
    }
    let mut text = String::with_capacity(CAPACITY);
    let outcome = write(app, name, path, key, &attributes, &mut text).map_err(refuse)?;
    match (path, &outcome.given) {
        (Some(_), _) => answer::end(&outcome, is_stale, &mut text),
        (None, Given::Error(details)) => return Err(refuse((Code::TargetingKeyMissing, details.clone()))),
        (None, _) => answer::own(key, &outcome, is_stale, &mut text),
    }
    let tag = (!outcome.is_passing).then(|| etag::of(text.as_bytes()));
    Ok(answer::respond(headers, text, tag, is_stale))
}

fn write(
    app: &App,
    name: &str,
    path: Option<&str>,
    key: &str,
    context: &[(&str, Value<'_>)],
    out: &mut String,
) -> Result<Outcome, (Code, String)> {
    app.features.explain(name, context, |evaluation, record| {
        let outcome = Outcome::of(name, evaluation, record, context, app.store.table())?;
        let Some(path) = path else { return Ok(outcome) };
        if !outcome.enabled {
            return Err((Code::General, is_off(name, &outcome)));
        }
        match record.map(FlagRecord::client_data).and_then(|data| openfeature::at(data, path)) {
            Some(value) if json::is_value(value) => answer::begin(key, value, out),
            Some(_) => return Err((Code::General, no_value(name, path))),
            None => {
                let details = format!("the client data of flag {name:?} have nothing under {path:?}");
                return Err((Code::FlagNotFound, details));
            }
        }
        Ok(outcome)
    })
}

/// The caller's default applies, as with our provider.
pub(super) fn is_off(name: &str, outcome: &Outcome) -> String {
    format!("flag {name:?} is off ({}), so that its values are the caller's defaults", outcome.reason_code)
}

pub(super) fn no_value(name: &str, path: &str) -> String {
    format!("the client data of flag {name:?} have null or no number of JSON under {path:?}")
}
