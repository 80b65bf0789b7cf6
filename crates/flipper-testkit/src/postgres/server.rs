//! A PostgreSQL server.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::PASSWORD;
use super::files::{self, command, find, folder, make_data, run};
use crate::port::free_port;
use crate::wait_until;

/// Options of a server.
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    settings: Vec<String>,
    tls: bool,
}

impl PostgresOptions {
    /// Adds a setting, `NAME=VALUE`.
    #[must_use]
    pub fn set(mut self, setting: impl Into<String>) -> Self {
        self.settings.push(setting.into());
        self
    }

    /// Accepts TLS, on the same port.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Starts it; prints `SKIP` and returns `None` without PostgreSQL.
    #[must_use]
    pub fn start(self) -> Option<PostgresServer> {
        let dir = folder();
        let new = make_data(dir.path())?;
        let mut options = self;
        if options.tls {
            crate::tls::write(dir.path());
            let owner = fs::metadata(dir.path()).unwrap();
            for name in ["server.crt", "server.key", "ca.crt", "client.crt", "client.key"] {
                use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
                let path = dir.path().join(name);
                chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            }
            let at = |name: &str| dir.path().join(name).display().to_string();
            options.settings.push("ssl=on".to_owned());
            options.settings.push(format!("ssl_cert_file={}", at("server.crt")));
            options.settings.push(format!("ssl_key_file={}", at("server.key")));
        }
        Some(PostgresServer::start_in(dir, options, Some(new)))
    }
}

/// A server that loses nothing when it is killed (a power cut would), and is ended when dropped.
#[derive(Debug)]
pub struct PostgresServer {
    process: Option<Child>,
    dir: TempDir,
    options: PostgresOptions,
    port: u16,
    /// Kept for the next server.
    _new: Option<Arc<TempDir>>,
}

impl PostgresServer {
    /// A server with default options; `None` without PostgreSQL.
    #[must_use]
    pub fn start() -> Option<Self> {
        PostgresOptions::default().start()
    }

    /// Options, for [`start`](PostgresOptions::start).
    #[must_use]
    pub fn options() -> PostgresOptions {
        PostgresOptions::default()
    }

    fn start_in(dir: TempDir, options: PostgresOptions, new: Option<Arc<TempDir>>) -> Self {
        let mut server = Self { process: None, dir, options, port: 0, _new: new };
        // Another process may take the port before PostgreSQL does.
        for _ in 0..5 {
            server.port = free_port();
            if server.launch() {
                return server;
            }
        }
        panic!("PostgreSQL does not start: {}", server.log());
    }

    /// A standby of this server, which streams its changes.
    #[must_use]
    pub fn standby(&self) -> Self {
        self.standby_through(self.port)
    }

    /// A standby that reaches this server through another port.
    #[must_use]
    pub fn standby_through(&self, port: u16) -> Self {
        let dir = folder();
        let mut backup = command(find("pg_basebackup").unwrap(), dir.path());
        backup.args(["-h", "127.0.0.1", "-U", "postgres", "-D", "data", "-R", "-X", "stream", "--no-sync"]);
        run(backup.args(["-p", &port.to_string(), "--checkpoint", "fast"]));
        let standby = Self::start_in(dir, PostgresOptions { tls: false, ..self.options.clone() }, None);
        let streams = "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'";
        wait_until("the standby hears from its primary", || standby.psql(streams) == "1");
        standby
    }

