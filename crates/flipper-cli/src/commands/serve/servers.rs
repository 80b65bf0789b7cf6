use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use flipper_server::{App, HttpOptions, HttpServer, Limits, Page};
use flipper_thrift::{Server, ServerOptions};

use super::address::{self, Port};
use super::guard::{self, Guard};
use super::metrics;
use super::served::Served;
use super::store::Opened;
use super::systemd::Sockets;
use crate::args::Serve;
use crate::failure::{Done, Failure, message_of};

/// Of HTTP. 10,000 followers leave some for requests.
const CONNECTIONS: usize = 16_384;
/// Probes, and what collects metrics.
const ADMIN_CONNECTIONS: usize = 256;

/// What listens.
pub(super) struct Servers {
    http: Option<HttpServer>,
    admin: Option<HttpServer>,
    thrift: Option<Arc<Server>>,
}

impl Servers {
    /// `files`: how many this process may open.
    pub(super) async fn start(
        args: &Serve,
        mut sockets: Sockets,
        opened: &Opened,
        guard: &Arc<Guard>,
        files: usize,
    ) -> Done<Self> {
        let store = &opened.store;
        // As many followers as the connections leave room for.
        let app = App::new(store.clone()).limits(Limits::default().streams(usize::MAX));
        let page = args.protect.iter().fold(Page::new(), |page, pattern| page.protect(pattern));
        let mut page = page.require_reason(args.require_reason).behind_tls(args.plaintext_behind_proxy);
        let mut app = guard::pages(app, args)?;
        if let Some(attribute) = &args.targeting_key {
            app = app.targeting_key_as(attribute);
        }
        // All before the first answers: a command that cannot start all starts nothing.
        let mut listeners = |port: Port| {
            let text = super::address_of(args, port, sockets.are_passed);
            address::listen(text.as_deref(), sockets.of(port), port, args)
        };
        let [http, admin, thrift] = [listeners(Port::Http)?, listeners(Port::Admin)?, listeners(Port::Thrift)?];
        if http.is_empty() && thrift.is_empty() {
            let failure = Failure::usage("nothing serves flags: systemd passed sockets for --admin alone");
            return Err(failure.hint("add --http or --thrift, or a socket with FileDescriptorName=http or thrift"));
        }
        let served = Arc::new(Served::new(store.clone()));
        let thrift = match one(thrift)? {
            None => None,
            Some(listener) => {
                let server = Server::on(listener, served.clone(), thrift_options(args, guard));
                let failed = |error| Failure::store(format!("--thrift: {}", message_of(&error)));
                Some(Arc::new(server.map_err(failed)?))
            }
        };
        if let Some(server) = thrift.clone() {
            page = page.connected_over("Thrift", move || server.connections());
        }
        let metrics = metrics::of(served, opened.replicated.clone(), thrift.clone(), guard.clone());
        let app = app.access(guard.access.clone()).access_log(args.access_log);
        let app = app.require_if_match(args.require_if_match).metrics_of(Arc::new(metrics)).page(page);
        let options = http_options(args, guard, files);
        let failed = |error: std::io::Error| Failure::store(format!("HTTP cannot be served: {error}"));
        let admin = match admin.is_empty() {
            true => None,
            false => {
                let options = HttpOptions::default().max_connections(ADMIN_CONNECTIONS);
                Some(HttpServer::start_operations(admin, app.clone(), options).await.map_err(failed)?)
            }
        };
        let http = match http.is_empty() {
            true => None,
            false => Some(HttpServer::start(http, app, options).await.map_err(failed)?),
        };
        Ok(Self { http, admin, thrift })
    }

    pub(super) fn log(&self, store: &str) {
        let of = |server: &Option<HttpServer>| {
            server.as_ref().map(|server| joined(server.local_addrs())).unwrap_or_default()
        };
        let thrift = self.thrift.as_ref().map(|server| server.local_addr().to_string()).unwrap_or_default();
        let (admin, http) = (of(&self.admin), of(&self.http));
        tracing::info!(store, %thrift, %admin, %http, "serving flags");
    }

    /// Not ready from now on; after `drain` nothing new is accepted, and pending requests and calls finish.
    pub(super) async fn end(self, drain: Duration) {
        // Readiness is asked for over HTTP only.
        let drain = if self.http.is_some() || self.admin.is_some() { drain } else { Duration::ZERO };
        let http = self.http.iter().chain(&self.admin).map(HttpServer::connections).sum::<usize>();
        let thrift = self.thrift.as_ref().map_or(0, |server| server.connections());
        tracing::info!(?drain, http, thrift, "stopping; pending requests finish");
        let end = async |server: Option<HttpServer>| {
            if let Some(server) = server {
                server.shutdown(drain).await;
            }
        };
        let end_thrift = async {
            if let Some(server) = self.thrift {
                tokio::time::sleep(drain).await;
                // Fails only if the task panicked, and then the server has stopped too.
                let _ = tokio::task::spawn_blocking(move || server.shutdown()).await;
            }
        };
        tokio::join!(end(self.http), end(self.admin), end_thrift);
    }
}

fn one(mut listeners: Vec<TcpListener>) -> Done<Option<TcpListener>> {
    let last = listeners.pop();
    match listeners.is_empty() {
        true => Ok(last),
        false => Err(Failure::usage("Thrift takes one socket of systemd")),
    }
}

fn thrift_options(args: &Serve, guard: &Guard) -> ServerOptions {
    let mut options = ServerOptions::new().cached_reads(true);
    if let Some(connections) = args.max_connections {
        options = options.max_connections(connections.get());
    }
    if let Some(tls) = guard.tls.clone() {
        options = options.tls(move || tls.config());
    }
    options
}

fn http_options(args: &Serve, guard: &Guard, files: usize) -> HttpOptions {
    // Half of the files are for other things than these connections.
    let connections = args.max_connections.map_or(CONNECTIONS.min(files / 2), NonZeroUsize::get);
    if connections > files {
        tracing::warn!(connections, files, "the system's limit of open files is below --max-connections");
    }
    let mut options = HttpOptions::default().max_connections(connections);
    if let Some(tls) = guard.tls.clone() {
        options = options.tls(tls);
    }
    options
}

fn joined(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(" ")
}
