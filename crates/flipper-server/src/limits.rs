use std::time::{Duration, Instant};

/// What one request, and all followers together, may take.
///
/// ```
/// use flipper_server::Limits;
///
/// let limits = Limits::default().body(64 * 1024).streams(500);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub(crate) body: usize,
    pub(crate) record: usize,
    pub(crate) import: usize,
    pub(crate) body_time: Duration,
    pub(crate) request_time: Duration,
    pub(crate) import_time: Duration,
    pub(crate) streams: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 1 << 20,
            record: 16 << 20,
            import: 64 << 20,
            body_time: Duration::from_secs(30),
            request_time: Duration::from_secs(30),
            import_time: Duration::from_secs(600),
            streams: 10_000,
        }
    }
}

impl Limits {
    /// The largest body, in bytes; 1 MiB by default.
    #[must_use]
    pub fn body(mut self, bytes: usize) -> Self {
        self.body = bytes;
        self
    }

    /// The largest body of a segment, and of records from a store over this server that may write, in bytes; 16 MiB by default: a segment may
    /// list 100,000 callers, and as text within JSON each takes up to three times its length.
    #[must_use]
    pub fn record(mut self, bytes: usize) -> Self {
        self.record = bytes;
        self
    }

    /// The largest body of an import, in bytes; 64 MiB by default.
    #[must_use]
    pub fn import(mut self, bytes: usize) -> Self {
        self.import = bytes;
        self
    }

    /// How long a body may take to arrive; 30 s by default.
    #[must_use]
    pub fn body_time(mut self, time: Duration) -> Self {
        self.body_time = time;
        self
    }

    /// How long a request may take; 30 s by default. Of many operations in one request none begins in the second half of it.
    #[must_use]
    pub fn request_time(mut self, time: Duration) -> Self {
        self.request_time = time;
        self
    }

    /// No operation of many begins later: the answer to those before it must be sent in time.
    pub(crate) fn last_begin(&self) -> Instant {
        Instant::now() + self.request_time / 2
    }

    /// How many streams of changes may be open; 10,000 by default, and at most five eighths of a server's connections.
    #[must_use]
    pub fn streams(mut self, streams: usize) -> Self {
        self.streams = streams;
        self
    }
}
