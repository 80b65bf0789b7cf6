//! Watches through a layer, and checks the observations.

use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use flipper::FeatureFlagStore;
use flipper::store::{LocalFeatureFlagStore, Stored, WatchEvent};
use futures_util::StreamExt;

use crate::cells::Layer;
use crate::dependents;
use crate::layers::EXPIRATION;
use crate::ledger::{Ledger, flag_of, name};

const LOOK_EVERY: Duration = Duration::from_millis(10);
/// One in this many changes is read again, if the flags are not in memory.
const READ_EACH: usize = 5;
const MOST: usize = 5;

#[derive(Clone)]
pub(crate) struct View {
    pub(crate) layer: Layer,
    pub(crate) store: Arc<dyn FeatureFlagStore>,
    pub(crate) local: Option<Arc<dyn LocalFeatureFlagStore>>,
    /// The layer keeps its flags if the store comes back empty.
    pub(crate) keeps: bool,
    /// The greatest age of a live state.
    pub(crate) live_for: Duration,
    /// Limit for 99% of the flips.
    pub(crate) bound: Duration,
}

/// The observations, shared with the watching thread.
pub(crate) struct Observed {
    pub(crate) view: View,
    /// The last number of each flag.
    last: Vec<AtomicU64>,
    first: Mutex<HashMap<(usize, u64), Instant>>,
    wrong: Mutex<Vec<String>>,
    unseen: Mutex<BTreeSet<(usize, u64)>>,
    /// Whether a watch without a mirror, or a cache, has lost its store.
    lost: AtomicBool,
    ended: AtomicBool,
    pub(crate) checks: AtomicU64,
}

impl Observed {
    pub(crate) fn last(&self, flag: usize) -> u64 {
        self.last[flag].load(Ordering::Acquire)
    }

    pub(crate) fn first(&self, flag: usize, number: u64) -> Option<Instant> {
        self.first.lock().unwrap().get(&(flag, number)).copied()
    }

    pub(crate) fn wrong(&self, what: String) {
        let mut wrong = self.wrong.lock().unwrap();
        if wrong.len() < MOST && !wrong.contains(&what) {
            wrong.push(what);
        }
    }

    pub(crate) fn all_wrong(&self) -> Vec<String> {
        self.wrong.lock().unwrap().clone()
    }

    /// Reports once that a state was not seen.
    pub(crate) fn give_up(&self, flag: usize, number: u64, after: Duration) {
        if self.unseen.lock().unwrap().insert((flag, number)) {
            let last = self.last(flag);
            self.wrong(format!("{} {number} not seen within {after:.1?}; last seen {last}", name(flag)));
        }
    }

    pub(crate) fn is_live(&self) -> bool {
        match &self.view.local {
            Some(local) => local.status().is_live(),
            None => !self.lost.load(Ordering::Acquire),
        }
    }

    /// A fault has ended. A cache must prove that it reaches the store again; the other layers notice by themselves.
    pub(crate) fn may_be_lost(&self) {
        self.lost.fetch_or(self.view.layer == Layer::Cache, Ordering::AcqRel);
    }

    fn note(&self, ledger: &Ledger, flag: usize, seen: Option<u64>) {
        let before = self.last(flag);
        match ledger.check(flag, seen, before, self.view.keeps) {
            Ok(number) => {
                self.last[flag].store(number, Ordering::Release);
                self.first.lock().unwrap().entry((flag, number)).or_insert_with(Instant::now);
            }
            Err(what) => {
                self.wrong(what);
                if let Some(number) = seen {
                    self.last[flag].store(number, Ordering::Release);
                }
            }
        }
    }
}

