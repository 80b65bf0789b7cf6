//! A hundred thousand flags, and one thread that answers all.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use flipper::store::Precondition;
use flipper::{Condition, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore};
use flipper_server::{App, HttpOptions, HttpServer};
use flipper_testkit::resident_memory;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use crate::support::Http;

const FLAGS: usize = 100_000;
const PRO: &str = r#"{"context":{"plan":"pro"}}"#;

struct Large {
    address: SocketAddr,
    store: MemoryFeatureFlagStore,
    runtime: Runtime,
    _server: HttpServer,
}

fn serve() -> Large {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let store = MemoryFeatureFlagStore::new().without_history();
    runtime.block_on(async {
        for number in 0..FLAGS {
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

/// Single evaluations that are answered, one after the other, before the first byte of this answer is there.
fn singles_before(address: SocketAddr, request: &str) -> usize {
    let mut http = Http::connect(address);
    assert_eq!(http.evaluate("F000000", PRO).status, 200);
    let mut large = TcpStream::connect(address).unwrap();
    large.write_all(request.as_bytes()).unwrap();
    large.set_nonblocking(true).unwrap();
    let mut answered = 0;
    while large.peek(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock) {
        assert_eq!(http.evaluate("F000000", PRO).json()["value"], true);
        answered += 1;
    }
    answered
}

#[test]
fn an_answer_for_all_of_many_flags_lets_others_be_answered() {
    let server = serve();
    let length = PRO.len();
    let bulk =
        format!("POST /ofrep/v1/evaluate/flags HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{PRO}");
    // Its first answer reads all flags, and so does the first after a change: others have more time then than between the thousands of an answer.
    for (round, least) in [FLAGS / 1000 + 10, 10, FLAGS / 1000 + 10].into_iter().enumerate() {
        let answered = singles_before(server.address, &bulk);
        assert!(answered >= least, "round {round}: {answered}");
        if round == 1 {
            let changed = FlagRecord::new("F000001", 2);
            server.runtime.block_on(server.store.put(&changed, Precondition::Any.into())).unwrap();
        }
    }
    let mut http = Http::connect(server.address);
    let whole = http.bulk(&[], PRO);
    let flags = whole.json()["flags"].take();
    let values: Vec<_> =
        flags.as_array().unwrap().iter().map(|flag| (flag["key"].as_str().unwrap(), &flag["value"])).collect();
    assert_eq!(values.len(), FLAGS);
    assert!(values.is_sorted_by_key(|(key, _)| *key));
    assert!(values.iter().all(|(key, value)| **value != json!(*key == "F000001")));
    assert_eq!(http.bulk(&[("If-None-Match", &whole.tag())], PRO).status, 304);
    // Nothing of an answer stays.
    let before = resident_memory(std::process::id());
    for _ in 0..6 {
        assert_eq!(http.bulk(&[], PRO).text.len(), whole.text.len());
    }
    let grown = resident_memory(std::process::id()).saturating_sub(before);
    assert!(grown < 3 * whole.text.len() as u64, "{grown} bytes after 6 answers of {}", whole.text.len());
    list(server.address);
}

/// Of the API, which has pages.
fn list(address: SocketAddr) {
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
    assert_eq!(count, FLAGS);
}
