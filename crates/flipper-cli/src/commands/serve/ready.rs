//! `/readyz`: whether there are flags to answer with, and optionally how stale they may be.

use std::time::{Duration, SystemTime};

use flipper::store::{Health, Status};
use hyper::StatusCode;

use super::served::Served;
use crate::text::plain;

const MAX_STALE: &str = "max_stale";

pub(super) fn answer(served: &Served, query: Option<&str>) -> (StatusCode, String) {
    let most = match query.map_or(Ok(None), max_stale) {
        Ok(most) => most,
        Err(wrong) => return (StatusCode::BAD_REQUEST, format!("{wrong}\n")),
    };
    let status = served.store.status();
    let stale_for = stale_for(&status);
    let (since, reason) = match &status.health {
        Health::Live => (String::new(), String::new()),
        Health::Stale { reason, .. } => {
            let since = SystemTime::now().checked_sub(stale_for).unwrap_or(SystemTime::UNIX_EPOCH);
            (humantime::format_rfc3339_seconds(since).to_string(), plain(reason).into_owned())
        }
        _ => (String::new(), "the state of the store is unknown".to_owned()),
    };
    if !served.was_ready() {
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
pub(super) fn stale_for(status: &Status) -> Duration {
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
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if name != MAX_STALE {
            return Err(format!("there is no parameter {}; there is {MAX_STALE}", plain(&name)));
        }
        let wrong = |error| format!("{MAX_STALE}={}: {error}; write it like 30s or 2min", plain(&value));
        most = Some(humantime::parse_duration(&value).map_err(wrong)?);
    }
    Ok(most)
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
