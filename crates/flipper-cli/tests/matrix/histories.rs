//! The history after all writes, read through each layer: each acknowledged write is in it, and it replays to what the store has.

use flipper::FeatureFlagClient;
use flipper::history::{Entry, FlagState, HistoryQuery};
use flipper::store::{Stored, Version};
use futures_util::TryStreamExt;

use crate::backends::futures_executor;
use crate::cells::{Layer, Scene, Situation, Store, Writer};
use crate::ledger::{Ledger, Write, name};
use crate::watcher::{View, number};

/// More than the entries of a flag between two faults.
const RECENT: usize = 100;

/// The writes with greater numbers than these are in it once. It may have forgotten those before.
pub(crate) fn recent(scene: Scene, view: &View, ledger: &Ledger, marks: &[u64]) -> Vec<String> {
    if scene.store == Store::S3 || view.layer == Layer::Replica {
        return Vec::new();
    }
    let flags = (0..ledger.len()).filter(|flag| !ledger.is_set_aside(*flag));
    flags.filter_map(|flag| futures_executor(recent_of(scene, view, ledger, flag, marks[flag])).err()).take(3).collect()
}

async fn recent_of(scene: Scene, view: &View, ledger: &Ledger, flag: usize, mark: u64) -> Result<(), String> {
    let writes: Vec<_> = ledger.writes(flag).into_iter().filter(|write| write.acknowledged.is_some()).collect();
    if writes.iter().all(|write| write.number <= mark) {
        return Ok(());
    }
    let name = name(flag);
    // Of the store: a client adds entries where it finds a gap.
    let (mut found, mut next) = (Vec::new(), None);
    loop {
        let page = view.store.history(&HistoryQuery::of(&name).before(next).limit(RECENT)).await;
        let page = page.map_err(|error| format!("{name}: the history cannot be read: {error}"))?;
        found.extend(page.entries.iter().map(|entry| (before(entry), after(entry))));
        next = page.next;
        if next.is_none() || found.len() >= RECENT {
            break;
        }
    }
    for (at, write) in writes.iter().enumerate().filter(|(_, write)| write.number > mark) {
        // A deletion has no number: its entry begins with the state before it.
        let deleted = writes[..at].iter().rev().find(|before| before.present).map(|before| before.number);
        let is_its = |(before, after): &(Option<u64>, Option<u64>)| match write.present {
            true => *after == Some(write.number),
            false => after.is_none() && *before == deleted,
        };
        let times = found.iter().filter(|entry| is_its(entry)).count();
        if write.ours && times != 1 || !write.ours && sees_others(scene) && times == 0 {
            return Err(format!("{name}: {} was acknowledged, and is {times} times in the history", write.number));
        }
    }
    Ok(())
}

/// What is wrong with it.
pub(crate) fn check(scene: Scene, view: &View, ledger: &Ledger) -> Vec<String> {
    // A replica's history is that of its copier, a soak's is longer than what is kept, and an object has no place for one.
    if view.layer == Layer::Replica || scene.situation.is_of_soak() || scene.store == Store::S3 {
        return Vec::new();
    }
    // Some know from their first answer on whether they keep one.
    let asked = futures_executor(view.store.history(&HistoryQuery::all().limit(1)));
    if let Err(error) = asked {
        return vec![format!("the history cannot be read: {error}")];
    }
    if !view.store.capabilities().history {
        return vec!["says that it keeps no history".to_owned()];
    }
    let flags = (0..ledger.len()).filter(|flag| !ledger.is_set_aside(*flag));
    flags.filter_map(|flag| futures_executor(one(scene, view, ledger, flag)).err()).take(3).collect()
}

async fn one(scene: Scene, view: &View, ledger: &Ledger, flag: usize) -> Result<(), String> {
    let name = name(flag);
    let failed = |error: flipper::Error| format!("{name}: the history cannot be read: {error}");
    let features = FeatureFlagClient::remote(view.store.clone());
    let mut entries: Vec<Entry> = features.history(&name).try_collect().await.map_err(failed)?;
    entries.reverse();
    let mut state: FlagState = None;
    if !sees_others(scene) {
        // Another program may have created it, or be the only one that wrote it.
        let Some(first) = entries.first() else { return Ok(()) };
        state.clone_from(&first.before);
    }
    for entry in &entries {
        if entry.before != state {
            return Err(format!("{name}: the entry {} does not begin as the one before it ended", entry.id));
        }
        state = entry.after.clone();
    }
    let kept = view.store.get(&name).await.map_err(failed)?.map(|stored| stored.record);
    if kept != state {
        return Err(format!("{name}: the history replays to {state:?}, and the store has {kept:?}"));
    }
    if !has_all(scene) {
        return Ok(());
    }
    let writes = ledger.writes(flag).into_iter().filter(|write| write.acknowledged.is_some());
    let (set, destroyed): (Vec<Write>, Vec<Write>) = writes.partition(|write| write.present);
    let is_entered = |write: &&Write| entries.iter().any(|entry| after(entry) == Some(write.number));
    if let Some(missing) = set.iter().find(|write| !is_entered(write)) {
        return Err(format!("{name}: {} was acknowledged, and is not in the history", missing.number));
    }
    let found = entries.iter().filter(|entry| entry.after.is_none()).count();
    match found == destroyed.len() {
        true => Ok(()),
        false => Err(format!("{name}: destroyed {} times, and {found} times in the history", destroyed.len())),
    }
}

/// Whether each write leaves an entry that is still there.
fn has_all(scene: Scene) -> bool {
    let is_lost = matches!(scene.situation, Situation::Emptied | Situation::HalfLoaded);
    !is_lost && (sees_others(scene) || scene.writer == Writer::Ours)
}

/// Whether other programs' writes are entries.
fn sees_others(scene: Scene) -> bool {
    matches!(scene.store, Store::Memory | Store::Sqlite | Store::Postgres)
}

/// The numbers of the states before and after a write.
fn before(entry: &Entry) -> Option<u64> {
    number_of(entry, &entry.before)
}

fn after(entry: &Entry) -> Option<u64> {
    number_of(entry, &entry.after)
}

fn number_of(entry: &Entry, state: &FlagState) -> Option<u64> {
    let stored = Stored { name: entry.name.clone(), version: Version::opaque([]), record: state.clone()? };
    number(&stored).ok()
}
