use std::collections::HashSet;
use std::time::{Duration, Instant};

use flipper::__words::needs_of;
use flipper::json::{Json, Object};
use flipper::store::{Precondition, Version};
use flipper::targeting::segment_of;
use flipper::{Error, ErrorKind, FlagRecord};
use futures_util::future::join;

use crate::diff::Difference;
use crate::failure::{Code, Done, Failure};
use crate::interrupt::Interrupt;
use crate::order;
use crate::output::object;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::records::Records;
use crate::refused::Refused;
use crate::session::Session;
use crate::store::Store;
use crate::text::{count, quoted, thousands};

/// Target duration of one batch, which an interrupt waits for.
const BATCH_TIME: Duration = Duration::from_millis(200);
const SMALLEST: usize = 16;
const LARGEST: usize = 2000;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mode {
    /// Overwrites a flag that another writer made since the comparison.
    pub(crate) overwrite: bool,
    pub(crate) destroy: bool,
    /// Goes on even if access was refused for every flag of a batch: another flag may be allowed.
    pub(crate) persist: bool,
}

#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) created: usize,
    pub(crate) changed: usize,
    pub(crate) destroyed: usize,
    pub(crate) unchanged: usize,
    pub(crate) failed: usize,
}

impl Tally {
    fn written(&self) -> usize {
        self.created + self.changed + self.destroyed
    }

    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "{} new, {} changed, {} destroyed, {} as they were",
            thousands(self.created),
            thousands(self.changed),
            thousands(self.destroyed),
            thousands(self.unchanged)
        );
        if self.failed > 0 {
            text.push_str(&format!(", {} failed", thousands(self.failed)));
        }
        text
    }

    pub(crate) fn to_json(&self, store: &str, dry_run: bool) -> Object {
        object([
            ("store", store.into()),
            ("dry_run", dry_run.into()),
            ("created", self.created.into()),
            ("changed", self.changed.into()),
            ("destroyed", self.destroyed.into()),
            ("unchanged", self.unchanged.into()),
            ("failed", self.failed.into()),
        ])
    }
}

/// `add`: more fields of the JSON.
pub(crate) async fn show(
    session: &mut Session,
    store: &Store,
    source: &Records,
    plan: &Plan,
    destroy: bool,
    add: impl FnOnce(&mut Object),
) -> Done {
    let destroyed = if destroy { plan.only_in_target.len() } else { 0 };
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
        let keep = |difference: Difference<'_>| {
            changes.push(Json::from(difference.to_json()));
            Ok(())
        };
        plan.each(source, store, destroy, keep).await?;
        let mut object = tally.to_json(&store.shown, true);
        object.insert("changes", changes);
        add(&mut object);
        return out.value(object);
    }
    let report = |difference: Difference<'_>| difference.lines().into_iter().try_for_each(|line| out.line(line));
    plan.each(source, store, destroy, report).await?;
    out.message(format_args!("dry run: nothing was changed in {}; it would be: {}", store.shown, tally.text()));
    Ok(())
}

/// Writes batch by batch, each flag as a whole. After an interrupt the pending batch has a moment to finish.
pub(crate) async fn apply(
    session: &mut Session,
    store: &Store,
    source: &Records,
    plan: &Plan,
    mode: Mode,
    interrupt: &mut Interrupt,
    refused: &mut Refused,
) -> Done<Tally> {
    let total = plan.create.len() + plan.change.len() + if mode.destroy { plan.only_in_target.len() } else { 0 };
    let tally = Tally { unchanged: plan.unchanged, ..Tally::default() };
    let progress = Progress::new("wrote", total);
    let persist = mode.persist;
    let mut work =
        Work { session, store, persist, interrupt, refused, tally, total, progress, unwritten: HashSet::new() };
    let when = if mode.overwrite { Precondition::Any } else { Precondition::Absent };
    for phase in order::writes(source, plan)? {
        let counter: Counter = if phase.is_new { |tally| &mut tally.created } else { |tally| &mut tally.changed };
        let mut rest = &phase.indexes[..];
        let mut size = SMALLEST * 8;
        let mut batch = take(source, &mut rest, size, &work.unwritten)?;
        while !batch.is_empty() {
            let started = Instant::now();
            let Batch { records, blocked } = batch;
            let unwritten = &work.unwritten;
            // Reads the next batch while the store writes this one.
            let both = join(store.inner.put_all(&records, store.options(when.clone())), async {
                take(source, &mut rest, size, unwritten)
            });
            let both = work.interrupt.soon(both).await;
            let (results, next) = both.map_err(|code| work.stopped(code, records.len()))?;
            let next = next?;
            blocked.iter().for_each(|(name, needed)| work.fail(name, &blocked_by(name, needed)));
            work.note(records.iter().map(FlagRecord::name), results, counter)?;
            batch = next;
            size = match started.elapsed() {
                short if short < BATCH_TIME / 2 => (size * 2).min(LARGEST),
                long if long > BATCH_TIME * 2 => (size / 2).max(SMALLEST),
                _ => size,
            };
        }
    }
    if mode.destroy {
        for (name, version) in order::deletions(store, &plan.only_in_target, |(name, _)| name).await? {
            if work.tally.failed > 0 && segment_of(name).is_some() {
                work.fail(name, &kept(name));
                continue;
            }
            let delete = store.inner.delete(name, store.options(Precondition::Unchanged(version.clone())));
            let result = work.interrupt.soon(delete).await.map_err(|code| work.stopped(code, 1))?;
            work.note([name.as_str()], vec![result], |tally| &mut tally.destroyed)?;
        }
    }
    Ok(work.tally)
}

