//! Ctrl-C and SIGTERM in the middle of long work.

use std::process;

use tokio::sync::watch;

use crate::failure::{Code, Done, Failure};

/// Whether somebody wants it to end. The second time they do, it ends at once.
pub(crate) struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// From now on signals are for this.
    pub(crate) fn begin() -> Done<Self> {
        let (sender, receiver) = watch::channel(false);
        let mut signals =
            Signals::listen().map_err(|error| Failure::store(format!("signals cannot be heard: {error}")))?;
        tokio::spawn(async move {
            signals.next().await;
            // Fails where nobody listens any more.
            let _ = sender.send(true);
            signals.next().await;
            process::exit(Code::Interrupted as i32);
        });
        Ok(Self(receiver))
    }

    pub(crate) fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when somebody wants it to end.
    pub(crate) async fn wait(&mut self) {
        // The sender lives for as long as the runtime.
        let _ = self.0.wait_for(|is_set| *is_set).await;
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

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
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

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
