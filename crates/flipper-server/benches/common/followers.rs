//! Virtual followers: a socket and a little state each.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use flipper_testkit::PATIENCE;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// So many are opened at once. A server's queue of new connections takes 128.
const OPENING: u32 = 64;
/// As `HttpFeatureFlagStore` has them.
const CONNECT: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Followers of the changes of one or more servers. Each opens its stream again when it breaks, after a pause of random length.
pub(crate) struct Followers<'a> {
    runtime: &'a Runtime,
    count: usize,
    /// The number of a flip, when it reaches a follower for the first time.
    arrivals: mpsc::UnboundedReceiver<(usize, Instant)>,
    failures: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl<'a> Followers<'a> {
    /// Returns once all follow, in turn on these servers. A follower follows when it has received the line `first`.
    pub(crate) fn open(
        runtime: &'a Runtime,
        servers: &[SocketAddr],
        path: &'static str,
        first: &'static str,
        count: usize,
    ) -> Self {
        let (sender, arrivals) = mpsc::unbounded_channel();
        let failures = Arc::new(AtomicUsize::new(0));
        let turns = Arc::new(Semaphore::new(OPENING as usize));
        let mut tasks = JoinSet::new();
        runtime.block_on(async {
            for server in servers.iter().cycle().take(count) {
                let turn = timeout(PATIENCE, turns.clone().acquire_owned()).await.expect("no server answers").unwrap();
                let (arrivals, failures) = (sender.clone(), failures.clone());
                let state = State { turn: Some(turn), first, follows: false, cursor: String::new(), newest: None };
                tasks.spawn(Follower { server: *server, path, state, line: Vec::new(), arrivals, failures }.run());
            }
            // Then all have followed.
            let _ = timeout(PATIENCE, turns.acquire_many(OPENING)).await.expect("not all followers are answered");
        });
        Self { runtime, count, arrivals, failures, _tasks: tasks }
    }

    /// Milliseconds from `since` until each had this flip. Panics if some followers do not get it.
    pub(crate) fn arrivals(&mut self, flip: usize, since: Instant) -> Vec<f64> {
        let mut times = Vec::with_capacity(self.count);
        let received = self.runtime.block_on(async {
            let all = async {
                while times.len() < self.count {
                    let (number, at) = self.arrivals.recv().await.unwrap();
                    assert_eq!(number, flip, "the number of a flip");
                    times.push((at - since).as_secs_f64() * 1000.0);
                }
            };
            timeout(PATIENCE, all).await
        });
        assert!(
            received.is_ok(),
            "flip {flip}: {} of {} followers have it after {PATIENCE:?}",
            times.len(),
            self.count
        );
        times
    }

    /// Attempts that failed, and streams that broke.
    pub(crate) fn failures(&self) -> usize {
        self.failures.load(Ordering::Relaxed)
    }
}

/// In a value of the flag, numbers the flip.
pub(crate) fn marker(flip: usize) -> String {
    format!("<FLIP-{flip}>")
}

fn flip_of(line: &[u8]) -> Option<usize> {
    let start = line.windows(6).rposition(|window| window == b"<FLIP-")? + 6;
    let length = line[start..].iter().position(|byte| *byte == b'>')?;
    std::str::from_utf8(&line[start..start + length]).ok()?.parse().ok()
}

struct Follower {
    server: SocketAddr,
    path: &'static str,
    state: State,
    /// The start of one.
    line: Vec<u8>,
    arrivals: mpsc::UnboundedSender<(usize, Instant)>,
    failures: Arc<AtomicUsize>,
}

struct State {
    /// Until it follows for the first time.
    turn: Option<OwnedSemaphorePermit>,
    first: &'static str,
    follows: bool,
    cursor: String,
    newest: Option<usize>,
}

impl Follower {
    async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            // Why does not matter: it comes back.
            let _ = self.stream().await;
            self.failures.fetch_add(1, Ordering::Relaxed);
            if std::mem::take(&mut self.state.follows) {
                pause = FIRST_PAUSE;
            }
            tokio::time::sleep(pause.mul_f64(fastrand::f64())).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn stream(&mut self) -> io::Result<()> {
        let mut stream = timeout(CONNECT, TcpStream::connect(self.server)).await??;
        let (path, cursor) = (self.path, &self.state.cursor);
        let cursor = if cursor.is_empty() { String::new() } else { format!("Last-Event-ID: {cursor}\r\n") };
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{cursor}\r\n").as_bytes()).await?;
        self.line = Vec::new();
        loop {
            stream.readable().await?;
            match self.read(&stream) {
                Ok(0) => return Ok(()),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
    }

    /// The buffer is of the thread, not of each follower.
    fn read(&mut self, stream: &TcpStream) -> io::Result<usize> {
        let mut buffer = [0; 16 * 1024];
        let read = stream.try_read(&mut buffer)?;
        let mut rest = &buffer[..read];
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = (&rest[..end], &rest[end + 1..]);
            if self.line.is_empty() {
                self.take(line)?;
            } else {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                self.take(&whole)?;
            }
            rest = after;
        }
        self.line.extend_from_slice(rest);
        Ok(read)
    }

    fn take(&mut self, line: &[u8]) -> io::Result<()> {
        let (line, state) = (line.trim_ascii_end(), &mut self.state);
        if line.starts_with(b"HTTP/") && !line.starts_with(b"HTTP/1.1 200") {
            return Err(io::Error::other("the server refuses"));
        }
        if let Some(cursor) = line.strip_prefix(b"id: ") {
            state.cursor.clear();
            state.cursor.push_str(&String::from_utf8_lossy(cursor));
        }
        if let Some(flip) = flip_of(line)
            && state.newest < Some(flip)
        {
            state.newest = Some(flip);
            // The receiver is dropped when nothing is measured any more.
            let _ = self.arrivals.send((flip, Instant::now()));
        }
        if line == state.first.as_bytes() {
            state.follows = true;
            state.turn = None;
        }
        Ok(())
    }
}
