use std::convert::Infallible;

use super::event_sender::{End, EventSender};
use super::link::PAUSE;
use super::{RedisFeatureFlagStore, errors, notifications, polling, tracking};
use crate::state::Watch;
use crate::stores::feed::feed_by_task;

pub(super) fn watch(store: &RedisFeatureFlagStore) -> Watch<'static> {
    let store = store.clone();
    feed_by_task(store.to_string(), move |events, lost| follow(store.clone(), EventSender::new(events, lost)))
}

async fn follow(store: RedisFeatureFlagStore, mut events: EventSender) {
    let mut pause = PAUSE;
    loop {
        let was_lost = events.is_lost();
        let error = match best_way(&store, &mut events).await {
            Err(End::Unwatched) => return,
            Err(End::Driver(error)) => store.error(error),
        };
        if !(was_lost && events.is_lost()) {
            pause.reset();
        }
        tracing::debug!(%store, %error, "changes of flags cannot be followed");
        if events.lose(error).await.is_err() {
            return;
        }
        tokio::time::sleep(pause.next()).await;
    }
}

/// Returns when the server is lost: the next may support another method.
async fn best_way(store: &RedisFeatureFlagStore, events: &mut EventSender) -> Result<Infallible, End> {
    match tracking::follow(store, events).await {
        Err(End::Driver(error)) if errors::is_refusal(&error) => {
            tracing::debug!(%store, %error, "the server does not push changes");
        }
        other => return other,
    }
    match notifications::follow(store, events).await {
        Ok(None) => {}
        Err(End::Driver(error)) if errors::is_refusal(&error) => {
            tracing::debug!(%store, %error, "the server does not say whether it has keyspace notifications");
        }
        Ok(Some(never)) => match never {},
        Err(end) => return Err(end),
    }
    polling::follow(store, events).await
}
