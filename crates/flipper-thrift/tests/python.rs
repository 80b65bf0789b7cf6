//! The Python library's client with our server, and its server with our client, in all pairs of transport and protocol.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking")]

mod support;

use flipper::store::Precondition;
use flipper::store::{Updates, WatchEvent};
use flipper::targeting::{Rule, Serve, Variant, Variants};
use flipper::{Condition, ErrorKind, FeatureFlagClient, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore};
use flipper::{ThriftRpcFeatureFlagStore, context};
use flipper_thrift::Server;
use futures_util::StreamExt;
use support::{Python, block_on};

fn serve() -> Server {
    Server::start("127.0.0.1:0", MemoryFeatureFlagStore::new()).unwrap()
}

macro_rules! clients {
    ($($test:ident $transport:literal $protocol:literal;)*) => {$(
        #[test]
        fn $test() {
            let server = serve();
            let port = server.local_addr().port().to_string();
            let Some(client) = Python::start("client.py", &[&port, $transport, $protocol], false) else { return };
            client.succeed("ok");
        }
    )*};
}

clients! {
    client_buffered_binary "buffered" "binary";
    client_framed_binary "framed" "binary";
    client_buffered_compact "buffered" "compact";
    client_framed_compact "framed" "compact";
    client_buffered_not_strict "buffered" "non-strict";
    client_framed_not_strict "framed" "non-strict";
    client_buffered_accelerated "buffered" "accelerated";
    client_framed_compact_accelerated "framed" "compact-accelerated";
}

#[test]
fn client_of_the_documentation() {
    let server = serve();
    let port = server.local_addr().port().to_string();
    let Some(client) = Python::start("brief.py", &[&port], false) else { return };
    client.succeed("ok");
}

#[test]
fn client_generated_from_our_idl() {
    let server = serve();
    let port = server.local_addr().port().to_string();
    let Some(client) = Python::start("generated.py", &[&port], true) else { return };
    client.succeed("ok");
}

