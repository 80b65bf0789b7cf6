//! The connection for commands: made when first needed, replaced when lost.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::{Cmd, ErrorKind, PushInfo, PushKind, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::sync::Mutex;

use super::client::{Connection, RedisClient};
use super::errors::ends_connection;
use crate::background;
use crate::pause::{NextAttempt, Pause};

pub(super) const PAUSE: Pause = Pause::new(Duration::from_millis(10), Duration::from_secs(1));

pub(super) struct Link {
    client: RedisClient,
    current: ArcSwapOption<Live>,
    /// One task connects for all.
    connecting: Mutex<NextAttempt>,
}

pub(super) struct Live {
    pub(super) connection: Connection,
    lost: Arc<AtomicBool>,
}

impl Link {
    pub(super) fn new(client: RedisClient) -> Self {
        Self { client, current: ArcSwapOption::empty(), connecting: Mutex::new(NextAttempt::new(PAUSE)) }
    }

    pub(super) fn client(&self) -> &RedisClient {
        &self.client
    }

    /// After a break, the command is sent again if it is `repeatable`, or if the server reports that it did nothing.
    pub(super) async fn request(&self, command: &Cmd, repeatable: bool, limit: Duration) -> RedisResult<Value> {
        self.with(limit, async {
            let mut tries_left = 1;
            loop {
                let live = self.live(limit).await?;
                let answer = live.connection.request(command).await;
                let Err(error) = &answer else { return answer };
                if !ends_connection(error) {
                    return answer;
                }
                self.discard(&live);
                // The former primary is now a replica: Sentinel names the new primary.
                let read_only = error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly);
                if tries_left == 0 || !(read_only || repeatable && error.is_connection_dropped()) {
                    return answer;
                }
                tries_left -= 1;
            }
        })
        .await
    }

    pub(super) async fn connection(&self, limit: Duration) -> RedisResult<Arc<Live>> {
        self.with(limit, self.live(limit)).await
    }

    pub(super) fn discard_if_ended_by(&self, error: &RedisError, live: &Arc<Live>) {
        if ends_connection(error) {
            self.discard(live);
        }
    }

    pub(super) fn discard(&self, live: &Arc<Live>) {
        let current = self.current.load();
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, live)) {
            self.current.compare_and_swap(&current, None);
        }
    }

    /// After a timeout the connection is discarded, since it may be half-open.
    async fn with<T>(&self, limit: Duration, future: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
        let before = self.current.load_full();
        let outcome = within(limit, future).await;
        if let Err(error) = &outcome
            && error.is_timeout()
            && let Some(used) = before.or_else(|| self.current.load_full())
        {
            self.discard(&used);
        }
        outcome
    }

    async fn live(&self, limit: Duration) -> RedisResult<Arc<Live>> {
        if let Some(live) = self.usable() {
            return Ok(live);
        }
        let mut attempt = self.connecting.lock().await;
        if let Some(live) = self.usable() {
            return Ok(live);
        }
        if let Some(at) = attempt.at() {
            tokio::time::sleep_until(at.into()).await;
        }
        let lost = Arc::new(AtomicBool::new(false));
        let is_lost = Arc::clone(&lost);
        let on_push = move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                is_lost.store(true, Ordering::Release);
            }
            Ok::<(), std::convert::Infallible>(())
        };
        match self.client.open(limit, on_push).await {
            Ok(connection) => {
                attempt.succeeded();
                let live = Arc::new(Live { connection, lost });
                self.current.store(Some(Arc::clone(&live)));
                Ok(live)
            }
            Err(error) => {
                attempt.failed();
                Err(error)
            }
        }
    }

    fn usable(&self) -> Option<Arc<Live>> {
        self.current.load_full().filter(|live| !live.lost.load(Ordering::Acquire))
    }
}

pub(super) fn command(words: &[&str]) -> Cmd {
    let mut command = Cmd::new();
    words.iter().for_each(|word| {
        command.arg(word);
    });
    command
}

/// On the flipper thread. Dropping it takes back nothing that was sent.
pub(super) async fn within<T>(limit: Duration, future: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    background::within(limit, future).await?
}
