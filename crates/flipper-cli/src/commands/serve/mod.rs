mod address;
mod calls;
mod check;
mod guard;
mod metrics;
mod served;
mod servers;
mod store;
mod systemd;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use flipper::store::LocalFeatureFlagStore;

use self::address::Port;
use self::guard::Guard;
use self::servers::Servers;
use self::systemd::{Notify, Sockets};
use crate::args::Serve;
use crate::failure::{Code, Done, Failure};
use crate::interrupt::{Hangup, Interrupt};
use crate::session::Session;
use crate::store::{Choice, Location};

/// Load balancers ask for readiness every few seconds.
const DRAIN: Duration = Duration::from_secs(5);

pub(crate) async fn run(session: &mut Session, args: &Serve) -> Done {
    let choice = session.choice_with(args.store.as_deref().zip(args.config.as_deref()))?;
    match args.check {
        true => check::run(session, args, &choice).await,
        false => serve(args, &choice).await,
    }
}

async fn serve(args: &Serve, choice: &Choice) -> Done {
    let location = &choice.location;
    let sockets = Sockets::take()?;
    // Before anything else happens: a mistake in an address is the likeliest.
    for port in Port::ALL {
        if let Some(text) = address_of(args, port, sockets.are_passed) {
            address::resolve(&text, port, args)?;
        }
    }
    let guard = Arc::new(Guard::read(args)?);
    let (mut interrupt, hangup) = (Interrupt::begin()?, Hangup::begin()?);
    let notify = Notify::new();
    let files = allow_connections();
    let opened = store::open(location, args)?;
    let servers = Servers::start(args, sockets, &opened, &guard, files).await?;
    let store = opened.store;
    guard.follow();
    servers.log(&location.shown);
    notify.ready();

    let (ended, drain) = tokio::select! {
        // At a terminal there is no load balancer to wait for.
        code = interrupt.wait() => (Ok(()), if code == Code::Terminated { args.drain.unwrap_or(DRAIN) } else { Duration::ZERO }),
        failure = watch_over(&*store, location) => (Err(failure), Duration::ZERO),
        never = reload(hangup, &guard, &notify) => match never {},
        never = notify.watchdog() => match never {},
    };
    notify.stopping();
    servers.end(drain).await;
    if let Err(error) = store.close().await {
        tracing::warn!(%error, "the store could not be closed");
    }
    tracing::info!("stopped");
    ended
}

/// Of the options; a socket of systemd replaces it. Thrift has a default, used only if nothing else is served.
fn address_of(args: &Serve, port: Port, are_passed: bool) -> Option<String> {
    match port {
        Port::Http => args.http.clone(),
        Port::Admin => args.admin.clone(),
        Port::Thrift if args.thrift.is_none() && args.http.is_none() && !are_passed => {
            Some("127.0.0.1:9090".to_owned())
        }
        Port::Thrift => args.thrift.clone(),
    }
}

/// Raises the limit of open files, of which each connection takes one, and returns it. The usual default is 1,024.
#[cfg(unix)]
fn allow_connections() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, "the limit of open files, and so of connections, could not be raised");
    }
    let files = getrlimit(Resource::Nofile).current;
    files.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX)
}

#[cfg(not(unix))]
fn allow_connections() -> usize {
    usize::MAX
}

/// Returns only if the flags can never become live. The library logs outages.
async fn watch_over(store: &dyn LocalFeatureFlagStore, location: &Location) -> Failure {
    match store.ready().await {
        Ok(()) => {
            tracing::info!(store = location.shown, flags = store.table().list().len(), "flags are in memory");
            std::future::pending().await
        }
        Err(error) => Failure::of(&error, &location.shown),
    }
}

/// Reads tokens and certificates again with each SIGHUP.
async fn reload(mut hangup: Hangup, guard: &Arc<Guard>, notify: &Notify) -> Infallible {
    loop {
        hangup.next().await;
        notify.reloading();
        let guard = guard.clone();
        // A panic leaves all as it was.
        let _ = tokio::task::spawn_blocking(move || guard.reload()).await;
        notify.ready();
    }
}
