use std::future::IntoFuture;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use axum::Router;
use axum::extract::connect_info::IntoMakeServiceWithConnectInfo;
use flipper::store::LocalFeatureFlagStore;
use flipper::{FeatureFlagClient, FlagRecord, MemoryFeatureFlagStore};
use flipper_server::App;
use flipper_testkit::wait_until;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use super::Http;

/// A server on a port of its own, until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) features: FeatureFlagClient,
    pub(crate) app: App,
    pub(crate) store: Arc<dyn LocalFeatureFlagStore>,
    runtime: Runtime,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(|app, _| app)
    }

    /// With options, which may need the server's URL.
    pub(crate) fn with(configure: impl FnOnce(App, &str) -> App) -> Self {
        Self::over(Arc::new(MemoryFeatureFlagStore::new()), configure)
    }

    pub(crate) fn over(store: Arc<dyn LocalFeatureFlagStore>, configure: impl FnOnce(App, &str) -> App) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let features = FeatureFlagClient::new(store.clone());
        let app = configure(App::new(store.clone()), &format!("http://{address}"));
        runtime.spawn(axum::serve(listener, service(&app)).into_future());
        Self { address, features, app, store, runtime }
    }

    /// Until it is started again.
    pub(crate) fn stop(&mut self) {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        std::mem::replace(&mut self.runtime, runtime).shutdown_background();
        wait_until("it is away", || TcpStream::connect(self.address).is_err());
    }

    /// Another one at the same address.
    pub(crate) fn restart(&mut self) {
        self.stop();
        let listener = || self.runtime.block_on(TcpListener::bind(self.address));
        wait_until("the address is free", || listener().is_ok());
        self.runtime.spawn(axum::serve(listener().unwrap(), service(&self.app)).into_future());
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

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}

fn service(app: &App) -> IntoMakeServiceWithConnectInfo<Router, SocketAddr> {
    app.clone().router().into_make_service_with_connect_info()
}