pub(crate) struct Watcher {
    pub(crate) seen: Arc<Observed>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    pub(crate) fn start(view: View, ledger: &Arc<Ledger>) -> Self {
        let seen = Arc::new(Observed {
            view,
            last: (0..ledger.len()).map(|_| AtomicU64::new(0)).collect(),
            first: Mutex::default(),
            wrong: Mutex::default(),
            unseen: Mutex::default(),
            lost: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            checks: AtomicU64::new(0),
        });
        let (watching, ledger) = (seen.clone(), ledger.clone());
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let watch = async {
                match watching.view.layer {
                    Layer::Cache => ask(&watching, &ledger).await,
                    _ => follow(&watching, &ledger).await,
                }
            };
            // Once the thread is joined, its scene has reported all errors.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| runtime.block_on(watch))) {
                watching.wrong(format!("the watcher panicked: {}", crate::message(&*panic)));
            }
        });
        Self { seen, thread: Some(thread) }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.seen.ended.store(true, Ordering::Release);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

pub(crate) fn number(stored: &Stored) -> Result<u64, String> {
    let record = stored.record.as_ref().map_err(|corrupt| format!("{} cannot be read: {corrupt}", stored.name))?;
    let number =
        record.client_data().get("n").and_then(flipper::json::Json::as_i64).and_then(|n| u64::try_from(n).ok());
    let number = number.ok_or_else(|| format!("{} has no number: {}", stored.name, record.to_json()))?;
    if dependents::is_whole(record, number) {
        return Ok(number);
    }
    Err(format!("{} is half of one state and half of another: {}", stored.name, record.to_json()))
}

