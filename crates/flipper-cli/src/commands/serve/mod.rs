mod address;
mod calls;
mod http;
mod metrics;
mod ready;
mod served;

use std::sync::Arc;

use flipper::{FeatureFlagStore, MemoryFeatureFlagStore, MirroredFeatureFlagStore, ReplicatedFeatureFlagStore};
use flipper_thrift::{Server, ServerOptions};

use self::served::Served;
use crate::args::Serve;
use crate::failure::{Done, Failure, message_of};
use crate::interrupt::Interrupt;
use crate::session::Session;
use crate::store::{Kind, Location, Purpose, Store};

pub(crate) async fn run(session: &mut Session, args: &Serve) -> Done {
    let location = session.choice()?.location;
    let thrift = address::resolve(&args.thrift, "--thrift", args.listen_everywhere)?;
    let http = args.http.as_deref().map(|http| address::resolve(http, "--http", args.listen_everywhere)).transpose()?;
    let mut interrupt = Interrupt::begin()?;
    #[cfg(unix)]
    allow_connections();
    let served = Arc::new(open(&location, args)?);

    let options = ServerOptions::new().allow_remote(args.listen_everywhere).cached_reads(true);
    let server = Server::start_with(&thrift[..], served.clone(), options).map_err(|error| {
        let kind = address::io_kind(&error);
        address::cannot_listen("--thrift", &args.thrift, &message_of(&error), kind)
    })?;
    let server = Arc::new(server);
    let mut health = None;
    if let Some(addresses) = http {
        let listener = address::listen(&addresses).map_err(|error| {
            let text = args.http.as_deref().unwrap_or_default();
            address::cannot_listen("--http", text, &error.to_string(), Some(error.kind()))
        })?;
        health = Some(http::serve(listener, served.clone(), server.clone())?);
    }
    let http = health.as_ref().map(|(address, _)| address.to_string()).unwrap_or_default();
    tracing::info!(store = location.shown, thrift = %server.local_addr(), http, "serving flags");

    let ended = tokio::select! {
        _ = interrupt.wait() => Ok(()),
        failure = watch_over(&served, &location) => Err(failure),
    };
    tracing::info!(connections = server.connections(), "stopping; pending calls finish");
    let stopping = server.clone();
    // Fails only if the task panicked, and then the server has stopped too.
    let _ = tokio::task::spawn_blocking(move || stopping.shutdown()).await;
    if let Some((_, serving)) = health {
        serving.abort();
    }
    if let Err(error) = served.close().await {
        tracing::warn!(%error, "the store could not be closed");
    }
    tracing::info!("stopped");
    ended
}

/// Raises the limit of open files, of which each connection takes one. The usual default is 1,024.
#[cfg(unix)]
fn allow_connections() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, "the limit of open files, and so of connections, could not be raised");
    }
}

fn open(location: &Location, args: &Serve) -> Done<Served> {
    let snapshot = args.snapshot.as_deref();
    if matches!(location.kind, Kind::Memory | Kind::Sqlite(_)) && snapshot.is_some() {
        return Err(Failure::usage(format!("{} needs no snapshot", location.shown)).hint("leave --snapshot out"));
    }
    let is_new = match &location.kind {
        // Thrift clients can use it until the server ends.
        Kind::Memory if args.replica.is_empty() => return Ok(Served::new(Arc::new(MemoryFeatureFlagStore::new()))),
        Kind::Sqlite(path) => !path.exists(),
        _ => false,
    };
    let store = Store::open(location, Purpose::New)?.inner;
    if is_new {
        tracing::info!(store = location.shown, "created a new file, without flags");
    }
    if args.replica.is_empty() {
        let mut mirror = MirroredFeatureFlagStore::builder(store);
        if let Some(file) = snapshot {
            mirror = mirror.snapshot_file(file);
        }
        return Ok(Served::new(Arc::new(mirror.build())));
    }
    let mut replicated = ReplicatedFeatureFlagStore::builder(store);
    if let Some(file) = snapshot {
        replicated = replicated.snapshot_file(file);
    }
    for url in &args.replica {
        let replica = Location::parse(url)?;
        if replica.url == location.url {
            return Err(Failure::usage(format!("--replica {} is the store itself", replica.shown)));
        }
        replicated = replicated.replica(Store::open(&replica, Purpose::New)?.inner);
    }
    Ok(Served::replicated(replicated.build()))
}

/// Returns only if the flags can never become live. The library logs outages.
async fn watch_over(served: &Served, location: &Location) -> Failure {
    match served.store.ready().await {
        Ok(()) => {
            tracing::info!(store = location.shown, flags = served.store.table().list().len(), "flags are in memory");
            std::future::pending().await
        }
        Err(error) => Failure::of(&error, &location.shown),
    }
}
