//! `/healthz`, `/readyz`, `/metrics`: for those who operate the server.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use flipper::FeatureFlagStore;
use flipper::store::{Health, Status};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode, Uri};

use crate::app::App;
use crate::metrics::Metrics;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const PROMETHEUS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4");
const MAX_STALE: &str = "max_stale";

pub(crate) async fn healthz() -> Response {
    text(StatusCode::OK, "it runs\n".to_owned())
}

pub(crate) async fn readyz(State(app): State<Arc<App>>, uri: Uri) -> Response {
    let (status, body) = ready(&app, uri.query());
    text(status, body)
}

pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let mut response = measured(&app).into_response();
    response.headers_mut().insert(CONTENT_TYPE, PROMETHEUS);
    response
}

fn text(status: StatusCode, text: String) -> Response {
    let mut response = text.into_response();
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, TEXT);
    response
}

/// Whether there are flags to answer with, and optionally how stale they may be.
fn ready(app: &App, query: Option<&str>) -> (StatusCode, String) {
    let most = match query.map_or(Ok(None), max_stale) {
        Ok(most) => most,
        Err(wrong) => return (StatusCode::BAD_REQUEST, format!("{wrong}\n")),
    };
    if app.is_draining() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the server is ending\n".to_owned());
    }
    let status = app.store.status();
    let stale_for = stale_for(&status);
    let (since, reason) = match &status.health {
        Health::Live => (String::new(), String::new()),
        Health::Stale { reason, .. } => {
            let since = SystemTime::now().checked_sub(stale_for).unwrap_or(SystemTime::UNIX_EPOCH);
            (humantime::format_rfc3339_seconds(since).to_string(), plain(reason))
        }
        _ => (String::new(), "the state of the store is unknown".to_owned()),
    };
    if !app.has_flags() {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("there are no flags yet: {reason}\n"));
    }
    if status.is_live() {
        return (StatusCode::OK, "flags are current\n".to_owned());
    }
    let text = format!("flags are stale since {since}: {reason}\n");
    match most {
        Some(most) if stale_for > most => (StatusCode::SERVICE_UNAVAILABLE, text),
        _ => (StatusCode::OK, text),
    }
}

/// How long ago the store last confirmed the flags; zero while they are live.
fn stale_for(status: &Status) -> Duration {
    match status.health {
        Health::Stale { since, .. } => {
            let confirmed = status.last_sync.map_or(since, |sync| sync.min(since));
            SystemTime::now().duration_since(confirmed).unwrap_or_default()
        }
        _ => Duration::ZERO,
    }
}

fn max_stale(query: &str) -> Result<Option<Duration>, String> {
    let mut most = None;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name != MAX_STALE {
            return Err(format!("there is no parameter {}; there is {MAX_STALE}", plain(&name)));
        }
        let wrong = |error| format!("{MAX_STALE}={}: {error}; write it like 30s or 2min", plain(&value));
        most = Some(humantime::parse_duration(&value).map_err(wrong)?);
    }
    Ok(most)
}

/// A terminal may show it.
fn plain(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

fn measured(app: &App) -> String {
    let flags = app.flags();
    let enabled = flags.iter().filter(|flag| flag.record.as_ref().is_ok_and(|record| record.is_enabled())).count();
    let corrupt = flags.iter().filter(|flag| flag.record.is_err()).count();
    let status = app.store.status();
    let synced =
        status.last_sync.and_then(|sync| sync.duration_since(UNIX_EPOCH).ok()).map_or(0.0, |sync| sync.as_secs_f64());

    let mut metrics = Metrics::default();
    let version = [([("version", env!("CARGO_PKG_VERSION"))], 1.0)];
    metrics.gauges("flipper_build_info", "The version that runs.", version);
    metrics.gauge("flipper_flags", "Flags in memory.", flags.len() as f64);
    metrics.gauge("flipper_flags_enabled", "Flags in memory that are on.", enabled as f64);
    metrics.gauge("flipper_flags_corrupt", "Flags whose stored value cannot be read.", corrupt as f64);
    let live = f64::from(u8::from(status.is_live()));
    metrics.gauge("flipper_store_live", "1 while flags are live, 0 while they are stale.", live);
    let help = "When the store last confirmed the flags; 0 before the first time.";
    metrics.gauge("flipper_store_last_sync_timestamp_seconds", help, synced);
    let help = "For how long the store has not confirmed the flags; 0 while they are current.";
    metrics.gauge("flipper_store_stale_seconds", help, stale_for(&status).as_secs_f64());
    let identity = status.identity.unwrap_or_else(|| app.store.identity());
    let store = [("store", identity.place()), ("epoch", identity.epoch().unwrap_or_default())];
    let help = "The store of the flags, and which start of its server.";
    metrics.gauges("flipper_store_info", help, [(store, 1.0)]);
    let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"].map(|class| [("status", class)]);
    let requests = classes.into_iter().zip(app.counts.requests().map(|count| count as f64));
    metrics.counters("flipper_http_requests_total", "HTTP requests by the class of their status.", requests);
    metrics.gauge("flipper_http_connections", "Open HTTP connections.", app.counts.connections() as f64);
    metrics.gauge("flipper_http_followers", "Open streams of changes.", app.changes.followers() as f64);
    if let Some(more) = &app.more_metrics {
        more(&mut metrics);
    }
    metrics.into_text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_stale_they_may_be() {
        assert_eq!(max_stale("max_stale=30s"), Ok(Some(Duration::from_secs(30))));
        assert_eq!(max_stale("max_stale=1min%2030s"), Ok(Some(Duration::from_secs(90))));
        assert_eq!(max_stale(""), Ok(None));
        for wrong in ["max_stale=30", "max_stale=", "max_stale=x", "max_stale=-1s", "maxstale=30s", "max_stale"] {
            assert!(max_stale(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn staleness_counts_from_the_last_sync() {
        let ago = |seconds| SystemTime::now() - Duration::from_secs(seconds);
        let status = |health, sync| Status::new(health, sync, flipper::store::Updates::Push);
        let stale = |since| Health::Stale { since, reason: "away".into() };
        assert_eq!(stale_for(&status(Health::Live, Some(ago(9)))), Duration::ZERO);
        assert_eq!(stale_for(&status(stale(ago(5)), Some(ago(9)))).as_secs(), 9);
        assert_eq!(stale_for(&status(stale(ago(5)), None)).as_secs(), 5);
    }
}
