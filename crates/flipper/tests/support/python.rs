//! A process of the Python library that runs calls.

use std::fmt::Display;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

pub(crate) struct Python {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Python {
    /// `store`: `redis`, `consul`, `postgres` with a table as its base key, or `s3` with a bucket. Prints `SKIP` and returns `None` where
    /// Python's library is not installed.
    pub(crate) fn start(store: &str, port: u16, base_key: &str) -> Option<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/flags.py");
        let interpreter =
            if store == "s3" { flipper_testkit::s3::interpreter() } else { flipper_testkit::python::interpreter() };
        let mut command = Command::new(interpreter?);
        command.args([script, store, &port.to_string(), base_key]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Some(Self { child, input, output })
    }

    pub(crate) fn ask(&mut self, call: &impl Display) -> Value {
        writeln!(self.input, "{call}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("Python failed at {call}"))
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
