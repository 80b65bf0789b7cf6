//! Overrides of flags, for [`flipper::testing`](crate::testing).

pub(crate) mod holders;

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use self::holders::Holder;
use crate::lock::RwLock;

/// The number of guards: all that a check reads while nothing is overridden.
static LIVE: AtomicUsize = AtomicUsize::new(0);
/// The greater number is newer.
static NUMBER: AtomicU64 = AtomicU64::new(0);
static OVERRIDES: LazyLock<RwLock<HashMap<Holder, Vec<Override>>>> = LazyLock::new(RwLock::default);

struct Override {
    number: u64,
    flags: Flags,
    answers: Arc<[(String, bool)]>,
}

/// The flags that clients share. Held, so that no others get the same address.
struct Flags(Arc<dyn Any + Send + Sync>);

impl Flags {
    fn address(&self) -> usize {
        Arc::as_ptr(&self.0).cast::<()>().addr()
    }
}

/// Overrides flags while it lives; see [`override_flags!`](crate::override_flags!).
#[must_use = "the override ends when this is dropped: `let _overrides = override_flags!(…);`"]
pub struct OverrideGuard {
    number: u64,
    holder: Holder,
    answers: Arc<[(String, bool)]>,
}

pub(crate) fn add(flags: Arc<dyn Any + Send + Sync>, answers: Arc<[(String, bool)]>) -> OverrideGuard {
    let guard = OverrideGuard { number: next_number(), holder: holders::current(), answers: answers.clone() };
    let new = Override { number: guard.number, flags: Flags(flags), answers };
    OVERRIDES.write().entry(guard.holder).or_default().push(new);
    LIVE.fetch_add(1, Ordering::Relaxed);
    guard
}

pub(crate) fn next_number() -> u64 {
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

impl Drop for OverrideGuard {
    fn drop(&mut self) {
        // Dropped after the lock: it may own a store, whose drop may check a flag.
        let mut _ended = None;
        let mut all = OVERRIDES.write();
        if let Some(list) = all.get_mut(&self.holder) {
            _ended = list.iter().position(|other| other.number == self.number).map(|at| list.remove(at));
            if list.is_empty() {
                all.remove(&self.holder);
            }
        }
        LIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for OverrideGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.answers.iter().map(|(name, answer)| (name, answer))).finish()
    }
}

/// Relaxed: code that should see an override made it, or was started by that code.
#[inline]
pub(crate) fn is_anything_overridden() -> bool {
    LIVE.load(Ordering::Relaxed) != 0
}

/// An override's answer here, among the flags at this address.
#[cold]
#[inline(never)]
pub(crate) fn overridden(address: usize, name: &str) -> Option<bool> {
    let all = OVERRIDES.read();
    let here = holders::visible().into_iter().filter_map(|holder| all.get(&holder)).flatten();
    let mine = here.filter(|other| other.flags.address() == address);
    let answers = mine.filter_map(|other| {
        // The last of equal names.
        let answer = other.answers.iter().rev().find(|(overridden, _)| overridden == name)?;
        Some((other.number, answer.1))
    });
    answers.max_by_key(|(number, _)| *number).map(|(_, answer)| answer)
}
