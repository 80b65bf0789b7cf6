use redis::{Cmd, ErrorKind, FromRedisValue, RedisResult, Value};

use super::RedisFeatureFlagStore;

/// Keys that the server visits for one page.
const PAGE: usize = 1000;

pub(super) fn scan(store: &RedisFeatureFlagStore, cursor: u64) -> Cmd {
    let mut scan = redis::cmd("SCAN");
    scan.arg(cursor).arg("MATCH").arg(store.keys.pattern()).arg("COUNT").arg(PAGE);
    scan
}

pub(super) fn page(store: &RedisFeatureFlagStore, page: Value) -> RedisResult<(Option<u64>, Vec<String>)> {
    let (cursor, keys) = <(u64, Vec<Vec<u8>>)>::from_redis_value(page)?;
    let keys = keys.into_iter().filter_map(|key| store.keys.flag_key(key)).collect();
    Ok(((cursor != 0).then_some(cursor), keys))
}

pub(super) fn answer(value: Option<Value>) -> RedisResult<Value> {
    value.ok_or((ErrorKind::UnexpectedReturnType, "an answer is missing"))?.extract_error()
}
