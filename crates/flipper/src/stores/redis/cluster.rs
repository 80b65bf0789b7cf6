//! A cluster: what is asked of all its primaries, and all flags of it.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::{Cmd, ErrorKind, FromRedisValue, Pipeline, RedisResult, Value};

use super::RedisFeatureFlagStore;
use super::errors::is_elsewhere;
use super::link::within;
use super::scan::{answer, page, scan};
use super::state::field;
use crate::state::Stored;

/// How often the scan begins again when slots changed hands meanwhile.
const MOST_SCANS: usize = 5;

/// Which slots each primary has, by its id.
pub(super) type Primaries = BTreeMap<String, Vec<(u16, u16)>>;

/// Of all primaries. A key that moves may be missed on both its nodes, the one read too early and the other too late. So while
/// a slot moves all are read twice: the second time, what moved before the first ended is where it went.
pub(super) async fn list(store: &RedisFeatureFlagStore, mut cluster: ClusterConnection) -> RedisResult<Vec<Stored>> {
    let mut flags = Vec::new();
    let mut before = primaries(store, &mut cluster).await?;
    let mut moved = are_moving(store, &mut cluster, before.len()).await?;
    let mut again = false;
    for _ in 0..MOST_SCANS {
        for (id, slots) in &before {
            // Any slot of a primary leads to it.
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

/// What was read twice, each flag as it is now.
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
    let mut get = redis::cmd("GET");
    get.arg(store.keys.of(name));
    let value = within(store.timeout, get.query_async::<Value>(cluster)).await;
    store.stored(name, value)
}

/// Whether slots are on their way from one node to another: their keys then are on both.
async fn are_moving(store: &RedisFeatureFlagStore, cluster: &mut ClusterConnection, count: usize) -> RedisResult<bool> {
    let mut ask = redis::cmd("CLUSTER");
    ask.arg("NODES");
    let nodes = on_primaries(cluster, ask, count, store.timeout).await?;
    // Each node lists its own moves behind its slots: `[93->-ID]`.
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
        // The driver asks another node where it has no connection to the one that was meant, and its keys are other ones.
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
        // Nearly every flag has a slot of its own, for which MGET would be a call each: one pipeline to their node is one for all.
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
    let mut ask = redis::cmd("CLUSTER");
    ask.arg("SLOTS");
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

/// The answers of all primaries. The driver leaves those out that it has no connection to; here that is an error.
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

/// Which starts of the primaries answer; `None` where the user may not ask.
pub(super) async fn run_ids(
    store: &RedisFeatureFlagStore,
    cluster: &mut ClusterConnection,
    count: usize,
) -> RedisResult<Option<String>> {
    let mut ask = redis::cmd("INFO");
    ask.arg("server");
    let told = match on_primaries(cluster, ask, count, store.timeout).await {
        Ok(told) => told,
        Err(error) if super::errors::is_refusal(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let told = told.into_iter().filter_map(|info| String::from_redis_value(info).ok());
    let mut ids: Vec<_> = told.filter_map(|info| field(&info, "run_id").map(str::to_owned)).collect();
    ids.sort_unstable();
    Ok((ids.len() == count).then(|| super::scripts::digest(ids.join(" ").as_bytes())))
}
