use futures_util::future::join_all;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::PostgresFeatureFlagStore;
use super::errors::Failure;
use super::history::cause;
use super::link::Query;
use super::table::{is_text, version};
use crate::error::{Error, ErrorKind, Result};
use crate::record::{FlagRecord, validate_name};
use crate::state::{Precondition, Version, WriteOptions};
use crate::store::{FeatureFlagStore, give_up};

/// Of one statement, about.
const MOST_FLAGS: usize = 500;
const MOST_BYTES: usize = 1 << 20;

impl PostgresFeatureFlagStore {
    pub(super) async fn put_text(&self, name: &str, text: String, options: &WriteOptions) -> Result<Version> {
        validate_name(name)?;
        if !is_text(name) {
            let message = "a flag's name has a NUL, which PostgreSQL cannot store";
            return Err(Error::new(ErrorKind::InvalidName).with_message(message).with_store(self).with_flag(name));
        }
        self.refuse_cut(name).await?;
        let queries = &self.link.queries;
        let version = version(text.as_bytes());
        let mut values = vec![self.text(name), (Box::new(text.into_bytes()) as _, Type::BYTEA)];
        let expected = match &options.when {
            Precondition::Unchanged(expected) => Some((Box::new(self.digest(name, expected)?) as _, Type::BYTEA)),
            Precondition::Any | Precondition::Absent => None,
        };
        values.extend(expected.into_iter().chain([self.link.lock_limit(), cause(options)]));
        let query = match &options.when {
            Precondition::Any => Query::write(&queries.put_any, values),
            Precondition::Absent => Query::write(&queries.put_absent, values),
            Precondition::Unchanged(_) => Query::replace(&queries.put_unchanged, values),
        };
        self.write(name, query).await.and_then(|rows| self.done(name, &rows))?;
        Ok(version)
    }

    pub(super) async fn remove(&self, name: &str, options: &WriteOptions) -> Result<()> {
        let (queries, when) = (&self.link.queries, &options.when);
        match when {
            _ if !is_text(name) => match when {
                Precondition::Unchanged(_) => Err(self.conflict(name)),
                _ => Ok(()),
            },
            Precondition::Absent => match self.get(name).await? {
                None => Ok(()),
                Some(_) => Err(self.conflict(name)),
            },
            Precondition::Any => {
                let values = vec![self.text(name), self.link.lock_limit(), cause(options)];
                self.write(name, Query::write(&queries.delete_any, values)).await.map(drop)
            }
            Precondition::Unchanged(expected) => {
                let digest = (Box::new(self.digest(name, expected)?) as _, Type::BYTEA);
                let values = vec![self.text(name), digest, self.link.lock_limit(), cause(options)];
                self.write(name, Query::write(&queries.delete_unchanged, values))
                    .await
                    .and_then(|rows| self.done(name, &rows))
            }
        }
    }

    async fn write(&self, name: &str, query: Query) -> Result<Vec<Row>> {
        self.link.run(query).await.map_err(|failure| self.error(failure).with_flag(name))
    }

    fn done(&self, name: &str, rows: &[Row]) -> Result<()> {
        if rows.is_empty() { Err(self.conflict(name)) } else { Ok(()) }
    }

    /// Another store's version matches no flag here.
    fn digest(&self, name: &str, version: &Version) -> Result<Vec<u8>> {
        version.as_opaque().map(<[u8]>::to_vec).ok_or_else(|| self.conflict(name))
    }

    /// SQL cuts spaces at the end of what is too long without an error, and the rest may be another flag's name.
    async fn refuse_cut(&self, name: &str) -> Result<()> {
        if !name.ends_with(' ') {
            return Ok(());
        }
        let link = self.link.clone();
        let limit = self.link.spawn(async move { link.found().await.map(|found| found.limit) }).await;
        let limit = limit.map_err(|failure: Failure| self.error(failure).with_flag(name))?;
        let length = i32::try_from(name.chars().count()).unwrap_or(i32::MAX);
        match limit.is_some_and(|limit| length > limit) {
            false => Ok(()),
            true => {
                let message = "flag's name is longer than the table's column takes";
                Err(Error::new(ErrorKind::InvalidName).with_message(message).with_store(self).with_flag(name))
            }
        }
    }

