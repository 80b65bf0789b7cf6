use futures_util::future::join_all;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Pipeline, RedisResult};

use super::RedisFeatureFlagStore;
use super::client::Connection;
use super::errors::{ends_connection, from_driver};
use super::link::within;
use super::scripts::{self, PUT, Write};
use crate::error::{Error, ErrorKind, Result};
use crate::record::{FlagRecord, validate_name};
use crate::state::{Version, WriteOptions};
use crate::store::{FeatureFlagStore, give_up};
use crate::stores::base_key::is_deeper;

/// Of one pipeline, about: for some milliseconds the server serves nothing else.
const MOST_FLAGS: usize = 512;
const MOST_BYTES: usize = 1 << 20;

type Flag<'a> = (&'a FlagRecord, String);

pub(super) async fn put_all(
    store: &RedisFeatureFlagStore,
    records: &[FlagRecord],
    options: &WriteOptions,
) -> Vec<Result<Version>> {
    let mut results = Vec::with_capacity(records.len());
    let mut batch = Vec::new();
    let mut bytes = 0;
    for record in records {
        let text = record.to_json();
        bytes += text.len();
        batch.push((record, text));
        if batch.len() == MOST_FLAGS || bytes >= MOST_BYTES {
            results.extend(put_batch(store, &batch, options).await);
            batch.clear();
            bytes = 0;
            if give_up(&mut results, records) {
                break;
            }
        }
    }
    if !batch.is_empty() {
        results.extend(put_batch(store, &batch, options).await);
    }
    results
}

async fn put_batch(store: &RedisFeatureFlagStore, flags: &[Flag<'_>], options: &WriteOptions) -> Vec<Result<Version>> {
    if flags.iter().any(|(record, _)| is_deeper(record.name())) {
        // A single `put` first checks that the key holds no flag of another base key.
        return join_all(flags.iter().map(|(record, _)| store.put(record, options.clone()))).await;
    }
    let live = match store.link.connection(store.timeout).await {
        Ok(live) => live,
        Err(error) => return all(store, flags, &from_driver(error)),
    };
    let Connection::Node(node) = &live.connection else {
        // Flags have different nodes; the driver sends these requests concurrently.
        return join_all(flags.iter().map(|(record, _)| store.put(record, options.clone()))).await;
    };
    let _writing: Vec<_> = flags.iter().map(|(record, _)| store.writing.begin(record.name())).collect();
    match pipeline(store, node.clone(), flags, options).await {
        Ok(results) => results,
        Err(error) => {
            if ends_connection(&error) || error.is_timeout() {
                store.link.discard(&live);
            }
            all(store, flags, &from_driver(error))
        }
    }
}

async fn pipeline(
    store: &RedisFeatureFlagStore,
    mut node: MultiplexedConnection,
    flags: &[Flag<'_>],
    options: &WriteOptions,
) -> RedisResult<Vec<Result<Version>>> {
    let history = store.kept_history().await?;
    let mut pipeline = Pipeline::new();
    let mut sent = Vec::with_capacity(flags.len());
    for (record, value) in flags {
        sent.push(validate_name(record.name()).map(|()| {
            let key = store.keys.of(record.name());
            // In case the server does not have the script.
            let known = pipeline.cmd_iter().next().is_some();
            let write =
                Write { name: record.name(), key: &key, value: Some(value), options, history: history.as_ref() };
            pipeline.add_command(PUT.call(known, &write));
            scripts::version(value.as_bytes())
        }));
    }
    let count = pipeline.cmd_iter().count();
    let answers = match count {
        0 => Vec::new(),
        _ => within(store.timeout, node.req_packed_commands(&pipeline, 0, count)).await?,
    };
    let mut answers = answers.into_iter();
    let result = |((record, _), sent): (&Flag<'_>, Result<Version>)| {
        let version = sent?;
        let done = match answers.next() {
            Some(answer) => answer.extract_error().and_then(|answer| scripts::is_done(&answer)),
            None => Err((redis::ErrorKind::UnexpectedReturnType, "an answer is missing").into()),
        };
        match done {
            Ok(true) => Ok(version),
            Ok(false) => Err(Error::new(ErrorKind::Conflict)),
            Err(error) => Err(from_driver(error)),
        }
        .map_err(|error| error.with_store(store).with_flag(record.name()))
    };
    Ok(flags.iter().zip(sent).map(result).collect())
}

fn all(store: &RedisFeatureFlagStore, flags: &[Flag<'_>], error: &Error) -> Vec<Result<Version>> {
    flags.iter().map(|(record, _)| Err(error.copy().with_store(store).with_flag(record.name()))).collect()
}
