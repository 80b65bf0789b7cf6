//! The store as the calls use it, each within its time.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use flipper::client::{ClientBuilder, Remote};
use flipper::store::Stored;
use flipper::{Error, ErrorKind, FeatureFlagClient, FeatureFlagStore, Result};
use futures_util::TryStreamExt;
use tokio::runtime::{EnterGuard, Handle};

use crate::hub::Hub;
use crate::options::ServerOptions;

/// For the way of an error to a client that does not wait longer.
const WAY: Duration = Duration::from_millis(50);

pub(crate) struct Service {
    store: Arc<dyn FeatureFlagStore>,
    /// What writes, and is subscribed to.
    pub(crate) features: FeatureFlagClient<Remote>,
    runtime: Handle,
    call_timeout: Duration,
    answer_within: Duration,
    cached_reads: bool,
    hub: Arc<Hub>,
    followed: OnceLock<()>,
}

impl Service {
    pub(crate) fn new(store: Arc<dyn FeatureFlagStore>, runtime: Handle, options: &ServerOptions) -> Self {
        let ServerOptions { call_timeout, answer_within, cached_reads, .. } = *options;
        let hub = Arc::new(Hub::default());
        hub.set_store(store.identity().to_string());
        let features = ClientBuilder::default().write_timeout(call_timeout).build_remote(store.clone());
        Self { store, features, runtime, call_timeout, answer_within, cached_reads, hub, followed: OnceLock::new() }
    }

    /// How long a call may take of a client that does not number its calls.
    pub(crate) fn answer_within(&self) -> Duration {
        self.answer_within
    }

    /// How long the store may take for a call.
    pub(crate) fn limit(&self, is_numbered: bool) -> Duration {
        match is_numbered {
            true => self.call_timeout,
            // An error in time leaves the client its connection.
            false => self.call_timeout.min(self.answer_within.saturating_sub(WAY.min(self.answer_within / 4))),
        }
    }

    /// For a thread that answers calls: stores whose driver looks for a runtime find one.
    pub(crate) fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Follows the store, from the first call on.
    pub(crate) fn follow(&self) -> &Hub {
        self.followed.get_or_init(|| {
            let (store, hub) = (self.store.clone(), self.hub.clone());
            self.runtime.spawn(async move { hub.follow(&*store).await });
        });
        &self.hub
    }

    /// Waits for the store, on this thread, but not for ever.
    pub(crate) fn wait<T>(&self, deadline: Instant, future: impl Future<Output = Result<T>>) -> Result<T> {
        let mut future = pin!(future);
        // What is in memory is there at once, and needs no timer.
        if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return result;
        }
        let limited = async { tokio::time::timeout_at(deadline.into(), future).await };
        self.runtime.block_on(limited).unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Unavailable).with_message("store did not answer in time").with_store(&self.store))
        })
    }

    /// As the store has it.
    pub(crate) fn get(&self, name: &str, deadline: Instant) -> Result<Option<Stored>> {
        self.wait(deadline, self.store.get(name))
    }

    /// As it is in memory, if it is there.
    pub(crate) fn get_known(&self, name: &str, deadline: Instant) -> Result<Option<Stored>> {
        match self.cached_reads {
            true => self.wait(deadline, self.store.get_cached(name)),
            false => self.get(name, deadline),
        }
    }

    /// All flags as the store has them, by name.
    pub(crate) fn list(&self, deadline: Instant) -> Result<Vec<Stored>> {
        if !self.cached_reads {
            return self.list_known(deadline);
        }
        let mut flags: Vec<_> = self.wait(deadline, self.store.stream().try_collect())?;
        flags.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(flags)
    }

    /// All flags as they are in memory, if they are there, by name.
    pub(crate) fn list_known(&self, deadline: Instant) -> Result<Vec<Stored>> {
        self.wait(deadline, self.store.list())
    }
}
