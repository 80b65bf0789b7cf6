use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use flipper::client::{ClientBuilder, Remote};
use flipper::history::{HistoryPage, HistoryQuery};
use flipper::store::Stored;
use flipper::{Error, ErrorKind, FeatureFlagClient, FeatureFlagStore, Result};
use futures_util::TryStreamExt;
use tokio::runtime::{EnterGuard, Handle};

use crate::hub::Hub;
use crate::options::ServerOptions;

/// Of writes whose client does not say where they come from.
const SOURCE: &str = "thrift";

/// For an error to reach a client with a read timeout.
const WAY: Duration = Duration::from_millis(50);

pub(crate) struct Service {
    store: Arc<dyn FeatureFlagStore>,
    /// All calls write through it, so its subscribers receive every write.
    pub(crate) features: FeatureFlagClient<Remote>,
    runtime: Handle,
    call_timeout: Duration,
    pub(crate) answer_within: Duration,
    cached_reads: bool,
    pub(crate) hub: Arc<Hub>,
    followed: OnceLock<()>,
}

/// Of one connection.
pub(crate) struct Client {
    pub(crate) features: FeatureFlagClient<Remote>,
    pub(crate) actor: Option<String>,
}

impl Service {
    pub(crate) fn new(store: Arc<dyn FeatureFlagStore>, runtime: Handle, options: &ServerOptions) -> Self {
        let ServerOptions { call_timeout, answer_within, cached_reads, .. } = *options;
        let hub = Arc::new(Hub::default());
        hub.set_store(store.identity().to_string());
        let features =
            ClientBuilder::default().write_timeout(call_timeout).build_remote(store.clone()).with_source(SOURCE);
        Self { store, features, runtime, call_timeout, answer_within, cached_reads, hub, followed: OnceLock::new() }
    }

    /// `actor`: the client's name, if it has shown a certificate.
    pub(crate) fn client(&self, actor: Option<&str>) -> Client {
        let actor = actor.and_then(flipper::history::__actor);
        let features = actor.as_ref().map_or_else(|| self.features.clone(), |actor| self.features.as_actor(actor));
        Client { features, actor }
    }

    pub(crate) fn has_history(&self) -> bool {
        self.store.capabilities().history
    }

    pub(crate) fn history(&self, query: &HistoryQuery, most_bytes: usize, deadline: Instant) -> Result<HistoryPage> {
        self.wait(deadline, flipper::history::__page(&self.store, query, most_bytes, |_| true))
    }

    pub(crate) fn limit(&self, is_numbered: bool) -> Duration {
        match is_numbered {
            true => self.call_timeout,
            // An error in time saves the client its connection.
            false => self.call_timeout.min(self.answer_within.saturating_sub(WAY.min(self.answer_within / 4))),
        }
    }

    /// Some drivers need a current runtime.
    pub(crate) fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }

    /// From the first call on.
    pub(crate) fn follow(&self) -> &Hub {
        self.followed.get_or_init(|| {
            let (store, hub) = (self.store.clone(), self.hub.clone());
            self.runtime.spawn(async move { hub.follow(&*store).await });
        });
        &self.hub
    }

    pub(crate) fn wait<T>(&self, deadline: Instant, future: impl Future<Output = Result<T>>) -> Result<T> {
        let mut future = pin!(future);
        // Memory answers at once, without a timer.
        if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return result;
        }
        let limited = async { tokio::time::timeout_at(deadline.into(), future).await };
        self.runtime.block_on(limited).unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Unavailable).with_message("store did not answer in time").with_store(&self.store))
        })
    }

    pub(crate) fn get(&self, name: &str, deadline: Instant) -> Result<Option<Stored>> {
        self.wait(deadline, self.store.get(name))
    }

    /// From memory if possible.
    pub(crate) fn get_known(&self, name: &str, deadline: Instant) -> Result<Option<Stored>> {
        match self.cached_reads {
            true => self.wait(deadline, self.store.get_cached(name)),
            false => self.get(name, deadline),
        }
    }

    /// Ordered by name.
    pub(crate) fn list(&self, deadline: Instant) -> Result<Vec<Stored>> {
        if !self.cached_reads {
            return self.list_known(deadline);
        }
        let mut flags: Vec<_> = self.wait(deadline, self.store.stream().try_collect())?;
        flags.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(flags)
    }

    /// From memory if possible, ordered by name.
    pub(crate) fn list_known(&self, deadline: Instant) -> Result<Vec<Stored>> {
        self.wait(deadline, self.store.list())
    }
}
