//! Many flags, and one thread that answers all.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::channel;

use flipper::store::Precondition;
use flipper::{Condition, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore};
use flipper_server::{App, HttpOptions, HttpServer};
use flipper_testkit::PATIENCE;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use crate::support::Http;

const PRO: &str = r#"{"context":{"plan":"pro"}}"#;

struct Large {
    address: SocketAddr,
    store: MemoryFeatureFlagStore,
    runtime: Runtime,
    _server: HttpServer,
}

fn serve(flags: usize) -> Large {
    let runtime = Builder::new_multi_thread().worker_threads(1).max_blocking_threads(1).enable_all().build().unwrap();
    let store = MemoryFeatureFlagStore::new().without_history();
    runtime.block_on(async {
        for number in 0..flags {
            let mut record = FlagRecord::new(format!("F{number:06}"), 1);
            record.set_enabled(true);
            if number % 2 == 0 {
                record.add_condition(Condition::new().eq("plan", "pro"));
            }
            store.put(&record, Precondition::Absent.into()).await.unwrap();
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let app = App::new(Arc::new(store.clone()));
    let server = runtime.block_on(HttpServer::start(vec![listener], app, HttpOptions::default())).unwrap();
    Large { address: server.local_addrs()[0], store, runtime, _server: server }
}

/// The request for all flags, sent.
fn ask_for_all(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = PRO.len();
    write!(
        stream,
        "POST /ofrep/v1/evaluate/flags HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{PRO}"
    )
    .unwrap();
    stream.set_nonblocking(true).unwrap();
    stream
}

fn is_waiting(stream: &TcpStream) -> bool {
    stream.peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn flags_are_evaluated_while_the_list_of_all_is_read() {
    let server = serve(2000);
    // The only other thread is busy, so that the list takes until the sender is dropped.
    let (busy, ended) = channel::<()>();
    server.runtime.spawn_blocking(move || ended.recv());
    let mut http = Http::connect(server.address);
    let mut all = ask_for_all(server.address);
    for _ in 0..10 {
        assert_eq!(http.evaluate("F000000", PRO).json()["value"], true);
    }
    assert!(is_waiting(&all));
    drop(busy);
    all.set_nonblocking(false).unwrap();
    all.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut begin = [0; 15];
    all.read_exact(&mut begin).unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200 OK");
}

#[test]
fn flags_are_evaluated_while_an_answer_for_all_is_written() {
    const FLAGS: usize = 100_000;
    let server = serve(FLAGS);
    let mut http = Http::connect(server.address);
    let whole = http.bulk(&[], PRO);
    // The list is there now.
    let all = ask_for_all(server.address);
    let mut answered = 0;
    while is_waiting(&all) {
        assert_eq!(http.evaluate("F000000", PRO).json()["value"], true);
        answered += 1;
    }
    assert!(answered >= 10, "{answered}");
    drop(all);
    let changed = FlagRecord::new("F000001", 2);
    server.runtime.block_on(server.store.put(&changed, Precondition::Any.into())).unwrap();
    let changed = http.bulk(&[], PRO);
    assert_ne!(changed.tag(), whole.tag());
    let flags = changed.json()["flags"].take();
    let values: Vec<_> =
        flags.as_array().unwrap().iter().map(|flag| (flag["key"].as_str().unwrap(), &flag["value"])).collect();
    assert_eq!(values.len(), FLAGS);
    assert!(values.is_sorted_by_key(|(key, _)| *key));
    assert!(values.iter().all(|(key, value)| **value != json!(*key == "F000001")));
    assert_eq!(http.bulk(&[("If-None-Match", &changed.tag())], PRO).status, 304);
    list(server.address, FLAGS);
}

/// Of the API, which has pages.
fn list(address: SocketAddr, flags: usize) {
    let mut http = Http::connect(address);
    let refused = http.request("GET", "/api/v1/flags?limit=100000", &[], b"");
    assert_eq!((refused.status, &refused.json()["parameter"]), (400, &json!("limit")));
    let (mut count, mut after) = (0, String::new());
    loop {
        let page = http.request("GET", &format!("/api/v1/flags?limit=10000&after={after}"), &[], b"");
        assert!(page.status == 200 && page.text.len() < 5 << 20, "{}", page.text.len());
        // Reading its JSON would take most of this test's time.
        count += page.text.matches("{\"name\": ").count();
        let (_, next) = page.text.rsplit_once("\"next\": ").unwrap();
        match next.strip_prefix('"') {
            Some(next) => after = next.split('"').next().unwrap().to_owned(),
            None => break,
        }
    }
    assert_eq!(count, flags);
}
