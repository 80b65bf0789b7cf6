//! The layers between a store and its watcher.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flipper::{
    CachedFeatureFlagStore, HttpFeatureFlagStore, MirroredFeatureFlagStore, PostgresFeatureFlagStore,
    RedisFeatureFlagStore, ReplicatedFeatureFlagStore, SqliteFeatureFlagStore, ThriftRpcFeatureFlagStore,
};
use flipper_server::{App, HttpOptions, HttpServer};
use flipper_testkit::Nginx;
use flipper_testkit::postgres::PostgresServer;
use flipper_testkit::redis::RedisServer;
use flipper_testkit::s3::{self, S3Server};
use flipper_thrift::Server;

use crate::backends::{Backend, Bare, Kind, Local, S3_POLL, bucket_at, futures_executor, prepare, serve};
use crate::cells::{Layer, Situation, Store};
use crate::support::running::Running;
use crate::watcher::View;

pub(crate) const EXPIRATION: Duration = Duration::from_millis(200);
/// What a server adds to the time of its store: see "How old flags can be" in docs/reliability.md.
const THRIFT: Duration = Duration::from_secs(9);
const HTTP: Duration = Duration::from_secs(3);
/// Pushed.
const REDIS: Duration = Duration::from_secs(5);
/// For a machine that is busy.
const SLACK: Duration = Duration::from_secs(2);

pub(crate) struct Attached {
    pub(crate) view: View,
    /// Our writer may write through it.
    pub(crate) way: Option<Bare>,
    /// The URL of the last server.
    pub(crate) url: Option<String>,
    _servers: Vec<Box<dyn Send>>,
}

pub(crate) fn attach(backend: &Backend, layer: Layer) -> Attached {
    let (mut servers, mut last, mut primary): (Vec<Box<dyn Send>>, _, Option<Bare>) = (Vec::new(), None, None);
    let (store, local): (_, Option<Local>) = match layer {
        Layer::Bare => backend.bare(),
        Layer::Cache => {
            let cached = CachedFeatureFlagStore::new(backend.bare().0).expiration(EXPIRATION);
            (Arc::new(cached), None)
        }
        Layer::Mirror | Layer::Served | Layer::Twice => {
            let mut mirror = backend.mirror();
            if layer != Layer::Mirror {
                let (server, mut url) = first_server(backend);
                servers.push(server);
                if layer == Layer::Twice {
                    let (second, second_url) = serve(backend.command(&url), "thrift", "127.0.0.1:0");
                    servers.push(Box::new(second));
                    url = second_url;
                }
                last = Some(url.clone());
                mirror = Arc::new(MirroredFeatureFlagStore::new(ThriftRpcFeatureFlagStore::from_url(&url).unwrap()));
            }
            (Arc::new(mirror.clone()), Some(mirror))
        }
        Layer::Http | Layer::HttpTwice | Layer::HttpNginx => {
            let mut mirror = backend.mirror();
            for _ in 0..if layer == Layer::HttpTwice { 2 } else { 1 } {
                let (server, address) = serve_http(mirror);
                servers.push(server);
                let mut url = format!("http://{address}");
                if layer == Layer::HttpNginx {
                    let nginx = Nginx::before(address).unwrap();
                    url = nginx.url();
                    servers.push(Box::new(nginx));
                }
                mirror = Arc::new(MirroredFeatureFlagStore::new(HttpFeatureFlagStore::from_url(&url).unwrap()));
                last = Some(url);
            }
            (Arc::new(mirror.clone()), Some(mirror))
        }
        Layer::Replica => {
            let (server, replica) = replica_of(backend);
            servers.push(server);
            primary = Some(Arc::new(ReplicatedFeatureFlagStore::new(backend.bare().0, replica())));
            let mirror = MirroredFeatureFlagStore::new(replica());
            (Arc::new(mirror.clone()), Some(Arc::new(mirror)))
        }
    };
    let way = primary.or_else(|| local.is_some().then(|| store.clone()));
    let is_mirror = !matches!(layer, Layer::Bare | Layer::Cache);
    let store_keeps = backend.scene.store != Store::Memory;
    let keeps = store_keeps && is_mirror;
    let view = View { layer, store, local, keeps, live_for: live_for(backend, layer), bound: bound(backend, layer) };
    Attached { view, way, url: last, _servers: servers }
}

/// What keeps a replica's server running, and connections to it.
type Replica = (Box<dyn Send>, Box<dyn Fn() -> Bare>);

