//! The one thread for timers and background tasks: callers need no runtime. A forked process starts its own, since it inherits no threads.

use std::cell::Cell;
use std::future::pending;
use std::io;
use std::process;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::runtime::{Builder, Handle};

/// Of the process that asked last. No lock, which a fork could leave held.
static PROCESS: ArcSwapOption<&'static Process> = ArcSwapOption::const_empty();

struct Process {
    id: u32,
    handle: OnceLock<Result<Handle, String>>,
}

thread_local! {
    static IS_THIS_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// The runtime of this process's flipper thread, which the first call starts.
pub(crate) fn handle() -> Result<&'static Handle, &'static str> {
    let handle = &this_process().handle;
    handle.get_or_init(|| start().map_err(|error| error.to_string())).as_ref().map_err(String::as_str)
}

fn this_process() -> &'static Process {
    let id = process::id();
    let known =
        |process: &Option<Arc<&'static Process>>| process.as_deref().copied().filter(|process| process.id == id);
    if let Some(process) = known(&PROCESS.load()) {
        return process;
    }
    let new: &'static Process = Box::leak(Box::new(Process { id, handle: OnceLock::new() }));
    let found = PROCESS.rcu(|process| Some(Arc::new(known(process).unwrap_or(new))));
    known(&found).unwrap_or(new)
}

/// The flipper thread must not block: it would wait for itself.
pub(crate) fn is_this_thread() -> bool {
    IS_THIS_THREAD.get()
}

fn start() -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new().name("flipper".to_owned()).spawn(move || {
        IS_THIS_THREAD.set(true);
        runtime.block_on(pending::<()>());
    })?;
    Ok(handle)
}

/// Sleeps under any executor: a tokio timer panics without a runtime that has timers.
pub(crate) async fn sleep(duration: Duration) {
    let slept = match handle() {
        Ok(handle) => handle.spawn(async move { tokio::time::sleep(duration).await }).await.is_ok(),
        Err(_) => false,
    };
    if !slept {
        // Without the thread, blocking briefly beats spinning.
        std::thread::sleep(duration);
    }
}

/// Runs a future for at most `limit` with the flipper thread's timer and sockets. Tasks that it starts run there.
///
/// # Errors
///
/// `TimedOut`, or why the thread is missing.
pub(crate) async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> io::Result<T> {
    let handle = handle().map_err(io::Error::other)?;
    let timed = {
        let _entered = handle.enter();
        tokio::time::timeout(limit, future)
    };
    let mut timed = std::pin::pin!(timed);
    let outcome = std::future::poll_fn(|context| {
        let _entered = handle.enter();
        timed.as_mut().poll(context)
    })
    .await;
    outcome.map_err(|elapsed| io::Error::new(io::ErrorKind::TimedOut, elapsed))
}
