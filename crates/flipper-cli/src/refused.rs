//! Flags that a store refuses to take while it takes others.

use std::collections::BTreeSet;

use flipper::Error;

use crate::session::Session;
use crate::store::Store;
use crate::text::{count, some};
use crate::transfer::refusal;

/// Each is told once, until it is taken.
#[derive(Default)]
pub(crate) struct Refused {
    now: BTreeSet<String>,
    told: BTreeSet<String>,
}

impl Refused {
    pub(crate) fn add(&mut self, session: &mut Session, store: &Store, name: &str, error: &Error) {
        if self.told.insert(name.to_owned()) {
            session.out.failure(&refusal(store, name, error));
        }
        self.now.insert(name.to_owned());
    }

    /// It was taken, or is wanted no more.
    pub(crate) fn remove(&mut self, name: &str) {
        self.now.remove(name);
        self.told.remove(name);
    }

    /// All are tried again.
    pub(crate) fn begin(&mut self) {
        self.now.clear();
    }

    /// All were tried.
    pub(crate) fn end(&mut self) {
        self.told.clone_from(&self.now);
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.now.contains(name)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.now.is_empty()
    }

    /// `2 flags were refused by STORE, and are not there as they should be: A, B`
    pub(crate) fn text(&self, store: &Store) -> String {
        let what = count(self.now.len(), "flag");
        let (was, is) = if self.now.len() == 1 { ("was", "is") } else { ("were", "are") };
        let names = some(self.now.iter().map(String::as_str));
        format!("{what} {was} refused by {}, and {is} not there as in the other store: {names}", store.shown)
    }
}
