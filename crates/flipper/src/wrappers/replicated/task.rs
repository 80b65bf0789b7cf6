//! The background task of a replica.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{Either, FutureExt, select};
use futures_util::stream::StreamExt;
use tokio::sync::watch::Receiver;
use tokio::time::sleep;

use super::replica::Replica;
use crate::guard::panic_text;
use crate::pause::Pause;
use crate::state::WatchEvent;
use crate::store::{FeatureFlagStore, LocalFeatureFlagStore};
use crate::table::{Change, TableEvent, table_events};
use crate::wrappers::mirrored::MirroredFeatureFlagStore;

const LONGEST_PAUSE: Duration = Duration::from_secs(5);

pub(super) async fn run<P: FeatureFlagStore, S: FeatureFlagStore>(
    primary: MirroredFeatureFlagStore<P>,
    replica: Arc<Replica<S>>,
    compare_every: Duration,
    mut closing: Receiver<bool>,
) {
    let mut closed = pin!(closing.wait_for(|closing| *closing));
    loop {
        let replicating = pin!(AssertUnwindSafe(replicate(&primary, &replica, compare_every)).catch_unwind());
        match select(closed.as_mut(), replicating).await {
            Either::Left(_) => return,
            Either::Right((Ok(()), _)) => return,
            Either::Right((Err(panic), _)) => {
                let why = format!("copying panicked: {}", panic_text(&*panic));
                tracing::error!(replica = %replica.store, why, "flags are not copied");
                replica.failed(&why);
                replica.must_compare();
            }
        }
        if let Either::Left(_) = select(closed.as_mut(), pin!(sleep(LONGEST_PAUSE))).await {
            return;
        }
    }
}

/// Until the primary's flags in memory are dropped.
async fn replicate<P: FeatureFlagStore, S: FeatureFlagStore>(
    primary: &MirroredFeatureFlagStore<P>,
    replica: &Replica<S>,
    compare_every: Duration,
) {
    let (_, receiver) = primary.table().snapshot_and_changes();
    let mut changes = pin!(table_events(Arc::downgrade(primary.table()), receiver));
    replica.must_compare();
    let mut pause = Pause::new(Duration::from_millis(50), LONGEST_PAUSE);
    let mut retry: Option<Instant> = None;
    let mut compare_at = Instant::now() + compare_every;
    let mut was_away = false;
    loop {
        // While the primary is away, its return wakes.
        let work = replica.next_work().filter(|_| primary.is_live());
        let next = work.map_or(compare_at, |at| at.max(retry.unwrap_or(at)).min(compare_at));
        let mut event = {
            let timer = pin!(tokio::time::sleep_until(next.into()));
            let woken = pin!(replica.wake.notified());
            match select(changes.next(), select(woken, timer)).await {
                Either::Left((None, _)) => return,
                Either::Left((event, _)) => event,
                Either::Right(_) => None,
            }
        };
        while let Some(change) = event {
            take_in(replica, change);
            event = changes.next().now_or_never().flatten();
        }
        let now = Instant::now();
        if now >= compare_at {
            replica.must_compare();
            compare_at = now + compare_every;
        }
        let is_due = replica.next_work().is_some_and(|at| at <= Instant::now());
        if retry.is_some_and(|at| at > now) || !is_due || !primary.is_live() {
            continue;
        }
        retry = None;
        match replica.catch_up(primary).await {
            Ok(()) => {
                pause.reset();
                if std::mem::take(&mut was_away) {
                    tracing::info!(replica = %replica.store, "flags are copied again");
                }
            }
            Err(error) => {
                retry = Some(Instant::now() + pause.next());
                if primary.is_live() && !std::mem::replace(&mut was_away, true) {
                    tracing::warn!(replica = %replica.store, error = &error as &dyn std::error::Error, "flags cannot be copied");
                }
            }
        }
    }
}

fn take_in<S: FeatureFlagStore>(replica: &Replica<S>, event: TableEvent) {
    match event {
        TableEvent::Change(Change::Removed { name }) => replica.vanished(&name),
        TableEvent::Change(change) => match change.name() {
            Some(name) => replica.lacks(name, false),
            None => replica.must_compare(),
        },
        TableEvent::Hint(name) => replica.lacks(&name, false),
        // After a doubt of the primary, among others.
        TableEvent::Reset => replica.must_compare(),
        TableEvent::Store(_) => {}
    }
}

/// While the primary is away at the start, memory gets the flags of the first replica that answers.
pub(super) async fn begin_with_replica<P: FeatureFlagStore, S: FeatureFlagStore>(
    primary: MirroredFeatureFlagStore<P>,
    replicas: Vec<Arc<Replica<S>>>,
    mut closing: Receiver<bool>,
) {
    let begin = async {
        let mut pause = Pause::new(Duration::from_millis(50), LONGEST_PAUSE);
        // The primary's flags, or why they cannot come.
        while !matches!(primary.watch().next().await, Some(WatchEvent::Reset { .. })) {
            for replica in &replicas {
                let Ok(flags) = replica.store.list().await else { continue };
                // First: the status names it as soon as its flags are there.
                replica.set_source(true);
                if primary.adopt(flags) {
                    tracing::warn!(replica = %replica.store, "the primary is away, and the flags are those of a replica");
                    return;
                }
                replica.set_source(false);
            }
            sleep(pause.next()).await;
        }
    };
    select(pin!(closing.wait_for(|closing| *closing)), pin!(begin)).await;
}
