//! What a process makes for itself: a fork leaves behind the threads that follow a store, and its connections stay the parent's.
//!
//! What a child touches of the parent's takes no lock, since its holder may be a thread that is not in the child.
#![expect(unsafe_code, reason = "handlers for forks, and a pointer that the check reads without a lock")]

#[cfg(unix)]
mod sqlite;

use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::{mem, ptr};

use flipper::{FlagRecord, MemoryFeatureFlagStore};

/// How often this process and those before it were forked. A number, since the process's id costs a system call.
static FORKS: AtomicUsize = AtomicUsize::new(0);

const NEVER: usize = usize::MAX;

/// Counts forks from now on. A handler of Python's would not do: not every server in C that forks runs those.
pub(crate) fn count() {
    // What exists once for all stores is made now. A fork in the middle would leave it half made.
    MemoryFeatureFlagStore::new().put_text("", FlagRecord::new("", 0).to_json());
    #[cfg(unix)]
    // SAFETY: the handler is a function, and may be called after any fork: it only adds to a number. It fails without memory,
    // and forks are not seen then.
    unsafe {
        libc::pthread_atfork(None, None, Some(forked));
    }
    #[cfg(unix)]
    sqlite::prepare();
}

#[cfg(unix)]
unsafe extern "C" fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// A value that each process makes for itself. Until then it has the inherited one, which is never dropped: that would end what is
/// the parent's.
pub(crate) struct PerProcess<T: 'static> {
    /// How often the process was forked that has made `own`, or `NEVER`.
    forks: AtomicUsize,
    /// Within one of the turns.
    own: AtomicPtr<T>,
    /// From an `Arc`, one count of which is this one's.
    latest: AtomicPtr<Turn<T>>,
}

/// One process's turn to make the value.
pub(crate) struct Turn<T: 'static> {
    forks: AtomicUsize,
    value: OnceLock<T>,
    making: Mutex<()>,
    is_begun: AtomicBool,
    inherited: Option<&'static Self>,
}

impl<T> Turn<T> {
    fn new(inherited: Option<&'static Self>) -> Self {
        Self {
            forks: AtomicUsize::new(FORKS.load(Ordering::Relaxed)),
            value: OnceLock::new(),
            making: Mutex::default(),
            is_begun: AtomicBool::new(false),
            inherited,
        }
    }

    fn is_own(&self) -> bool {
        self.forks.load(Ordering::Relaxed) == FORKS.load(Ordering::Relaxed)
    }

    /// The value of this process, or the last one before it.
    fn known(&self) -> Option<&T> {
        self.value.get().or_else(|| self.inherited?.known())
    }

    /// The value of this process, made if it is not there yet.
    pub(crate) fn make<E>(&self, make: impl FnOnce(Option<&T>) -> Result<T, E>) -> Result<&T, E> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = self.value.get() {
            return Ok(value);
        }
        let value = make(self.inherited.and_then(Self::known))?;
        Ok(self.value.get_or_init(|| value))
    }

    /// Whether this is the first call.
    pub(crate) fn begins(&self) -> bool {
        !self.is_begun.swap(true, Ordering::Relaxed)
    }
}

impl<T> PerProcess<T> {
    pub(crate) fn new(value: T) -> Self {
        let turn = Turn::new(None);
        let _ = turn.value.set(value);
        let latest = AtomicPtr::new(Arc::into_raw(Arc::new(turn)).cast_mut());
        let new = Self { forks: AtomicUsize::new(NEVER), own: AtomicPtr::default(), latest };
        new.publish();
        new
    }

    /// As `own`, in two loads, and `None` until `publish`.
    #[inline]
    pub(crate) fn published(&self) -> Option<&T> {
        if self.forks.load(Ordering::Acquire) != FORKS.load(Ordering::Relaxed) {
            return None;
        }
        // SAFETY: `publish` has stored it before the number. It is within a turn, and those are kept until `Drop`.
        unsafe { self.own.load(Ordering::Relaxed).as_ref() }
    }

    pub(crate) fn publish(&self) {
        if let Some(own) = self.own() {
            self.own.store(ptr::from_ref(own).cast_mut(), Ordering::Relaxed);
            self.forks.store(FORKS.load(Ordering::Relaxed), Ordering::SeqCst);
        }
    }

    pub(crate) fn conceal(&self) {
        self.forks.store(NEVER, Ordering::SeqCst);
    }

    fn latest(&self) -> &Turn<T> {
        // SAFETY: it is from `Arc::into_raw`, and has a count that is given back by `Drop` alone: what replaces it keeps that.
        unsafe { &*self.latest.load(Ordering::Acquire) }
    }

    /// The value, if this process has made it.
    pub(crate) fn own(&self) -> Option<&T> {
        let latest = self.latest();
        if latest.is_own() { latest.value.get() } else { None }
    }

    /// The value of this process, or the inherited one.
    pub(crate) fn known(&self) -> Option<&T> {
        self.latest().known()
    }

    /// The inherited value is good for this process, too.
    pub(crate) fn keep(&self) {
        self.latest().forks.store(FORKS.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// This process's turn.
    pub(crate) fn turn(&self) -> Arc<Turn<T>> {
        loop {
            let latest = self.latest();
            if latest.is_own() {
                // SAFETY: as for `latest`; the new `Arc` has a count of its own.
                return unsafe {
                    Arc::increment_strong_count(latest);
                    Arc::from_raw(latest)
                };
            }
            let inherited = ptr::from_ref(latest);
            // SAFETY: its count is never given back if it is replaced; and if it is not, this turn is dropped at once.
            let new = Arc::new(Turn::new(Some(unsafe { &*inherited })));
            let new = Arc::into_raw(new).cast_mut();
            if self.latest.compare_exchange(inherited.cast_mut(), new, Ordering::AcqRel, Ordering::Acquire).is_err() {
                // SAFETY: it is from `Arc::into_raw`, and no other thread has seen it.
                drop(unsafe { Arc::from_raw(new) });
            }
        }
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        // SAFETY: as for `latest`.
        let latest = unsafe { Arc::from_raw(*self.latest.get_mut()) };
        if !latest.is_own() {
            mem::forget(latest);
        }
    }
}
