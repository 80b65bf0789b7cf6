use std::collections::BTreeSet;

use flipper::Error;

use crate::session::Session;
use crate::store::Store;
use crate::text::{count, some};
use crate::transfer::refusal;

/// Flags that a store refuses while it accepts others. Each is reported once until it is accepted.
#[derive(Default)]
pub(crate) struct Refused {
    pub(crate) now: BTreeSet<String>,
    reported: BTreeSet<String>,
}

impl Refused {
    pub(crate) fn add(&mut self, session: &mut Session, store: &Store, name: &str, error: &Error) {
        if self.reported.insert(name.to_owned()) {
            session.out.failure(&refusal(store, name, error));
        }
        self.now.insert(name.to_owned());
    }

    /// It was accepted, or is no longer wanted.
    pub(crate) fn remove(&mut self, name: &str) {
        self.now.remove(name);
        self.reported.remove(name);
    }

    /// All are tried again until `end`.
    pub(crate) fn begin(&mut self) {
        self.now.clear();
    }

    pub(crate) fn end(&mut self) {
        self.reported.clone_from(&self.now);
    }

    /// `2 flags were refused by STORE: A, B`
    pub(crate) fn text(&self, store: &Store) -> String {
        let what = count(self.now.len(), "flag");
        let was = if self.now.len() == 1 { "was" } else { "were" };
        let names = some(self.now.iter().map(String::as_str));
        format!("{what} {was} refused by {}: {names}", store.shown)
    }
}
