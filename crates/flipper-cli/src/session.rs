//! What all commands have: the streams, and the store that was chosen.

use std::process::ExitCode;

use crate::args::Global;
use crate::failure::{Code, Done, Failure};
use crate::output::Output;
use crate::store::{Choice, Purpose, Store};

pub(crate) struct Session {
    pub(crate) out: Output,
    store: Option<String>,
    /// The worst that happened to one of several flags, told already.
    worst: Option<Code>,
}

impl Session {
    pub(crate) fn new(global: Global) -> Self {
        Self { out: Output::new(global.json), store: global.store, worst: None }
    }

    /// Which store is used, and who says so.
    pub(crate) fn choice(&self) -> Done<Choice> {
        Choice::make(self.store.as_deref())
    }

    pub(crate) fn open(&self, purpose: Purpose) -> Done<Store> {
        Store::open(&self.choice()?.location, purpose)
    }

    /// Tells of a failure that does not keep the command from going on with other flags.
    pub(crate) fn go_on_after(&mut self, failure: Failure) -> Done {
        if failure.code == Code::Unheard {
            return Err(failure);
        }
        self.out.failure(&failure);
        self.worst = self.worst.max(Some(failure.code));
        Ok(())
    }

    /// Takes note of an exit code other than 0.
    pub(crate) fn exit_with(&mut self, code: Code) {
        self.worst = self.worst.max(Some(code));
    }

    /// Tells how it ended.
    pub(crate) fn end(mut self, done: Done) -> ExitCode {
        let done = done.and_then(|()| self.out.flush());
        if let Err(failure) = done {
            self.out.failure(&failure);
            self.worst = self.worst.max(Some(failure.code));
        }
        ExitCode::from(self.worst.map_or(0, |code| code as u8))
    }
}