#[derive(Default)]
struct Batch {
    records: Vec<FlagRecord>,
    /// Flags that are not written, and what they need.
    blocked: Vec<(String, String)>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.records.is_empty() && self.blocked.is_empty()
    }
}

fn take(source: &Records, indexes: &mut &[usize], most: usize, unwritten: &HashSet<String>) -> Done<Batch> {
    let (now, rest) = indexes.split_at(most.min(indexes.len()));
    *indexes = rest;
    let mut batch = Batch::default();
    for index in now {
        let record = source.record(*index)?;
        let needed = match unwritten.is_empty() {
            true => None,
            false => needs_of(&record).into_iter().find(|needed| unwritten.contains(needed)),
        };
        match needed {
            Some(needed) => batch.blocked.push((record.name().to_owned(), needed)),
            None => batch.records.push(record),
        }
    }
    Ok(batch)
}

type Counter = fn(&mut Tally) -> &mut usize;

struct Work<'a> {
    session: &'a mut Session,
    store: &'a Store,
    persist: bool,
    interrupt: &'a mut Interrupt,
    refused: &'a mut Refused,
    tally: Tally,
    total: usize,
    progress: Progress,
    /// What the store refused, and what needs that.
    unwritten: HashSet<String>,
}

impl Work<'_> {
    fn fail(&mut self, name: &str, error: &Error) {
        self.tally.failed += 1;
        self.refused.add(self.session, self.store, name, error);
        self.unwritten.insert(name.to_owned());
    }

    /// Counts the results of a batch. An error stops the transfer.
    fn note<'n>(
        &mut self,
        names: impl IntoIterator<Item = &'n str>,
        results: Vec<flipper::Result<Version>>,
        counter: Counter,
    ) -> Done {
        let is_denied =
            |result: &flipper::Result<_>| result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unauthorized);
        let all_denied = !self.persist && results.iter().all(is_denied);
        let mut outage = None;
        let mut unknown = 0;
        for (name, result) in names.into_iter().zip(results) {
            match result {
                Ok(_) => *counter(&mut self.tally) += 1,
                // Kept for later, so that the successes in this batch are counted.
                Err(error) if all_denied || !is_refusal(&error) => {
                    unknown += usize::from(!all_denied);
                    outage.get_or_insert(error);
                }
                Err(error) => self.fail(name, &error),
            }
        }
        let done = self.tally.written() + self.tally.failed;
        self.progress.at(done);
        match (self.interrupt.code(), outage) {
            (Some(code), _) if done < self.total => Err(self.stopped(code, unknown)),
            (_, Some(error)) => Err(self.store.failure(&error).hint(self.how_far(unknown))),
            (_, None) => Ok(()),
        }
    }

    fn stopped(&self, code: Code, unknown: usize) -> Failure {
        Failure::interrupted(code).hint(self.how_far(unknown))
    }

    /// `unknown`: writes without an answer.
    fn how_far(&self, unknown: usize) -> String {
        let (done, total) = (thousands(self.tally.written()), count(self.total, "flag"));
        let unknown = match unknown {
            0 => String::new(),
            unknown => format!(", and maybe some of {} more", thousands(unknown)),
        };
        format!("{done} of {total} were written, each as a whole{unknown}; the same command goes on from there")
    }
}

/// Without what it needs, or beside an older one, the flag could be on for more callers than it is in the source.
pub(crate) fn blocked_by(name: &str, needed: &str) -> Error {
    let why = match segment_of(needed) {
        Some(segment) => format!("it names segment {}, which was not written", quoted(segment)),
        None => format!("it needs {}, which was not written", quoted(needed)),
    };
    refused_since(name, why)
}

/// A flag that the store refuses may name the segment still, and its rules would then hold for no caller.
pub(crate) fn kept(segment: &str) -> Error {
    refused_since(segment, "it is kept, since flags that may name it were refused".to_owned())
}

fn refused_since(name: &str, why: String) -> Error {
    Error::new(ErrorKind::InvalidInput).with_flag(name).with_message(why)
}

/// Whether the store refuses this flag and may accept others.
pub(crate) fn is_refusal(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Conflict
            | ErrorKind::Corrupt
            | ErrorKind::InvalidInput
            | ErrorKind::InvalidName
            | ErrorKind::Unauthorized
            | ErrorKind::Unsupported
    )
}

pub(crate) fn refusal(store: &Store, name: &str, error: &Error) -> Failure {
    let name = quoted(name);
    match error.kind() {
        ErrorKind::Conflict => {
            let message = format!("{name} was changed by another writer in the meantime, and was not overwritten");
            Failure::store(message).hint("look at it, and run the same command again")
        }
        ErrorKind::Unauthorized => store.failure(error).hint(format!("flag {name} was not written")),
        _ => store.failure(error).code(Code::Store),
    }
}
