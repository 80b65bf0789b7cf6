//! What all commands share: the streams and the chosen store.

use std::cell::RefCell;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flipper::history::Cause;
use flipper::{FeatureFlagStore, ReplicaStatus};

use crate::actor::actor;
use crate::args::{Global, Write};
use crate::failure::{Code, Done, Failure, message_of};
use crate::names;
use crate::output::Output;
use crate::store::{Choice, Purpose, Replicated, Store};
use crate::text::{plain, thousands};

/// As long as a store that is closed waits for its replicas.
const COPIED_WITHIN: Duration = Duration::from_secs(5);
const COPY_CHECKED_EVERY: Duration = Duration::from_millis(50);

pub(crate) struct Session {
    pub(crate) out: Output,
    store: Option<OsString>,
    /// Of all that the command writes.
    cause: Arc<Cause>,
    writes: bool,
    /// Those that are written.
    replicated: RefCell<Vec<Replicated>>,
    /// The worst failure of one of several flags, already reported.
    worst: Option<Code>,
}

impl Session {
    pub(crate) fn new(global: Global) -> Self {
        Self {
            out: Output::new(global.json),
            store: global.store,
            cause: Arc::default(),
            writes: false,
            replicated: RefCell::default(),
            worst: None,
        }
    }

    pub(crate) fn choice(&self) -> Done<Choice> {
        Choice::make(self.store.as_deref(), None)
    }

    /// With a config file that names a store.
    pub(crate) fn choice_with(&self, file: Option<(&str, &Path)>) -> Done<Choice> {
        Choice::make(self.store.as_deref(), file)
    }

    pub(crate) fn open(&self, purpose: Purpose) -> Done<Store> {
        self.writing(Store::open(&self.choice()?.location, purpose)?)
    }

    /// A store whose history is to say who writes and why, and whose replicas get it.
    pub(crate) fn writing(&self, store: Store) -> Done<Store> {
        let store = store.caused_by(self.cause.clone());
        if !self.writes {
            return Ok(store);
        }
        let (store, replicated) = store.replicated()?;
        self.replicated.borrow_mut().extend(replicated);
        Ok(store)
    }

    /// Until the replicas have what was written, or one cannot have it.
    pub(crate) async fn finish_copies(&mut self) {
        for store in std::mem::take(self.replicated.get_mut()) {
            let deadline = Instant::now() + COPIED_WITHIN;
            let behind = loop {
                // Afterwards the watch may report this command's own write, and the replica is asked once more.
                if store.in_step(COPY_CHECKED_EVERY).await.is_ok() {
                    break Vec::new();
                }
                let (behind, stuck) = behind(&store);
                if stuck > 0 && stuck == behind.len() || Instant::now() >= deadline {
                    break behind;
                }
            };
            if behind.is_empty() {
                // What is left in files, such as those of SQLite's log, is put in order.
                let _ = store.close().await;
            }
            for status in behind {
                let status = status.to_string();
                self.out.note(format_args!("the next command that writes copies again: replica {}", plain(&status)));
            }
        }
    }

    pub(crate) fn write(&mut self, write: &Write) -> Done {
        let reason = write.because.as_deref();
        let wrong = |what: &str| {
            let what = what.to_owned();
            move |error: flipper::Error| Failure::usage(format!("{what}: {}", message_of(&error)))
        };
        let mut cause = Cause::default().with_source("command").map_err(wrong("source"))?;
        if let Some(actor) = actor()? {
            cause = cause.with_actor(actor).map_err(wrong("FLIPPER_ACTOR"))?;
        }
        if let Some(reason) = reason {
            cause = cause.with_reason(reason).map_err(wrong("--because"))?;
        }
        self.cause = Arc::new(cause);
        self.writes = !write.dry_run;
        Ok(())
    }

    /// Reports a failure; the command goes on with other flags.
    pub(crate) fn go_on_after(&mut self, failure: Failure) -> Done {
        if failure.code == Code::OutputClosed {
            return Err(failure);
        }
        self.out.failure(&failure);
        self.worst = self.worst.max(Some(failure.code));
        Ok(())
    }

    /// Runs the work for each existing flag that the arguments name.
    pub(crate) async fn each_given(
        &mut self,
        given: &[String],
        mut work: impl AsyncFnMut(&mut Self, &Store, &str) -> Done,
    ) -> Done {
        let store = self.open(Purpose::Existing)?;
        self.each(names::all(given)?, async |session: &mut Self, name: &str| work(session, &store, name).await).await
    }

    /// Runs the work for each flag. A failure does not stop it, unless the next flags would fail in the same way.
    pub(crate) async fn each(
        &mut self,
        names: Vec<String>,
        mut work: impl AsyncFnMut(&mut Self, &str) -> Done,
    ) -> Done {
        let mut names = names.iter();
        while let Some(name) = names.next() {
            match work(self, name).await {
                Ok(()) => {}
                Err(failure) if failure.ends_all && names.len() > 0 => {
                    let left = names.len();
                    let were = if left == 1 { "flag was" } else { "flags were" };
                    return Err(failure.hint_after(&format!("{} more {were} not tried", thousands(left))));
                }
                Err(failure) => self.go_on_after(failure)?,
            }
        }
        Ok(())
    }

    pub(crate) fn exit_with(&mut self, code: Code) {
        self.worst = self.worst.max(Some(code));
    }

    pub(crate) fn end(mut self, done: Done) -> ExitCode {
        let done = done.and_then(|()| self.out.flush());
        if let Err(failure) = done {
            self.out.failure(&failure);
            self.worst = self.worst.max(Some(failure.code));
        }
        ExitCode::from(self.worst.map_or(0, |code| code as u8))
    }
}

/// The replicas that lack something, and of how many waiting is of no use.
fn behind(store: &Replicated) -> (Vec<ReplicaStatus>, usize) {
    let mut all = store.replicas();
    all.retain(|status| !status.is_in_step());
    let is_stuck = |status: &&ReplicaStatus| status.error.is_some() || !status.comparing && status.pending.is_empty();
    let stuck = all.iter().filter(is_stuck).count();
    (all, stuck)
}
