//! Writing many flags.

use std::time::{Duration, Instant};

use flipper::{Error, ErrorKind, FlagRecord, Json, Object, Precondition};
use futures_util::future::join;

use crate::failure::{Code, Done, Failure};
use crate::interrupt::Interrupt;
use crate::plan::{Plan, Source};
use crate::progress::Progress;
use crate::session::Session;
use crate::store::Store;
use crate::text::{count, quoted, thousands};

/// So long one batch should take: an interrupt waits for it.
const BATCH_TIME: Duration = Duration::from_millis(200);
const SMALLEST: usize = 16;
const LARGEST: usize = 2000;

/// How flags are written over those that are there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mode {
    /// Also over a flag that somebody made meanwhile.
    pub(crate) overwrite: bool,
    /// Flags that only the target has are destroyed.
    pub(crate) destroy: bool,
}

/// What was done.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) created: usize,
    pub(crate) changed: usize,
    pub(crate) destroyed: usize,
    pub(crate) unchanged: usize,
    pub(crate) failed: usize,
}

impl Tally {
    fn done(&self) -> usize {
        self.created + self.changed + self.destroyed + self.failed
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!("{} new, {} changed", thousands(self.created), thousands(self.changed));
        text.push_str(&format!(
            ", {} destroyed, {} as they were",
            thousands(self.destroyed),
            thousands(self.unchanged)
        ));
        if self.failed > 0 {
            text.push_str(&format!(", {} failed", thousands(self.failed)));
        }
        text
    }

    pub(crate) fn to_json(&self, store: &str, dry_run: bool) -> Object {
        let mut object = Object::new();
        object.insert("store", store);
        object.insert("dry_run", dry_run);
        for (key, number) in [
            ("created", self.created),
            ("changed", self.changed),
            ("destroyed", self.destroyed),
            ("unchanged", self.unchanged),
            ("failed", self.failed),
        ] {
            object.insert(key, number);
        }
        object
    }
}

/// What `plan` would do, told.
pub(crate) fn show(session: &mut Session, store: &Store, source: &Source, plan: &Plan, destroy: bool) -> Done {
    let destroyed = if destroy { plan.only_there.len() } else { 0 };
    let tally = Tally {
        created: plan.create.len(),
        changed: plan.change.len(),
        destroyed,
        unchanged: plan.unchanged,
        failed: 0,
    };
    let out = &mut session.out;
    if out.json() {
        let mut changes = Vec::new();
        plan.each(source, destroy, |difference| {
            changes.push(Json::from(difference.to_json()));
            Ok(())
        })?;
        let mut object = tally.to_json(&store.shown, true);
        object.insert("changes", changes);
        return out.value(object);
    }
    plan.each(source, destroy, |difference| difference.lines().into_iter().try_for_each(|line| out.line(line)))?;
    out.message(format_args!("dry run: nothing was changed in {}; it would be: {}", store.shown, tally.text()));
    Ok(())
}

/// Does it, batch by batch. Each flag is written as a whole; an interrupt lets the batch that is under way finish.
pub(crate) async fn apply(
    session: &mut Session,
    store: &Store,
    source: &Source,
    plan: &Plan,
    mode: Mode,
    interrupt: &Interrupt,
) -> Done<Tally> {
    let total = plan.create.len() + plan.change.len() + if mode.destroy { plan.only_there.len() } else { 0 };
    let mut work = Work {
        store,
        tally: Tally { unchanged: plan.unchanged, ..Tally::default() },
        total,
        progress: Progress::new("wrote", total),
    };
    let when = if mode.overwrite { Precondition::Any } else { Precondition::Absent };
    for (indexes, is_new) in [(&plan.create, true), (&plan.change, false)] {
        let mut size = SMALLEST * 8;
        let mut rest = &indexes[..];
        let mut records = take(source, &mut rest, size)?;
        while !records.is_empty() {
            work.stop_if(interrupt)?;
            let started = Instant::now();
            // The next ones are read while the store writes these.
            let ahead = async { take(source, &mut rest, size) };
            let (put, next) = join(work.put(session, &records, when.clone(), is_new), ahead).await;
            put?;
            records = next?;
            size = match started.elapsed() {
                short if short < BATCH_TIME / 2 => (size * 2).min(LARGEST),
                long if long > BATCH_TIME * 2 => (size / 2).max(SMALLEST),
                _ => size,
            };
        }
    }
    if mode.destroy {
        for (name, version) in &plan.only_there {
            work.stop_if(interrupt)?;
            match store.inner.delete(name, Precondition::Unchanged(version.clone())).await {
                Ok(_) => work.tally.destroyed += 1,
                Err(error) => {
                    let told = work.failed(session, name, &error);
                    told.map_err(|failure| failure.hint(work.how_far()))?;
                }
            }
            work.progress.at(work.tally.done());
        }
    }
    Ok(work.tally)
}

/// Reads the first of these flags, so many.
fn take(source: &Source, indexes: &mut &[usize], most: usize) -> Done<Vec<FlagRecord>> {
    let (batch, rest) = indexes.split_at(most.min(indexes.len()));
    *indexes = rest;
    batch.iter().map(|index| source.record(*index)).collect()
}

struct Work<'a> {
    store: &'a Store,
    tally: Tally,
    total: usize,
    progress: Progress,
}

impl Work<'_> {
    async fn put(&mut self, session: &mut Session, records: &[FlagRecord], when: Precondition, is_new: bool) -> Done {
        let results = self.store.inner.put_all(records, when).await;
        let mut stopped = None;
        for (record, result) in records.iter().zip(results) {
            match result {
                Ok(_) if is_new => self.tally.created += 1,
                Ok(_) => self.tally.changed += 1,
                // So that what did succeed in this batch is counted.
                Err(error) => stopped = stopped.or(self.failed(session, record.name(), &error).err()),
            }
        }
        self.progress.at(self.tally.done());
        stopped.map_or(Ok(()), |failure| Err(failure.hint(self.how_far())))
    }

    /// One flag could not be written; an error unless the others may be.
    fn failed(&mut self, session: &mut Session, name: &str, error: &Error) -> Done {
        match error.kind() {
            ErrorKind::Conflict => {
                self.tally.failed += 1;
                let failure =
                    format!("{} was changed by somebody else meanwhile, and is left as they made it", quoted(name));
                session.go_on_after(Failure::store(failure).hint("look at it, and run the same command again"))
            }
            ErrorKind::InvalidInput | ErrorKind::InvalidName => {
                self.tally.failed += 1;
                session.go_on_after(self.store.failure(error).code(Code::Store))
            }
            _ => Err(self.store.failure(error)),
        }
    }

    fn stop_if(&self, interrupt: &Interrupt) -> Done {
        if !interrupt.is_set() {
            return Ok(());
        }
        Err(Failure::store("interrupted").code(Code::Interrupted).hint(self.how_far()))
    }

    fn how_far(&self) -> String {
        let (done, total) = (self.tally.done() - self.tally.failed, count(self.total, "flag"));
        format!("{} of {total} were written, each as a whole; the same command goes on from there", thousands(done))
    }
}
