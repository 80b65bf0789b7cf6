use std::sync::Arc;

use axum::Router;
use flipper::FeatureFlagClient;
use flipper::store::LocalFeatureFlagStore;
use tokio::sync::watch;

use crate::ofrep;

/// The routes of a server over one store.
#[derive(Clone, Debug)]
pub struct App {
    pub(crate) features: FeatureFlagClient,
    pub(crate) store: Arc<dyn LocalFeatureFlagStore>,
    pub(crate) ofrep: ofrep::Options,
    /// Becomes true once.
    pub(crate) draining: Arc<watch::Sender<bool>>,
}

impl App {
    /// Serves the flags of this store, which has them all in memory: a mirror, or the memory store.
    #[must_use]
    pub fn new(store: Arc<dyn LocalFeatureFlagStore>) -> Self {
        Self {
            features: FeatureFlagClient::new(store.clone()),
            store,
            ofrep: ofrep::Options::default(),
            draining: Arc::new(watch::Sender::new(false)),
        }
    }

    /// The routes, for an axum program of your own.
    #[must_use]
    pub fn router(self) -> Router {
        let app = Arc::new(self);
        ofrep::cors(&app, Router::new().merge(ofrep::routes(app.clone())))
    }

    /// Ends the streams of followers, and starts no other, so that a server can end while its clients go to another one. Clones of an app
    /// end together.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }
}
