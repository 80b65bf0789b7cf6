use std::future::pending;
use std::io;
use std::process;
use std::time::{Duration, Instant};

use futures_util::stream::{self, Stream, StreamExt};
use tokio::sync::watch;

use crate::failure::{Code, Done, Failure};

/// How long a pending write may take after a signal.
const GRACE: Duration = Duration::from_secs(1);

/// A second signal within this time is ignored: a supervisor and a shell may both forward one.
const SAME_SIGNAL: Duration = Duration::from_secs(1);

/// Receives the first Ctrl-C or SIGTERM during long work. A second one ends the process at once.
#[derive(Clone)]
pub(crate) struct Interrupt(watch::Receiver<Option<Code>>);

impl Interrupt {
    /// Signals no longer end the process.
    pub(crate) fn begin() -> Done<Self> {
        let (sender, receiver) = watch::channel(None);
        let mut signals = signals().map_err(|error| Failure::store(format!("cannot listen for signals: {error}")))?;
        tokio::spawn(async move {
            // Fails if the receiver is gone.
            let _ = sender.send(signals.next().await);
            let first = Instant::now();
            while let Some(code) = signals.next().await {
                if first.elapsed() >= SAME_SIGNAL {
                    process::exit(code as i32);
                }
            }
        });
        Ok(Self(receiver))
    }

    /// The exit code, if there was a signal.
    pub(crate) fn code(&self) -> Option<Code> {
        *self.0.borrow()
    }

    pub(crate) async fn wait(&mut self) -> Code {
        match self.0.wait_for(Option::is_some).await.map(|code| *code) {
            Ok(Some(code)) => code,
            _ => pending().await,
        }
    }

    /// Runs the work until a signal; then the error says what was `not_done`.
    pub(crate) async fn unless<T>(&mut self, not_done: &str, work: impl Future<Output = Done<T>>) -> Done<T> {
        tokio::select! {
            done = work => done,
            code = self.wait() => Err(Failure::interrupted(code).hint(not_done)),
        }
    }

    /// Runs the work. After a signal it has [`GRACE`] left to finish; otherwise the error is the exit code.
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

/// Receives SIGHUP, which then no longer ends the process.
pub(crate) struct Hangup {
    #[cfg(unix)]
    signals: tokio::signal::unix::Signal,
}

impl Hangup {
    #[cfg(unix)]
    pub(crate) fn begin() -> Done<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let failed = |error| Failure::store(format!("cannot listen for signals: {error}"));
        Ok(Self { signals: signal(SignalKind::hangup()).map_err(failed)? })
    }

    #[cfg(not(unix))]
    #[expect(clippy::unnecessary_wraps, reason = "on Unix it can fail")]
    pub(crate) fn begin() -> Done<Self> {
        Ok(Self {})
    }

    pub(crate) async fn next(&mut self) {
        #[cfg(unix)]
        if self.signals.recv().await.is_some() {
            return;
        }
        pending::<()>().await;
    }
}

#[cfg(unix)]
fn signals() -> io::Result<impl Stream<Item = Code> + Send + Unpin> {
    use tokio::signal::unix::{SignalKind, signal};

    let codes = |kind, code| {
        let mut signal = signal(kind)?;
        Ok::<_, io::Error>(stream::poll_fn(move |context| signal.poll_recv(context).map(|sent| sent.map(|()| code))))
    };
    let interrupt = codes(SignalKind::interrupt(), Code::Interrupted)?;
    Ok(stream::select(interrupt, codes(SignalKind::terminate(), Code::Terminated)?))
}

#[cfg(not(unix))]
fn signals() -> io::Result<impl Stream<Item = Code> + Send + Unpin> {
    let next = |()| async { tokio::signal::ctrl_c().await.ok().map(|()| (Code::Interrupted, ())) };
    Ok(Box::pin(stream::unfold((), next)))
}