/// A store that nothing harms, of another kind than the primary.
fn replica_of(backend: &Backend) -> Replica {
    let served: Option<Replica> = match backend.scene.store {
        Store::Postgres => RedisServer::start().map(|server| {
            let url = server.url();
            let connect = move || -> Bare { Arc::new(RedisFeatureFlagStore::from_url(&url).unwrap()) };
            (Box::new(server) as _, Box::new(connect) as _)
        }),
        Store::Redis => S3Server::start(s3::Kind::SeaweedFs).map(|server| {
            let (bucket, port) = (server.bucket(), server.port());
            let connect = move || -> Bare { Arc::new(bucket_at(port, &bucket)) };
            (Box::new(server) as _, Box::new(connect) as _)
        }),
        Store::S3 | Store::Consul => PostgresServer::start().map(|server| {
            prepare(&server);
            let url = server.url();
            let connect = move || -> Bare { Arc::new(PostgresFeatureFlagStore::from_url(&url).unwrap()) };
            (Box::new(server) as _, Box::new(connect) as _)
        }),
        _ => None,
    };
    served.unwrap_or_else(|| {
        let path = backend.home.path().join("replica.db");
        (Box::new(()), Box::new(move || Arc::new(SqliteFeatureFlagStore::new(&path).unwrap())))
    })
}

/// The server of a memory store runs in this process, the only one that has that store.
fn first_server(backend: &Backend) -> (Box<dyn Send>, String) {
    if let Kind::Memory(store) = &backend.kind {
        let mirror = MirroredFeatureFlagStore::new(store.clone());
        let server = Server::start("127.0.0.1:0", mirror).unwrap();
        let url = format!("thrift://{}", server.local_addr());
        return (Box::new(server), url);
    }
    let (server, url): (Running, _) = serve(backend.command(&backend.url()), "thrift", "127.0.0.1:0");
    (Box::new(server), url)
}

/// In this process, with a runtime of its own.
fn serve_http(store: Local) -> (Box<dyn Send>, SocketAddr) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    // As `flipper serve`, whose `/readyz` says so: before its first list it refuses writes.
    futures_executor(store.ready()).unwrap();
    let server = HttpServer::start(vec![listener], App::new(store), HttpOptions::default());
    let server = runtime.block_on(server).unwrap();
    let address = server.local_addrs()[0];
    (Box::new((server, Background(Some(runtime)))), address)
}

/// A runtime that may be dropped within another.
struct Background(Option<tokio::runtime::Runtime>);

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// The greatest age of a live state: the table of docs/reliability.md, and the slack.
fn live_for(backend: &Backend, layer: Layer) -> Duration {
    let store = match backend.scene.store {
        Store::Memory => Duration::ZERO,
        Store::Sqlite => Duration::from_millis(50),
        Store::Postgres => Duration::from_secs(6),
        Store::Redis => REDIS,
        Store::Consul => Duration::from_secs(21),
        Store::S3 => S3_POLL * 2 + Duration::from_secs(10),
        Store::Thrift => THRIFT + REDIS,
        Store::HttpServer => HTTP + REDIS,
    };
    let store = store + SLACK;
    match layer {
        Layer::Bare | Layer::Mirror | Layer::Cache => store,
        Layer::Served => store + THRIFT,
        Layer::Twice => store + THRIFT * 2,
        Layer::Http | Layer::HttpNginx => store + HTTP,
        Layer::HttpTwice => store + HTTP * 2,
        // Of the replica, which is never away.
        Layer::Replica => Duration::MAX,
    }
}

/// Limit for 99% of the flips without a fault.
fn bound(backend: &Backend, layer: Layer) -> Duration {
    let polled = match (backend.scene.store, layer) {
        (_, Layer::Cache) => EXPIRATION * 2,
        // A copy is two reads and a write.
        (_, Layer::Replica) => Duration::from_secs(1),
        _ => Duration::ZERO,
    };
    // A follower may connect to the new database before it has its feed, and then compares rows once a second.
    let compared = match (backend.scene.store, backend.scene.situation) {
        (Store::Postgres, Situation::Emptied) => Duration::from_secs(1),
        _ => Duration::ZERO,
    };
    let slow = if backend.scene.situation == Situation::Slow { Duration::from_secs(4) } else { Duration::ZERO };
    Duration::from_secs(1) + polled + compared + slow
}

/// Waits for the condition; returns whether it held within the limit.
pub(crate) fn until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}
