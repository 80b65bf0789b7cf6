//! Flags that need each other in a circle, as the status of a server lists them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use flipper::__words::{circles, plain};
use flipper::store::FlagTable;

use crate::access::Role;
use crate::api::Caller;

/// Those of all flags, and the table's revision: each open page asks every three seconds.
#[derive(Default)]
pub(crate) struct Circles(Mutex<Option<(u64, Vec<String>)>>);

impl Circles {
    /// `A → B → A`, among the flags that the caller may read. At most 100.
    pub(crate) fn of(&self, table: &FlagTable, caller: &Caller) -> Vec<String> {
        if !caller.is_unlimited() || caller.must_have(Role::Read).is_err() {
            return find(table, |name| caller.allows(Role::Read, name));
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the flags are read: what changes meanwhile has another one.
        let revision = table.revision();
        match &*known {
            Some((of, found)) if *of == revision => found.clone(),
            _ => known.insert((revision, find(table, |_| true))).1.clone(),
        }
    }
}

/// The records are chosen first: of circles that share a flag, the one found could be one that the caller may not read.
fn find(table: &FlagTable, may_read: impl Fn(&str) -> bool) -> Vec<String> {
    let all = table.list();
    let readable = all.iter().filter(|stored| may_read(&stored.name));
    let records: HashMap<_, _> =
        readable.filter_map(|stored| Some((stored.name.as_str(), stored.record.as_deref().ok()?))).collect();
    let shown = |circle: Vec<String>| circle.iter().map(|name| plain(name)).collect::<Vec<_>>().join(" → ");
    circles(&records).into_iter().map(shown).collect()
}
