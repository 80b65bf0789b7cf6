//! Ways to the server: passwords, sockets, TLS.

use std::time::{Duration, Instant};

use flipper::{ErrorKind, FeatureFlagStore, PostgresFeatureFlagStore};
use flipper_testkit::postgres::{PASSWORD, PostgresServer};

use crate::{shared, store};

async fn answers(url: &str) -> Result<(), flipper::Error> {
    PostgresFeatureFlagStore::from_url(url)?.list().await.map(drop)
}

#[tokio::test]
async fn urls_and_keywords_and_the_drivers_settings() {
    let Some(server) = shared() else { return };
    let (port, folder) = (server.port(), server.folder().display());
    answers(&server.url()).await.unwrap();
    answers(&format!("host=127.0.0.1 port={port} user=postgres password='{PASSWORD}' dbname=postgres")).await.unwrap();
    answers(&format!("postgresql://postgres:{PASSWORD}@/postgres?host={folder}&port={port}")).await.unwrap();
    answers(&format!("host={folder} port={port} user=postgres password={PASSWORD} sslmode=require")).await.unwrap();
    answers(&format!("hostaddr=127.0.0.1 port={port} user=postgres password={PASSWORD}")).await.unwrap();
    let config: tokio_postgres::Config =
        format!("host=127.0.0.1 port={port} user=postgres password={PASSWORD}").parse().unwrap();
    PostgresFeatureFlagStore::new(config).list().await.unwrap();
}

#[tokio::test]
async fn the_password_file() {
    use std::os::unix::fs::PermissionsExt;
    let Some(server) = shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pgpass");
    std::fs::write(&file, format!("127.0.0.1:{}:*:postgres:{PASSWORD}\n", server.port())).unwrap();
    let url = format!("postgresql://postgres@127.0.0.1:{}/postgres?passfile={}", server.port(), file.display());
    for (mode, works) in [(0o644, false), (0o600, true)] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let error = answers(&url).await.err();
        assert_eq!(error.is_none(), works, "{error:?}");
        assert!(error.is_none_or(|error| error.kind() == ErrorKind::Unauthorized));
    }
}

#[tokio::test]
async fn what_the_server_refuses() {
    let Some(server) = shared() else { return };
    let port = server.port();
    for (url, kind, text) in [
        (format!("postgresql://postgres:wrong@127.0.0.1:{port}/postgres"), ErrorKind::Unauthorized, "password"),
        (format!("postgresql://postgres:{PASSWORD}@127.0.0.1:{port}/nothing"), ErrorKind::InvalidInput, "database"),
        (
            format!("postgresql://postgres:{PASSWORD}@127.0.0.1:{port}/postgres?sslmode=require"),
            ErrorKind::Unavailable,
            "TLS",
        ),
        (
            format!("postgresql://postgres:{PASSWORD}@127.0.0.1:{port}/postgres?schema=nothing"),
            ErrorKind::InvalidInput,
            "schema",
        ),
    ] {
        let error = answers(&url).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        let shown = format!("{} {error:?}", error.chain());
        assert!(shown.contains(text) && !shown.contains(PASSWORD) && !shown.contains("wrong"), "{shown}");
    }
}

#[tokio::test]
async fn with_tls() {
    let Some(server) = PostgresServer::options().tls().start() else { return };
    let (port, ca) = (server.port(), server.folder().join("ca.crt").display().to_string());
    let url =
        |host: &str, parameters: &str| format!("postgresql://postgres:{PASSWORD}@{host}:{port}/postgres?{parameters}");
    let trusted = format!("sslrootcert={ca}");
    for (host, parameters) in [
        ("127.0.0.1", "sslmode=prefer".to_owned()),
        ("127.0.0.1", "sslmode=require&channel_binding=require".to_owned()),
        ("127.0.0.1", format!("sslmode=require&{trusted}")),
        ("localhost", format!("sslmode=verify-full&{trusted}")),
        ("127.0.0.1", format!("sslmode=verify-ca&{trusted}")),
    ] {
        let store = PostgresFeatureFlagStore::from_url(&url(host, &parameters)).unwrap();
        store.list().await.unwrap_or_else(|error| panic!("{parameters}: {error:?}"));
        let checks = store.inspect().await;
        assert!(checks.iter().any(|check| check.what == "transport" && check.text == "TLS"), "{parameters}");
    }
    // Another name than the certificate's, and another authority.
    let foreign = format!("host=foreign.example hostaddr=127.0.0.1 port={port} user=postgres password={PASSWORD}");
    answers(&format!("{foreign} sslmode=verify-ca {trusted}")).await.unwrap();
    let error = answers(&format!("{foreign} sslmode=verify-full {trusted}")).await.unwrap_err();
    assert!(error.chain().contains("certificate"), "{error:?}");
    let other = tempfile::tempdir().unwrap();
    flipper_testkit::write_certificates(other.path());
    let other = other.path().join("ca.crt").display().to_string();
    for mode in ["require", "verify-ca", "verify-full"] {
        let error = answers(&url("localhost", &format!("sslmode={mode}&sslrootcert={other}"))).await.unwrap_err();
        assert!(error.chain().contains("certificate"), "{error:?}");
    }
    // The driver's own settings: required means checked.
    let config: tokio_postgres::Config =
        format!("host=localhost port={port} user=postgres password={PASSWORD} sslmode=require").parse().unwrap();
    let error = PostgresFeatureFlagStore::new(config).list().await.unwrap_err();
    assert!(error.chain().contains("certificate"), "{error:?}");
}

#[tokio::test]
async fn a_server_that_never_answers() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgresql://u:p@{}/d", silent.local_addr().unwrap());
    let store = store(&url, "t").timeout(Duration::from_millis(300));
    // Elapsed time is under test.
    let started = Instant::now();
    let error = store.list().await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.nothing_written(), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(20));
    let error = store_at_nothing().list().await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unavailable && error.nothing_written(), "{error:?}");
}

fn store_at_nothing() -> PostgresFeatureFlagStore {
    store("postgresql://u:p@127.0.0.1:1/d", "t")
}
