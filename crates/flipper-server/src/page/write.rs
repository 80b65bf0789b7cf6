//! Writes of the version that a page showed, and of no other.

use flipper::__exchange::named;
use flipper::store::{Precondition, Stored};
use flipper::{ErrorKind, FeatureFlagClient, FlagRecord};

use crate::api::tag;
use crate::app::App;
use crate::problem::Problem;

pub(super) enum Outcome {
    Done,
    /// The flag as it is now; `None` if it is destroyed.
    Conflict(Option<Stored>),
    Failed(Problem),
}

/// The flag in the store, if it still has this version.
pub(super) async fn current(app: &App, name: &str, version: &str) -> Result<Stored, Outcome> {
    match app.store.get(name).await {
        Ok(Some(stored)) if tag(&stored.version) == version => Ok(stored),
        Ok(other) => Err(Outcome::Conflict(other)),
        Err(error) => Err(Outcome::Failed(error.into())),
    }
}

pub(super) async fn replace(app: &App, features: &FeatureFlagClient, before: &Stored, record: &FlagRecord) -> Outcome {
    let checked = before.readable().map(|old| named(old, &before.name)).and_then(|old| record.validate_change(&old));
    if let Err(error) = checked.and_then(|()| record.validate_shares()) {
        return Outcome::Failed(error.into());
    }
    if let Err(error) = features.check_links(record, before.record.as_deref().ok()).await {
        return Outcome::Failed(error.into());
    }
    let put = features.put(record, Precondition::Unchanged(before.version.clone())).await;
    outcome(app, &before.name, put.map(drop)).await
}

pub(super) async fn destroy(app: &App, features: &FeatureFlagClient, before: &Stored) -> Outcome {
    let deleted = features.delete(&before.name, Precondition::Unchanged(before.version.clone())).await;
    outcome(app, &before.name, deleted.map(drop)).await
}

pub(super) async fn outcome(app: &App, name: &str, done: flipper::Result<()>) -> Outcome {
    match done {
        Ok(()) => Outcome::Done,
        Err(error) if error.kind() == ErrorKind::Conflict => match app.store.get(name).await {
            Ok(now) => Outcome::Conflict(now),
            Err(error) => Outcome::Failed(error.into()),
        },
        Err(error) => Outcome::Failed(error.into()),
    }
}
