//! The lines of the log.

use std::io::{self, Seek};
use std::sync::Arc;

/// The lines that `work` logs on this thread.
pub(crate) fn log_of(work: impl FnOnce()) -> Vec<String> {
    let file = Arc::new(tempfile::tempfile().unwrap());
    let subscriber = tracing_subscriber::fmt().with_writer(file.clone()).with_ansi(false).without_time().finish();
    tracing::subscriber::with_default(subscriber, work);
    (&*file).rewind().unwrap();
    io::read_to_string(&*file).unwrap().lines().map(str::to_owned).collect()
}
