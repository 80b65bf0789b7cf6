//! The writers: our library, the Python library, and the store's own shell.

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use flipper::client::Remote;
use flipper::store::Precondition;
use flipper::{ErrorKind, FeatureFlagClient, FeatureFlagStore, FlagRecord};
use flipper_testkit::consul::MASTER_TOKEN;
use flipper_thrift::Server;

use crate::backends::{Backend, Kind, futures_executor, sqlite3};
use crate::cells::Writer;
use crate::dependents;
use crate::ledger::name;
use crate::random::Random;

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Changes an existing flag.
    Set,
    Create,
    Destroy,
}

#[derive(Debug)]
pub(crate) enum Outcome {
    Done,
    Refused(String),
    Unknown(String),
}

pub(crate) struct Writers {
    kind: Writer,
    /// The first writes to the store directly, the others through the layers.
    ours: Vec<FeatureFlagClient<Remote>>,
    python: Option<Python>,
    /// Through this, Python writes to a memory store.
    _server: Option<Server>,
}

impl Writers {
    pub(crate) fn new(backend: &Backend, layers: impl IntoIterator<Item = Arc<dyn FeatureFlagStore>>) -> Self {
        let stores = [backend.direct()].into_iter().chain(layers);
        let ours = stores.map(FeatureFlagClient::remote).collect();
        let kind = backend.scene.writer;
        let mut server = None;
        let python = match &backend.kind {
            _ if kind == Writer::Ours => None,
            Kind::Memory(store) => {
                let served = server.insert(Server::start("127.0.0.1:0", store.clone()).unwrap());
                Python::start("thrift", served.local_addr().port(), "")
            }
            Kind::Sqlite(_) => None,
            Kind::Postgres(server) => Python::start("postgres", backend.direct_port(server.port()), ""),
            Kind::Redis(server) => Python::start("redis", backend.direct_port(server.port()), ""),
            Kind::Consul(agent) => Python::start("consul", backend.direct_port(agent.port()), MASTER_TOKEN),
            Kind::S3 { server, bucket } => Python::start("s3", server.port(), bucket),
            Kind::Served { door: "thrift", port, .. } => Python::start("thrift", *port, ""),
            Kind::Served { redis, .. } => Python::start("redis", redis.port(), ""),
        };
        Self { kind, ours, python, _server: server }
    }

    /// Through a connection to a server that was killed, which has not ended yet, a write would have an unknown outcome. A read is repeated.
    pub(crate) fn connect_again(&self) {
        let _ = futures_executor(self.ours[0].fetch("none"));
    }

    /// `calm`: there is no fault, and the layers can be written through. `away`: only our writer, which fails soon, is used.
    pub(crate) fn write(
        &mut self,
        backend: &Backend,
        random: &mut Random,
        (flag, number): (usize, u64),
        change: Change,
        (calm, away): (bool, bool),
    ) -> (&'static str, Outcome) {
        // Over Thrift a segment cannot be written, and no shell reaches into a program's memory.
        let by_thrift = matches!(backend.kind, Kind::Memory(_) | Kind::Served { door: "thrift", .. });
        let python = !(by_thrift && dependents::is_segment(flag));
        let ours = match self.kind {
            _ if away || !python && matches!(backend.kind, Kind::Memory(_)) => true,
            Writer::Ours => true,
            Writer::Foreign => false,
            Writer::Both => random.below(2) == 0,
        };
        if ours {
            let way = if calm { random.below(self.ours.len()) } else { 0 };
            return ("our writer", ours_writes(&self.ours[way], &name(flag), number, change));
        }
        match &mut self.python {
            Some(writer) if python && (matches!(backend.kind, Kind::Memory(_)) || random.below(2) == 0) => {
                ("Python", writer.write(&name(flag), (change != Change::Destroy).then_some(number)))
            }
            _ => ("the shell", shell(backend, &name(flag), (change != Change::Destroy).then_some(number))),
        }
    }
}

fn ours_writes(client: &FeatureFlagClient<Remote>, name: &str, number: u64, change: Change) -> Outcome {
    let done = futures_executor(async {
        match change {
            Change::Create => client.put(&record(name, number), Precondition::Any).await.map(drop),
            Change::Destroy => client.destroy(name).await,
            Change::Set => {
                let set = |record: &mut FlagRecord| {
                    dependents::set(record, number);
                    Ok(())
                };
                client.update(name, set).await
            }
        }
    });
    match done {
        Ok(()) => Outcome::Done,
        Err(error) if error.kind() == ErrorKind::Unavailable => Outcome::Unknown(error.chain()),
        Err(error) => Outcome::Refused(error.chain()),
    }
}

