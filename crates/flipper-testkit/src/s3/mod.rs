//! Servers with the interface of S3, installed by `scripts/setup`, and a proxy in front of one.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is a test's report")]

mod proxy;

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, process};

use tempfile::TempDir;

pub use self::proxy::S3Proxy;
use crate::port::free_port;
use crate::process::Process;
use crate::{PATIENCE, skip, wait_until};

/// May do everything.
pub const KEY: &str = "key";
/// May read and list, at `SeaweedFS`.
pub const READER: &str = "reader";
/// Of both.
pub const SECRET: &str = "s3cr3t";

/// Which program serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Checks keys, and keeps its objects over a restart.
    SeaweedFs,
    /// Checks nothing, and keeps its objects in memory.
    Moto,
}

/// A server, killed when dropped. Requests without a key may do everything.
#[derive(Debug)]
pub struct S3Server {
    // Dropped first, since it writes into the folder.
    process: Option<Process>,
    dir: TempDir,
    kind: Kind,
    port: u16,
    buckets: AtomicUsize,
}

/// Statics are not dropped: a shell waits for the end of this process, which closes its standard input.
#[derive(Debug)]
struct Guarded {
    server: S3Server,
    _guard: process::Child,
}

impl Guarded {
    fn new(server: S3Server) -> Self {
        let id = server.process.as_ref().expect("a running server").id().to_string();
        let mut guard = Command::new("sh");
        guard.args(["-c", "cat; kill -9 \"$1\"; rm -rf \"$2\"", "guard", &id]).arg(server.dir.path());
        let guard = guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { server, _guard: guard }
    }
}

/// A server's response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The status line and the headers.
    pub head: String,
    /// The text.
    pub body: String,
}

impl S3Server {
    /// Starts one; prints `SKIP` and returns `None` without the program.
    #[must_use]
    pub fn start(kind: Kind) -> Option<Self> {
        if !kind.program().exists() {
            skip("s3", "there is no .cache/s3; scripts/setup makes it");
            return None;
        }
        // Another process may take a port before the server does.
        let mut log = String::new();
        for _ in 0..5 {
            let dir = tempfile::tempdir().unwrap();
            let mut server = Self { process: None, dir, kind, port: free_port(), buckets: AtomicUsize::new(0) };
            if server.launch() {
                return Some(server);
            }
            log = fs::read_to_string(server.dir.path().join("log")).unwrap_or_default();
        }
        panic!("{kind:?} does not start: {log}");
    }

