use std::fmt;
use std::sync::Arc;

use axum::Router;
use flipper::FeatureFlagClient;
use flipper::store::{LocalFeatureFlagStore, Stored};
use flipper::targeting::segment_of;
use tokio::sync::watch;

use crate::access::AccessControl;
use crate::changes::Changes;
use crate::circles::Circles;
use crate::counts::Counts;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::request::Around;
use crate::{api, ofrep, operations};

pub(crate) type MoreMetrics = Arc<dyn Fn(&mut Metrics) + Send + Sync>;

/// The routes of a server over one store.
#[derive(Clone)]
pub struct App {
    pub(crate) features: FeatureFlagClient,
    pub(crate) store: Arc<dyn LocalFeatureFlagStore>,
    pub(crate) access: AccessControl,
    pub(crate) limits: Limits,
    pub(crate) require_if_match: bool,
    pub(crate) access_log: bool,
    pub(crate) more_metrics: Option<MoreMetrics>,
    pub(crate) changes: Arc<Changes>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) circles: Arc<Circles>,
    pub(crate) ofrep: ofrep::Options,
    #[cfg(feature = "page")]
    pub(crate) page: Option<crate::page::Page>,
    /// Becomes true once, and then nothing new should begin here.
    pub(crate) draining: Arc<watch::Sender<bool>>,
}

impl App {
    /// Serves the flags of this store, which has them all in memory: a mirror, or the memory store.
    #[must_use]
    pub fn new(store: Arc<dyn LocalFeatureFlagStore>) -> Self {
        Self {
            features: FeatureFlagClient::new(store.clone()).with_source("api"),
            store,
            access: AccessControl::new(),
            limits: Limits::default(),
            require_if_match: false,
            access_log: false,
            more_metrics: None,
            changes: Arc::default(),
            counts: Arc::default(),
            circles: Arc::default(),
            ofrep: ofrep::Options::default(),
            #[cfg(feature = "page")]
            page: None,
            draining: Arc::new(watch::Sender::new(false)),
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

    /// Logs each request at `info`, not at `debug`, with the target `flipper_server::access`: the caller, the request, its id and trace, the
    /// answer's status and time, and why it was refused. Of no token more than its id and name is logged.
    #[must_use]
    pub fn access_log(mut self, log: bool) -> Self {
        self.access_log = log;
        self
    }

    /// Adds values to `/metrics`.
    #[must_use]
    pub fn metrics_of(mut self, more: Arc<dyn Fn(&mut Metrics) + Send + Sync>) -> Self {
        self.more_metrics = Some(more);
        self
    }

    /// The routes, for an axum program of your own. Other paths are left to it.
    ///
    /// [`access`](Self::access) decides here as in a server of its own. Without it only callers on this machine may do anything, and so the
    /// program must pass on their addresses. A program that knows its callers itself lets all of them do everything with
    /// [`AccessControl::open_to_everyone`]:
    ///
    /// ```no_run
    /// use std::net::SocketAddr;
    /// use std::sync::Arc;
    /// use flipper::MemoryFeatureFlagStore;
    /// use flipper_server::App;
    ///
    /// # async fn run() -> std::io::Result<()> {
    /// let router = App::new(Arc::new(MemoryFeatureFlagStore::new())).router();
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    /// axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await
    /// # }
    /// ```
    pub fn router(self) -> Router {
        let app = Arc::new(self);
        Self::protected(&app, Self::routes(&app)).0
    }

    /// `/healthz`, `/readyz` and `/metrics` alone, for a listener of their own. They need no token there.
    pub fn operations_router(self) -> Router {
        let app = Arc::new(self);
        let routes = Self::operations(app.clone()).fallback(async || Problem::no_such_path());
        Around::new(app, None).routes(routes)
    }

    /// Streams last, and over HTTP/1 each holds a connection: some are kept for requests.
    pub(crate) fn sharing(mut self, connections: usize) -> Self {
        self.limits.streams = self.limits.streams.min((connections * 5 / 8).max(1));
        self.ofrep.max_streams = self.ofrep.max_streams.min((connections / 4).max(1));
        self
    }

    /// The routes of a whole server, and a way to OFREP without them, unless pages of other origins need a layer around.
    pub(crate) fn service(self) -> (Router, Option<ofrep::Entry>) {
        let app = Arc::new(self);
        let (routes, ofrep) = Self::protected(&app, Self::routes(&app).fallback(async || Problem::no_such_path()));
        (routes, app.ofrep.origins().is_empty().then_some(ofrep))
    }

    fn routes(app: &Arc<Self>) -> Router {
        api::routes(app.clone()).merge(Self::operations(app.clone()))
    }

    /// These routes and OFREP's. Access is asked also for what no route has: a fallback may answer like one.
    fn protected(app: &Arc<Self>, routes: Router) -> (Router, ofrep::Entry) {
        let access = app.access.clone().pages_of(app.ofrep.origins());
        let around = Around::new(app.clone(), Some(access));
        let ofrep = ofrep::Entry::new(app.clone(), around.clone());
        let routes = ofrep::cors(app, ofrep.routes().merge(around.routes(routes)));
        #[cfg(feature = "page")]
        let routes = crate::page::beside(routes, app);
        (routes, ofrep)
    }

    fn operations(app: Arc<Self>) -> Router {
        use axum::routing::get;
        Router::new()
            .route("/healthz", get(operations::healthz))
            .route("/readyz", get(operations::readyz))
            .route("/metrics", get(operations::metrics))
            .with_state(app)
    }

    /// The flags in memory, ordered by name, without the segments that are stored beside them.
    pub(crate) fn flags(&self) -> Vec<Stored> {
        let mut flags = self.store.table().list();
        flags.retain(|stored| !is_segment(stored));
        flags
    }

    /// Whether there is a flag of this name, even an unreadable one.
    pub(crate) fn has_flag(&self, name: &str) -> bool {
        self.features.exists(name)
            && (segment_of(name).is_none() || self.store.table().get(name).is_some_and(|stored| !is_segment(&stored)))
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

    /// Ends OFREP's streams, starts no other, and is not ready from now on, so that a server can end while its clients go to another one.
    /// Clones of an app end together.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }

    pub(crate) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }
}

/// An unreadable one is known by its name.
pub(crate) fn is_segment(stored: &Stored) -> bool {
    match &stored.record {
        Ok(record) => record.segment().is_some(),
        Err(_) => segment_of(&stored.name).is_some(),
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("store", &self.store.to_string()).finish_non_exhaustive()
    }
}