    fn conflict(&self, name: &str) -> Error {
        Error::new(ErrorKind::Conflict).with_store(self).with_flag(name)
    }
}

pub(super) async fn put_all(
    store: &PostgresFeatureFlagStore,
    records: &[FlagRecord],
    options: &WriteOptions,
) -> Vec<Result<Version>> {
    let mut results = Vec::with_capacity(records.len());
    while results.len() < records.len() {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for record in &records[results.len()..] {
            let text = record.to_json();
            bytes += text.len();
            batch.push((record.name(), text));
            if batch.len() == MOST_FLAGS || bytes >= MOST_BYTES {
                break;
            }
        }
        results.extend(put_batch(store, batch, options).await);
        if give_up(&mut results, records) {
            break;
        }
    }
    results
}

async fn put_batch(
    store: &PostgresFeatureFlagStore,
    batch: Vec<(&str, String)>,
    options: &WriteOptions,
) -> Vec<Result<Version>> {
    let query = match &options.when {
        Precondition::Any => &store.link.queries.put_all_any,
        Precondition::Absent => &store.link.queries.put_all_absent,
        Precondition::Unchanged(_) => return one_by_one(store, batch, options).await,
    };
    // In one order, so that two batches do not wait for each other.
    let mut rows: Vec<_> = batch.iter().map(|(name, text)| (*name, text.as_str())).collect();
    rows.sort_unstable();
    let is_plain = |name: &str| is_text(name) && !name.ends_with(' ') && validate_name(name).is_ok();
    if rows.windows(2).any(|pair| pair[0].0 == pair[1].0) || !rows.iter().all(|(name, _)| is_plain(name)) {
        return one_by_one(store, batch, options).await;
    }
    let names: Vec<String> = rows.iter().map(|(name, _)| (*name).to_owned()).collect();
    let items: Vec<Vec<u8>> = rows.iter().map(|(_, text)| text.as_bytes().to_vec()).collect();
    let values = vec![
        (Box::new(names) as _, Type::TEXT_ARRAY),
        (Box::new(items) as _, Type::BYTEA_ARRAY),
        store.link.lock_limit(),
        cause(options),
    ];
    match store.link.run(Query::write(query, values)).await {
        Ok(rows) => {
            let done: std::collections::HashSet<String> = rows.iter().filter_map(|row| row.try_get(0).ok()).collect();
            let result = |(name, text): (&str, String)| match done.contains(name) {
                true => Ok(version(text.as_bytes())),
                false => Err(store.conflict(name)),
            };
            batch.into_iter().map(result).collect()
        }
        Err(failure) => {
            let error = store.error(failure);
            match error.kind() {
                ErrorKind::Unavailable | ErrorKind::Unauthorized => {
                    batch.into_iter().map(|(name, _)| Err(error.copy().with_flag(name))).collect()
                }
                // One of them is refused, and with it the statement.
                _ => one_by_one(store, batch, options).await,
            }
        }
    }
}

async fn one_by_one(
    store: &PostgresFeatureFlagStore,
    batch: Vec<(&str, String)>,
    options: &WriteOptions,
) -> Vec<Result<Version>> {
    let mut results = Vec::with_capacity(batch.len());
    let mut batch = batch.into_iter().peekable();
    while batch.peek().is_some() {
        let some: Vec<_> = batch.by_ref().take(4).collect();
        // Of the same name, the last counts.
        let same = some.iter().enumerate().any(|(at, (name, _))| some[..at].iter().any(|(other, _)| other == name));
        if same {
            for (name, text) in some {
                results.push(store.put_text(name, text, options).await);
            }
        } else {
            results.extend(join_all(some.into_iter().map(|(name, text)| store.put_text(name, text, options))).await);
        }
    }
    results
}
