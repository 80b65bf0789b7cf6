//! A foreign writer makes a flag unreadable, and mends it.

use flipper::FlagRecord;
use flipper::store::LocalFeatureFlagStore;

use crate::backends::Backend;
use crate::layers::until;
use crate::random::Random;
use crate::scene::{PATIENCE, Stage};
use crate::watcher::Observed;
use crate::writers::write_text;

/// Not one of the flags that are counted.
const NAME: &str = "DAMAGED";
const UNREADABLE: [&str; 5] = ["", "[1, 2]", "null", "on", r#"{"feature_name": "DAMAGED", "is_ena"#];

impl Stage {
    /// It is off, with the reason where the layer passes one on, affects no other flag, and is on once it is mended.
    pub(crate) fn damage(&mut self, backend: &mut Backend, random: &mut Random) {
        let mut record = FlagRecord::new(NAME, 1_700_000_000);
        record.set_enabled(true);
        let whole = record.to_json();
        self.store_text(backend, Some(&whole));
        self.each_reaches("on", is_on);
        let text = UNREADABLE[random.below(UNREADABLE.len())];
        self.store_text(backend, Some(text));
        self.each_reaches("off with a reason", |local| !is_on(local) && is_explained(local));
        self.flips(backend, 5, false);
        self.store_text(backend, Some(&whole));
        self.each_reaches("on once it was mended", |local| is_on(local) && local.status().corrupt.is_empty());
        // Where the store is emptied, mirrors would wait for it to return.
        self.store_text(backend, None);
        self.each_reaches("missing", |local| local.table().get(NAME).is_none());
    }

    fn store_text(&mut self, backend: &Backend, text: Option<&str>) {
        if let Err(what) = write_text(backend, NAME, text) {
            self.wrong.push(format!("the shell could not write {NAME}: {what}"));
        }
    }

    fn each_reaches(&self, state: &str, reached: impl Fn(&dyn LocalFeatureFlagStore) -> bool) {
        let layers = self.watchers.iter().map(|watcher| &*watcher.seen);
        for seen in layers {
            let Observed { view, .. } = seen;
            let Some(local) = &view.local else { continue };
            if !until(PATIENCE, || reached(&**local)) {
                let (held, corrupt) = (local.table().get(NAME), local.status().corrupt);
                seen.wrong(format!("{NAME} is not {state} within {PATIENCE:?}: {held:?}, {corrupt:?}"));
            }
        }
    }
}

fn is_on(local: &dyn LocalFeatureFlagStore) -> bool {
    local.table().get(NAME).is_some_and(|flag| flag.record.is_ok_and(|record| record.is_enabled()))
}

/// A list over Thrift has no unreadable flag.
fn is_explained(local: &dyn LocalFeatureFlagStore) -> bool {
    local.table().get(NAME).is_none() || local.status().corrupt.contains_key(NAME)
}
