use std::collections::BTreeSet;
use std::time::Duration;

use flipper::__words::needs_of;
use flipper::FlagRecord;
use flipper::json::{Json, Object};
use flipper::store::Precondition;
use flipper::targeting::segment_of;
use tokio::time::Instant;

use crate::failure::{Code, Done, Failure};
use crate::follow::Follow;
use crate::interrupt::Interrupt;
use crate::order;
use crate::plan::Plan;
use crate::records::Records;
use crate::refused::Refused;
use crate::session::Session;
use crate::store::Store;
use crate::text::{count, quoted, some};
use crate::transfer::{self, Mode, Tally, is_refusal};

/// Retry interval for an unreachable target.
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// Retry interval for refused flags: permissions and limits may change.
const TRY_REFUSED: Duration = Duration::from_secs(30);

pub(super) struct Target<'a> {
    store: &'a Store,
    from: &'a Store,
    interrupt: Interrupt,
    pub(super) refused: Refused,
    /// Flags unreadable in the source, left as they are.
    pub(super) unreadable: BTreeSet<String>,
    /// Flags destroyed in the source only.
    destroyed: BTreeSet<String>,
    /// All flags must be compared, after an outage.
    behind: bool,
    /// The outage was reported.
    away: bool,
    pub(super) try_at: Instant,
}

