//! Python programs, and futures without a runtime.

#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test program uses a part")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A program of `tests/python`, killed when it is dropped.
pub struct Python {
    process: Child,
    lines: std::sync::Mutex<BufReader<ChildStdout>>,
    input: ChildStdin,
}

impl Python {
    /// `None`, and a printed `SKIP`, without the Python library. With `ours` the code generated from our IDL replaces the library's.
    pub fn start(program: &str, arguments: &[&str], ours: bool) -> Option<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new(flipper_testkit::python::interpreter()?);
        command.arg("-B").arg(here.join("tests/python").join(program)).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        if ours {
            command.env("PYTHONPATH", here.join("python"));
        }
        let mut process = command.spawn().unwrap();
        let lines = std::sync::Mutex::new(BufReader::new(process.stdout.take().unwrap()));
        let input = process.stdin.take().unwrap();
        Some(Self { process, lines, input })
    }

    /// Sends a command, and returns its result.
    pub fn ask(&mut self, line: &str) -> String {
        std::io::Write::write_all(&mut self.input, format!("{line}\n").as_bytes()).unwrap();
        self.line()
    }

    /// The next marked line.
    pub fn line(&self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.lines.lock().unwrap().read_line(&mut line).unwrap() > 0, "the Python program ended early");
            if let Some(marked) = line.trim_end().strip_prefix('@') {
                return marked.to_owned();
            }
        }
    }

    pub fn succeed(mut self, last: &str) {
        assert_eq!(self.line(), last);
        assert!(self.process.wait().unwrap().success());
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub use flipper_testkit::block_on;

/// The events about flags, and losses.
pub fn about_flags(events: flipper::store::Watch<'_>) -> flipper::store::Watch<'_> {
    use futures_util::StreamExt;
    Box::pin(events.filter(|event| {
        let other =
            matches!(event, flipper::store::WatchEvent::Serving(_) | flipper::store::WatchEvent::Confirmed { .. });
        std::future::ready(!other)
    }))
}

/// Collects the process's log; for a program with one test.
pub struct Log {
    lines: std::sync::Arc<std::sync::Mutex<Vec<u8>>>,
}

impl Log {
    pub fn start() -> Self {
        let lines = std::sync::Arc::<std::sync::Mutex<Vec<u8>>>::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || Writer(writer.clone()))
            .with_max_level(tracing::Level::WARN)
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
        Self { lines }
    }

    pub fn text(&self) -> String {
        let text = String::from_utf8(self.lines.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains("refused")).map(|line| format!("{line}\n")).collect()
    }
}

struct Writer(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub fn string(text: &str) -> Vec<u8> {
    let mut bytes = u32::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// A strict binary call.
pub fn call(method: &str, arguments: &[u8]) -> Vec<u8> {
    let mut message = vec![0x80, 1, 0, 1];
    message.extend(string(method));
    message.extend([0, 0, 0, 7]);
    message.extend(arguments);
    message
}

/// A client of the generated code alone.
pub struct Raw {
    connection: flipper_thrift_protocol::MessageReader<Stream>,
    wire: flipper_thrift_protocol::Wire,
}

pub struct Stream(std::net::TcpStream);

impl std::io::Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl flipper_thrift_protocol::Source for Stream {}

impl flipper_thrift_protocol::Exchange for Stream {
    fn send(&mut self, message: &[u8]) -> std::io::Result<()> {
        std::io::Write::write_all(&mut self.0, message)
    }
}

impl Raw {
    pub fn connect(address: std::net::SocketAddr) -> Self {
        let stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let wire = flipper_thrift_protocol::Wire::default();
        Self { connection: flipper_thrift_protocol::MessageReader::new(Stream(stream)), wire }
    }

    pub fn call<T>(
        &mut self,
        call: impl FnOnce(
            &mut dyn flipper_thrift_protocol::feature_flag_store::TFeatureFlagStoreSyncClient,
        ) -> thrift::Result<T>,
    ) -> thrift::Result<T> {
        let limits = flipper_thrift_protocol::Limits { message: 64 << 20, string: 64 << 20, container: 1 << 20 };
        flipper_thrift_protocol::call(&mut self.connection, self.wire, &limits, call)
    }
}
