use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use flipper::store::Precondition;
use flipper::{Error, ErrorKind, FeatureFlagStore, RedisFeatureFlagStore};
use flipper_testkit::redis::RedisServer;
use flipper_testkit::{Harm, Relay};

use crate::{eventually, flag};

fn text(error: &Error) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    format!("{error}: {source}")
}

async fn refused(store: &RedisFeatureFlagStore) -> Error {
    store.put(&flag("F", false), Precondition::Any.into()).await.unwrap_err()
}

#[tokio::test]
async fn writes_that_the_server_does_not_take() {
    let Some(server) = RedisServer::start() else { return };
    let store = RedisFeatureFlagStore::from_url(&server.url()).unwrap();
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    for (set, unset, said) in [
        (["maxmemory", "1"], ["maxmemory", "0"], "out of memory"),
        (["min-replicas-to-write", "1"], ["min-replicas-to-write", "0"], "too few replicas"),
    ] {
        server.command(&["CONFIG", "SET", set[0], set[1]]);
        let error = refused(&store).await;
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(error.to_string().contains(said) && error.nothing_written(), "{error:?}");
        server.command(&["CONFIG", "SET", unset[0], unset[1]]);
    }
    assert!(store.get("F").await.unwrap().unwrap().record.unwrap().is_enabled());
}

#[tokio::test]
async fn an_answer_that_breaks_off() {
    let Some(server) = RedisServer::start() else { return };
    let relay = Relay::start(server.port());
    let store = RedisFeatureFlagStore::from_url(&format!("redis://127.0.0.1:{}", relay.port())).unwrap();
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    relay.harm(Harm::Cut(1));
    for _ in 0..5 {
        let read = store.get("F").await.unwrap_err();
        assert_eq!(read.kind(), ErrorKind::Unavailable, "{read:?}");
        let written = refused(&store).await;
        assert_eq!((written.kind(), written.nothing_written()), (ErrorKind::Unavailable, false), "{written:?}");
    }
    assert!(relay.cuts() > 0);
    relay.harm(Harm::None);
    store.put(&flag("F", false), Precondition::Any.into()).await.unwrap();
}

#[tokio::test]
async fn a_server_that_cannot_save() {
    let Some(server) = RedisServer::options().config("save 3600 1").config("appendonly no").start() else { return };
    // A folder is in the way of the dump file.
    let flipper_testkit::redis::Reply::List(dir) = server.command(&["CONFIG", "GET", "dir"]) else {
        panic!("no folder")
    };
    std::fs::create_dir(std::path::Path::new(dir[1].text()).join("dump.rdb")).unwrap();
    let store = RedisFeatureFlagStore::from_url(&server.url()).unwrap();
    store.put(&flag("F", true), Precondition::Absent.into()).await.unwrap();
    server.command(&["BGSAVE"]);
    flipper_testkit::wait_until("it could not save", || {
        server.command(&["INFO", "persistence"]).text().contains("rdb_last_bgsave_status:err")
    });
    let error = refused(&store).await;
    assert!(error.to_string().contains("cannot save") && error.nothing_written(), "{error:?}");
}

#[tokio::test]
async fn a_server_that_is_busy() {
    let Some(server) = RedisServer::options().config("busy-reply-threshold 50").start() else { return };
    let store = RedisFeatureFlagStore::from_url(&server.url()).unwrap();
    store.get("F").await.unwrap();
    let port = server.port();
    let script = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(b"EVAL \"while true do end\" 0\r\n").unwrap();
        BufReader::new(stream).read_line(&mut String::new()).unwrap();
    });
    // The first write may come before the script.
    let is_busy = async || {
        let written = store.put(&flag("F", false), Precondition::Any.into()).await;
        written.is_err_and(|error| error.to_string().contains("busy"))
    };
    eventually("the server says that it is busy", is_busy).await;
    server.command(&["SCRIPT", "KILL"]);
    script.join().unwrap();
}

#[tokio::test]
async fn more_clients_than_it_takes() {
    let Some(server) = RedisServer::start() else { return };
    let held = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    server.command(&["CONFIG", "SET", "maxclients", "1"]);
    let store = RedisFeatureFlagStore::from_url(&server.url()).unwrap();
    let error = store.get("F").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    // Redis answers and closes; the answer is mostly lost before the driver reads it.
    assert!(text(&error).contains("maxclients"), "{error:?}");
    drop(held);
}

#[tokio::test]
async fn a_database_that_is_not_there() {
    let Some(server) = RedisServer::start() else { return };
    let error = RedisFeatureFlagStore::from_url(&format!("{}/99", server.url())).unwrap().list().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    assert!(error.to_string().contains("no database of this number"), "{error}");
}

#[tokio::test]
async fn nothing_was_written_where_nothing_was_sent() {
    let store = RedisFeatureFlagStore::from_url("redis://127.0.0.1:1").unwrap();
    assert!(refused(&store).await.nothing_written());
    let Some(server) = RedisServer::start() else { return };
    let store = RedisFeatureFlagStore::from_url(&server.url()).unwrap().timeout(Duration::from_millis(300));
    store.get("F").await.unwrap();
    server.pause();
    assert!(!refused(&store).await.nothing_written());
    server.resume();
}

#[tokio::test]
async fn a_proxy_that_does_not_know_hello() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.unwrap().read(&mut [0; 16]);
        }
    });
    let error = RedisFeatureFlagStore::from_url(&url).unwrap().list().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(text(&error).contains("`HELLO`: is it a proxy"), "{error:?}");
}

#[tokio::test]
async fn a_server_that_closes_after_an_error() {
    let Some(server) = RedisServer::start() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let port = server.port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            std::thread::spawn(move || pass_until_an_error(client.unwrap(), port));
        }
    });
    let store = RedisFeatureFlagStore::from_url(&url).unwrap();
    for _ in 0..10 {
        server.command(&["SCRIPT", "FLUSH"]);
        store.put(&flag("F", true), Precondition::Any.into()).await.unwrap();
    }
}

fn pass_until_an_error(client: TcpStream, port: u16) {
    let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (mut up, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || std::io::copy(&mut up, &mut to));
    let (mut from, mut down) = (server, client);
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if down.write_all(&buffer[..read]).is_err() {
            return;
        }
        if buffer[..read].starts_with(b"-NOSCRIPT") {
            let _ = down.shutdown(std::net::Shutdown::Both);
            let _ = from.shutdown(std::net::Shutdown::Both);
        }
    }
}
