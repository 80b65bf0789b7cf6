//! The store to serve, with its flags in memory.

use std::path::Path;
use std::sync::Arc;

use flipper::store::LocalFeatureFlagStore;
use flipper::{MemoryFeatureFlagStore, MirroredFeatureFlagStore, ReplicatedFeatureFlagStore};

use crate::args::Serve;
use crate::failure::{Done, Failure};
use crate::store::{Kind, Location, Purpose, Replicated, Store};

pub(super) struct Opened {
    pub(super) store: Arc<dyn LocalFeatureFlagStore>,
    /// The same store, if it has replicas.
    pub(super) replicated: Option<Replicated>,
}

impl Opened {
    fn new(store: impl LocalFeatureFlagStore + 'static) -> Self {
        Self { store: Arc::new(store), replicated: None }
    }
}

pub(super) fn open(location: &Location, args: &Serve) -> Done<Opened> {
    let snapshot = args.snapshot.as_deref();
    needs_snapshot(location, snapshot)?;
    let is_new = match &location.kind {
        // Clients can use it until the server ends.
        Kind::Memory if args.replica.is_empty() && location.replicas.is_empty() => {
            return Ok(Opened::new(MemoryFeatureFlagStore::new()));
        }
        Kind::Sqlite(path) => !path.exists(),
        _ => false,
    };
    let replicas = replicas(location, args)?;
    let store = Store::open(location, Purpose::New)?.inner;
    if is_new {
        tracing::info!(store = location.shown, "created a new file, without flags");
    }
    if replicas.is_empty() {
        let mut mirror = MirroredFeatureFlagStore::builder(store);
        if let Some(file) = snapshot {
            mirror = mirror.snapshot_file(file);
        }
        return Ok(Opened::new(mirror.build()));
    }
    let mut replicated = ReplicatedFeatureFlagStore::builder(store);
    if let Some(file) = snapshot {
        replicated = replicated.snapshot_file(file);
    }
    for replica in &replicas {
        replicated = replicated.replica(Store::open(replica, Purpose::New)?.inner);
    }
    let store = replicated.build();
    Ok(Opened { store: Arc::new(store.clone()), replicated: Some(store) })
}

pub(super) fn replicas(location: &Location, args: &Serve) -> Done<Vec<Location>> {
    let more = args.replica.iter().map(Location::parse);
    let all = location.replicas.iter().cloned().map(Ok).chain(more).map(|replica| match replica? {
        replica if !replica.replicas.is_empty() => {
            Err(Failure::usage(format!("--replica {} has replicas itself", replica.shown_whole())))
        }
        replica if replica.url == location.url => {
            Err(Failure::usage(format!("the replica {} is the store itself", replica.shown)))
        }
        replica => Ok(replica),
    });
    all.collect()
}

pub(super) fn needs_snapshot(location: &Location, snapshot: Option<&Path>) -> Done {
    if matches!(location.kind, Kind::Memory | Kind::Sqlite(_)) && snapshot.is_some() {
        return Err(Failure::usage(format!("{} needs no snapshot", location.shown)).hint("leave --snapshot out"));
    }
    Ok(())
}
