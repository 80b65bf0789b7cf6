use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use flipper::store::LocalFeatureFlagStore;
use flipper::{FeatureFlagClient, FlagRecord, MemoryFeatureFlagStore};
use flipper_server::{App, HttpOptions, HttpServer};
use http::Request;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

use super::Http;

type Configure = Box<dyn Fn(App, &str) -> App>;

/// A server on a port of its own, as `flipper serve` has it, until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) features: FeatureFlagClient,
    pub(crate) app: App,
    pub(crate) store: Arc<dyn LocalFeatureFlagStore>,
    configure: Configure,
    /// `None` while it is stopped.
    running: Option<HttpServer>,
    runtime: Runtime,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(|app, _| app)
    }

    /// With options, which may need the server's URL.
    pub(crate) fn with(configure: impl Fn(App, &str) -> App + 'static) -> Self {
        Self::over(Arc::new(MemoryFeatureFlagStore::new()), configure)
    }

    pub(crate) fn over(store: Arc<dyn LocalFeatureFlagStore>, configure: impl Fn(App, &str) -> App + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), store, configure)
    }

    pub(crate) fn on(
        listener: TcpListener,
        store: Arc<dyn LocalFeatureFlagStore>,
        configure: impl Fn(App, &str) -> App + 'static,
    ) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let address = listener.local_addr().unwrap();
        let app = configure(App::new(store.clone()), &format!("http://{address}"));
        let features = FeatureFlagClient::new(store.clone());
        let configure = Box::new(configure);
        let mut server = Self { address, features, app, store, configure, running: None, runtime };
        server.serve(listener);
        server
    }

    fn serve(&mut self, listener: TcpListener) {
        let serving = HttpServer::start(vec![listener], self.app.clone(), HttpOptions::default());
        self.running = Some(self.runtime.block_on(serving).unwrap());
    }

    /// Ends it as a signal does, until it is started again.
    pub(crate) fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.shutdown(Duration::ZERO));
        }
    }

    /// Another one at the same address.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.restart_on(TcpListener::bind(self.address).unwrap());
    }

    pub(crate) fn restart_on(&mut self, listener: TcpListener) {
        self.stop();
        self.app = (self.configure)(App::new(self.store.clone()), &self.url());
        self.serve(listener);
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn http(&self) -> Http {
        Http::connect(self.address)
    }

    /// Stores a flag with these client data, as JSON.
    pub(crate) fn flag(&self, name: &str, data: &str, change: impl Fn(&mut FlagRecord) + Send + Sync) {
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        self.runtime.block_on(async {
            self.features.create(name).enabled(true).client_data(data).await.unwrap();
            self.features
                .update(name, |record| {
                    change(record);
                    Ok(())
                })
                .await
                .unwrap();
        });
    }

    /// Without a request of its own, which would count and be limited.
    pub(crate) fn metrics(&self) -> String {
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let answer = self.block_on(self.app.clone().operations_router().oneshot(request)).unwrap();
        let body = self.block_on(to_bytes(answer.into_body(), usize::MAX)).unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}
