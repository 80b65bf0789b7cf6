//! `SCAN`, and `MGET` of each page while the next is scanned.

use std::io;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, FromRedisValue, Pipeline, RedisResult, Value};
use tokio::task::JoinHandle;

use super::client::Connection;
use super::link::within;
use super::scan::{answer, page, scan};
use super::{RedisFeatureFlagStore, cluster, flag};
use crate::background;
use crate::state::Stored;

/// Tries a second time if the connection breaks.
pub(super) async fn list(store: &RedisFeatureFlagStore) -> RedisResult<Vec<Stored>> {
    let mut again = true;
    loop {
        let live = store.link.connection(store.timeout).await?;
        let error = match list_on(store, &live.connection).await {
            Ok(flags) => return Ok(in_order(flags)),
            Err(error) => error,
        };
        store.link.discard_if_ended_by(&error, &live);
        if !(std::mem::take(&mut again) && error.is_connection_dropped()) {
            return Err(error);
        }
    }
}

fn in_order(mut flags: Vec<Stored>) -> Vec<Stored> {
    flags.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    // SCAN may return a key twice.
    flags.dedup_by(|one, other| one.name == other.name);
    flags
}

/// On one connection: a cursor is valid on one server. Unordered, and a flag may come twice.
pub(super) async fn list_on(store: &RedisFeatureFlagStore, connection: &Connection) -> RedisResult<Vec<Stored>> {
    match connection {
        Connection::Node(node) => scan_node(store, node).await,
        Connection::Cluster(cluster) => cluster::list(store, cluster.clone()).await,
    }
}

async fn scan_node(store: &RedisFeatureFlagStore, node: &MultiplexedConnection) -> RedisResult<Vec<Stored>> {
    let mut flags = Vec::new();
    let mut pages = Pages::ask(store, node)?;
    while pages.read(store, &mut flags).await? {}
    Ok(flags)
}

pub(super) struct Pages {
    node: MultiplexedConnection,
    scanning: Option<Answer>,
    asked: Option<(Answer, Vec<String>)>,
}

impl Pages {
    pub(super) fn ask(store: &RedisFeatureFlagStore, node: &MultiplexedConnection) -> RedisResult<Self> {
        Ok(Self { node: node.clone(), scanning: Some(ask_ahead(store, node, scan(store, 0))?), asked: None })
    }

    /// `false` at the end.
    pub(super) async fn read(&mut self, store: &RedisFeatureFlagStore, flags: &mut Vec<Stored>) -> RedisResult<bool> {
        while self.scanning.is_some() || self.asked.is_some() {
            let mut next = None;
            if let Some(scanned) = self.scanning.take() {
                let (cursor, keys) = page(store, received(scanned).await?)?;
                let ask = |cursor| ask_ahead(store, &self.node, scan(store, cursor));
                self.scanning = cursor.map(ask).transpose()?;
                if !keys.is_empty() {
                    next = Some((ask_ahead(store, &self.node, Cmd::mget(&keys))?, keys));
                }
            }
            if let Some((values, keys)) = std::mem::replace(&mut self.asked, next) {
                self.read_values(store, keys, received(values).await?, flags).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn read_values(
        &self,
        store: &RedisFeatureFlagStore,
        keys: Vec<String>,
        values: Value,
        flags: &mut Vec<Stored>,
    ) -> RedisResult<()> {
        let values = Vec::<Value>::from_redis_value(values)?;
        // A starting mirror shares this thread with the driver: the requests above must be sent first.
        tokio::task::yield_now().await;
        let mut unread = Vec::new();
        for (key, value) in keys.into_iter().zip(values) {
            let name = store.keys.cut(key);
            match value {
                Value::BulkString(value) => flags.extend(flag(name, &value)),
                other => match store.stored(&name, Ok(other))? {
                    Some(flag) => flags.push(flag),
                    None => unread.push(name),
                },
            }
        }
        report_types(store, self.node.clone(), &unread).await
    }
}

type Answer = JoinHandle<RedisResult<Value>>;

fn ask_ahead(store: &RedisFeatureFlagStore, node: &MultiplexedConnection, command: Cmd) -> io::Result<Answer> {
    let (limit, mut node) = (store.timeout, node.clone());
    let handle = background::handle().map_err(io::Error::other)?;
    Ok(handle.spawn(async move { within(limit, node.req_packed_command(&command)).await }))
}

async fn received(answer: Answer) -> RedisResult<Value> {
    answer.await.map_err(io::Error::other)?
}

/// MGET answers the same for a missing key and one of another type.
async fn report_types(store: &RedisFeatureFlagStore, node: MultiplexedConnection, names: &[String]) -> RedisResult<()> {
    if names.is_empty() {
        return Ok(());
    }
    let mut pipeline = Pipeline::new();
    for name in names {
        pipeline.cmd("TYPE").arg(store.keys.of(name));
    }
    for (name, found) in names.iter().zip(ask_node(store.timeout, node, &pipeline).await?) {
        match String::from_redis_value(answer(Some(found))?)? {
            found if found == "none" || found == "string" => {}
            found => store.warn_of_type(name, &format!("a {found}")),
        }
    }
    Ok(())
}

async fn ask_node(limit: Duration, mut node: MultiplexedConnection, pipeline: &Pipeline) -> RedisResult<Vec<Value>> {
    let count = pipeline.cmd_iter().count();
    within(limit, node.req_packed_commands(pipeline, 0, count)).await
}
