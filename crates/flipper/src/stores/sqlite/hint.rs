//! Notifications come early and may be missing, so they only trigger a read.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::followers::Request;

/// Sends [`Request::Hint`] when the file changes, until dropped.
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
                // Reads are no changes, and our own would repeat forever.
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
                // The follower may have ended.
                let _ = requests.send(Request::Hint);
            }
        })?;
        // Of the folder, since the files are created and deleted.
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        Ok(Self { _watcher: watcher, sent })
    }

    /// The next event is sent again. Call it before reading the file.
    pub(super) fn taken(&self) {
        self.sent.store(false, Ordering::Release);
    }
}
