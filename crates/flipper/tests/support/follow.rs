//! A watch under test.

use flipper::store::{Stored, Watch, WatchEvent};
use flipper::{Error, FeatureFlagStore};
use futures_util::StreamExt;

pub(crate) struct Follow<'a>(Watch<'a>);

impl<'a> Follow<'a> {
    pub(crate) fn of(store: &'a dyn FeatureFlagStore) -> Self {
        Self(store.watch())
    }

    /// What this returns of an event, once it does; within a time in which all flags are compared too.
    pub(crate) async fn find<T>(&mut self, mut wanted: impl FnMut(WatchEvent) -> Option<T>) -> T {
        let search = async {
            loop {
                if let Some(found) = wanted(self.0.next().await.expect("a watch never ends")) {
                    return found;
                }
            }
        };
        tokio::time::timeout(flipper_testkit::PATIENCE * 2, search).await.expect("the event in time")
    }

    pub(crate) async fn next(&mut self) -> WatchEvent {
        self.find(Some).await
    }

    pub(crate) async fn reset(&mut self) -> Vec<Stored> {
        self.find(|event| match event {
            WatchEvent::Reset { flags, read_at, .. } => {
                assert!(read_at.is_some());
                Some(flags)
            }
            _ => None,
        })
        .await
    }

    pub(crate) async fn lost(&mut self) -> Error {
        self.find(|event| if let WatchEvent::Lost(error) = event { Some(error) } else { None }).await
    }

    /// The next `Reset`; `Restored` must precede it.
    pub(crate) async fn restored(&mut self) -> Vec<Stored> {
        let mut is_restored = false;
        self.find(|event| match event {
            WatchEvent::Reset { flags, .. } => {
                assert!(is_restored);
                Some(flags)
            }
            event => {
                is_restored |= matches!(event, WatchEvent::Restored);
                None
            }
        })
        .await
    }
}
