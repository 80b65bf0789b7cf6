//! Polls servers that report no changes, or by notifications not all.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::RedisFeatureFlagStore;
use super::client::Connection;
use super::cluster::{primaries, run_ids};
use super::event_sender::{End, EventSender, lost};
use super::link::{Live, within};
use super::list::list_on;
use super::state::State;
use crate::state::{Stored, Updates};
use crate::store::{FeatureFlagStore, differences, versions};

pub(super) async fn follow(store: &RedisFeatureFlagStore, events: &mut EventSender) -> Result<Infallible, End> {
    let every = store.poll_every;
    let mut reader = Reader::new(store);
    let mut known: Option<Arc<BTreeMap<_, _>>> = None;
    loop {
        let read_at = Instant::now();
        let flags = reader.list(events).await?;
        let confirmed = reader.confirms(read_at, every + store.silence);
        match &mut known {
            Some(known) => {
                for event in differences(known, flags, read_at) {
                    events.send(event).await?;
                }
            }
            None => {
                known = Some(Arc::new(versions(&flags)));
                events.reset(flags, read_at, confirmed, Updates::Poll { every }).await?;
            }
        }
        events.confirm(confirmed).await?;
        tokio::time::sleep(every).await;
    }
}

/// Lists through the connection for commands, and checks that the server is still the same.
pub(super) struct Reader<'a> {
    store: &'a RedisFeatureFlagStore,
    known: Option<(Arc<Live>, State)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(store: &'a RedisFeatureFlagStore) -> Self {
        Self { store, known: None }
    }

    pub(super) async fn list(&mut self, events: &mut EventSender) -> Result<Vec<Stored>, End> {
        let live = self.store.link.connection(self.store.timeout).await?;
        self.read(&live, events).await.inspect_err(|end| match end {
            End::Driver(error) => self.store.link.discard_if_ended_by(error, &live),
            End::Unwatched => {}
        })
    }

    pub(super) fn confirms(&self, asked: Instant, valid_for: Duration) -> (Instant, Duration) {
        self.known.as_ref().map_or((asked, valid_for), |(_, state)| state.confirms(asked, valid_for))
    }

    async fn read(&mut self, live: &Arc<Live>, events: &mut EventSender) -> Result<Vec<Stored>, End> {
        let state = self.state(&live.connection).await?;
        state.believable()?;
        match &self.known {
            Some((before, known)) => {
                // A server without a run id may be another one after a loss.
                if !Arc::ptr_eq(before, live) && state.run_id.is_none() {
                    return Err(lost("the connection was closed"));
                }
                state.follows(known).map_err(lost)?;
            }
            None => events.serving(self.store.identity(), state.run_id.as_deref()),
        }
        let flags = list_on(self.store, &live.connection).await?;
        if state.is_replica {
            // A full copy from its primary may have replaced the data meanwhile.
            let after = self.state(&live.connection).await?;
            after.believable()?;
            after.follows(&state).map_err(lost)?;
        }
        self.known = Some((Arc::clone(live), state));
        Ok(flags)
    }

    async fn state(&self, connection: &Connection) -> Result<State, End> {
        let store = self.store;
        match connection.clone() {
            Connection::Node(node) => Ok(within(store.timeout, State::ask(node)).await?),
            Connection::Cluster(mut cluster) => {
                let count = primaries(store, &mut cluster).await?.len();
                Ok(State::of_cluster(run_ids(store, &mut cluster, count).await?))
            }
        }
    }
}
