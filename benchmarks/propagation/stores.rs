//! The stores, each with a server of its own.

use std::any::Any;
use std::time::Duration;

use flipper::{FeatureFlagClient, PostgresFeatureFlagStore};
use flipper_testkit::Child;
use flipper_testkit::consul::ConsulAgent;
use flipper_testkit::postgres::PostgresServer;
use flipper_testkit::redis::RedisServer;

use crate::support::flipper;
use crate::support::running::Running;
use crate::way::{FLAG, Kind, Way, runtime};

/// Of which one changes.
pub(crate) const FLAGS: usize = 100;

pub(crate) struct Store {
    pub(crate) key: &'static str,
    pub(crate) title: &'static str,
    pub(crate) rounds: usize,
    pub(crate) pause: Duration,
    /// `None` if the server is not installed.
    pub(crate) start: fn() -> Option<Started>,
}

pub(crate) struct Started {
    /// Dropped before their server.
    pub(crate) ways: Vec<Way>,
    _server: Box<dyn Any>,
}

const fn store(key: &'static str, title: &'static str, rounds: usize, start: fn() -> Option<Started>) -> Store {
    Store { key, title, rounds, pause: Duration::ZERO, start }
}

pub(crate) const STORES: [Store; 6] = [
    store("sqlite", "SQLite", 1_000, sqlite),
    store("redis", "Redis", 2_000, redis),
    // Until the next blocking query waits.
    Store { pause: Duration::from_millis(20), ..store("consul", "Consul", 500, consul) },
    store("postgres", "PostgreSQL", 1_000, postgres),
    store("http", "HTTP", 2_000, http),
    store("thrift", "Thrift", 2_000, thrift),
];

/// `how` and `place` are of the limit.
fn ways(url: &str, (how, place): (&str, &str), python: Option<Way>) -> Vec<Way> {
    fill(url);
    let ways = [Way::new(Kind::Ours, "ours", url), Way::new(Kind::Limit, how, place)];
    ways.into_iter().chain(python).collect()
}

fn fill(url: &str) {
    runtime().block_on(async {
        let features: FeatureFlagClient = flipper::connect(url).await.unwrap();
        for number in 1..FLAGS {
            features.create(format!("{FLAG}{number:05}")).await.unwrap();
        }
        features.create(FLAG).await.unwrap();
        features.close().await.unwrap();
    });
}

fn sqlite() -> Option<Started> {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [ours, bare] = folders.each_ref().map(|folder| folder.path().join("flags.db").display().to_string());
    Some(Started { ways: ways(&format!("sqlite:{ours}"), ("sqlite", &bare), None), _server: Box::new(folders) })
}

fn redis() -> Option<Started> {
    let server = RedisServer::options().config("appendonly no").start()?;
    let address = format!("127.0.0.1:{}", server.port());
    Some(Started {
        ways: ways(&server.url(), ("redis", &address), Way::python("redis", server.port())),
        _server: Box::new(server),
    })
}

fn consul() -> Option<Started> {
    let agent = ConsulAgent::options().dev().start()?;
    let url = format!("consul://{}/ours", agent.address());
    Some(Started {
        ways: ways(&url, ("consul", &agent.address()), Way::python("consul", agent.port())),
        _server: Box::new(agent),
    })
}

fn postgres() -> Option<Started> {
    let server = PostgresServer::start()?;
    let url = server.url();
    runtime().block_on(PostgresFeatureFlagStore::from_url(&url).unwrap().install_feed(true)).unwrap();
    Some(Started {
        ways: ways(&url, ("postgres", &url), Way::python("postgres", server.port())),
        _server: Box::new(server),
    })
}

fn http() -> Option<Started> {
    let server = Served::start("http");
    Some(Started {
        ways: ways(&format!("http://{}", server.address), ("http", &server.bare_address), None),
        _server: Box::new(server),
    })
}

fn thrift() -> Option<Started> {
    let server = Served::start("thrift");
    let port = server.address.rsplit_once(':').unwrap().1.parse().unwrap();
    let python = Way::python("thrift", port);
    Some(Started {
        ways: ways(&format!("thrift://{}", server.address), ("http", &server.bare_address), python),
        _server: Box::new(server),
    })
}

/// `flipper serve` with flags in memory, and the bare server.
struct Served {
    address: String,
    bare_address: String,
    _server: Running,
    _bare: Child,
    _home: tempfile::TempDir,
}

impl Served {
    fn start(protocol: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut serve = flipper(home.path(), "memory:");
        let mut server = Running::start(serve.args(["serve", &format!("--{protocol}"), "127.0.0.1:0"]));
        let line = server.line("serving flags store=");
        let (_, rest) = line.rsplit_once(&format!("{protocol}=")).unwrap();
        let address = rest.split(' ').next().unwrap().to_owned();
        let bare = Child::spawn("serve", &["http", "-"]);
        let bare_address = bare.line().unwrap();
        Self { address, bare_address, _server: server, _bare: bare, _home: home }
    }
}
