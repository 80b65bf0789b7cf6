//! `CLIENT TRACKING` in broadcasting mode: the server pushes each changed, expired or evicted key, and "all" after a flush.

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use redis::{Cmd, ErrorKind, FromRedisValue, PushInfo, PushKind, RedisResult, Value};
use tokio::sync::Notify;

use super::RedisFeatureFlagStore;
use super::client::Connection;
use super::cluster::{Primaries, on_primaries, primaries, run_ids};
use super::event_sender::{End, EventSender, lost};
use super::link::{command, within};
use super::list::list_on;
use super::state::State;
use crate::lock::Mutex;
use crate::state::{Updates, WatchEvent};
use crate::store::FeatureFlagStore;
use crate::stores::base_key::BaseKey;

const BATCH: usize = 500;

/// Until the connection is lost. Reads use it too: answers are no older than pushes.
pub(super) async fn follow(store: &RedisFeatureFlagStore, events: &mut EventSender) -> Result<Infallible, End> {
    let pushed = Arc::new(Pushed::default());
    let (sink, keys) = (Arc::clone(&pushed), Arc::clone(&store.keys));
    let connection = within(
        store.timeout,
        store.link.client().open_with_pushes(store.timeout, move |push: PushInfo| {
            sink.take_in(push, &keys);
            Ok::<(), Infallible>(())
        }),
    )
    .await?;
    let mut session = Session { store, connection, pushed, primaries: Primaries::new(), state: State::default() };
    session.arm().await?;
    session.state = session.ask().await?;
    session.state.believable()?;
    events.serving(store.identity(), session.state.run_id.as_deref());
    session.reset(events).await?;
    session.run(events).await
}

struct Session<'a> {
    store: &'a RedisFeatureFlagStore,
    connection: Connection,
    pushed: Arc<Pushed>,
    primaries: Primaries,
    state: State,
}

impl Session<'_> {
    /// Before the first read, so that no change falls between.
    async fn arm(&mut self) -> RedisResult<()> {
        let arm = command(&["CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", self.store.keys.prefix()]);
        match &mut self.connection {
            Connection::Node(_) => within(self.limit(), self.connection.request(&arm)).await,
            Connection::Cluster(cluster) => {
                speaks_resp3(cluster, self.store.timeout).await?;
                self.primaries = primaries(self.store, cluster).await?;
                on_primaries(cluster, arm, self.primaries.len(), self.store.timeout).await.map(drop)
            }
        }
    }

    async fn reset(&self, events: &mut EventSender) -> Result<(), End> {
        let read_at = Instant::now();
        let flags = list_on(self.store, &self.connection).await?;
        let confirmed = self.state.confirms(read_at, self.store.silence);
        events.reset(flags, read_at, confirmed, Updates::Push).await?;
        Ok(events.confirm(confirmed).await?)
    }

    async fn run(&mut self, events: &mut EventSender) -> Result<Infallible, End> {
        let every = self.store.silence / 2;
        let mut checked = Instant::now();
        loop {
            let heard =
                tokio::time::timeout(every.saturating_sub(checked.elapsed()), self.pushed.notify.notified()).await;
            self.take_in(events).await?;
            if heard.is_err() || checked.elapsed() >= every {
                checked = Instant::now();
                tokio::time::timeout(self.limit(), self.check()).await.unwrap_or_else(|_| Err(late()))?;
                // Pushes that came before the answers.
                self.take_in(events).await?;
                events.confirm(self.state.confirms(checked, self.store.silence)).await?;
            }
        }
    }

    async fn take_in(&mut self, events: &mut EventSender) -> Result<(), End> {
        let pending = self.pushed.take();
        if pending.lost {
            return Err(lost("the connection was closed"));
        }
        if pending.all {
            // A flush, or this replica copied the data of another primary.
            let state = self.ask().await?;
            state.believable()?;
            if state.was_replaced(&self.state) {
                return Err(lost("the server's data were replaced by those of another primary"));
            }
            return self.reset(events).await;
        }
        match pending.names.is_empty() {
            true => Ok(()),
            false => self.read(pending.names.into_iter().collect(), events).await,
        }
    }

    async fn read(&self, names: Vec<String>, events: &EventSender) -> Result<(), End> {
        let (own, mut names): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| self.store.writing.has(name));
        for name in own {
            events.send(WatchEvent::Hint { name }).await?;
        }
        if let [name] = &*names {
            let get = Cmd::get(self.store.keys.of(name));
            let read_at = Instant::now();
            let answer = within(self.limit(), self.connection.request(&get)).await;
            let flag = self.store.stored(name, answer)?;
            return Ok(events.emit_read(names.remove(0), flag, read_at).await?);
        }
        for names in names.chunks(BATCH) {
            let read_at = Instant::now();
            let keys: Vec<_> = names.iter().map(|name| self.store.keys.of(name)).collect();
            let values: Vec<Value> = within(self.limit(), self.connection.request(&Cmd::mget(keys))).await?;
            for (name, value) in names.iter().zip(values) {
                let flag = self.store.stored(name, Ok(value))?;
                events.emit_read(name.clone(), flag, read_at).await?;
            }
        }
        Ok(())
    }

    /// The server must be the same, and in a cluster every primary must still push.
    async fn check(&mut self) -> Result<(), End> {
        let state = self.ask().await?;
        state.believable()?;
        state.follows(&self.state).map_err(lost)?;
        if self.store.link.client().is_sentinel() && state.is_replica && !self.state.is_replica {
            return Err(lost("the server is no primary any more"));
        }
        if state.unpushed != self.state.unpushed {
            self.pushed.all();
        }
        self.state = state;
        let ping = redis::cmd("PING");
        let limit = self.limit();
        // Changes made before a command may be pushed after its answer, but before the answer to the next.
        let Connection::Cluster(cluster) = &mut self.connection else {
            let _: Value = within(limit, self.connection.request(&ping)).await?;
            return Ok(());
        };
        if primaries(self.store, cluster).await? != self.primaries {
            return Err(lost("the cluster has changed"));
        }
        // The driver may have reconnected to a node silently, without tracking.
        let info = command(&["CLIENT", "TRACKINGINFO"]);
        let answers = on_primaries(cluster, info, self.primaries.len(), limit).await?;
        if answers.iter().any(|answer| contains(answer, "off")) {
            return Err(lost("the connection to a node of the cluster was replaced"));
        }
        Ok(())
    }

    async fn ask(&mut self) -> RedisResult<State> {
        match &mut self.connection {
            Connection::Node(node) => within(self.store.timeout, State::ask(node.clone())).await,
            Connection::Cluster(cluster) => {
                Ok(State::of_cluster(run_ids(self.store, cluster, self.primaries.len()).await?))
            }
        }
    }

    /// With the pause before a check, this fits into `silence`.
    fn limit(&self) -> Duration {
        self.store.timeout.min(self.store.silence / 2)
    }
}

