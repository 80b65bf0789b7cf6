//! TLS: a mirror over it, clients that are slow, or speak something else. `curl` is in the tests of the command.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use flipper::store::{LocalFeatureFlagStore, Precondition};
use flipper::{FeatureFlagStore, FlagRecord, HttpFeatureFlagStore, MemoryFeatureFlagStore, MirroredFeatureFlagStore};
use flipper_server::{AccessControl, App, HttpOptions, HttpServer, NewToken, Role, Tls, TlsFiles, TokenFile, Tokens};
use flipper_testkit::{Harm, PATIENCE, Relay, block_on, wait_until, write_certificates};
use support::Running;

#[test]
fn others_are_disconnected() {
    let folder = tempfile::tempdir().unwrap();
    write_certificates(folder.path());
    let tls = Tls::open(TlsFiles::new(folder.path().join("server.crt"), folder.path().join("server.key"))).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let options = HttpOptions::default().header_time(Duration::from_millis(300)).tls(tls);
    let app = App::new(Arc::new(MemoryFeatureFlagStore::new()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = runtime.block_on(HttpServer::start(vec![listener], app, options)).unwrap();
    // The last two say nothing more, or begin a handshake and send it one byte at a time.
    for beginning in [&b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"[..], b"", b"\x16\x03\x01\x01\x00"] {
        let mut stream = TcpStream::connect(server.local_addrs()[0]).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(beginning).unwrap();
        let mut drips = stream.try_clone().unwrap();
        let dripping = beginning.len() == 5;
        let drip = thread::spawn(move || {
            // Fails once the connection is closed.
            while dripping && drips.write_all(&[1]).is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
        });
        let mut answer = Vec::new();
        // A reset, or an end after at most an alert.
        match stream.read_to_end(&mut answer) {
            Ok(_) => assert!(answer.is_empty() || answer[0] == 21, "{answer:?}"),
            Err(error) => assert_ne!(error.kind(), ErrorKind::WouldBlock),
        }
        drop(stream);
        drip.join().unwrap();
    }
    wait_until("all are gone", || server.connections() == 0);
}

#[test]
fn what_is_no_certificate() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_certificates(folder.path());
    write_certificates(other.path());
    let file = |name: &str| folder.path().join(name);
    fs::write(file("empty"), "").unwrap();
    fs::write(file("large"), vec![b'x'; 5 << 20]).unwrap();
    let (cert, key) = (file("server.crt"), file("server.key"));
    for (files, part) in [
        (TlsFiles::new(file("missing"), &key), "cannot be read"),
        (TlsFiles::new(folder.path(), &key), "it is no file"),
        (TlsFiles::new(file("empty"), &key), "no certificate in PEM"),
        (TlsFiles::new(file("large"), &key), "too large"),
        (TlsFiles::new(&key, &key), "no certificate in PEM"),
        (TlsFiles::new(&cert, &cert), "no private key in PEM"),
        (TlsFiles::new(&cert, other.path().join("server.key")), "not the key of the certificate"),
        (TlsFiles::new(&cert, &key).client_ca(file("empty")), "no certificate in PEM"),
    ] {
        let error = Tls::open(files).unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(Tls::open(TlsFiles::new(cert, key)).unwrap().error().is_none());
}

/// With an authority, a certificate and a token that are renewed while it follows.
#[test]
fn a_mirror_over_https() {
    let folder = tempfile::tempdir().unwrap();
    write_certificates(folder.path());
    let file = |name: &str| folder.path().join(name);
    let tokens = TokenFile::new(file("tokens.json"));
    let new = |name: &str| NewToken { name: name.into(), role: Role::Write, prefixes: Vec::new(), lifetime: None };
    let (first, secret) = tokens.create(&new("first")).unwrap();
    fs::write(file("token"), secret.text()).unwrap();
    let known = Tokens::open(tokens.path()).unwrap();
    let tls = Tls::open(TlsFiles::new(file("server.crt"), file("server.key")).client_ca(file("ca.crt"))).unwrap();
    let app = App::new(Arc::new(MemoryFeatureFlagStore::new())).access(AccessControl::new().tokens(known.clone()));
    let server = Running::start(app, HttpOptions::default().tls(tls.clone()));
    let relay = Relay::start(server.address.port());
    let address = format!("https://localhost:{}", relay.port());

    let path = |name: &str| file(name).display().to_string();
    let (ca, cert, key) = (path("ca.crt"), path("client.crt"), path("client.key"));
    let by_url = |parameters: &str| {
        let url = format!("https://{}@localhost:{}?{parameters}", secret.text(), relay.port());
        block_on(HttpFeatureFlagStore::from_url(&url).unwrap().get("A"))
    };
    assert!(by_url(&format!("ca={ca}&cert={cert}&key={key}")).unwrap().is_none());
    // Neither a server that is not known, nor one that does not know the client.
    for parameters in [format!("cert={cert}&key={key}"), format!("ca={ca}")] {
        let error = by_url(&parameters).unwrap_err();
        assert!(
            error.kind() == flipper::ErrorKind::Unavailable && error.chain().to_lowercase().contains("certificate"),
            "{}",
            error.chain()
        );
    }

    let builder =
        HttpFeatureFlagStore::builder(&address).ca_file(&ca).client_cert(&cert, &key).token_file(file("token"));
    let mirror = MirroredFeatureFlagStore::new(builder.timeout(PATIENCE).build().unwrap());
    block_on(mirror.ready()).unwrap();
    let put = |name: &str| block_on(mirror.put(&FlagRecord::new(name, 7), Precondition::Absent.into())).unwrap();
    put("A");
    wait_until("it arrives", || mirror.table().get("A").is_some());

    let renewed = tempfile::tempdir().unwrap();
    write_certificates(renewed.path());
    for name in ["ca.crt", "server.crt", "server.key", "client.crt", "client.key"] {
        fs::copy(renewed.path().join(name), file(name)).unwrap();
    }
    let (_, secret) = tokens.create(&new("second")).unwrap();
    fs::write(file("token"), secret.text()).unwrap();
    tokens.revoke(&first.id).unwrap();
    tls.reload();
    known.reload();
    // All of its connections.
    relay.harm(Harm::Refuse);
    wait_until("it notices", || !mirror.status().is_live());
    relay.harm(Harm::None);
    wait_until("it is live again", || mirror.status().is_live());
    put("B");
    wait_until("it arrives", || mirror.table().get("B").is_some());
}
