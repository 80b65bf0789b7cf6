//! The background task of a mirror, which survives failures of the store and its own.

use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::future::{Either, FutureExt, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch::Receiver;
use tokio::time::{Sleep, sleep, timeout};

use super::shared::Shared;
use crate::error::Error;
use crate::guard::panic_text;
use crate::pause::Pause;
use crate::state::WatchEvent;
use crate::store::FeatureFlagStore;

const MOST_READS: usize = 32;
/// For stores that exceed their own time limits.
const READ_LIMIT: Duration = Duration::from_secs(30);
/// If the store does not say how long its confirmation holds.
const LONGEST_LOOK: Duration = Duration::from_secs(60);
/// Without a wait; then the thread's other tasks get a turn.
const STEPS: u32 = 64;

/// Also ends if the sender is dropped.
pub(super) async fn until(mut value: Receiver<bool>) {
    let _ = value.wait_for(|value| *value).await;
}

pub(super) async fn run<S: FeatureFlagStore>(store: Arc<S>, shared: Arc<Shared>, closing: Receiver<bool>) {
    let mut closed = pin!(until(closing));
    let mut pause = Pause::default();
    loop {
        let began = Instant::now();
        let following = pin!(AssertUnwindSafe(follow(&*store, &shared)).catch_unwind());
        let reason = match select(closed.as_mut(), following).await {
            Either::Left(_) => break,
            // What the next list of all flags lacks is deleted.
            Either::Right((Ok(End::DoubtIsOver), _)) => continue,
            Either::Right((Ok(End::Watch), _)) => "the store's watch ended".to_owned(),
            Either::Right((Err(panic), _)) => format!("the store's watch panicked: {}", panic_text(&*panic)),
        };
        if began.elapsed() > pause.longest() {
            pause.reset();
        }
        shared.lost(&Error::unavailable(reason));
        if let Either::Left(_) = select(closed.as_mut(), pin!(sleep(pause.next()))).await {
            break;
        }
    }
    shared.ended("store is closed");
}

enum End {
    Watch,
    DoubtIsOver,
}

async fn follow<S: FeatureFlagStore>(store: &S, shared: &Shared) -> End {
    shared.abandon_reads();
    let mut events = store.watch();
    let mut reads = FuturesUnordered::new();
    let mut pause = Pause::default();
    let mut paused: Option<Pin<Box<Sleep>>> = None;
    let mut due = pin!(sleep(LONGEST_LOOK));
    let mut steps = 0;
    loop {
        while paused.is_none()
            && reads.len() < MOST_READS
            && let Some(read) = shared.next_read()
        {
            reads.push(async move {
                let found = timeout(READ_LIMIT, store.get(&read.name)).await;
                let too_late = |_| Err(Error::unavailable("no answer in time"));
                (found.unwrap_or_else(too_late), read)
            });
        }
        let step = {
            let mut wake = pin!(shared.wake.notified());
            poll_fn(|context| {
                if let Poll::Ready(Some((found, read))) = reads.poll_next_unpin(context) {
                    return Poll::Ready(Step::Read(found, read));
                }
                if let Poll::Ready(event) = events.poll_next_unpin(context) {
                    return Poll::Ready(Step::Event(event));
                }
                if paused.as_mut().is_some_and(|pause| pause.as_mut().poll(context).is_ready()) {
                    return Poll::Ready(Step::Resume);
                }
                if due.as_mut().poll(context).is_ready() {
                    return Poll::Ready(Step::Look);
                }
                wake.as_mut().poll(context).map(|()| Step::Wake)
            })
            .await
        };
        match step {
            Step::Read(found, read) => {
                if shared.end_read(&read, found) {
                    pause.reset();
                } else {
                    paused = Some(Box::pin(sleep(pause.next())));
                }
            }
            Step::Event(None) => return End::Watch,
            Step::Event(Some(event)) => {
                let may_be_sooner = matches!(event, WatchEvent::Confirmed { .. } | WatchEvent::Reset { .. });
                take_in(shared, event);
                if may_be_sooner {
                    due.as_mut().reset(next_look(shared));
                }
            }
            Step::Look => {
                if shared.is_doubt_over() {
                    return End::DoubtIsOver;
                }
                due.as_mut().reset(next_look(shared));
            }
            Step::Resume => paused = None,
            Step::Wake => {}
        }
        steps = (steps + 1) % STEPS;
        if steps == 0 {
            tokio::task::yield_now().await;
        }
    }
}

fn next_look(shared: &Shared) -> tokio::time::Instant {
    let now = Instant::now();
    let next = [shared.look(), shared.doubt_ends()].into_iter().flatten().min();
    // A past expiry has been handled.
    next.filter(|next| *next > now).unwrap_or(now + LONGEST_LOOK).into()
}

enum Step<F, R> {
    Read(F, R),
    Event(Option<WatchEvent>),
    Resume,
    Look,
    Wake,
}

pub(super) fn take_in(shared: &Shared, event: WatchEvent) {
    match event {
        WatchEvent::Reset { flags, read_at, valid_for } => shared.reset(flags, read_at, valid_for),
        WatchEvent::Changed { flag, read_at } => shared.changed(flag, read_at),
        WatchEvent::Removed { name, version, read_at } => shared.removed(&name, version.as_ref(), read_at),
        WatchEvent::Hint { name } => shared.hint(&name),
        WatchEvent::Lost(error) => shared.lost(&error),
        // The following reset makes the flags current again.
        WatchEvent::Restored => {}
        WatchEvent::Compared { versions } => shared.compared(&versions),
        WatchEvent::Following(updates) => shared.updates(updates),
        WatchEvent::Confirmed { at, valid_for } => shared.confirmed(at, valid_for),
        WatchEvent::Serving(identity) => shared.serving(identity),
    }
}