/// The programs in docs/thrift.md, on another port.
#[test]
fn documentation() {
    let Some(python) = flipper_testkit::python::interpreter() else { return };
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/thrift.md")).unwrap();
    let programs: Vec<_> =
        document.split("```python\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let [client, server] = programs[..] else { panic!("{} programs", programs.len()) };
    let use_it = r#"
client.create("MY_FEATURE", client_data={"a": 1})
client.enable("MY_FEATURE")
client.set_client_data("MY_FEATURE", {"b": 2})
assert client.is_enabled("MY_FEATURE")
assert client.get_client_data("MY_FEATURE") == {"a": 1, "b": 2}
assert [flag.name for flag in client.list()] == ["MY_FEATURE"]
client.destroy("MY_FEATURE")
assert not client.exists("MY_FEATURE")
"#;
    let run = |program: &str, port: u16| {
        let program = program.replace("9090", &port.to_string());
        std::process::Command::new(&python).arg("-c").arg(program).spawn().unwrap()
    };
    let client = format!("{client}{use_it}");

    let ours = serve();
    assert!(run(&client, ours.local_addr().port()).wait().unwrap().success(), "the client with our server");

    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server = run(server, port);
    flipper_testkit::wait_until("the server listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    let succeeded = run(&client, port).wait().unwrap().success();
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(succeeded, "the client with the server of the document");
}

fn python_server(transport: &str, protocol: &str) -> Option<(Python, ThriftRpcFeatureFlagStore)> {
    let server = Python::start("server.py", &[transport, protocol], false)?;
    let port = server.line();
    let protocol = protocol.replace("accelerated", "binary");
    let url = format!("thrift://127.0.0.1:{port}?transport={transport}&protocol={protocol}");
    Some((server, ThriftRpcFeatureFlagStore::from_url(&url).unwrap()))
}

macro_rules! servers {
    ($($test:ident $transport:literal $protocol:literal;)*) => {$(
        #[test]
        fn $test() {
            let Some((_server, store)) = python_server($transport, $protocol) else { return };
            block_on(flags_behind_a_python_server(store));
        }
    )*};
}

servers! {
    server_buffered_binary "buffered" "binary";
    server_framed_binary "framed" "binary";
    server_buffered_compact "buffered" "compact";
    server_framed_compact "framed" "compact";
    server_buffered_accelerated "buffered" "accelerated";
}

async fn flags_behind_a_python_server(store: ThriftRpcFeatureFlagStore) {
    let features = FeatureFlagClient::remote(store.clone());
    assert!(!features.fetch_enabled("F", &context! {}).await.unwrap());
    features.create("F").client_data([("team", "é")].into_iter().collect::<flipper::json::Object>()).await.unwrap();
    features.enable("F").await.unwrap();
    features.add_condition("F", Condition::new().gt("age", 17).eq("plan", "pro")).await.unwrap();
    features.set_bucketer("F", flipper::bucketing::PercentageBucketer::new(1.0)).await.unwrap();
    assert!(features.fetch_enabled("F", &context! { age: 18, plan: "pro" }).await.unwrap());
    assert!(!features.fetch_enabled("F", &context! { age: 17, plan: "pro" }).await.unwrap());
    assert_eq!(features.create("F").await.unwrap_err().kind(), ErrorKind::FlagExists);

    let stored = store.get("F").await.unwrap().unwrap();
    let record = stored.record.unwrap();
    assert_eq!(record.client_data().to_string(), r#"{"team": "\u00e9"}"#);
    assert_eq!(record.conditions().len(), 1);
    let error = store.put(&record, Precondition::Absent.into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let version = store.put(&record, Precondition::Unchanged(stored.version).into()).await.unwrap();
    assert_eq!(store.get("F").await.unwrap().unwrap().version, version);

    let mut denied = FlagRecord::clone(&record);
    denied.set_deny_conditions(vec![Condition::new().eq("country", "X")]);
    let error = store.put(&denied, Precondition::Any.into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");

    // Without its rules it would be on for everybody.
    let mut limited = FlagRecord::clone(&record);
    limited.set_rules(vec![Rule::new(Serve::Off)]);
    let mut varied = FlagRecord::clone(&record);
    varied.set_variants(Some(Variants::new("user_id").with(Variant::new("red", 100.0))));
    for flag in [limited, varied] {
        let error = store.put(&flag, Precondition::Any.into()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }

    let error = store.put(&FlagRecord::new("BROKEN_HANDLER", 1), Precondition::Any.into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_transient(), "{error}");

    let names: Vec<_> = store.list().await.unwrap().into_iter().map(|flag| flag.name).collect();
    assert_eq!(names, ["BROKEN_HANDLER", "F"]);
    features.destroy("F").await.unwrap();
    assert_eq!(features.destroy("F").await.unwrap_err().kind(), ErrorKind::FlagNotFound);
    assert!(store.get("F").await.unwrap().is_none());
}

#[test]
fn changes_behind_a_python_server_are_polled() {
    let Some((_server, store)) = python_server("framed", "compact") else { return };
    block_on(async {
        let mut events = support::about_flags(store.watch());
        assert!(matches!(events.next().await, Some(WatchEvent::Reset { .. })));
        assert!(matches!(events.next().await, Some(WatchEvent::Following(Updates::Poll { .. }))));
        store.put(&FlagRecord::new("F", 1), Precondition::Any.into()).await.unwrap();
        assert!(matches!(events.next().await, Some(WatchEvent::Changed { flag, .. }) if flag.name == "F"));
    });
}

/// Lost with a server that has only the Python library's calls, as documented for the store; everything else must hold.
#[test]
fn contract_behind_a_python_server() {
    if Python::start("server.py", &["buffered", "binary"], false).is_none() {
        return;
    }
    let failures = flipper::conformance::failures(async || {
        let (server, store) = python_server("buffered", "accelerated").unwrap();
        (store, server)
    });
    let failed: Vec<_> = failures.iter().map(|(name, _)| *name).collect();
    let allowed = [
        // Fields of newer versions are refused.
        "get_after_put",
        "list_agrees_with_get",
        "watch_put",
        // There is no compare-and-set.
        "delete_is_atomic",
        "put_is_atomic",
        "put_no_lost_update",
        // A dropped, pending write may overwrite a newer one.
        "delete_dropped",
        "put_dropped",
        // A write is two calls.
        "get_is_whole",
        "list_is_complete",
    ];
    let unexpected: Vec<_> = failures.iter().filter(|(name, _)| !allowed.contains(name)).collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}\nall: {failed:?}");
    assert!(failed.contains(&"put_no_lost_update"), "the documentation claims a defect that is absent: {failed:?}");
}
