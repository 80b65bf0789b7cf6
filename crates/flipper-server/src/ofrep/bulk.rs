use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

use axum::body::Body;
use axum::response::Response;
use http::HeaderMap;
use tokio::sync::Semaphore;

use super::texts::Answers;
use super::{Ofrep, answer, context, error, json};
use crate::access::{Access, Role};

/// How long a hidden page keeps its stream, in seconds: each holds one of the few connections that a browser opens to a host.
const INACTIVITY_DELAY: &str = "5";

/// Other requests wait for the answers of so many flags.
pub(super) const AT_ONCE: usize = 1000;

#[derive(Debug)]
pub(super) struct Bulk {
    /// Of the last answer, in bytes: the next is about as large.
    size: AtomicUsize,
    /// Of large answers no more are begun than threads can write: more would take memory, and all of them end late.
    turns: Semaphore,
}

impl Default for Bulk {
    fn default() -> Self {
        let threads = available_parallelism().map_or(2, |threads| threads.get().max(2));
        Self { size: AtomicUsize::default(), turns: Semaphore::new(threads) }
    }
}

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
    let listed = ofrep.flags.current(&ofrep.app).await?;
    let _turn = match listed.flags.len() > AT_ONCE {
        true => ofrep.bulk.turns.acquire().await.ok(),
        false => None,
    };
    let mut answers = Answers::with_capacity(ofrep.bulk.size.load(Ordering::Relaxed) + 64);
    let (mut is_passing, is_unlimited) = (false, access.is_unlimited() && access.role >= Role::Evaluate);
    for (place, flag) in listed.flags.iter().enumerate() {
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
    ofrep.bulk.size.store(text.len(), Ordering::Relaxed);
    Ok(answer::respond(headers, text, (!is_passing).then_some(tag), is_stale))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use flipper::store::Precondition;
    use flipper::{FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore};
    use futures_util::future::poll_immediate;

    use super::*;
    use crate::app::App;
    use crate::ofrep::Entry;
    use crate::request::Around;

    #[tokio::test]
    async fn no_more_large_answers_are_begun_than_threads_can_write() {
        let store = MemoryFeatureFlagStore::new();
        for number in 0..2 * AT_ONCE {
            store.put(&FlagRecord::new(format!("F{number}"), 1), Precondition::Absent.into()).await.unwrap();
        }
        let app = Arc::new(App::new(Arc::new(store)));
        let ofrep = Entry::new(app.clone(), Around::new(app, None)).ofrep;
        let (access, headers) = (Access::everything(&http::Extensions::new()), HeaderMap::new());
        // The list.
        assert!(try_answer(&ofrep, &access, &headers, Body::empty()).await.is_ok());
        let most = ofrep.bulk.turns.available_permits();
        let answers = (0..=most).map(|_| Box::pin(try_answer(&ofrep, &access, &headers, Body::empty())));
        let mut waiting: Vec<_> = answers.collect();
        // In turns, as often as one needs that does not wait for another.
        for _ in 0..3 {
            for mut answer in std::mem::take(&mut waiting) {
                if poll_immediate(&mut answer).await.is_none() {
                    waiting.push(answer);
                }
            }
        }
        assert_eq!(waiting.len(), 1);
        assert!(waiting.remove(0).await.is_ok());
    }
}
