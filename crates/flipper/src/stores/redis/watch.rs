//! Changes as they happen: a task on the flipper thread that follows the server in the best way it offers.

use std::convert::Infallible;

use super::link::PAUSE;
use super::outlet::{End, Outlet};
use super::{RedisFeatureFlagStore, errors, notifications, polling, tracking};
use crate::state::Watch;
use crate::stores::feed::feed;

pub(super) fn watch(store: &RedisFeatureFlagStore) -> Watch<'static> {
    let store = store.clone();
    feed(store.to_string(), move |events, lost| follow(store.clone(), Outlet::new(events, lost)))
}

async fn follow(store: RedisFeatureFlagStore, mut outlet: Outlet) {
    let mut pause = PAUSE;
    loop {
        let was_lost = outlet.is_lost();
        let error = match best_way(&store, &mut outlet).await {
            Err(End::Unwatched) => return,
            Err(End::Driver(error)) => store.error(error),
        };
        if !(was_lost && outlet.is_lost()) {
            pause.reset();
        }
        tracing::debug!(%store, %error, "changes of flags cannot be followed");
        if outlet.lose(error).await.is_err() {
            return;
        }
        tokio::time::sleep(pause.next()).await;
    }
}

/// Returns when the server is lost, for the next one may offer another way.
async fn best_way(store: &RedisFeatureFlagStore, outlet: &mut Outlet) -> Result<Infallible, End> {
    match tracking::follow(store, outlet).await {
        Err(End::Driver(error)) if errors::is_refusal(&error) => {
            tracing::debug!(%store, %error, "the server does not push changes");
        }
        other => return other,
    }
    match notifications::follow(store, outlet).await {
        Ok(None) => {}
        Err(End::Driver(error)) if errors::is_refusal(&error) => {
            tracing::debug!(%store, %error, "the server does not say whether it has keyspace notifications");
        }
        Ok(Some(never)) => match never {},
        Err(end) => return Err(end),
    }
    polling::follow(store, outlet).await
}
