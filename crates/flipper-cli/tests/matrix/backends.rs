//! The stores' servers and files, how the library opens them, and what their own shells read.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use flipper::store::{LocalFeatureFlagStore, Stored, Version};
use flipper::{
    ConsulClient, ConsulFeatureFlagStore, FeatureFlagStore, MemoryFeatureFlagStore, MirroredFeatureFlagStore,
    PostgresFeatureFlagStore, RedisFeatureFlagStore, S3FeatureFlagStore, SqliteFeatureFlagStore,
};
use flipper_testkit::consul::{ConsulAgent, ConsulProxy, Fault};
use flipper_testkit::postgres::{PASSWORD, PostgresServer};
use flipper_testkit::redis::{RedisServer, Reply};
use flipper_testkit::s3::{self, S3Proxy, S3Server};
use flipper_testkit::{Relay, free_port};
use object_store::aws::AmazonS3Builder;
use tempfile::TempDir;

use crate::cells::{Scene, Situation, Store};
use crate::failover::Agents;
use crate::ledger::name;
use crate::soak;
use crate::support::flipper;
use crate::support::running::Running;
use crate::watcher::number;

/// A Consul token with a policy of its own.
pub(crate) const TOKEN: &str = "22222222-2222-3333-4444-555555555555";
pub(crate) const ALLOW: &str =
    "key_prefix \"features\" { policy = \"write\" } key_prefix \".features.history/\" { policy = \"write\" }";

pub(crate) const S3_POLL: std::time::Duration = std::time::Duration::from_millis(200);

/// A store to harm, at first without flags.
pub(crate) struct Backend {
    pub(crate) scene: Scene,
    pub(crate) home: TempDir,
    pub(crate) kind: Kind,
    /// In front of the server, if the situation needs it.
    pub(crate) relay: Option<Relay>,
    pub(crate) proxy: Option<ConsulProxy>,
    pub(crate) s3_proxy: Option<S3Proxy>,
    /// For writers, if another server may take its place. It harms nothing.
    pub(crate) front: Option<Relay>,
}

pub(crate) enum Kind {
    Memory(MemoryFeatureFlagStore),
    Sqlite(PathBuf),
    Postgres(PostgresServer),
    Redis(RedisServer),
    Consul(Agents),
    S3 {
        server: S3Server,
        bucket: String,
    },
    /// By the command, over Redis.
    Served {
        /// The scheme of its URL, and the option that opens the port.
        door: &'static str,
        redis: RedisServer,
        server: Option<Running>,
        port: u16,
    },
}

pub(crate) type Local = Arc<dyn LocalFeatureFlagStore>;
/// A store whose every call reaches the backend.
pub(crate) type Bare = Arc<dyn FeatureFlagStore>;

