//! The stores of the scenarios.

use std::path::Path;

use flipper_testkit::consul::ConsulAgent;
use flipper_testkit::postgres::PostgresServer;
use flipper_testkit::redis::RedisServer;
use flipper_testkit::s3::{Kind, S3Server};

use super::flipper;
use super::running::Running;

pub(crate) struct TestStore {
    pub(crate) url: String,
    _server: Option<Box<dyn std::any::Any>>,
}

/// Makes a new store for each scenario.
pub(crate) type Make = fn(home: &Path) -> Option<TestStore>;

pub(crate) fn sqlite(home: &Path) -> Option<TestStore> {
    let path = home.join("flags.db");
    // Not every command of the scenarios creates a file.
    make_file(&path);
    Some(TestStore { url: format!("sqlite:{}", path.display()), _server: None })
}

pub(crate) fn redis(_: &Path) -> Option<TestStore> {
    let server = RedisServer::start()?;
    Some(TestStore { url: format!("{}/0", server.url()), _server: Some(Box::new(server)) })
}

pub(crate) fn postgres(_: &Path) -> Option<TestStore> {
    let server = PostgresServer::start()?;
    // Shown as it is: it has no password.
    let url = server.url_by_file();
    // Not every command of the scenarios makes the table.
    server.psql("CREATE TABLE feature_flags (name varchar(40) PRIMARY KEY, item bytea NOT NULL)");
    Some(TestStore { url, _server: Some(Box::new(server)) })
}

pub(crate) fn consul(_: &Path) -> Option<TestStore> {
    let agent = ConsulAgent::start()?;
    Some(TestStore { url: format!("consul://{}/flags", agent.address()), _server: Some(Box::new(agent)) })
}

/// With the keys that every scenario has in its environment.
pub(crate) fn s3(_: &Path) -> Option<TestStore> {
    let server = S3Server::shared(Kind::SeaweedFs)?;
    let url = format!("s3://{}?endpoint=http://127.0.0.1:{}&poll=100ms", server.bucket(), server.port());
    Some(TestStore { url, _server: None })
}

pub(crate) fn thrift(home: &Path) -> Option<TestStore> {
    Some(served(home, "thrift"))
}

pub(crate) fn http(home: &Path) -> Option<TestStore> {
    Some(served(home, "http"))
}

/// By `flipper serve`, from a file.
fn served(home: &Path, scheme: &str) -> TestStore {
    let path = home.join("served.db");
    make_file(&path);
    let mut serve = flipper(home, &format!("sqlite:{}", path.display()));
    let mut server = Running::start(serve.args(["serve", &format!("--{scheme}"), "127.0.0.1:0"]));
    let line = server.line("serving flags store=");
    let address = line.split(&format!(" {scheme}=")).nth(1).unwrap().split(' ').next().unwrap();
    let address = address.trim_matches('"');
    TestStore { url: format!("{scheme}://{address}"), _server: Some(Box::new(server)) }
}

fn make_file(path: &Path) {
    flipper::SqliteFeatureFlagStore::new(path).unwrap();
}
