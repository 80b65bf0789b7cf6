//! The store to serve, with its flags in memory.

use std::path::Path;
use std::sync::Arc;

use flipper::store::LocalFeatureFlagStore;
use flipper::{MemoryFeatureFlagStore, MirroredFeatureFlagStore};

use crate::failure::{Done, Failure};
use crate::store::{Kind, Location, Purpose, Store};

pub(super) fn open(location: &Location, snapshot: Option<&Path>) -> Done<Arc<dyn LocalFeatureFlagStore>> {
    needs_snapshot(location, snapshot)?;
    let is_new = match &location.kind {
        // Clients can use it until the server ends.
        Kind::Memory => return Ok(Arc::new(MemoryFeatureFlagStore::new())),
        Kind::Sqlite(path) => !path.exists(),
        _ => false,
    };
    let mut mirror = MirroredFeatureFlagStore::builder(Store::open(location, Purpose::New)?.inner);
    if is_new {
        tracing::info!(store = location.shown, "created a new file, without flags");
    }
    if let Some(file) = snapshot {
        mirror = mirror.snapshot_file(file);
    }
    Ok(Arc::new(mirror.build()))
}

pub(super) fn needs_snapshot(location: &Location, snapshot: Option<&Path>) -> Done {
    if matches!(location.kind, Kind::Memory | Kind::Sqlite(_)) && snapshot.is_some() {
        return Err(Failure::usage(format!("{} needs no snapshot", location.shown)).hint("leave --snapshot out"));
    }
    Ok(())
}