/// Reads all flags repeatedly, as programs with a cache do.
async fn ask(seen: &Observed, ledger: &Ledger) {
    let ask_for = async |flag| {
        // After an error the caller has its default.
        let Ok(found) = seen.view.store.get_cached(&name(flag)).await else { return false };
        seen.checks.fetch_add(1, Ordering::Relaxed);
        match found.as_ref().map(number).transpose() {
            Ok(number) => seen.note(ledger, flag, number),
            Err(what) => seen.wrong(what),
        }
        true
    };
    // Since when every answer came while the store may be lost.
    let mut answers_since = None;
    while !seen.ended.load(Ordering::Acquire) {
        let began = Instant::now();
        let was_lost = seen.lost.load(Ordering::Acquire);
        let answers = futures_util::future::join_all((0..ledger.len()).map(ask_for)).await;
        let since = answers_since.take().filter(|_| was_lost).unwrap_or(began);
        if was_lost && answers.into_iter().all(|is_answer| is_answer) {
            answers_since = Some(since);
            // Until then the cache may have answered by itself.
            if since.elapsed() > EXPIRATION * 2 {
                seen.lost.store(false, Ordering::Release);
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn follow(seen: &Observed, ledger: &Ledger) {
    let store = seen.view.store.clone();
    let mut watch = store.watch();
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut hints, mut changes) = (BTreeSet::new(), 0);
    // When hinted flags were read. An event that is on its way then may be of an earlier state.
    let mut reads: HashMap<usize, Instant> = HashMap::new();
    let is_late = |reads: &HashMap<usize, Instant>, flag, read_at: Option<Instant>| {
        reads.get(&flag).is_some_and(|read| read_at.is_some_and(|at| at < *read))
    };
    let features = dependents::client(&seen.view);
    while !seen.ended.load(Ordering::Acquire) {
        let event = tokio::select! {
            event = watch.next() => event,
            _ = look.tick() => {
                check_status(seen, ledger);
                let differs = features.as_ref().and_then(|it| dependents::check(it, &seen.view, ledger.len()));
                differs.into_iter().for_each(|what| seen.wrong(what));
                for flag in std::mem::take(&mut hints) {
                    let asked = Instant::now();
                    match store.get(&name(flag)).await {
                        Ok(found) => {
                            reads.insert(flag, asked);
                            seen.note(ledger, flag, found.and_then(|flag| number(&flag).ok()));
                        }
                        Err(_) => _ = hints.insert(flag),
                    }
                }
                continue;
            }
        };
        match event {
            Some(WatchEvent::Reset { flags, read_at, .. }) => {
                seen.lost.store(false, Ordering::Release);
                let mut states = vec![None; ledger.len()];
                for stored in &flags {
                    match (flag_of(&stored.name), number(stored)) {
                        (Some(flag), Ok(number)) => states[flag] = Some(number),
                        (Some(_), Err(what)) => seen.wrong(what),
                        (None, _) => {}
                    }
                }
                for (flag, state) in states.into_iter().enumerate() {
                    if is_late(&reads, flag, read_at) {
                        hints.insert(flag);
                        continue;
                    }
                    seen.note(ledger, flag, state);
                }
            }
            Some(WatchEvent::Changed { flag: stored, read_at }) => {
                let Some(flag) = flag_of(&stored.name) else { continue };
                match number(&stored) {
                    Ok(_) if is_late(&reads, flag, read_at) => _ = hints.insert(flag),
                    Ok(number) => {
                        changes += 1;
                        if seen.view.local.is_some() || changes % READ_EACH == 0 {
                            read_again(seen, ledger, flag, number).await;
                        }
                        seen.note(ledger, flag, Some(number));
                    }
                    Err(what) => seen.wrong(what),
                }
            }
            Some(WatchEvent::Removed { name, read_at, .. }) => {
                let Some(flag) = flag_of(&name) else { continue };
                if is_late(&reads, flag, read_at) {
                    hints.insert(flag);
                } else {
                    seen.note(ledger, flag, None);
                }
            }
            Some(WatchEvent::Hint { name }) => hints.extend(flag_of(&name)),
            Some(WatchEvent::Lost(_)) => seen.lost.store(true, Ordering::Release),
            Some(_) => {}
            None => return seen.wrong("the watch ended".to_owned()),
        }
    }
}

/// A read after an event returns that state or a newer one.
async fn read_again(seen: &Observed, ledger: &Ledger, flag: usize, announced: u64) {
    let found = match &seen.view.local {
        Some(local) => local.table().get(&name(flag)),
        None => match seen.view.store.get(&name(flag)).await {
            Ok(found) => found,
            Err(_) => return,
        },
    };
    let read = found.as_ref().map(number).transpose();
    let is_newer = match &read {
        Ok(read) => ledger.check(flag, *read, announced, seen.view.keeps).is_ok(),
        Err(_) => false,
    };
    if !is_newer {
        seen.wrong(format!("{} {announced} was announced, and a read returned {read:?}", name(flag)));
    }
}

fn check_status(seen: &Observed, ledger: &Ledger) {
    let Some(local) = &seen.view.local else { return };
    // In this order the flags are at least as new as the status, and the status as the outage.
    let away = ledger.away_for();
    if !local.status().is_live() {
        return;
    }
    if let Some(away) = away.filter(|away| *away > seen.view.live_for) {
        seen.wrong(format!("live {away:.1?} after the store was lost"));
    }
    seen.checks.fetch_add(ledger.len() as u64, Ordering::Relaxed);
    for flag in 0..ledger.len() {
        let held = match local.table().get(&name(flag)).as_ref().map(number) {
            Some(Ok(number)) => number,
            Some(Err(_)) => continue,
            None => {
                if let Some(age) = ledger.missing(flag).filter(|age| *age > seen.view.live_for) {
                    seen.wrong(format!("live without {}, which has existed for {age:.1?}", name(flag)));
                }
                continue;
            }
        };
        if let Some(age) = ledger.overdue(flag, held).filter(|age| *age > seen.view.live_for) {
            seen.wrong(format!("live with {} of {held}, which is {age:.1?} old", name(flag)));
        }
        if seen.view.keeps && ledger.emptied_for().is_some_and(|age| age > seen.view.live_for) {
            seen.wrong(format!("live with {} of {held}, which the store has lost", name(flag)));
        }
    }
}
