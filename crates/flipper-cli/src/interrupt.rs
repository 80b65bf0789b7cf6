//! Ctrl-C and SIGTERM in the middle of long work.

use std::future::pending;
use std::process;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::failure::{Code, Done, Failure};

/// So long what is under way may take to come to its end.
const GRACE: Duration = Duration::from_secs(1);

/// A signal that comes again within this is the same wish: a supervisor and a shell may both pass one on.
const SAME_WISH: Duration = Duration::from_secs(1);

/// Whether somebody wants it to end. The second time they do, it ends at once.
pub(crate) struct Interrupt(watch::Receiver<Option<Code>>);

impl Interrupt {
    /// From now on signals are for this.
    pub(crate) fn begin() -> Done<Self> {
        let (sender, receiver) = watch::channel(None);
        let mut signals =
            Signals::listen().map_err(|error| Failure::store(format!("signals cannot be heard: {error}")))?;
        tokio::spawn(async move {
            // Fails where nobody listens any more.
            let _ = sender.send(Some(signals.next().await));
            let first = Instant::now();
            loop {
                let code = signals.next().await;
                if first.elapsed() >= SAME_WISH {
                    process::exit(code as i32);
                }
            }
        });
        Ok(Self(receiver))
    }

    /// The exit code, once somebody wants an end.
    pub(crate) fn code(&self) -> Option<Code> {
        *self.0.borrow()
    }

    /// Returns when somebody wants an end.
    pub(crate) async fn wait(&mut self) -> Code {
        match self.0.wait_for(Option::is_some).await.map(|code| *code) {
            Ok(Some(code)) => code,
            // The sender lives for as long as the runtime.
            _ => pending().await,
        }
    }

    /// Does this unless somebody wants an end before; then it says what has not been done.
    pub(crate) async fn unless<T>(&mut self, not_done: &str, work: impl Future<Output = Done<T>>) -> Done<T> {
        tokio::select! {
            done = work => done,
            code = self.wait() => Err(Failure::interrupted(code).hint(not_done)),
        }
    }

    /// Does this. When somebody wants an end it has a moment left to come to its own; the error says that it did not.
    pub(crate) async fn soon<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Code> {
        let over = async {
            let code = self.wait().await;
            tokio::time::sleep(GRACE).await;
            code
        };
        tokio::select! {
            done = work => Ok(done),
            code = over => Err(code),
        }
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> Code {
        tokio::select! {
            _ = self.interrupt.recv() => Code::Interrupted,
            _ = self.terminate.recv() => Code::Terminated,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Code {
        if tokio::signal::ctrl_c().await.is_err() {
            pending::<()>().await;
        }
        Code::Interrupted
    }
}
