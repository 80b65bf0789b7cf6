use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use axum::response::Response;
use http::HeaderMap;

use super::texts::Answers;
use super::{Ofrep, answer, context, error, json};
use crate::access::{Access, Role};

/// How long a hidden page keeps its stream, in seconds: each holds one of the few connections that a browser opens to a host.
const INACTIVITY_DELAY: &str = "5";

/// Other requests wait for the answers of so many flags.
const AT_ONCE: usize = 1000;

/// The size of the last answer: the next is about as large.
#[derive(Debug, Default)]
pub(super) struct Size(AtomicUsize);

pub(super) async fn answer(ofrep: &Ofrep, access: &Access, headers: &HeaderMap, body: Body) -> Response {
    match try_answer(ofrep, access, headers, body).await {
        Ok(response) | Err(response) => response,
    }
}

async fn try_answer(ofrep: &Ofrep, access: &Access, headers: &HeaderMap, body: Body) -> Result<Response, Response> {
    let body = answer::read(body, None).await?;
    let context = context::read(&body).map_err(|(code, details)| error(code.status(), None, code, &details))?;
    let attributes = context::attributes(&context, &ofrep.app.ofrep.targeting_key);
    let is_stale = ofrep.is_stale(None).await?;
    let mut answers = Answers::with_capacity(ofrep.size.0.load(Ordering::Relaxed) + 64);
    let (mut is_passing, is_unlimited) = (false, access.is_unlimited() && access.role >= Role::Evaluate);
    for (place, flag) in ofrep.flags.current(&ofrep.app).await.flags.iter().enumerate() {
        if place % AT_ONCE == AT_ONCE - 1 {
            tokio::task::yield_now().await;
        }
        if is_unlimited || access.allows(Role::Evaluate, flag.name()) {
            is_passing |= flag.write(&attributes, ofrep.app.store.table(), &mut answers);
        }
    }
    let (text, tag) = answers.end(|text| {
        // Not in each flag: a page would take that for a change of all of them.
        if is_stale {
            text.push_str(",\"metadata\":{\"flipper.stale\":true}");
        }
        if let Some(url) = ofrep.stream_url() {
            text.push_str(",\"eventStreams\":[{\"type\":\"sse\",\"url\":");
            json::string(url, text);
            text.push_str(",\"inactivityDelaySec\":");
            text.push_str(INACTIVITY_DELAY);
            text.push_str("}]");
        }
    });
    ofrep.size.0.store(text.len(), Ordering::Relaxed);
    Ok(answer::respond(headers, text, (!is_passing).then_some(tag), is_stale))
}
