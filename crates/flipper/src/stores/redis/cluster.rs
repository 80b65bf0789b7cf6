use std::collections::BTreeMap;
use std::time::Duration;

use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::{Cmd, ErrorKind, FromRedisValue, Pipeline, RedisResult, Value};

use super::RedisFeatureFlagStore;
use super::errors::is_elsewhere;
use super::link::{command, within};
use super::scan::{answer, page, scan};
use super::state::field;
use crate::state::Stored;

const MOST_SCANS: usize = 5;

/// The slots of each primary, by its id.
pub(super) type Primaries = BTreeMap<String, Vec<(u16, u16)>>;

/// While slots move, primaries are scanned twice: a key that moves may be read too early on one node, too late on the other. The second
/// scan finds what moved before the first ended.
pub(super) async fn list(store: &RedisFeatureFlagStore, mut cluster: ClusterConnection) -> RedisResult<Vec<Stored>> {
    let mut flags = Vec::new();
    let mut before = primaries(store, &mut cluster).await?;
    let mut moved = are_moving(store, &mut cluster, before.len()).await?;
    let mut again = false;
    for _ in 0..MOST_SCANS {
        for (id, slots) in &before {
            let Some(&(slot, _)) = slots.first() else { continue };
            scan_primary(store, &mut cluster, id, slot, &mut flags).await?;
        }
        let after = primaries(store, &mut cluster).await?;
        if before != after {
            flags.clear();
            (before, moved, again) = (after, true, false);
            continue;
        }
        moved |= are_moving(store, &mut cluster, after.len()).await?;
        if !moved {
            return Ok(flags);
        }
        if std::mem::replace(&mut again, true) {
            return only_present(store, &mut cluster, flags).await;
        }
    }
    Err((ErrorKind::ClusterConnectionNotFound, "the slots of the cluster kept changing hands").into())
}

/// Drops flags deleted between two scans.
async fn only_present(
    store: &RedisFeatureFlagStore,
    cluster: &mut ClusterConnection,
    flags: Vec<Stored>,
) -> RedisResult<Vec<Stored>> {
    let names: std::collections::BTreeSet<_> = flags.into_iter().map(|flag| flag.name).collect();
    let mut present = Vec::with_capacity(names.len());
    for name in names {
        present.extend(read(store, cluster, &name).await?);
    }
    Ok(present)
}

async fn read(
    store: &RedisFeatureFlagStore,
    cluster: &mut ClusterConnection,
    name: &str,
) -> RedisResult<Option<Stored>> {
    let get = Cmd::get(store.keys.of(name));
    let value = within(store.timeout, get.query_async::<Value>(cluster)).await;
    store.stored(name, value)
}

async fn are_moving(store: &RedisFeatureFlagStore, cluster: &mut ClusterConnection, count: usize) -> RedisResult<bool> {
    let nodes = on_primaries(cluster, command(&["CLUSTER", "NODES"]), count, store.timeout).await?;
    // Each node lists its migrations behind its slots: `[93->-ID]`.
    Ok(nodes.into_iter().filter_map(|nodes| String::from_redis_value(nodes).ok()).any(|nodes| nodes.contains(" [")))
}

async fn scan_primary(
    store: &RedisFeatureFlagStore,
    cluster: &mut ClusterConnection,
    id: &str,
    slot: u16,
    flags: &mut Vec<Stored>,
) -> RedisResult<()> {
    let route = || SingleNodeRoutingInfo::SpecificNode(Route::new(slot, SlotAddr::Master));
    let mut cursor = Some(0);
    while let Some(at) = cursor {
        // Without a connection to this node the driver asks another, which has other keys.
        let mut pipeline = Pipeline::new();
        pipeline.cmd("CLUSTER").arg("MYID").add_command(scan(store, at));
        let mut answers = within(store.timeout, cluster.route_pipeline(pipeline, 0, 2, route())).await?.into_iter();
        if String::from_redis_value(answer(answers.next())?)? != id {
            return Err((ErrorKind::ClusterConnectionNotFound, "a primary of the cluster cannot be reached").into());
        }
        let keys;
        (cursor, keys) = page(store, answer(answers.next())?)?;
        if keys.is_empty() {
            continue;
        }
        // One pipeline to the keys' node: they have different slots, so MGET would need a call each.
        let mut pipeline = Pipeline::new();
        for key in &keys {
            pipeline.cmd("GET").arg(key);
        }
        let count = keys.len();
        let values = within(store.timeout, cluster.route_pipeline(pipeline, 0, count, route())).await?;
        for (key, value) in keys.into_iter().zip(values) {
            let name = store.keys.cut(key);
            let found = match value.extract_error() {
                Err(error) if is_elsewhere(&error) => read(store, cluster, &name).await?,
                value => store.stored(&name, value)?,
            };
            flags.extend(found);
        }
    }
    Ok(())
}

pub(super) async fn primaries(
    store: &RedisFeatureFlagStore,
    cluster: &mut ClusterConnection,
) -> RedisResult<Primaries> {
    let ask = command(&["CLUSTER", "SLOTS"]);
    let random = RoutingInfo::SingleNode(SingleNodeRoutingInfo::RandomPrimary);
    let answer = within(store.timeout, cluster.route_command(ask, random)).await?.extract_error()?;
    let mut primaries = Primaries::new();
    for range in Vec::<Vec<Value>>::from_redis_value(answer)? {
        let mut parts = range.into_iter();
        let (Some(first), Some(last), Some(primary)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let Some(id) = Vec::<Value>::from_redis_value(primary)?.into_iter().nth(2) else { continue };
        let slots = (u16::from_redis_value(first)?, u16::from_redis_value(last)?);
        primaries.entry(String::from_redis_value(id)?).or_default().push(slots);
    }
    primaries.values_mut().for_each(|slots| slots.sort_unstable());
    Ok(primaries)
}

/// The driver leaves out primaries without a connection; that is an error here.
pub(super) async fn on_primaries(
    cluster: &mut ClusterConnection,
    command: Cmd,
    count: usize,
    limit: Duration,
) -> RedisResult<Vec<Value>> {
    let all = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
    let Value::Map(answers) = within(limit, cluster.route_command(command, all)).await?.extract_error()? else {
        return Err((ErrorKind::UnexpectedReturnType, "the primaries did not answer one by one").into());
    };
    if answers.len() != count {
        return Err((ErrorKind::ClusterConnectionNotFound, "a primary of the cluster cannot be reached").into());
    }
    answers.into_iter().map(|(_, answer)| answer.extract_error()).collect()
}

/// Of the primaries' processes; `None` if the user may not ask.
pub(super) async fn run_ids(
    store: &RedisFeatureFlagStore,
    cluster: &mut ClusterConnection,
    count: usize,
) -> RedisResult<Option<String>> {
    let infos = match on_primaries(cluster, command(&["INFO", "server"]), count, store.timeout).await {
        Ok(infos) => infos,
        Err(error) if super::errors::is_refusal(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let infos = infos.into_iter().filter_map(|info| String::from_redis_value(info).ok());
    let mut ids: Vec<_> = infos.filter_map(|info| field(&info, "run_id").map(str::to_owned)).collect();
    ids.sort_unstable();
    Ok((ids.len() == count).then(|| super::scripts::digest(ids.join(" ").as_bytes())))
}