impl Backend {
    /// Starts it; `None`, with a printed line, if a program is missing.
    pub(crate) fn start(scene: Scene) -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let situations = scene.situations();
        let any = |wanted: &[Situation]| situations.iter().any(|situation| wanted.contains(situation));
        let kind = match scene.store {
            Store::Memory => Kind::Memory(MemoryFeatureFlagStore::new()),
            Store::Sqlite => {
                let path = home.path().join("flags.db");
                SqliteFeatureFlagStore::new(&path).unwrap();
                Kind::Sqlite(path)
            }
            Store::Postgres => {
                let server = PostgresServer::start()?;
                prepare(&server);
                Kind::Postgres(server)
            }
            Store::Redis => Kind::Redis(RedisServer::options().config("user app on >secret ~* &* +@all").start()?),
            Store::Consul if scene.situation == Situation::Permission => {
                let agent = ConsulAgent::options().acl().start()?;
                agent.policy("app", ALLOW);
                agent.token(TOKEN, "app");
                Kind::Consul(Agents::alone(agent))
            }
            Store::Consul if scene.situation == Situation::Cluster => Kind::Consul(Agents::together()?),
            Store::Consul => Kind::Consul(Agents::alone(ConsulAgent::start()?)),
            Store::S3 => {
                let server = S3Server::start(s3::Kind::SeaweedFs)?;
                let bucket = server.bucket();
                Kind::S3 { server, bucket }
            }
            Store::Thrift | Store::HttpServer => {
                let door = if scene.store == Store::Thrift { "thrift" } else { "http" };
                Kind::Served { door, redis: RedisServer::start()?, server: None, port: free_port() }
            }
        };
        let mut backend = Self { scene, home, kind, relay: None, proxy: None, s3_proxy: None, front: None };
        backend.serve();
        if any(&[Situation::Failover]) {
            backend.front = backend.port().map(Relay::start);
        }
        if let Kind::Consul(agent) = &backend.kind
            && any(&[Situation::Refusing])
        {
            backend.proxy = Some(ConsulProxy::start(agent.port(), Fault::None));
        }
        if let Kind::S3 { server, .. } = &backend.kind
            && any(&[Situation::Refusing, Situation::Permission])
        {
            backend.s3_proxy = Some(S3Proxy::start(server.port()));
        }
        if any(&[Situation::Slow, Situation::Cut]) {
            let proxy = backend.proxy.as_ref().map(ConsulProxy::port).or(backend.s3_proxy.as_ref().map(S3Proxy::port));
            let port = proxy.or(backend.port());
            backend.relay = port.map(Relay::start);
        }
        Some(backend)
    }

    pub(crate) fn serve(&mut self) {
        let home = self.home.path();
        if let Kind::Served { door, redis, server, port } = &mut self.kind {
            let address = format!("127.0.0.1:{port}");
            *server = Some(serve(soak::with_clock(flipper(home, &redis.url()), home), door, &address).0);
        }
    }

    /// The port of the server, without relay or proxy.
    pub(crate) fn port(&self) -> Option<u16> {
        match &self.kind {
            Kind::Memory(_) | Kind::Sqlite(_) => None,
            Kind::Postgres(server) => Some(server.port()),
            Kind::Redis(server) => Some(server.port()),
            Kind::Consul(agent) => Some(agent.port()),
            Kind::S3 { server, .. } => Some(server.port()),
            Kind::Served { port, .. } => Some(*port),
        }
    }

    fn watched_port(&self) -> u16 {
        self.relay.as_ref().map(Relay::port).or(self.port()).unwrap()
    }

    fn s3_port(&self) -> u16 {
        match (&self.relay, &self.s3_proxy) {
            (None, Some(proxy)) => proxy.port(),
            _ => self.watched_port(),
        }
    }

    fn consul_address(&self) -> String {
        match (&self.relay, &self.proxy) {
            (None, Some(proxy)) => proxy.address(),
            _ => format!("127.0.0.1:{}", self.watched_port()),
        }
    }

    pub(crate) fn url(&self) -> String {
        match &self.kind {
            Kind::Memory(_) => "memory:".to_owned(),
            Kind::Sqlite(path) => format!("sqlite:{}", path.display()),
            Kind::Postgres(_) => format!("postgresql://app:{PASSWORD}@127.0.0.1:{}/postgres", self.watched_port()),
            Kind::Redis(_) => format!("redis://app:secret@127.0.0.1:{}", self.watched_port()),
            Kind::Consul(_) => format!("consul://{}/features", self.consul_address()),
            Kind::S3 { bucket, .. } => {
                format!("s3://{bucket}?endpoint=http://127.0.0.1:{}&poll={}ms", self.s3_port(), S3_POLL.as_millis())
            }
            Kind::Served { door, .. } => format!("{door}://127.0.0.1:{}", self.watched_port()),
        }
    }

    /// The command, with the token that this store needs.
    pub(crate) fn command(&self, store: &str) -> Command {
        let mut command = flipper(self.home.path(), store);
        command.env("CONSUL_HTTP_TOKEN", TOKEN);
        command.env("AWS_ACCESS_KEY_ID", s3::KEY).env("AWS_SECRET_ACCESS_KEY", s3::SECRET);
        if self.scene.situation != Situation::Permission {
            command.env_remove("CONSUL_HTTP_TOKEN");
        }
        soak::with_clock(command, self.home.path())
    }

    /// The port for writers of a server at this one.
    pub(crate) fn direct_port(&self, port: u16) -> u16 {
        self.front.as_ref().map_or(port, Relay::port)
    }

    fn consul(&self, address: String) -> ConsulFeatureFlagStore {
        let mut client = ConsulClient::builder().address(address);
        if self.scene.situation == Situation::Permission {
            client = client.token(TOKEN);
        }
        ConsulFeatureFlagStore::new(client.build().unwrap())
    }

    /// The store as watchers see it.
    pub(crate) fn bare(&self) -> (Bare, Option<Local>) {
        match &self.kind {
            Kind::Memory(store) => (Arc::new(store.clone()), Some(Arc::new(store.clone()))),
            Kind::Sqlite(path) => (Arc::new(SqliteFeatureFlagStore::new(path).unwrap()), None),
            Kind::Postgres(_) => (Arc::new(PostgresFeatureFlagStore::from_url(&self.url()).unwrap()), None),
            Kind::Redis(_) => (Arc::new(RedisFeatureFlagStore::from_url(&self.url()).unwrap()), None),
            Kind::Consul(_) => (Arc::new(self.consul(self.consul_address())), None),
            Kind::S3 { bucket, .. } => (Arc::new(bucket_at(self.s3_port(), bucket)), None),
            Kind::Served { .. } => (flipper::open(&self.url()).unwrap(), None),
        }
    }

    pub(crate) fn mirror(&self) -> Local {
        Arc::new(MirroredFeatureFlagStore::new(self.bare().0))
    }

    /// For our writer: without relay and proxy, so that each outcome is known.
    pub(crate) fn direct(&self) -> Bare {
        match &self.kind {
            Kind::Memory(store) => Arc::new(store.clone()),
            Kind::Sqlite(path) => Arc::new(SqliteFeatureFlagStore::new(path).unwrap()),
            Kind::Postgres(server) => {
                let port = self.direct_port(server.port());
                let url = format!("postgresql://postgres:{PASSWORD}@127.0.0.1:{port}/postgres");
                Arc::new(PostgresFeatureFlagStore::from_url(&url).unwrap())
            }
            Kind::Redis(server) => {
                let url = format!("redis://127.0.0.1:{}", self.direct_port(server.port()));
                Arc::new(RedisFeatureFlagStore::from_url(&url).unwrap())
            }
            Kind::Consul(agent) => {
                let client = ConsulClient::builder().address(format!("127.0.0.1:{}", self.direct_port(agent.port())));
                let client = client.token(flipper_testkit::consul::MASTER_TOKEN).build().unwrap();
                Arc::new(ConsulFeatureFlagStore::new(client))
            }
            Kind::S3 { server, bucket } => Arc::new(bucket_at(server.port(), bucket)),
            Kind::Served { door, port, .. } => flipper::open(&format!("{door}://127.0.0.1:{port}")).unwrap(),
        }
    }

    pub(crate) fn damage(&self) -> Option<String> {
        let Kind::Sqlite(path) = &self.kind else { return None };
        match sqlite3(path, "PRAGMA integrity_check") {
            Ok(text) if text.trim() == "ok" => None,
            Ok(text) | Err(text) => Some(format!("{}: {text}", path.display())),
        }
    }

    /// The number of the state that the store has, by its own shell.
    pub(crate) fn kept(&self, flag: usize) -> Result<Option<u64>, String> {
        self.record(&name(flag))?.as_ref().map(number).transpose()
    }

    /// Reads a flag with the store's own shell.
    pub(crate) fn record(&self, name: &str) -> Result<Option<Stored>, String> {
        let text = match &self.kind {
            Kind::Memory(store) => return Ok(store.table().get(name)),
            Kind::Sqlite(path) => {
                let found = sqlite3(path, &format!("SELECT record FROM flags WHERE name = '{name}'"))?;
                Some(found.trim().to_owned()).filter(|text| !text.is_empty())
            }
            Kind::Postgres(server) => {
                let query = format!("SELECT convert_from(item, 'UTF8') FROM feature_flags WHERE name = '{name}'");
                Some(server.try_psql(&query)?).filter(|text| !text.is_empty())
            }
            Kind::Redis(server) | Kind::Served { redis: server, .. } => {
                match server.command(&["GET", &format!("features/{name}")]) {
                    Reply::Text(text) => Some(text),
                    Reply::Nil => None,
                    other => return Err(format!("{other:?}")),
                }
            }
            Kind::S3 { server, bucket } => {
                let reply = server.ask("GET", &format!("/{bucket}/{name}"), b"");
                match reply.status {
                    200 => Some(reply.body),
                    404 => None,
                    _ => return Err(format!("{reply:?}")),
                }
            }
            Kind::Consul(agent) => {
                let reply = agent.ask("GET", &format!("/v1/kv/features/{name}?raw&consistent"), b"");
                match reply.status {
                    200 => Some(reply.body),
                    404 => None,
                    _ => return Err(format!("{reply:?}")),
                }
            }
        };
        Ok(text.map(|text| Stored::from_json(name, Version::ordered(0), text.as_bytes())))
    }
}

