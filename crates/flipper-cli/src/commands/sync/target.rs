//! The store that is kept in step.

use std::collections::BTreeSet;
use std::time::Duration;

use flipper::FlagRecord;
use flipper::json::{Json, Object};
use flipper::store::Precondition;
use tokio::time::Instant;

use crate::failure::{Code, Done, Failure};
use crate::follow::Follow;
use crate::interrupt::Interrupt;
use crate::plan::Plan;
use crate::records::Records;
use crate::refused::Refused;
use crate::session::Session;
use crate::store::Store;
use crate::text::{count, quoted, some};
use crate::transfer::{self, Mode, Tally, is_refusal};

/// Between two tries to write to a store that is away.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// Between two tries to write what was refused: permissions and limits may change.
const TRY_REFUSED: Duration = Duration::from_secs(30);

pub(super) struct Target<'a> {
    store: &'a Store,
    from: &'a Store,
    pub(super) refused: Refused,
    /// Flags that cannot be read in the other store, and stay as they were.
    pub(super) unreadable: BTreeSet<String>,
    /// Flags that were destroyed in the other store and not yet here.
    destroyed: BTreeSet<String>,
    /// It was away, and something was missed: all is to be compared.
    behind: bool,
    /// That it is away was told.
    away: bool,
    /// When what is not in step is tried again.
    pub(super) try_at: Instant,
}

impl<'a> Target<'a> {
    pub(super) fn new(store: &'a Store, from: &'a Store) -> Self {
        Self {
            store,
            from,
            refused: Refused::default(),
            unreadable: BTreeSet::new(),
            destroyed: BTreeSet::new(),
            behind: false,
            away: false,
            try_at: Instant::now() + TRY_REFUSED,
        }
    }

    pub(super) fn shown(&self) -> &str {
        &self.store.shown
    }

    pub(super) fn is_in_step(&self) -> bool {
        !self.behind && self.destroyed.is_empty() && self.refused.is_empty()
    }

    /// Leaves the flag as it is.
    pub(super) fn keep(&mut self, name: &str) {
        self.destroyed.remove(name);
        self.refused.remove(name);
        self.unreadable.remove(name);
    }

    /// Writes a flag; while the store is away, nothing: that is found when it is back.
    pub(super) async fn put(&mut self, session: &mut Session, record: &FlagRecord, interrupt: &mut Interrupt) -> Done {
        let (name, was_in_step) = (record.name(), self.is_in_step());
        self.destroyed.remove(name);
        self.unreadable.remove(name);
        if self.behind {
            return Ok(());
        }
        let put = self.store.inner.put(record, Precondition::Any);
        let result = interrupt.soon(put).await.map(|result| result.map(drop));
        self.note(session, name, "wrote", result)?;
        self.say_if_in_step(session, was_in_step);
        Ok(())
    }

    /// Destroys a flag, now or when the store is back.
    pub(super) async fn destroy(&mut self, session: &mut Session, name: &str, interrupt: &mut Interrupt) -> Done {
        let was_in_step = self.is_in_step();
        self.destroyed.insert(name.to_owned());
        self.unreadable.remove(name);
        if !self.behind {
            self.delete(session, name, interrupt).await?;
            self.say_if_in_step(session, was_in_step);
        }
        Ok(())
    }

    async fn delete(&mut self, session: &mut Session, name: &str, interrupt: &mut Interrupt) -> Done {
        let delete = self.store.inner.delete(name, Precondition::Any);
        let result = interrupt.soon(delete).await.map(|result| result.map(drop));
        if matches!(result, Ok(Ok(()))) {
            self.destroyed.remove(name);
        }
        self.note(session, name, "destroyed", result)
    }

    /// Takes note of what came of a write.
    fn note(
        &mut self,
        session: &mut Session,
        name: &str,
        verb: &str,
        result: Result<flipper::Result<()>, Code>,
    ) -> Done {
        match result {
            Ok(Ok(())) => {
                self.refused.remove(name);
                told(session, verb, name)?;
            }
            Ok(Err(error)) if is_refusal(&error) => self.refused.add(session, self.store, name, &error),
            Ok(Err(error)) => self.lost(session, &self.store.failure(&error)),
            // The loop sees the interrupt, and what became of the write nobody knows.
            Err(_) => self.behind = true,
        }
        Ok(())
    }

    fn say_if_in_step(&self, session: &mut Session, was_in_step: bool) {
        if !was_in_step && self.is_in_step() {
            session.out.message(format_args!("{} is in step", self.store.shown));
        }
    }

