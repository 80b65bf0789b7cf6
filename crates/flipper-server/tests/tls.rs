//! TLS: clients that are slow, or speak something else. `curl` is in the tests of the command.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use flipper::MemoryFeatureFlagStore;
use flipper_server::{App, HttpOptions, HttpServer, Tls, TlsFiles};
use flipper_testkit::{PATIENCE, wait_until, write_certificates};

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
