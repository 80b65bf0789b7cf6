//! The file system's notifications: they come early and may be missing, so they are only a reason to look.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::followers::Request;

/// Sends [`Request::Hint`] when something happens to the file, until it is dropped.
pub(super) struct Hint {
    _watcher: RecommendedWatcher,
    sent: Arc<AtomicBool>,
}

impl Hint {
    pub(super) fn new(main: &Path, requests: Sender<Request>) -> notify::Result<Self> {
        let folder = main.parent().unwrap_or(main);
        let file = main.file_name().unwrap_or_default();
        let names = ["", "-wal", "-journal"].map(|suffix| {
            let mut name = OsString::from(file);
            name.push(suffix);
            name
        });
        let sent = Arc::new(AtomicBool::new(false));
        let waiting = sent.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let concerns_us = match &event {
                // Reading does not change anything, and we read ourselves.
                Ok(event) if matches!(event.kind, EventKind::Access(_)) => false,
                Ok(event) => {
                    event.need_rescan()
                        || event
                            .paths
                            .iter()
                            .any(|path| path.file_name().is_some_and(|name| names.iter().any(|ours| ours == name)))
                }
                Err(_) => true,
            };
            if concerns_us && !waiting.swap(true, Ordering::AcqRel) {
                // Fails when the follower has ended.
                let _ = requests.send(Request::Hint);
            }
        })?;
        // The folder, since the files come and go.
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        Ok(Self { _watcher: watcher, sent })
    }

    /// From now on the next event is told again. To be called before looking.
    pub(super) fn taken(&self) {
        self.sent.store(false, Ordering::Release);
    }
}