    /// Makes a standby the primary, and waits for that.
    pub fn promote(&self) {
        self.psql("SELECT pg_promote(true, 60)");
        wait_until("the standby is promoted", || self.psql("SELECT pg_is_in_recovery()") == "f");
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder with its socket and certificates.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// The URL of the superuser.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The URL of a user with the same password.
    #[must_use]
    pub fn url_of(&self, user: &str) -> String {
        format!("postgresql://{user}:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    /// The superuser's, with the password in a file.
    #[must_use]
    pub fn url_by_file(&self) -> String {
        use std::os::unix::fs::PermissionsExt;
        let file = self.dir.path().join("pgpass");
        fs::write(&file, format!("*:*:*:*:{PASSWORD}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        format!("postgresql://127.0.0.1:{}/postgres?user=postgres&passfile={}", self.port, file.display())
    }

    /// Runs SQL as the superuser, in one session; returns the rows, without their headers.
    #[track_caller]
    pub fn psql(&self, sql: &str) -> String {
        self.try_psql(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The same, or the error.
    ///
    /// # Errors
    ///
    /// What psql printed.
    pub fn try_psql(&self, sql: &str) -> Result<String, String> {
        psql(&self.url(), sql)
    }

    /// Dumps these tables as SQL.
    #[must_use]
    pub fn dump(&self, arguments: &[&str]) -> String {
        let mut dump = command(find("pg_dump").unwrap(), self.dir.path());
        run(dump.arg(self.url()).args(arguments))
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let pid = Pid::from_child(&process);
        let each =
            |process: &Child, signal| processes(process).into_iter().for_each(|pid| _ = kill_process(pid, signal));
        // A stopped process notices nothing.
        each(&process, Signal::CONT);
        let _ = kill_process(pid, Signal::QUIT);
        let deadline = Instant::now() + Duration::from_secs(20);
        while process.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                each(&process, Signal::KILL);
                let _ = process.kill();
                let _ = process.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Restarts it with the same port and data, and waits until it answers.
    pub fn restart(&mut self) {
        self.kill();
        assert!(self.launch(), "PostgreSQL does not start: {}", self.log());
    }

    /// Restarts it as new.
    pub fn restart_empty(&mut self) {
        self.kill();
        fs::remove_dir_all(self.dir.path().join("data")).unwrap();
        let _new = make_data(self.dir.path()).unwrap();
        self.restart();
    }

    /// `kill -STOP` of all its processes: connections stay open, and queries hang.
    pub fn pause(&self) {
        let process = self.process.as_ref().unwrap();
        // The first, so that it starts no more.
        kill_process(Pid::from_child(process), Signal::STOP).unwrap();
        processes(process).into_iter().for_each(|pid| _ = kill_process(pid, Signal::STOP));
    }

    /// `kill -CONT`.
    pub fn resume(&self) {
        processes(self.process.as_ref().unwrap()).into_iter().for_each(|pid| _ = kill_process(pid, Signal::CONT));
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn launch(&mut self) -> bool {
        let folder = self.dir.path();
        let mut start = command(find("postgres").unwrap(), folder);
        start.args(["-D", "data", "-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        start.arg("-c").arg(format!("unix_socket_directories={}", folder.display()));
        for setting in ["fsync=off", "shared_buffers=16MB", "wal_level=logical"] {
            start.args(["-c", setting]);
        }
        for setting in &self.options.settings {
            start.args(["-c", setting]);
        }
        let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap();
        start.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.process = Some(start.spawn().unwrap());
        let mut ended = false;
        wait_until("PostgreSQL answers", || {
            ended = self.process.as_mut().is_none_or(|process| process.try_wait().unwrap().is_some());
            ended || self.try_psql("SELECT 1").is_ok()
        });
        !ended
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The first is that which started the others.
fn processes(first: &Child) -> Vec<Pid> {
    let id = first.id();
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|id| Pid::from_raw(id.parse().ok()?));
    std::iter::once(Pid::from_child(first)).chain(children).collect()
}

pub(super) fn psql(url: &str, sql: &str) -> Result<String, String> {
    let mut command = Command::new(files::psql());
    command.args([url, "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-f", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().map_err(|error| format!("psql: {error}"))?;
    // Fails if it ends before it has read all; then it says why.
    let _ = std::io::Write::write_all(&mut process.stdin.take().unwrap(), sql.as_bytes());
    let output = process.wait_with_output().map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}
