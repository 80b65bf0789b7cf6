//! Writes of one flag under a precondition, through the client, so that its subscribers receive and may veto them.

use std::sync::Arc;

use flipper::__exchange::named;
use flipper::store::{Precondition, Stored, Version};
use flipper::targeting::segment_of;
use flipper::{Error, ErrorKind, FeatureFlagClient, FlagRecord};

use super::edit::Edit;
use super::name::path_of;
use super::now;
use super::output::When;
use crate::app::{App, is_segment};
use crate::problem::Problem;

/// A replacement without a precondition, while others write too.
pub(super) const ATTEMPTS: usize = 8;

pub(crate) struct Written {
    pub(crate) stored: Stored,
    pub(crate) is_new: bool,
}

pub(crate) async fn create(features: &FeatureFlagClient, name: &str, edit: Edit) -> Result<Written, Problem> {
    let mut record = features.new_record(name)?;
    edit.whole().replace(&mut record)?;
    features.check_links(&record, None).await?;
    match features.put(&record, Precondition::Absent).await {
        Ok(version) => Ok(written(record, version, true)),
        Err(error) if error.kind() == ErrorKind::Conflict => {
            Err(Error::new(ErrorKind::FlagExists).with_flag(name).into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Without tags, other writers' changes in between are kept.
pub(crate) async fn change(
    app: &App,
    features: &FeatureFlagClient,
    name: &str,
    edit: &Edit,
    when: &When,
) -> Result<Written, Problem> {
    must_be_flag(app, name)?;
    match when {
        When::Absent => {
            return Err(Problem::bad_request("a flag that is absent cannot be changed").hint("PUT creates it"));
        }
        When::Always | When::Exists => match edit.only_enabled() {
            Some(true) => features.enable(name).await?,
            Some(false) => features.disable(name).await?,
            None => features.update(name, |record| edit.apply(record)).await?,
        },
        When::OneOf(_) => {
            let stored = existing(app, name, when).await?;
            let before = named(stored.readable()?, name);
            let mut record = before.clone().into_owned();
            edit.apply(&mut record)?;
            record.validate_change(&before)?;
            features.check_links(&record, Some(&before)).await?;
            let put = features.put(&record, Precondition::Unchanged(stored.version)).await;
            let version = put.map_err(|error| conflict_is_precondition(error, name))?;
            return Ok(written(record, version, false));
        }
    }
    // Own writes are in memory.
    let stored = app.store.table().get(name);
    let stored = stored.ok_or_else(|| Problem::from(Error::new(ErrorKind::FlagNotFound).with_flag(name)))?;
    Ok(Written { stored, is_new: false })
}

/// Creation time and unknown fields stay.
pub(crate) async fn replace(
    app: &App,
    features: &FeatureFlagClient,
    name: &str,
    edit: Edit,
    when: &When,
) -> Result<Written, Problem> {
    must_be_flag(app, name)?;
    let edit = edit.whole();
    for _ in 0..ATTEMPTS {
        let stored = match when {
            When::Absent => None,
            When::Always => app.store.get(name).await?,
            When::Exists | When::OneOf(_) => Some(existing(app, name, when).await?),
        };
        let mut record = match stored.as_ref().and_then(|stored| stored.record.as_ref().ok()) {
            Some(record) => named(record, name).into_owned(),
            None if stored.is_some() => FlagRecord::new(name, now()),
            None => features.new_record(name)?,
        };
        edit.replace(&mut record)?;
        let before = stored.as_ref().and_then(|stored| stored.record.as_deref().ok());
        features.check_links(&record, before).await?;
        let is_new = stored.is_none();
        let precondition = stored.map_or(Precondition::Absent, |stored| Precondition::Unchanged(stored.version));
        match features.put(&record, precondition).await {
            Ok(version) => return Ok(written(record, version, is_new)),
            Err(error) if error.kind() == ErrorKind::Conflict && *when == When::Always => {}
            Err(error) if error.kind() == ErrorKind::Conflict => return Err(Problem::precondition_failed(name)),
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::new(ErrorKind::Conflict).with_flag(name).into())
}

pub(crate) async fn destroy(app: &App, features: &FeatureFlagClient, name: &str, when: &When) -> Result<(), Problem> {
    must_be_flag(app, name)?;
    destroy_any(app, features, name, when).await
}

/// Also a segment.
pub(super) async fn destroy_any(
    app: &App,
    features: &FeatureFlagClient,
    name: &str,
    when: &When,
) -> Result<(), Problem> {
    match when {
        When::Absent => Err(Problem::bad_request("a flag that is absent cannot be destroyed")),
        When::Always | When::Exists => Ok(features.destroy(name).await?),
        When::OneOf(_) => {
            let stored = existing(app, name, when).await?;
            let deleted = features.delete(name, Precondition::Unchanged(stored.version)).await;
            deleted.map(drop).map_err(|error| conflict_is_precondition(error, name))
        }
    }
}

/// A segment has paths of its own.
pub(super) fn must_be_flag(app: &App, name: &str) -> Result<(), Problem> {
    let Some(segment) = segment_of(name) else { return Ok(()) };
    if app.store.table().get(name).is_none_or(|stored| !is_segment(&stored)) {
        return Ok(());
    }
    let problem = Problem::from(Error::new(ErrorKind::FlagNotFound).with_flag(name));
    Err(problem.hint(format!("it is a segment: {}", path_of("/api/v1/segments/", segment))))
}

/// The flag in the store, if the condition holds for it.
pub(super) async fn existing(app: &App, name: &str, when: &When) -> Result<Stored, Problem> {
    match app.store.get(name).await? {
        Some(stored) if when.holds(Some(&stored.version)) => Ok(stored),
        Some(_) => Err(Problem::precondition_failed(name)),
        None => Err(Error::new(ErrorKind::FlagNotFound).with_flag(name).into()),
    }
}

fn conflict_is_precondition(error: Error, name: &str) -> Problem {
    match error.kind() {
        ErrorKind::Conflict => Problem::precondition_failed(name),
        _ => error.into(),
    }
}

pub(super) fn written(record: FlagRecord, version: Version, is_new: bool) -> Written {
    let name = record.name().to_owned();
    Written { stored: Stored { name, version, record: Ok(Arc::new(record)) }, is_new }
}