    pub(super) fn lost(&mut self, session: &mut Session, failure: &Failure) {
        if !self.away {
            session.out.message(format_args!("{failure}; trying on"));
        }
        (self.behind, self.away) = (true, true);
        self.try_at = Instant::now() + TRY_AGAIN;
    }

    /// Tries to write all that is not in step.
    pub(super) async fn catch_up(
        &mut self,
        session: &mut Session,
        follow: &Follow<'_>,
        interrupt: &mut Interrupt,
    ) -> Done {
        self.behind = true;
        self.refused.begin();
        match self.compare(session, follow, interrupt).await {
            Ok(tally) => {
                self.behind = false;
                if let Some(tally) = tally {
                    session.out.message(tally.text());
                }
            }
            Err(failure) if matches!(failure.code, Code::Interrupted | Code::Terminated) => {}
            Err(failure) => self.lost(session, &failure),
        }
        for name in self.destroyed.clone() {
            if !self.behind {
                self.delete(session, &name, interrupt).await?;
            }
        }
        if self.behind {
            return Ok(());
        }
        self.refused.end();
        self.try_at = Instant::now() + TRY_REFUSED;
        let shown = &self.store.shown;
        match (std::mem::take(&mut self.away), self.refused.is_empty()) {
            (true, true) => session.out.message(format_args!("{shown} is there again, and in step")),
            (true, false) => {
                session.out.message(format_args!("{shown} is there again; {}", self.refused.text(self.store)));
            }
            // Something was refused before.
            (false, true) => session.out.message(format_args!("{shown} is in step")),
            (false, false) => {}
        }
        Ok(())
    }

    /// Brings it in step by comparing all flags, but for those that were destroyed.
    async fn compare(
        &mut self,
        session: &mut Session,
        follow: &Follow<'_>,
        interrupt: &mut Interrupt,
    ) -> Done<Option<Tally>> {
        let (source, _) = Records::known(follow.known());
        let plan = interrupt.unless("not compared", Plan::make(&source, self.store)).await?;
        if plan.is_empty() {
            return Ok(None);
        }
        let mode = Mode { overwrite: true, destroy: false, persist: true };
        let tally = transfer::apply(session, self.store, &source, &plan, mode, interrupt, &mut self.refused).await?;
        let was_written = tally.failed < plan.create.len() + plan.change.len();
        Ok(was_written.then_some(tally))
    }

    /// Others may have changed it: writes what is not as it should be.
    pub(super) async fn look(&mut self, session: &mut Session, follow: &Follow<'_>, interrupt: &mut Interrupt) -> Done {
        // Then all is compared when it is back.
        if self.behind {
            return Ok(());
        }
        match self.compare(session, follow, interrupt).await {
            Ok(None) => {}
            Ok(Some(tally)) => {
                session.out.note(format_args!(
                    "{} was changed by others, and is made as {} again: {}",
                    self.store.shown,
                    self.from.shown,
                    tally.text()
                ));
            }
            Err(failure) if matches!(failure.code, Code::Interrupted | Code::Terminated) => self.behind = true,
            Err(failure) => self.lost(session, &failure),
        }
        Ok(())
    }

    /// What to say at the end, and the exit code; `more` changes may be known that were not written.
    pub(super) fn end(&self, session: &mut Session, code: Code, more: bool, kept: &BTreeSet<String>) -> Done {
        let unwritten = self.destroyed.iter().any(|name| !self.refused.has(name));
        if self.behind || unwritten || more {
            session.out.message("interrupted, with changes still to write; the same command goes on");
            return Err(Failure::silent(code));
        }
        let mut left = Vec::new();
        if !self.refused.is_empty() {
            left.push(self.refused.text(self.store));
        }
        for (names, why) in [(&self.unreadable, "cannot be read in"), (kept, "kept, though destroyed in")] {
            if !names.is_empty() {
                let (what, names) = (count(names.len(), "flag"), some(names.iter().map(String::as_str)));
                left.push(format!("{what} {why} {}: {names}", self.from.shown));
            }
        }
        if left.is_empty() {
            session.out.message("interrupted, with all changes written");
            return Ok(());
        }
        session.exit_with(Code::Store);
        session.out.message(format_args!("interrupted; {}", left.join("; ")));
        Ok(())
    }
}

fn told(session: &mut Session, verb: &str, name: &str) -> Done {
    if session.out.json() {
        let object: Object = [("event", Json::from(verb)), ("name", name.into())].into_iter().collect();
        session.out.value(object)?;
        return session.out.flush();
    }
    session.out.message(format_args!("{verb} {}", quoted(name)));
    Ok(())
}
