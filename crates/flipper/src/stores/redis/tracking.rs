//! `CLIENT TRACKING` in broadcasting mode: the server pushes the key of every change, expiry and eviction included, and says when
//! all keys went.

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use redis::{ErrorKind, FromRedisValue, PushInfo, PushKind, RedisResult, Value};
use tokio::sync::Notify;

use super::RedisFeatureFlagStore;
use super::client::Connection;
use super::cluster::{Primaries, on_primaries, primaries, run_ids};
use super::keys::Keys;
use super::link::within;
use super::list::{list_on, mget};
use super::outlet::{End, Outlet, lost};
use super::state::State;
use crate::state::{Updates, WatchEvent};

/// So many flags are read at once.
const BATCH: usize = 500;

/// Follows one connection for as long as it lasts. Reads go through it too: what it answers is no older than what it pushed.
pub(super) async fn follow(store: &RedisFeatureFlagStore, outlet: &mut Outlet) -> Result<Infallible, End> {
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
    outlet.serving(store, session.state.run_id.as_deref());
    session.reset(outlet).await?;
    session.run(outlet).await
}

struct Session<'a> {
    store: &'a RedisFeatureFlagStore,
    connection: Connection,
    pushed: Arc<Pushed>,
    primaries: Primaries,
    /// As it was last found.
    state: State,
}

impl Session<'_> {
    /// Before the first read, so that no change falls between.
    async fn arm(&mut self) -> RedisResult<()> {
        let mut arm = redis::cmd("CLIENT");
        arm.arg("TRACKING").arg("ON").arg("BCAST").arg("PREFIX").arg(self.store.keys.prefix());
        match &mut self.connection {
            Connection::Node(_) => within(self.limit(), self.connection.request(&arm)).await,
            Connection::Cluster(cluster) => {
                speaks_resp3(cluster, self.store.timeout).await?;
                self.primaries = primaries(self.store, cluster).await?;
                on_primaries(cluster, arm, self.primaries.len(), self.store.timeout).await.map(drop)
            }
        }
    }

    async fn reset(&self, outlet: &mut Outlet) -> Result<(), End> {
        let read_at = Instant::now();
        let flags = list_on(self.store, &self.connection).await?;
        let confirmed = self.state.confirms(read_at, self.store.silence);
        outlet.reset(flags, read_at, confirmed, Updates::Push).await?;
        outlet.confirm(confirmed).await
    }

    async fn run(&mut self, outlet: &mut Outlet) -> Result<Infallible, End> {
        let every = self.store.silence / 2;
        let mut checked = Instant::now();
        loop {
            let heard =
                tokio::time::timeout(every.saturating_sub(checked.elapsed()), self.pushed.notify.notified()).await;
            self.take_in(outlet).await?;
            if heard.is_err() || checked.elapsed() >= every {
                checked = Instant::now();
                tokio::time::timeout(self.limit(), self.check()).await.unwrap_or_else(|_| Err(late()))?;
                // What was pushed before the answers came.
                self.take_in(outlet).await?;
                outlet.confirm(self.state.confirms(checked, self.store.silence)).await?;
            }
        }
    }

    async fn take_in(&mut self, outlet: &mut Outlet) -> Result<(), End> {
        let pending = self.pushed.take();
        if pending.lost {
            return Err(lost("the connection was closed"));
        }
        if pending.all {
            // A flush, or all data replaced by those of a primary that this replica had not followed before.
            let state = self.ask().await?;
            state.believable()?;
            if state.was_replaced(&self.state) {
                return Err(lost("the server's data were replaced by those of another primary"));
            }
            return self.reset(outlet).await;
        }
        match pending.names.is_empty() {
            true => Ok(()),
            false => self.read(pending.names.into_iter().collect(), outlet).await,
        }
    }

    async fn read(&self, names: Vec<String>, outlet: &Outlet) -> Result<(), End> {
        let (own, mut names): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| self.store.writing.has(name));
        for name in own {
            outlet.send(WatchEvent::Hint { name }).await?;
        }
        if let [name] = &*names {
            let mut get = redis::cmd("GET");
            get.arg(self.store.keys.of(name));
            let read_at = Instant::now();
            let answer = within(self.limit(), self.connection.request(&get)).await;
            let flag = self.store.stored(name, answer)?;
            return outlet.tell(names.remove(0), flag, read_at).await;
        }
        for names in names.chunks(BATCH) {
            let read_at = Instant::now();
            let values: Vec<Value> =
                within(self.limit(), self.connection.request(&mget(names.iter().map(|name| self.store.keys.of(name)))))
                    .await?;
            for (name, value) in names.iter().zip(values) {
                let flag = self.store.stored(name, Ok(value))?;
                outlet.tell(name.clone(), flag, read_at).await?;
            }
        }
        Ok(())
    }

    /// Whether the other side is still there and the one it was, and in a cluster whether every primary still pushes.
    async fn check(&mut self) -> Result<(), End> {
        let state = self.ask().await?;
        state.believable()?;
        state.follows(&self.state).map_err(lost)?;
        if self.store.link.client().is_sentinel() && state.is_replica && !self.state.is_replica {
            return Err(lost("the server is no primary any more"));
        }
        if state.untold != self.state.untold {
            self.pushed.all();
        }
        self.state = state;
        let ping = redis::cmd("PING");
        let limit = self.limit();
        // What others did before the question is pushed behind its answer, and before the answer to the next.
        let Connection::Cluster(cluster) = &mut self.connection else {
            let _: Value = within(limit, self.connection.request(&ping)).await?;
            return Ok(());
        };
        if primaries(self.store, cluster).await? != self.primaries {
            return Err(lost("the cluster has changed"));
        }
        // The driver may have replaced a node's connection without a word; a new one does not track.
        let mut info = redis::cmd("CLIENT");
        info.arg("TRACKINGINFO");
        let answers = on_primaries(cluster, info, self.primaries.len(), limit).await?;
        if answers.iter().any(|answer| contains(answer, "off")) {
            return Err(lost("a node of the cluster was connected to anew"));
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

    /// With the pause before a check, within the time that silence may last.
    fn limit(&self) -> Duration {
        self.store.timeout.min(self.store.silence / 2)
    }
}

/// A server takes the command in the older protocol too, and then pushes nothing.
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

/// What was pushed and not yet dealt with. A name that changes often waits once, so that this has a limit.
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
    fn take_in(&self, push: PushInfo, keys: &Keys) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        match push.kind {
            PushKind::Disconnection => pending.lost = true,
            PushKind::Invalidate => match push.data.into_iter().next() {
                Some(Value::Array(changed)) => {
                    let changed = changed.into_iter().filter_map(|key| Vec::<u8>::from_redis_value(key).ok());
                    pending.names.extend(changed.filter_map(|key| keys.name(key)));
                }
                _ => pending.all = true,
            },
            _ => return,
        }
        drop(pending);
        self.notify.notify_one();
    }

    fn all(&self) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).all = true;
    }

    fn take(&self) -> Pending {
        std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
