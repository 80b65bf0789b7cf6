use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::{Router, middleware};
use flipper::FeatureFlagClient;
use flipper::store::LocalFeatureFlagStore;

use crate::access::{self, AccessControl};
use crate::changes::Changes;
use crate::counts::Counts;
use crate::limits::Limits;
use crate::problem::Problem;
use crate::{api, ofrep, operations, request};

pub(crate) type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// The routes of a server over one store.
#[derive(Clone)]
pub struct App {
    pub(crate) features: FeatureFlagClient,
    pub(crate) store: Arc<dyn LocalFeatureFlagStore>,
    pub(crate) access: AccessControl,
    pub(crate) limits: Limits,
    pub(crate) require_if_match: bool,
    pub(crate) more_metrics: Option<Metrics>,
    pub(crate) changes: Arc<Changes>,
    pub(crate) counts: Arc<Counts>,
    ending: Arc<AtomicBool>,
}

impl App {
    /// Serves the flags of this store, which has them all in memory: a mirror, or the memory store.
    #[must_use]
    pub fn new(store: Arc<dyn LocalFeatureFlagStore>) -> Self {
        Self {
            features: FeatureFlagClient::new(store.clone()),
            store,
            access: AccessControl::new(),
            limits: Limits::default(),
            require_if_match: false,
            more_metrics: None,
            changes: Arc::default(),
            counts: Arc::default(),
            ending: Arc::default(),
        }
    }

    /// The client that all writes go through: its subscribers receive and may veto them.
    #[must_use]
    pub fn features(&self) -> &FeatureFlagClient {
        &self.features
    }

    /// Sets who may use the server; without it everyone on this machine.
    #[must_use]
    pub fn access(mut self, access: AccessControl) -> Self {
        self.access = access;
        self
    }

    /// Sets what one request may take.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Refuses changes of a flag without `If-Match` (428), so that no writer overwrites what it has not seen.
    #[must_use]
    pub fn require_if_match(mut self, require: bool) -> Self {
        self.require_if_match = require;
        self
    }

    /// Adds lines to `/metrics`, in the text format of Prometheus.
    #[must_use]
    pub fn metrics_of(mut self, more: Arc<dyn Fn() -> String + Send + Sync>) -> Self {
        self.more_metrics = Some(more);
        self
    }

    /// The routes, for an axum program of your own. Other paths are left to it.
    pub fn router(self) -> Router {
        let app = Arc::new(self);
        Self::around(Self::guarded(Self::routes(&app), &app), app)
    }

    /// `/healthz`, `/readyz` and `/metrics` alone, for a listener of their own.
    pub fn operations_router(self) -> Router {
        let app = Arc::new(self);
        Self::around(Self::operations(app.clone()).fallback(async || Problem::no_such_path()), app)
    }

    /// The routes of a whole server.
    pub(crate) fn service(self) -> Router {
        let app = Arc::new(self);
        let routes = Self::routes(&app).fallback(async || Problem::no_such_path());
        Self::around(Self::guarded(routes, &app), app)
    }

    fn routes(app: &Arc<Self>) -> Router {
        let routes = Router::new().merge(ofrep::routes(app.clone())).merge(api::routes(app.clone()));
        routes.merge(Self::operations(app.clone()))
    }

    /// Also what no route has: a fallback may answer like one.
    fn guarded(routes: Router, app: &Arc<Self>) -> Router {
        access::layer(app.access.clone(), routes)
    }

    fn around(routes: Router, app: Arc<Self>) -> Router {
        routes.layer(middleware::from_fn_with_state(app, request::around))
    }

    fn operations(app: Arc<Self>) -> Router {
        use axum::routing::get;
        Router::new()
            .route("/healthz", get(operations::healthz))
            .route("/readyz", get(operations::readyz))
            .route("/metrics", get(operations::metrics))
            .with_state(app)
    }

    /// All flags have been in memory.
    pub(crate) fn has_flags(&self) -> bool {
        let status = self.store.status();
        status.is_live() || status.last_sync.is_some()
    }

    pub(crate) fn must_have_flags(&self) -> Result<(), Problem> {
        if self.has_flags() {
            return Ok(());
        }
        match self.store.status().health {
            flipper::store::Health::Stale { reason, .. } => Err(Problem::not_ready(&reason)),
            _ => Err(Problem::not_ready("the store has not answered yet")),
        }
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// From now on not ready.
    pub(crate) fn begin_to_end(&self) {
        self.ending.store(true, Ordering::Release);
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("store", &self.store.to_string()).finish_non_exhaustive()
    }
}
