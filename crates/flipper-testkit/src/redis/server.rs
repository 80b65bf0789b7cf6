//! A Redis server.

use std::process::Command;
use std::{fs, io};

use tempfile::TempDir;

use super::reply::{Reply, ask};
use crate::port::free_port;
use crate::process::Process;
use crate::{program, skip, tls, wait_until};

/// Options of a server.
#[derive(Clone, Debug, Default)]
pub struct RedisOptions {
    config: Vec<String>,
    password: Option<String>,
    tls: bool,
    sentinel: bool,
}

impl RedisOptions {
    /// Adds a line of `redis.conf`.
    #[must_use]
    pub fn config(mut self, line: impl Into<String>) -> Self {
        self.config.push(line.into());
        self
    }

    /// Sets the default user's password.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self.config(format!("requirepass {password}"))
    }

    /// Also listens for TLS, on its own port.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    pub(super) fn sentinel(mut self) -> Self {
        self.sentinel = true;
        self
    }

    /// Starts it; prints `SKIP` and returns `None` without Redis.
    #[must_use]
    pub fn start(self) -> Option<RedisServer> {
        if program("redis-server").is_none() {
            skip("redis", "redis-server is not installed; scripts/setup installs it");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let ca = self.tls.then(|| tls::write(dir.path()));
        // Another process may take the port before Redis does.
        for _ in 0..5 {
            let (port, tls_port) = (free_port(), self.tls.then(free_port));
            let mut server =
                RedisServer { process: None, dir: None, options: self.clone(), port, tls_port, ca: ca.clone() };
            if server.launch(dir.path()) {
                server.dir = Some(dir);
                return Some(server);
            }
        }
        panic!("redis-server does not start: {}", fs::read_to_string(dir.path().join("log")).unwrap_or_default());
    }
}

/// A server that writes each change to its file before it acknowledges it (a kill loses nothing, a power cut would), and is
/// killed when dropped.
#[derive(Debug)]
pub struct RedisServer {
    // Dropped first, since it writes into the folder.
    process: Option<Process>,
    dir: Option<TempDir>,
    options: RedisOptions,
    port: u16,
    tls_port: Option<u16>,
    ca: Option<String>,
}

impl RedisServer {
    /// A server with default options; `None` without Redis.
    #[must_use]
    pub fn start() -> Option<Self> {
        RedisOptions::default().start()
    }

    /// Options, for [`start`](RedisOptions::start).
    #[must_use]
    pub fn options() -> RedisOptions {
        RedisOptions::default()
    }

    /// The port without TLS.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL without TLS, user or password.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The URL with TLS, and its authority's certificate as PEM.
    #[must_use]
    pub fn tls(&self) -> (String, &str) {
        let port = self.tls_port.expect("a server with TLS");
        (format!("rediss://localhost:{port}"), self.ca.as_deref().expect("a server with TLS"))
    }

    /// A client's certificate and key of the same authority, as PEM.
    #[must_use]
    pub fn client_certificate(&self) -> (String, String) {
        let read = |name: &str| fs::read_to_string(self.path().join(name)).expect("a server with TLS");
        (read("client.crt"), read("client.key"))
    }

    /// Sends a command as the default user.
    pub fn command(&self, command: &[&str]) -> Reply {
        self.try_command(command).unwrap()
    }

    pub(super) fn try_command(&self, command: &[&str]) -> io::Result<Reply> {
        ask(self.port, self.options.password.as_deref(), command)
    }

    /// The number of calls of this command, including those by scripts.
    #[must_use]
    pub fn calls(&self, command: &str) -> u64 {
        let stats = self.command(&["INFO", "commandstats"]);
        let start = format!("cmdstat_{command}:calls=");
        let calls = stats.text().lines().find_map(|line| line.strip_prefix(&start)?.split(',').next());
        calls.map_or(0, |calls| calls.parse().unwrap())
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Restarts it with the same port and data, and waits until it answers.
    pub fn restart(&mut self) {
        self.start_again();
        self.wait();
    }

    /// Waits until it answers, and so has loaded its data.
    pub fn wait(&self) {
        wait_until("the server answers", || self.answers());
    }

    /// Restarts it without data.
    pub fn restart_empty(&mut self) {
        self.kill();
        let dir = self.path();
        let _ = fs::remove_dir_all(dir.join("appendonlydir"));
        let _ = fs::remove_file(dir.join("dump.rdb"));
        self.restart();
    }

    /// Restarts it with one more line of `redis.conf`, only this time, without waiting.
    pub fn restart_with(&mut self, line: &str) {
        self.options.config.push(line.to_owned());
        self.start_again();
        self.options.config.pop();
    }

    /// `kill -STOP`: connections stay open, and commands hang.
    pub fn pause(&self) {
        self.process().pause();
    }

    /// `kill -CONT`.
    pub fn resume(&self) {
        self.process().resume();
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect("a running server")
    }

    fn start_again(&mut self) {
        self.kill();
        let dir = self.path();
        self.process = Some(self.spawn(&dir));
    }

    fn path(&self) -> std::path::PathBuf {
        self.dir.as_ref().expect("a server that was started").path().to_owned()
    }

    /// Whether it runs and answers.
    fn launch(&mut self, dir: &std::path::Path) -> bool {
        self.process = Some(self.spawn(dir));
        let mut ended = false;
        wait_until("the server answers", || {
            ended = self.process.as_mut().is_none_or(Process::has_ended);
            ended || self.answers()
        });
        !ended
    }

    fn answers(&self) -> bool {
        let answer = ask(self.port, self.options.password.as_deref(), &["PING"]);
        answer.is_ok_and(|answer| answer == Reply::Text("PONG".to_owned()))
    }

    fn spawn(&self, dir: &std::path::Path) -> Process {
        let shown = dir.display();
        let mut config = format!("port {}\nbind 127.0.0.1\ndir {shown}\nlogfile {shown}/log\n", self.port);
        if let Some(port) = self.tls_port {
            config.push_str(&format!(
                "tls-port {port}\ntls-cert-file {shown}/server.crt\ntls-key-file {shown}/server.key\n\
                 tls-ca-cert-file {shown}/ca.crt\ntls-auth-clients no\n"
            ));
        }
        if !self.options.sentinel {
            config.push_str("save \"\"\nappendonly yes\nappendfsync no\nenable-debug-command yes\n");
        }
        for line in &self.options.config {
            config.push_str(line);
            config.push('\n');
        }
        let file = dir.join("redis.conf");
        // Sentinels write their state into it.
        if !(self.options.sentinel && self.dir.is_some()) {
            fs::write(&file, config).unwrap();
        }
        let mut command = Command::new("redis-server");
        command.arg(file).args(self.options.sentinel.then_some("--sentinel"));
        Process::start(&mut command, &dir.join("output"))
    }
}