impl<'a> Target<'a> {
    pub(super) fn new(store: &'a Store, from: &'a Store, interrupt: Interrupt) -> Self {
        Self {
            store,
            from,
            interrupt,
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
        !self.behind && self.destroyed.is_empty() && self.refused.now.is_empty()
    }

    pub(super) fn keep(&mut self, name: &str) {
        self.destroyed.remove(name);
        self.refused.remove(name);
        self.unreadable.remove(name);
    }

    /// Writes a flag. During an outage the later comparison does it.
    pub(super) async fn put(&mut self, session: &mut Session, record: &FlagRecord) -> Done {
        let (name, was_in_step) = (record.name(), self.is_in_step());
        self.destroyed.remove(name);
        self.unreadable.remove(name);
        if self.behind {
            return Ok(());
        }
        if let Some(needed) = needs_of(record).iter().find(|needed| self.refused.now.contains(*needed)) {
            self.refused.add(session, self.store, name, &transfer::blocked_by(name, needed));
            return Ok(());
        }
        let put = self.store.inner.put(record, self.store.options(Precondition::Any));
        let result = self.interrupt.soon(put).await.map(|result| result.map(drop));
        self.note(session, name, "wrote", result)?;
        self.report_in_step(session, was_in_step);
        Ok(())
    }

    /// Destroys flags, now or after an outage.
    pub(super) async fn destroy(&mut self, session: &mut Session, names: BTreeSet<String>) -> Done {
        let was_in_step = self.is_in_step();
        for name in &names {
            self.unreadable.remove(name);
        }
        let doomed: Vec<_> = names.iter().cloned().collect();
        self.destroyed.extend(names);
        if !self.behind {
            self.delete_all(session, &doomed).await?;
            self.report_in_step(session, was_in_step);
        }
        Ok(())
    }

    /// Each before what it may name.
    async fn delete_all(&mut self, session: &mut Session, names: &[String]) -> Done {
        let ordered = order::deletions(self.store, names, |name| name);
        match self.interrupt.unless("not deleted", ordered).await {
            Ok(ordered) => {
                for name in ordered {
                    if !self.behind {
                        self.delete(session, name).await?;
                    }
                }
            }
            Err(failure) if matches!(failure.code, Code::Interrupted | Code::Terminated) => self.behind = true,
            Err(failure) => self.lost(session, &failure),
        }
        Ok(())
    }

    async fn delete(&mut self, session: &mut Session, name: &str) -> Done {
        if segment_of(name).is_some() && self.refused.now.iter().any(|other| other != name) {
            self.refused.add(session, self.store, name, &transfer::kept(name));
            return Ok(());
        }
        let delete = self.store.inner.delete(name, self.store.options(Precondition::Any));
        let result = self.interrupt.soon(delete).await.map(|result| result.map(drop));
        if matches!(result, Ok(Ok(()))) {
            self.destroyed.remove(name);
        }
        self.note(session, name, "destroyed", result)
    }

    fn note(
        &mut self,
        session: &mut Session,
        name: &str,
        verb: &str,
        result: Result<flipper::Result<()>, Code>,
    ) -> Done {
        match result {
            Ok(Ok(())) => {
                if self.refused.now.contains(name) {
                    // Others may have waited for it.
                    self.try_at = Instant::now();
                }
                self.refused.remove(name);
                report(session, verb, name)?;
            }
            Ok(Err(error)) if is_refusal(&error) => self.refused.add(session, self.store, name, &error),
            Ok(Err(error)) => self.lost(session, &self.store.failure(&error)),
            // Interrupted, with an unknown outcome.
            Err(_) => self.behind = true,
        }
        Ok(())
    }

    fn report_in_step(&self, session: &mut Session, was_in_step: bool) {
        if !was_in_step && self.is_in_step() {
            session.out.message(format_args!("{} is in step", self.store.shown));
        }
    }

    pub(super) fn lost(&mut self, session: &mut Session, failure: &Failure) {
        if !self.away {
            session.out.message(format_args!("{failure}; retrying"));
        }
        (self.behind, self.away) = (true, true);
        self.try_at = Instant::now() + TRY_AGAIN;
    }

    pub(super) async fn catch_up(&mut self, session: &mut Session, follow: &Follow<'_>) -> Done {
        self.behind = true;
        self.refused.begin();
        match self.compare(session, follow).await {
            Ok(tally) => {
                self.behind = false;
                if let Some(tally) = tally {
                    session.out.message(tally.text());
                }
            }
            Err(failure) if matches!(failure.code, Code::Interrupted | Code::Terminated) => {}
            Err(failure) => self.lost(session, &failure),
        }
        if !self.behind {
            let destroyed: Vec<_> = self.destroyed.iter().cloned().collect();
            self.delete_all(session, &destroyed).await?;
        }
        if self.behind {
            return Ok(());
        }
        self.refused.end();
        self.try_at = Instant::now() + TRY_REFUSED;
        let shown = &self.store.shown;
        match (std::mem::take(&mut self.away), self.refused.now.is_empty()) {
            (true, true) => session.out.message(format_args!("{shown} is reachable again, and in step")),
            (true, false) => {
                session.out.message(format_args!("{shown} is reachable again; {}", self.refused.text(self.store)));
            }
            (false, true) => session.out.message(format_args!("{shown} is in step")),
            (false, false) => {}
        }
        Ok(())
    }

    /// Compares all flags, and writes the differences. Deletions are not repeated here.
    async fn compare(&mut self, session: &mut Session, follow: &Follow<'_>) -> Done<Option<Tally>> {
        let source = Records::of_held(follow.held());
        let plan = self.interrupt.unless("not compared", Plan::make(&source, self.store)).await?;
        if plan.is_empty() {
            return Ok(None);
        }
        let mode = Mode { overwrite: true, destroy: false, persist: true };
        let tally =
            transfer::apply(session, self.store, &source, &plan, mode, &mut self.interrupt, &mut self.refused).await?;
        let was_written = tally.failed < plan.create.len() + plan.change.len();
        Ok(was_written.then_some(tally))
    }

    /// Undoes foreign changes.
    pub(super) async fn look(&mut self, session: &mut Session, follow: &Follow<'_>) -> Done {
        if self.behind {
            return Ok(());
        }
        match self.compare(session, follow).await {
            Ok(None) => {}
            Ok(Some(tally)) => {
                session.out.note(format_args!(
                    "{} was changed by others, and is restored to match {}: {}",
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

    /// The last message, and the exit code; `more`: there are known changes that are not written.
    pub(super) fn end(&self, session: &mut Session, code: Code, more: bool, kept: &BTreeSet<String>) -> Done {
        let unwritten = self.destroyed.iter().any(|name| !self.refused.now.contains(name));
        if self.behind || unwritten || more {
            session.out.message("interrupted, with changes still to write; the same command goes on");
            return Err(Failure::silent(code));
        }
        let mut left = Vec::new();
        if !self.refused.now.is_empty() {
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

fn report(session: &mut Session, verb: &str, name: &str) -> Done {
    if session.out.json() {
        let object: Object = [("event", Json::from(verb)), ("name", name.into())].into_iter().collect();
        session.out.value(object)?;
        return session.out.flush();
    }
    session.out.message(format_args!("{verb} {}", quoted(name)));
    Ok(())
}
