//! TLS: Thrift's own client in Python, and clients that do not speak it.
#![cfg(feature = "tls")]
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flipper::history::{Cause, HistoryQuery};
use flipper::store::{Precondition, WatchEvent, WriteOptions};
use flipper::{FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore, ThriftRpcFeatureFlagStore};
use flipper_testkit::{PATIENCE, wait_until, write_certificates};
use flipper_thrift::{Server, ServerOptions};
use futures_util::StreamExt;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use support::Python;

fn config(folder: &Path) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.join("ca.crt")).unwrap()).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build().unwrap();
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_client_cert_verifier(clients).with_single_cert(
        vec![CertificateDer::from_pem_file(folder.join("server.crt")).unwrap()],
        PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap(),
    );
    Arc::new(config.unwrap())
}

fn serve(options: ServerOptions, config: Arc<ServerConfig>) -> Server {
    Server::start_with("127.0.0.1:0", MemoryFeatureFlagStore::new(), options.tls(move || config.clone())).unwrap()
}

#[test]
fn pythons_client_with_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    write_certificates(folder.path());
    let server = serve(ServerOptions::new(), config(folder.path()));
    let (port, path) = (server.local_addr().port().to_string(), folder.path().to_str().unwrap());
    let Some(client) = Python::start("tls.py", &[&port, path, "certificate"], false) else { return };
    client.succeed("ok");
    let client = Python::start("tls.py", &[&port, path, "none"], false).unwrap();
    assert!(client.line().starts_with("refused"));
    server.shutdown();
}

#[test]
fn certificates_are_asked_for_each_connection() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    folders.iter().for_each(|folder| drop(write_certificates(folder.path())));
    let current = Arc::new(Mutex::new(config(folders[0].path())));
    let asked = current.clone();
    let options = ServerOptions::new().tls(move || asked.lock().unwrap().clone());
    let server = Server::start_with("127.0.0.1:0", MemoryFeatureFlagStore::new(), options).unwrap();
    let port = server.local_addr().port().to_string();
    let run = |folder: &tempfile::TempDir| {
        Python::start("tls.py", &[&port, folder.path().to_str().unwrap(), "certificate"], false)
    };
    let Some(client) = run(&folders[1]) else { return };
    assert!(client.line().starts_with("refused"), "it does not trust the first");
    *current.lock().unwrap() = config(folders[1].path());
    run(&folders[1]).unwrap().succeed("ok");
}

#[test]
fn others_are_disconnected() {
    let folder = tempfile::tempdir().unwrap();
    write_certificates(folder.path());
    let brief = ServerOptions::new().message_timeout(Duration::from_millis(300));
    let server = serve(brief, config(folder.path()));
    // The last two say nothing more, or begin a handshake and send it one byte at a time.
    let beginnings =
        [&b"\x80\x01\x00\x01\x00\x00\x00\x04List"[..], b"GET / HTTP/1.1\r\n\r\n", b"", b"\x16\x03\x01\x01\x00"];
    for beginning in beginnings {
        let mut stream = TcpStream::connect(server.local_addr()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(beginning).unwrap();
        let mut drips = stream.try_clone().unwrap();
        let dripping = beginning.len() == 5;
        let drip = std::thread::spawn(move || {
            // Fails once the connection is closed.
            while dripping && drips.write_all(&[1]).is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let mut answer = Vec::new();
        // A reset, or an end after at most an alert.
        match stream.read_to_end(&mut answer) {
            Ok(_) => assert!(answer.is_empty() || answer[0] == 21, "{answer:?}"),
            Err(error) => assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
        drop(stream);
        drip.join().unwrap();
    }
    wait_until("all are gone", || server.connections() == 0);
}

#[test]
fn our_client() {
    let folder = tempfile::tempdir().unwrap();
    write_certificates(folder.path());
    let server = serve(ServerOptions::new(), config(folder.path()));
    let port = server.local_addr().port();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let ours = format!("ca={}&cert={}&key={}", file("ca.crt"), file("client.crt"), file("client.key"));
    let store = |parameters: &str| {
        ThriftRpcFeatureFlagStore::from_url(&format!("thrifts://localhost:{port}?{parameters}")).unwrap()
    };
    support::block_on(async {
        let store = store(&ours).max_connections(1);
        let mut watch = store.watch();
        while !matches!(watch.next().await, Some(WatchEvent::Reset { .. })) {}
        // The second call uses the connection of the first, which has tickets for later sessions by then.
        for name in ["A", "B"] {
            let record = FlagRecord::new(name, 0);
            store.put(&record, Precondition::Absent.into()).await.unwrap();
            let next = watch.by_ref().filter(|event| std::future::ready(matches!(event, WatchEvent::Changed { .. })));
            let Some(WatchEvent::Changed { flag, .. }) = std::pin::pin!(next).next().await else { panic!("no change") };
            assert_eq!(flag.name, name);
        }
        assert_eq!(store.list().await.unwrap().len(), 2);
        // Whatever the client says, it is its certificate that acts.
        let cause = Cause::default().with_actor("mallory").and_then(|cause| cause.with_reason("new")).unwrap();
        store.delete("B", WriteOptions::from(Precondition::Any).with_cause(cause)).await.unwrap();
        let page = store.history(&HistoryQuery::of("B")).await.unwrap();
        for (entry, reason) in page.entries.iter().zip([Some("new"), None]) {
            let digits = entry.actor().unwrap().strip_prefix("certificate ").unwrap();
            assert!(digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()), "{digits}");
            assert_eq!(entry.reason(), reason);
        }
        assert_eq!(server.connections(), 2, "one for calls, one for the watch");
    });
    for (parameters, part) in
        [(format!("ca={}", file("ca.crt")), ""), (ours.replace("ca.crt", "client.crt"), "certificate")]
    {
        let error = support::block_on(store(&parameters).get("A")).unwrap_err();
        assert!(error.kind() == flipper::ErrorKind::Unavailable && error.to_string().contains(part), "{error}");
    }
    let plain = ThriftRpcFeatureFlagStore::new("localhost", port).timeout(Duration::from_secs(5));
    assert!(support::block_on(plain.get("A")).is_err());
}