pub(crate) fn bucket_at(port: u16, bucket: &str) -> S3FeatureFlagStore {
    let client = AmazonS3Builder::new().with_endpoint(format!("http://127.0.0.1:{port}")).with_bucket_name(bucket);
    let client = client.with_access_key_id(s3::KEY).with_secret_access_key(s3::SECRET);
    S3FeatureFlagStore::new(client).unwrap().poll_every(S3_POLL)
}

/// The table of the Python library, with the feed, and a user who may only use it.
pub(crate) fn prepare(server: &PostgresServer) {
    server.psql(&format!(
        "CREATE TABLE feature_flags (name varchar(40) PRIMARY KEY, item bytea NOT NULL); \
         CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'; GRANT SELECT, INSERT, UPDATE, DELETE ON feature_flags TO app"
    ));
    let store = PostgresFeatureFlagStore::from_url(&server.url()).unwrap();
    futures_executor(store.install_feed(true)).unwrap();
}

pub(crate) fn sqlite3(path: &Path, statements: &str) -> Result<String, String> {
    let output = Command::new("sqlite3").args(["-bail", "-cmd", ".timeout 5000"]).arg(path).arg(statements).output();
    let output = output.map_err(|error| format!("sqlite3: {error}"))?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Starts `flipper serve`; returns its URL too.
pub(crate) fn serve(mut command: Command, door: &str, address: &str) -> (Running, String) {
    let mut server = Running::start(command.args(["serve", &format!("--{door}"), address]));
    let line = server.line(&format!(" {door}=")).replace('"', "");
    let address = line.split(&format!(" {door}=")).nth(1).and_then(|rest| rest.split_whitespace().next());
    let url = format!("{door}://{}", address.unwrap_or_else(|| panic!("{line}")));
    (server, url)
}

pub(crate) fn futures_executor<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}
