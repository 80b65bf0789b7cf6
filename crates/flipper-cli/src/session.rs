//! What all commands share: the streams and the chosen store.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use flipper::history::Cause;

use crate::actor::actor;
use crate::args::Global;
use crate::failure::{Code, Done, Failure, message_of};
use crate::names;
use crate::output::Output;
use crate::store::{Choice, Purpose, Store};
use crate::text::thousands;

pub(crate) struct Session {
    pub(crate) out: Output,
    store: Option<OsString>,
    /// Of all that the command writes.
    cause: Arc<Cause>,
    /// The worst failure of one of several flags, already reported.
    worst: Option<Code>,
}

impl Session {
    pub(crate) fn new(global: Global) -> Self {
        Self { out: Output::new(global.json), store: global.store, cause: Arc::default(), worst: None }
    }

    pub(crate) fn choice(&self) -> Done<Choice> {
        Choice::make(self.store.as_deref(), None)
    }

    /// With a config file that names a store.
    pub(crate) fn choice_with(&self, file: Option<(&str, &Path)>) -> Done<Choice> {
        Choice::make(self.store.as_deref(), file)
    }

    pub(crate) fn open(&self, purpose: Purpose) -> Done<Store> {
        Ok(self.writing(Store::open(&self.choice()?.location, purpose)?))
    }

    /// A store whose history is to say who writes and why.
    pub(crate) fn writing(&self, store: Store) -> Store {
        store.caused_by(self.cause.clone())
    }

    pub(crate) fn write_because(&mut self, reason: Option<&str>) -> Done {
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
