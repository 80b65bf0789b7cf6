//! pgbouncer, a pool of connections in front of a server.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};
use std::process::{Child, Stdio};
use tempfile::TempDir;

use super::PASSWORD;
use super::files::{command, find, folder};
use super::server::{PostgresServer, psql};
use crate::port::free_port;
use crate::wait_until;

/// How long a client keeps a connection to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolMode {
    /// Until it disconnects.
    Session,
    /// For a transaction.
    Transaction,
    /// For a statement; it refuses transactions of several.
    Statement,
}

/// A pool, killed when dropped. All its clients are the superuser.
#[derive(Debug)]
pub struct Pool {
    process: Child,
    dir: TempDir,
    port: u16,
    mode: PoolMode,
}

impl Pool {
    /// Starts one; prints `SKIP` and returns `None` without pgbouncer.
    #[must_use]
    pub fn start(server: &PostgresServer, mode: PoolMode) -> Option<Self> {
        let program = find("pgbouncer")?;
        let (dir, port) = (folder(), free_port());
        write(&dir, port, mode, server.port(), "");
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let mut start = command(program, dir.path());
        start.arg("pgbouncer.ini").stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let pool = Self { process: start.spawn().unwrap(), dir, port, mode };
        wait_until("pgbouncer answers", || psql(&pool.url(), "SELECT 1").is_ok());
        Some(pool)
    }

    /// The URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgresql://postgres:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    /// Clients wait, and no connection to the server is left.
    pub fn pause(&self) {
        self.command("PAUSE");
    }

    /// After [`pause`](Self::pause).
    pub fn resume(&self) {
        self.command("RESUME");
    }

    fn command(&self, command: &str) {
        let url = format!("postgresql://postgres:{PASSWORD}@127.0.0.1:{}/pgbouncer", self.port);
        psql(&url, command).unwrap();
    }

    /// Leads to another server from now on; its clients stay connected.
    pub fn lead_to(&self, server: &PostgresServer) {
        self.lead(server, "", "inet_server_port()", &server.port().to_string());
    }

    /// Likewise to a database of it, whatever the clients' URLs say.
    pub fn lead_to_database(&self, server: &PostgresServer, database: &str) {
        self.lead(server, &format!("dbname={database}"), "current_database()", database);
    }

    fn lead(&self, server: &PostgresServer, more: &str, ask: &str, wanted: &str) {
        write(&self.dir, self.port, self.mode, server.port(), more);
        kill_process(Pid::from_child(&self.process), Signal::HUP).unwrap();
        wait_until("pgbouncer leads elsewhere", || {
            psql(&self.url(), &format!("SELECT {ask}")).is_ok_and(|found| found == wanted)
        });
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn write(dir: &TempDir, port: u16, mode: PoolMode, server: u16, more: &str) {
    let mode = match mode {
        PoolMode::Session => "session",
        PoolMode::Transaction => "transaction",
        PoolMode::Statement => "statement",
    };
    let text = format!(
        "[databases]\n* = host=127.0.0.1 port={server} user=postgres password={PASSWORD} {more}\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\nadmin_users = postgres\n\
         pool_mode = {mode}\ndefault_pool_size = 20\nserver_login_retry = 1\n"
    );
    let file = dir.path().join("pgbouncer.ini");
    fs::write(&file, text).unwrap();
    if crate::is_root() {
        std::os::unix::fs::chown(&file, Some(65534), Some(65534)).unwrap();
    }
}
