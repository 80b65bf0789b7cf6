//! Runs each program as a process, and sends requests while another process, this one, flips its flags.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use flipper::Condition;
use flipper::blocking::FeatureFlagClient;
use flipper::bucketing::{Percentage, SaltedPercentageBucketer};
use flipper_testkit::{PATIENCE, wait_until, within};
use tempfile::TempDir;

/// A running program, and its flags.
struct Program {
    process: Child,
    address: SocketAddr,
    features: FeatureFlagClient,
    _folder: TempDir,
}

impl Program {
    fn start(path: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("flags.db").display());
        let mut process = Command::new(path).args([&url, "127.0.0.1:0"]).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = process.stdout.take().unwrap();
        let line = within(PATIENCE, || BufReader::new(stdout).lines().next());
        let line = line.unwrap().unwrap();
        let address = line.strip_prefix("listening on ").unwrap().parse().unwrap();
        // After the program, which creates the flags.
        let features = flipper::blocking::connect(&url).unwrap();
        Self { process, address, features, _folder: folder }
    }

    /// The status and the body of the response to a user.
    fn get(&self, path: &str, user: &str) -> (u16, String) {
        let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nx-user: {user}\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.trim_end().to_owned())
    }

    /// Waits for this answer: a flip takes a moment between processes.
    fn becomes(&self, path: &str, user: &str, status: u16, body: &str) {
        let expected = (status, body.to_owned());
        wait_until(&format!("{path} is {expected:?}"), || self.get(path, user) == expected);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The behaviour of both programs with handlers.
fn handlers(program: &Program) {
    let features = &program.features;
    for on in [false, true, false] {
        for name in ["IMPROVED_HORSE_SOUNDS", "BETA", "NEW_CHECKOUT"] {
            if on { features.enable(name) } else { features.disable(name) }.unwrap();
        }
        program.becomes("/sound", "7", 200, if on { "whinny" } else { "neigh" });
        let beta = if on { (200, "welcome to the beta") } else { (404, "") };
        program.becomes("/beta", "7", beta.0, beta.1);
        let checkout = if on { "new checkout: the flag is enabled" } else { "old checkout: the flag is disabled" };
        program.becomes("/checkout", "7", 200, checkout);
    }

    features.enable("NEW_CHECKOUT").unwrap();
    features.add_condition("NEW_CHECKOUT", Condition::new().eq("user_id", 7).eq("path", "/checkout")).unwrap();
    program.becomes("/checkout", "7", 200, "new checkout: all conditions hold");
    let failed = r#"old checkout: the condition on "user_id" (eq) does not hold"#;
    assert_eq!(program.get("/checkout", "8"), (200, failed.into()));
}

#[test]
fn axum_handlers() {
    handlers(&Program::start(env!("CARGO_BIN_EXE_axum_handlers")));
}

#[test]
fn actix_handlers() {
    handlers(&Program::start(env!("CARGO_BIN_EXE_actix_handlers")));
}

#[test]
fn old_and_new_service() {
    let program = Program::start(env!("CARGO_BIN_EXE_old_and_new_service"));
    let features = &program.features;
    program.becomes("/orders/1", "7", 200, "order 1, by the old service");
    assert_eq!(program.get("/stock", "7").0, 404);

    features.enable("NEW_SERVICE").unwrap();
    program.becomes("/orders/1", "7", 200, "order 1, by the new service");
    program.becomes("/stock", "7", 200, "only the new service has a stock");

    // Half of the users, each with a constant answer.
    features.set_bucketer("NEW_SERVICE", SaltedPercentageBucketer::new("user", Percentage::new(0.5))).unwrap();
    wait_until("some get the old service", || (0..50).any(|user| program.get("/stock", &user.to_string()).0 == 404));
    let statuses: Vec<u16> = (0..50).map(|user| program.get("/stock", &user.to_string()).0).collect();
    assert!(statuses.contains(&200) && statuses.contains(&404), "{statuses:?}");
    let again: Vec<u16> = (0..50).map(|user| program.get("/stock", &user.to_string()).0).collect();
    assert_eq!(statuses, again);

    features.disable("NEW_SERVICE").unwrap();
    program.becomes("/orders/1", "7", 200, "order 1, by the old service");
}
