//! SQLite in a forked process.
//!
//! SQLite keeps the locks of a file by its number, for all connections of a process. A child inherits that list, but no locks: a new
//! connection there would take them for its own, and read and write without. So the files of each process have numbers of their own.
//! SQLite's mutexes are free in the child, since a fork waits for them.

use std::ffi::{c_char, c_int};
use std::mem;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use rusqlite::ffi;

use super::FORKS;

/// In the order in which SQLite takes them: those of opening, of files, of randomness, the main one, of pages, of memory.
const MUTEXES: [c_int; 9] = [4, 11, 12, 13, 5, 2, 6, 7, 3];

struct Mutexes([*mut ffi::sqlite3_mutex; MUTEXES.len()]);

// SAFETY: they are static, and for all threads.
unsafe impl Send for Mutexes {}
// SAFETY: as above.
unsafe impl Sync for Mutexes {}

static HELD: OnceLock<Mutexes> = OnceLock::new();

/// Before any connection is opened.
pub(super) fn prepare() {
    // SAFETY: SQLite is initialised, which finds its file system. The calls that it takes are functions with the types of those that they
    // replace. The handlers release in each of the two processes what the forking thread, which is in both, has taken.
    unsafe {
        ffi::sqlite3_initialize();
        HELD.get_or_init(|| Mutexes(MUTEXES.map(|number| ffi::sqlite3_mutex_alloc(number))));
        let files = ffi::sqlite3_vfs_find(std::ptr::null());
        if let Some(set) = files.as_ref().and_then(|files| files.xSetSystemCall) {
            let (by_name, opened): (ByName, Opened) = (stat, fstat);
            set(files, c"stat".as_ptr(), Some(mem::transmute::<ByName, unsafe extern "C" fn()>(by_name)));
            set(files, c"fstat".as_ptr(), Some(mem::transmute::<Opened, unsafe extern "C" fn()>(opened)));
        }
        libc::pthread_atfork(Some(take), Some(release), Some(release));
    }
}

type ByName = unsafe extern "C" fn(*const c_char, *mut libc::stat) -> c_int;
type Opened = unsafe extern "C" fn(c_int, *mut libc::stat) -> c_int;

unsafe extern "C" fn stat(path: *const c_char, found: *mut libc::stat) -> c_int {
    // SAFETY: SQLite passes a path that ends with a null, and a place for the result.
    unsafe { renumber(libc::stat(path, found), found) }
}

unsafe extern "C" fn fstat(file: c_int, found: *mut libc::stat) -> c_int {
    // SAFETY: as above.
    unsafe { renumber(libc::fstat(file, found), found) }
}

/// By the number of the device, which SQLite only compares.
unsafe fn renumber(result: c_int, found: *mut libc::stat) -> c_int {
    if result == 0 {
        let forks = FORKS.load(Ordering::Relaxed) as libc::dev_t;
        // SAFETY: the caller's; the call has filled it.
        unsafe { (*found).st_dev = (*found).st_dev.wrapping_add(forks << (libc::dev_t::BITS / 2)) };
    }
    result
}

unsafe extern "C" fn take() {
    for mutex in HELD.get().iter().flat_map(|held| held.0) {
        // SAFETY: a mutex of SQLite's, or null, which it ignores.
        unsafe { ffi::sqlite3_mutex_enter(mutex) };
    }
}

unsafe extern "C" fn release() {
    for mutex in HELD.get().iter().flat_map(|held| held.0).rev() {
        // SAFETY: `take` has entered it, in this thread.
        unsafe { ffi::sqlite3_mutex_leave(mutex) };
    }
}
