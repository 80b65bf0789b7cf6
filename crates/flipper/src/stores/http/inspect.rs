use std::time::Instant;

use hyper::Method;
use hyper::body::Bytes;
use hyper::header::HeaderMap;

use super::{HttpFeatureFlagStore, answer};
use crate::error::Result;
use crate::feed::wire;
use crate::inspection::Check;
use crate::json::Json;
use crate::stores::served::{Description, describe, now_ms};

const STATUS: &str = "/api/v1/status";

pub(super) async fn inspect(store: &HttpFeatureFlagStore) -> Vec<Check> {
    let (called, clock) = (Instant::now(), now_ms());
    let described = description(store).await;
    match described {
        Ok(server) => describe(&server, clock, called.elapsed()),
        Err(error) => vec![Check::fault("reachable", error.chain())],
    }
}

async fn description(store: &HttpFeatureFlagStore) -> Result<Description> {
    let (head, body) = store.shared.send(Method::GET, STATUS, HeaderMap::new(), Bytes::new()).await?;
    if !head.status.is_success() {
        return Err(answer::refused(head.status, &body));
    }
    let json = Json::from_slice(&body).map_err(|error| answer::foreign("answer is no JSON").with_source(error))?;
    let text = |field: &str| json.get(field).and_then(Json::as_str).map(str::to_owned);
    Ok(Description {
        version: text("version"),
        server: text("server"),
        store: text("store"),
        lost: text("lost"),
        confirmed_ms_ago: wire::number(&json, "confirmed_ms_ago").unwrap_or_default(),
        clock_ms: json.get("clock_ms").and_then(Json::as_i64),
    })
}
