use std::sync::Arc;

use axum::Router;
use flipper::FeatureFlagClient;
use flipper::store::LocalFeatureFlagStore;

use crate::access::{self, AccessControl};
use crate::ofrep;

/// The routes of a server over one store.
#[derive(Clone, Debug)]
pub struct App {
    pub(crate) features: FeatureFlagClient,
    pub(crate) store: Arc<dyn LocalFeatureFlagStore>,
    pub(crate) access: AccessControl,
}

impl App {
    /// Serves the flags of this store, which has them all in memory: a mirror, or the memory store.
    #[must_use]
    pub fn new(store: Arc<dyn LocalFeatureFlagStore>) -> Self {
        Self { features: FeatureFlagClient::new(store.clone()), store, access: AccessControl::new() }
    }

    /// Who may use the server; without it everyone on this machine.
    #[must_use]
    pub fn access(mut self, access: AccessControl) -> Self {
        self.access = access;
        self
    }

    /// The routes, for an axum program of your own.
    #[must_use]
    pub fn router(self) -> Router {
        let access = self.access.clone();
        access::layer(access, Router::new().merge(ofrep::routes(Arc::new(self))))
    }
}