    /// The one of this kind for all tests of this process: it takes seconds to start. Killed when the process ends.
    #[must_use]
    pub fn shared(kind: Kind) -> Option<&'static Self> {
        static SEAWEEDFS: OnceLock<Option<Guarded>> = OnceLock::new();
        static MOTO: OnceLock<Option<Guarded>> = OnceLock::new();
        let shared = if kind == Kind::Moto { &MOTO } else { &SEAWEEDFS };
        shared.get_or_init(|| Self::start(kind).map(Guarded::new)).as_ref().map(|guarded| &guarded.server)
    }

    /// The port of its interface.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A new bucket, which takes objects.
    #[must_use]
    pub fn bucket(&self) -> String {
        let name = format!("flags-{}-{}", process::id(), self.buckets.fetch_add(1, Ordering::Relaxed));
        // The parts of SeaweedFS find each other in the first seconds.
        wait_until("the server stores an object", || {
            let _ = self.ask("PUT", &format!("/{name}"), b"");
            self.ask("PUT", &format!("/{name}/first"), b"x").status == 200
        });
        assert_eq!(self.ask("DELETE", &format!("/{name}/first"), b"").status, 204);
        name
    }

    /// A request without a key; the path is percent-encoded.
    pub fn ask(&self, method: &str, path: &str, body: &[u8]) -> Reply {
        self.ask_with(method, path, "", body)
    }

    /// The same with these header lines, each with its `\r\n`.
    pub fn ask_with(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Reply {
        self.try_ask(method, path, headers, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// The same, where the server may be down.
    ///
    /// # Errors
    ///
    /// Of the connection.
    pub fn try_ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> io::Result<Reply> {
        // moto does not check it, but deletes nothing without.
        let key = if self.kind == Kind::Moto { "Authorization: AWS key:signature\r\n" } else { "" };
        ask(self.port, method, path, &format!("{headers}{key}"), body)
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again at the same port, with the objects that it kept, and waits until this bucket answers.
    pub fn restart(&mut self, bucket: &str) {
        self.process = None;
        self.launch_again();
        self.wait_for(bucket);
    }

    fn wait_for(&self, bucket: &str) {
        wait_until("the bucket answers again", || {
            let put = |method: &str| self.try_ask(method, &format!("/{bucket}/first"), "", b"x");
            put("PUT").is_ok_and(|reply| reply.status == 200) && put("DELETE").is_ok_and(|reply| reply.status == 204)
        });
    }

    /// Starts it again without objects but with this bucket.
    pub fn restart_empty(&mut self, bucket: &str) {
        self.process = None;
        for entry in fs::read_dir(self.dir.path()).unwrap().flatten() {
            let _ =
                if entry.path().is_dir() { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
        }
        self.launch_again();
        wait_until("the bucket is made", || {
            self.try_ask("PUT", &format!("/{bucket}"), "", b"").is_ok_and(|reply| reply.status == 200)
        });
        self.wait_for(bucket);
    }

    /// `kill -STOP`: connections stay open, and requests hang.
    pub fn pause(&self) {
        self.process.as_ref().expect("a running server").pause();
    }

    /// `kill -CONT`.
    pub fn resume(&self) {
        self.process.as_ref().expect("a running server").resume();
    }

    /// Its parts get new ports, of which another process may take one first.
    fn launch_again(&mut self) {
        assert!((0..5).any(|_| self.launch()), "the server ended");
    }

    /// Returns whether it runs and answers.
    fn launch(&mut self) -> bool {
        let mut command = self.command();
        self.process = Some(Process::start(&mut command, &self.dir.path().join("log")));
        let mut ended = false;
        wait_until("the server answers", || {
            ended = self.process.as_mut().is_none_or(Process::has_ended);
            ended || self.try_ask("GET", "/", "", b"").is_ok()
        });
        !ended
    }

    fn command(&self) -> Command {
        let dir = self.dir.path();
        let mut command = Command::new(self.kind.program());
        if self.kind == Kind::Moto {
            command.args(["-H", "127.0.0.1", "-p", &self.port.to_string()]);
            return command;
        }
        // Else it writes its log into the temporary folder too.
        command.args(["-logtostderr=true", "server", "-master.telemetry=false"]);
        // For each bucket it makes volumes, by default seven.
        command.env("WEED_MASTER_VOLUME_GROWTH_COPY_1", "1");
        for part in ["s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc"] {
            command.arg(format!("-{part}={}", free_port()));
        }
        command.args([format!("-filer.port={}", free_port()), format!("-filer.port.grpc={}", free_port())]);
        let identity = |name: &str, actions: &str| {
            let keys = format!("[{{\"accessKey\": \"{name}\", \"secretKey\": \"{SECRET}\"}}]");
            let keys = if name == "anonymous" { "[]".to_owned() } else { keys };
            format!("{{\"name\": \"{name}\", \"credentials\": {keys}, \"actions\": [{actions}]}}")
        };
        let all = "\"Admin\", \"Read\", \"List\", \"Write\"";
        let identities =
            [identity(KEY, all), identity("anonymous", all), identity(READER, "\"Read\", \"List\"")].join(", ");
        let config = dir.join("s3.json");
        fs::write(&config, format!("{{\"identities\": [{identities}]}}")).unwrap();
        command.arg("-dir").arg(dir).arg("-s3.config").arg(config);
        command.args([
            "-ip",
            "127.0.0.1",
            "-ip.bind",
            "127.0.0.1",
            "-filer",
            "-s3",
            "-s3.port",
            &self.port.to_string(),
        ]);
        command.args([
            "-volume.max",
            "10000",
            "-master.volumeSizeLimitMB",
            "8",
            "-s3.port.iceberg",
            "0",
            "-s3.port.lance",
            "0",
        ]);
        // With less than a hundredth of the disk it answers each write with an internal error, however much that is.
        command.arg("-volume.minFreeSpace=100MiB");
        // Or a write to a bucket that does not exist makes it.
        command.arg("-s3.autoCreateBucket=false").current_dir(dir);
        command
    }
}

impl Kind {
    fn program(self) -> PathBuf {
        let programs = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cache/s3/bin"));
        programs.join(if self == Self::Moto { "moto_server" } else { "weed" })
    }
}

/// The interpreter with `flipper-client` 1.3.2 and boto3. Prints `SKIP` and returns `None` without it.
#[must_use]
pub fn interpreter() -> Option<PathBuf> {
    let python = Kind::Moto.program().with_file_name("python");
    if python.exists() {
        return Some(python);
    }
    skip("python", "there is no .cache/s3; scripts/setup makes it");
    None
}

fn ask(port: u16, method: &str, path: &str, headers: &str, body: &[u8]) -> io::Result<Reply> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // The older version has no chunked responses.
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nContent-Type: binary/octet-stream\r\nContent-Length: {length}\r\n{headers}\r\n"
    )?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "no HTTP answer");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(invalid)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(invalid)?;
    Ok(Reply { status, head: head.to_owned(), body: body.to_owned() })
}