/// With RESP2 a server accepts the command and pushes nothing.
async fn speaks_resp3(cluster: &mut ClusterConnection, limit: Duration) -> RedisResult<()> {
    let random = RoutingInfo::SingleNode(SingleNodeRoutingInfo::RandomPrimary);
    let hello = within(limit, cluster.route_command(redis::cmd("HELLO"), random)).await?.extract_error()?;
    let hello = BTreeMap::<String, Value>::from_redis_value(hello)?;
    if hello.get("proto") == Some(&Value::Int(3)) {
        return Ok(());
    }
    Err((ErrorKind::RESP3NotSupported, "the `ClusterClient` does not use RESP3").into())
}

fn late() -> End {
    End::Driver(io::Error::new(io::ErrorKind::TimedOut, "no answer in time").into())
}

fn contains(value: &Value, text: &str) -> bool {
    match value {
        Value::Map(pairs) => pairs.iter().any(|(key, value)| contains(key, text) || contains(value, text)),
        Value::Array(values) | Value::Set(values) => values.iter().any(|value| contains(value, text)),
        Value::BulkString(found) => found == text.as_bytes(),
        Value::SimpleString(found) => found == text,
        _ => false,
    }
}

/// Bounded: each name waits at most once.
#[derive(Default)]
struct Pushed {
    pending: Mutex<Pending>,
    notify: Notify,
}

#[derive(Default)]
struct Pending {
    names: HashSet<String>,
    all: bool,
    lost: bool,
}

impl Pushed {
    fn take_in(&self, push: PushInfo, keys: &BaseKey) {
        let mut pending = self.pending.lock();
        match push.kind {
            PushKind::Disconnection => pending.lost = true,
            PushKind::Invalidate => match push.data.into_iter().next() {
                Some(Value::Array(changed)) => {
                    let changed = changed.into_iter().filter_map(|key| Vec::<u8>::from_redis_value(key).ok());
                    pending.names.extend(changed.filter_map(|key| keys.name_of(key)));
                }
                _ => pending.all = true,
            },
            _ => return,
        }
        drop(pending);
        self.notify.notify_one();
    }

    fn all(&self) {
        self.pending.lock().all = true;
    }

    fn take(&self) -> Pending {
        std::mem::take(&mut *self.pending.lock())
    }
}
