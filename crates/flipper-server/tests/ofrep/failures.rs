//! A store that panics or does not answer, and a restart: each request gets an answer, and those after it as before.

use std::fmt;
use std::future::pending;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use flipper::store::{FlagTable, Health, LocalFeatureFlagStore, Status, Stored, Updates, Version, Watch, WriteOptions};
use flipper::{FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore, Result};
use flipper_server::Limits;
use flipper_testkit::wait_until;
use serde_json::{Value, json};

use crate::support::{Client, Server};

const WORKS: u8 = 0;
const PANICS: u8 = 1;
const HANGS: u8 = 2;

#[derive(Clone, Debug, Default)]
struct Failing {
    store: MemoryFeatureFlagStore,
    fault: Arc<AtomicU8>,
}

impl Failing {
    fn set(&self, fault: u8) {
        self.fault.store(fault, Ordering::Release);
    }

    /// Whether it hangs.
    fn fails(&self) -> bool {
        let fault = self.fault.load(Ordering::Acquire);
        assert_ne!(fault, PANICS, "on command");
        fault == HANGS
    }
}

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Failing")
    }
}

#[async_trait]
impl FeatureFlagStore for Failing {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        self.store.get(name).await
    }

    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
        if self.fails() { pending().await } else { self.store.put(record, options).await }
    }

    async fn delete(&self, name: &str, options: WriteOptions) -> Result<Version> {
        self.store.delete(name, options).await
    }

    async fn list(&self) -> Result<Vec<Stored>> {
        self.store.list().await
    }

    fn watch(&self) -> Watch<'_> {
        self.store.watch()
    }
}

#[async_trait]
impl LocalFeatureFlagStore for Failing {
    fn table(&self) -> &Arc<FlagTable> {
        self.store.table()
    }

    fn status(&self) -> Status {
        match self.fails() {
            true => Status::new(
                Health::Stale { since: SystemTime::now(), reason: "on command".into() },
                None,
                Updates::Push,
            ),
            false => self.store.status(),
        }
    }

    async fn ready(&self) -> Result<()> {
        if self.fails() { pending().await } else { Ok(()) }
    }
}

#[test]
fn a_failure_is_an_answer() {
    let store = Failing::default();
    // Shorter than an evaluation waits for the first flags.
    let limits = Limits::default().request_time(Duration::from_millis(200));
    let server = Server::over(Arc::new(store.clone()), move |app, _| app.limits(limits));
    server.flag("F", r#"{"a":1}"#, |_| {});
    let mut http = server.http();
    let json_type = [("Content-Type", "application/json")];
    for (fault, status, details, code) in [
        (PANICS, 500, "the server failed while it answered; its log says more", "internal"),
        (HANGS, 503, "the answer took too long", "overloaded"),
    ] {
        store.set(fault);
        http.evaluate("F", "{}").is_error(status, "F", "GENERAL", details);
        http.evaluate("F/a", "{}").is_error(status, "F/a", "GENERAL", details);
        http.bulk(&[], "{}").is_error(status, "", "GENERAL", details);
        let problem = http.request("PATCH", "/api/v1/flags/F", &json_type, br#"{"enabled": false}"#);
        assert_eq!((problem.status, problem.header("content-type")), (status, Some("application/problem+json")));
        let json = problem.json();
        assert_eq!((&json["status"], &json["code"]), (&json!(status), &json!(code)), "{json}");
        assert!(json["detail"].as_str().unwrap().starts_with(details), "{json}");
        // Whether it was written is unknown.
        assert_eq!(problem.header("retry-after").is_some(), fault == HANGS);
        assert_eq!(json["hint"], if fault == HANGS { json!("read the flag, then try again") } else { Value::Null });
        for mut client in Client::all(&server.url()) {
            let details = client.details("boolean", "F", &json!(false), &json!({}));
            assert_eq!((&details["value"], &details["reason"]), (&json!(false), &json!("ERROR")), "{details}");
            // To the Rust provider an answer without a value is broken.
            let code = if client.name == "rust" { "ParseError" } else { "GENERAL" };
            assert_eq!(details["errorCode"], code, "{}: {details}", client.name);
        }
        store.set(WORKS);
        assert_eq!(http.evaluate("F", "{}").json()["value"], true);
    }
}

/// The socket is systemd's, so the next server answers requests that wait in its queue.
#[test]
fn a_restart_is_no_error_to_a_client() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let passed = || socket.try_clone().unwrap();
    let mut server = Server::on(passed(), Arc::new(MemoryFeatureFlagStore::new()), |app, _| app);
    server.flag("F", "{}", |_| {});
    let mut clients: Vec<_> =
        Client::all(&server.url()).into_iter().map(|client| (client, AtomicUsize::new(0))).collect();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let _over = Over(&is_over);
        let answers: Vec<_> = clients
            .iter_mut()
            .map(|(client, answers)| {
                let (answers, is_over) = (&*answers, &is_over);
                scope.spawn(move || {
                    while !is_over.load(Ordering::Acquire) {
                        let details = client.details("boolean", "F", &json!(false), &json!({}));
                        assert_eq!(details["value"], true, "{}: {details}", client.name);
                        answers.fetch_add(1, Ordering::AcqRel);
                    }
                });
                answers
            })
            .collect();
        let ask_twice = || {
            let before: Vec<_> = answers.iter().map(|count| count.load(Ordering::Acquire)).collect();
            wait_until("all have asked twice", || {
                answers.iter().zip(&before).all(|(count, before)| count.load(Ordering::Acquire) >= before + 2)
            });
        };
        for _ in 0..5 {
            ask_twice();
            // The first of them may have been asked before.
            server.app.drain();
            ask_twice();
            server.restart_on(passed());
        }
    });
}

/// Ends the clients also if a test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