fn record(name: &str, number: u64) -> FlagRecord {
    let mut record = FlagRecord::new(name, 1_700_000_000);
    dependents::set(&mut record, number);
    record
}

/// Writes as an operator would.
fn shell(backend: &Backend, name: &str, number: Option<u64>) -> Outcome {
    let text = number.map(|number| record(name, number).to_json());
    match write_text(backend, name, text.as_deref()) {
        Ok(_) => Outcome::Done,
        Err(what) if matches!(backend.kind, Kind::Memory(_)) => Outcome::Refused(what),
        Err(what) => Outcome::Unknown(what),
    }
}

/// Writes this text in place of a flag, or deletes it, with the store's own shell.
pub(crate) fn write_text(backend: &Backend, name: &str, text: Option<&str>) -> Result<String, String> {
    match &backend.kind {
        Kind::Memory(_) => Err("no shell reaches into a program's memory".to_owned()),
        Kind::Sqlite(path) => sqlite3(
            path,
            &match text {
                Some(text) => format!(
                    "INSERT INTO flags (name, record) VALUES ('{name}', '{text}') \
                     ON CONFLICT (name) DO UPDATE SET record = excluded.record"
                ),
                None => format!("DELETE FROM flags WHERE name = '{name}'"),
            },
        ),
        Kind::Postgres(server) => server.try_psql(&match text {
            Some(text) => format!(
                "INSERT INTO feature_flags VALUES ('{name}', convert_to('{text}', 'UTF8')) \
                 ON CONFLICT (name) DO UPDATE SET item = excluded.item"
            ),
            None => format!("DELETE FROM feature_flags WHERE name = '{name}'"),
        }),
        Kind::Redis(server) | Kind::Served { redis: server, .. } => {
            let (port, key) = (server.port().to_string(), format!("features/{name}"));
            let mut command = Command::new("redis-cli");
            command.args(["-e", "-p", &port]);
            match text {
                Some(text) => command.args(["SET", &key, text]),
                None => command.args(["DEL", &key]),
            };
            let output = command.output().unwrap();
            let printed = String::from_utf8_lossy(&output.stdout).into_owned();
            if output.status.success() { Ok(printed) } else { Err(printed) }
        }
        Kind::S3 { server, bucket } => {
            let path = format!("/{bucket}/{name}");
            let reply = match text {
                Some(text) => server.try_ask("PUT", &path, "", text.as_bytes()),
                None => server.try_ask("DELETE", &path, "", b""),
            };
            match reply {
                Ok(reply) if matches!(reply.status, 200 | 204) => Ok(reply.body),
                Ok(reply) => Err(reply.body),
                Err(error) => Err(error.to_string()),
            }
        }
        Kind::Consul(agent) => {
            let path = format!("/v1/kv/features/{name}");
            let ask = || match text {
                Some(text) => agent.ask("PUT", &path, text.as_bytes()),
                None => agent.ask("DELETE", &path, b""),
            };
            // A server that forwards may have connections to a leader that was killed.
            let reply = Some(ask()).filter(|reply| !reply.body.contains("rpc error")).unwrap_or_else(ask);
            if reply.status == 200 { Ok(reply.body) } else { Err(reply.body) }
        }
    }
}

/// A Python process that writes, killed when dropped.
struct Python {
    process: Child,
    answers: Receiver<String>,
}

impl Python {
    /// `place`: a token of Consul, or a bucket.
    fn start(kind: &str, port: u16, place: &str) -> Option<Self> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/matrix/writer.py");
        let interpreter =
            if kind == "s3" { flipper_testkit::s3::interpreter() } else { flipper_testkit::python::interpreter() };
        let mut command = Command::new(interpreter?);
        command.arg("-B").arg(program).args([kind, &port.to_string(), place]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let (sender, answers) = mpsc::channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Some(Self { process, answers })
    }

    fn write(&mut self, name: &str, number: Option<u64>) -> Outcome {
        let number = number.map_or("null".to_owned(), |number| number.to_string());
        let sent = writeln!(self.process.stdin.as_mut().unwrap(), "[\"{name}\", {number}]");
        match self.answers.recv_timeout(PATIENCE) {
            Ok(answer) if answer == "ok" => Outcome::Done,
            Ok(answer) => Outcome::Unknown(answer),
            Err(error) => Outcome::Unknown(format!("Python: {error}, {sent:?}")),
        }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
