//! Tokens, the proxy, and what a server without either refuses.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test")]

mod server;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use flipper::MemoryFeatureFlagStore;
use flipper_server::{AccessControl, App, NewToken, Role, TokenFile, TokenFileError, Tokens, TrustedProxy};
use flipper_testkit::wait_until;
use http::Request;
use server::Server;
use tower::ServiceExt;

fn new(name: &str, role: Role) -> NewToken {
    NewToken { name: name.to_owned(), role, prefixes: Vec::new(), lifetime: None }
}

/// A path that no route has: 404 shows that the request was let through.
const PASSED: u16 = 404;

#[test]
fn a_tokens_life() {
    let folder = tempfile::tempdir().unwrap();
    let file = TokenFile::new(folder.path().join("tokens.json"));
    let (token, secret) = file.create(&new("ci", Role::Write)).unwrap();
    let stored = fs::read_to_string(file.path()).unwrap();
    assert!(!stored.contains(secret.text()) && !stored.contains(&secret.text()[4..68]), "only a hash is stored");
    assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);

    let server = Server::start(|| AccessControl::new().tokens(followed(file.path())));
    let bearer = format!("authorization: Bearer {}", secret.text());
    assert_eq!(server.ask("/api/v1/nothing", &[&bearer]).status, PASSED);
    assert_eq!(server.ask("/api/v1/nothing", &[&format!("x-api-key: {}", secret.text())]).status, PASSED);
    assert_eq!(server.ask("/api/v1/nothing", &[&bearer.replace("Bearer ", "bearer  ")]).status, PASSED);

    let (_, later) = file.create(&new("later", Role::Read)).unwrap();
    let later = format!("authorization: Bearer {}", later.text());
    wait_until("the new token is known", || server.ask("/x", &[&later]).status == PASSED);

    file.revoke(&token.id).unwrap();
    wait_until("it is refused", || server.ask("/x", &[&bearer]).status == 401);
    let answer = server.ask_until("/x", &[&bearer], 401);
    assert!(answer.body.contains(&format!("token {} (ci) is revoked", token.id)), "{}", answer.body);
    assert_eq!(server.ask("/x", &[&later]).status, PASSED, "others go on");
    assert_eq!(file.revoke(&token.id).unwrap().revoked, file.read().unwrap()[0].revoked, "again changes nothing");
}

/// Else anyone with a token could have the server hold such bodies.
#[test]
fn a_body_is_read_once_the_role_allows_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = TokenFile::new(folder.path().join("tokens.json"));
    let (_, secret) = file.create(&new("web", Role::Evaluate)).unwrap();
    let server = Server::start(|| AccessControl::new().tokens(followed(file.path())));
    let key = format!("x-api-key: {}", secret.text());
    for (method, path, length, status) in [
        ("POST", "/api/v1/flags", 1000, 403),
        ("PATCH", "/api/v1/flags/A", 1000, 403),
        ("PUT", "/api/v1/flags/A", 1000, 403),
        ("POST", "/api/v1/bulk", 1000, 403),
        ("POST", "/api/v1/records", 1000, 403),
        ("POST", "/api/v1/import", 1000, 403),
        ("POST", "/api/v1/evaluate/A", 70_000, 413),
    ] {
        let length = format!("content-length: {length}");
        let answer = server.send(method, path, &[&key, "content-type: application/json", &length]);
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
    }
    // Of a reader no record, and so none of the size that a record may have.
    let (_, secret) = file.create(&new("follower", Role::Read)).unwrap();
    let server = Server::start(|| AccessControl::new().tokens(followed(file.path())));
    let key = format!("x-api-key: {}", secret.text());
    let length = format!("content-length: {}", (1 << 20) + 1);
    let answer = server.send("POST", "/api/v1/records", &[&key, "content-type: application/json", &length]);
    assert_eq!(answer.status, 413, "{answer:?}");
}

#[test]
fn a_refusal_says_what_came() {
    let folder = tempfile::tempdir().unwrap();
    let file = TokenFile::new(folder.path().join("tokens.json"));
    let (_, secret) = file.create(&new("ci", Role::Write)).unwrap();
    let server = Server::start(|| AccessControl::new().tokens(followed(file.path())));
    let (text, elsewhere) = (secret.text(), tempfile::tempdir().unwrap());
    let (_, unknown) = TokenFile::new(elsewhere.path().join("t")).create(&new("ci", Role::Write)).unwrap();
    for (header, part) in [
        (String::new(), "there is no token"),
        ("authorization: Basic dTpw".to_owned(), "with the scheme Basic"),
        ("authorization: eyJhbGci".to_owned(), "`Authorization` has no scheme: write `Bearer`"),
        (format!("authorization: {text}"), "write `Bearer`"),
        ("authorization: Bearer eyJhbGciOi".to_owned(), "begin with flp_"),
        (format!("authorization: Bearer {}", &text[..75]), "misspelled or cut off"),
        (format!("x-api-key: {}{}", &text[..75], if text.ends_with('0') { 1 } else { 0 }), "misspelled or cut off"),
        (format!("authorization: Bearer {}", unknown.text()), "no such token"),
    ] {
        let answer = server.ask("/api/v1/flags", &[&header]);
        assert!(answer.status == 401 && answer.body.contains(part), "{header}: {answer:?}");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer "));
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert!(!answer.body.contains(&text[4..68]) && !answer.body.contains("eyJhbG"), "{}", answer.body);
        // The limit of unauthorized requests is not the matter here.
        assert_eq!(server.ask("/healthz", &[]).status, 200);
    }
    let answer = server.ask("/ofrep/v1/evaluate/flags/a%20b", &[]);
    assert_eq!((answer.status, answer.header("content-type")), (401, Some("application/json")));
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert!(body["key"] == "a b" && body["errorCode"] == "GENERAL" && body["errorDetails"].is_string(), "{body}");
    for headers in [
        vec![format!("authorization: Bearer {text}"); 2],
        vec![format!("authorization: Bearer {text}"), "x-api-key: other".to_owned()],
        vec!["authorization: Bearer \u{e9}".to_owned()],
    ] {
        let headers: Vec<_> = headers.iter().map(String::as_str).collect();
        assert_eq!(server.ask("/x", &headers).status, 400, "{headers:?}");
    }
}

#[test]
fn guesses_are_limited_and_tokens_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = TokenFile::new(folder.path().join("tokens.json"));
    let (_, secret) = file.create(&new("ci", Role::Write)).unwrap();
    let server = Server::start(|| AccessControl::new().tokens(followed(file.path())));
    // From several threads: on a busy machine one may not make twenty a second.
    let refused = std::thread::scope(|scope| {
        let guess = || (0..50).map(|_| server.ask("/x", &[])).find(|answer| answer.status == 429);
        let guesses: Vec<_> = (0..4).map(|_| scope.spawn(guess)).collect();
        guesses.into_iter().find_map(|guesses| guesses.join().unwrap())
    });
    let answer = refused.unwrap();
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(server.ask("/x", &[&format!("x-api-key: {}", secret.text())]).status, PASSED, "from the same address");
    assert_eq!(server.ask("/healthz", &[]).status, 200);
}

#[test]
fn each_caller_has_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let file = TokenFile::new(folder.path().join("tokens.json"));
    let keys = ["a", "b"].map(|name| format!("x-api-key: {}", file.create(&new(name, Role::Read)).unwrap().1.text()));
    let server = Server::with(|app| {
        let access = AccessControl::new().tokens(followed(file.path())).requests_per_second(2.try_into().unwrap());
        app.access(access).cors_origins(["https://app.example.com"]).unwrap()
    });
    let answer = server.ask_until("/ofrep/v1/evaluate/flags", &[&keys[0]], 429);
    assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert!(answer.body.contains("too many requests"), "{}", answer.body);
    assert_eq!(server.ask("/x", &[&keys[1]]).status, PASSED, "another caller");
    for _ in 0..10 {
        assert_eq!(server.ask("/healthz", &[&keys[0]]).status, 200);
        assert_ne!(server.send("OPTIONS", "/x", &[]).status, 429);
    }
    // Browsers send one before each conditional request of a page: they are neither limited nor counted and logged.
    let counted = || {
        let metrics = server.ask_until("/metrics", &[&keys[1]], 200).body;
        let lines = metrics.lines().filter(|line| line.starts_with("flipper_http_requests_total{status=\"2xx\"}"));
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum::<u64>()
    };
    let before = counted();
    let preflight = [
        "origin: https://app.example.com",
        "access-control-request-method: POST",
        "access-control-request-headers: content-type,if-none-match,authorization",
    ];
    for _ in 0..30 {
        assert_eq!(server.send("OPTIONS", "/ofrep/v1/evaluate/flags", &preflight).status, 204);
    }
    assert_eq!(counted(), before + 1, "the first reading alone");
}

#[test]
fn without_tokens_only_this_machine_is_answered() {
    let server = Server::start(AccessControl::new);
    for host in ["localhost", "LOCALHOST:80", "127.0.0.1:1", "[::1]:80"] {
        assert_eq!(server.send_to("GET", "/x", host, &[]).status, PASSED, "{host}");
    }
    for host in ["example.com", "127.0.0.1.example.com", "192.0.2.1"] {
        let answer = server.send_to("GET", "/x", host, &[]);
        assert!(answer.status == 403 && answer.body.contains("`Host`"), "{host}: {answer:?}");
        assert_eq!(server.send_to("GET", "/healthz", host, &[]).status, 200);
    }
    for header in ["Forwarded: for=192.0.2.1", "X-Forwarded-For: 192.0.2.1", "Via: 1.1 proxy"] {
        let answer = server.ask("/x", &[header]);
        assert!(answer.status == 403 && answer.body.contains("a proxy sent this"), "{header}: {answer:?}");
        assert_eq!(server.ask("/readyz", &[header]).status, 200);
    }
    let answer = server.send("POST", "/x", &["origin: https://example.com"]);
    assert!(answer.status == 403 && answer.body.contains("--cors-origin"), "{answer:?}");
    assert_eq!(server.send("POST", "/x", &["origin: null"]).status, 403);
    assert_eq!(server.send("POST", "/x", &["origin: http://localhost"]).status, PASSED, "its own page");

    let server = Server::with(|app| {
        app.access(AccessControl::new().open_to_everyone()).cors_origins(["https://app.example.com"]).unwrap()
    });
    assert_eq!(server.send_to("GET", "/x", "example.com", &["Via: 1.1 proxy"]).status, PASSED);
    assert_eq!(server.send("POST", "/ofrep/x", &["origin: https://app.example.com"]).status, PASSED);
    assert_eq!(server.send("POST", "/ofrep/x", &["origin: https://example.com"]).status, 403);
    let answer = server.send("POST", "/x", &["origin: https://app.example.com"]);
    assert_eq!(answer.status, 403, "the API is for no page of another origin");
}

#[test]
fn without_tokens_a_caller_must_be_known_to_be_on_this_machine() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ask = |access: AccessControl, peer: Option<&str>, path: &str| {
        let router = App::new(Arc::new(MemoryFeatureFlagStore::new())).access(access).router();
        let mut request = Request::post(path).header("host", "localhost").body(Body::from("{}")).unwrap();
        if let Some(peer) = peer {
            request.extensions_mut().insert(ConnectInfo::<SocketAddr>(peer.parse().unwrap()));
        }
        runtime.block_on(router.oneshot(request)).unwrap().status()
    };
    for path in ["/api/v1/evaluate/A", "/ofrep/v1/evaluate/flags", "/ofrep/v1/evaluate/flags/A", "/x"] {
        assert_eq!(ask(AccessControl::new(), None, path), 403, "{path}");
        assert_eq!(ask(AccessControl::new(), Some("192.0.2.1:1"), path), 403, "{path}");
        assert_ne!(ask(AccessControl::new(), Some("[::ffff:127.0.0.1]:1"), path), 403, "{path}");
        assert_ne!(ask(AccessControl::new().open_to_everyone(), None, path), 403, "{path}");
    }
}

#[test]
fn refusals_have_the_form_and_the_headers_that_pages_need() {
    let folder = tempfile::tempdir().unwrap();
    let file = TokenFile::new(folder.path().join("tokens.json"));
    file.create(&new("ci", Role::Evaluate)).unwrap();
    let tokens = Tokens::open(file.path()).unwrap();
    let server = Server::with(|app| {
        app.access(AccessControl::new().tokens(tokens)).cors_origins(["https://app.example.com"]).unwrap()
    });
    let answer = server.send("POST", "/ofrep/v1/evaluate/flags/A", &["origin: https://app.example.com"]);
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example.com"));
    assert!(
        answer.body.starts_with(r#"{"key":"A","errorCode":"GENERAL","errorDetails":"there is no token"#),
        "{answer:?}"
    );
    let preflight = ["origin: https://app.example.com", "access-control-request-method: POST"];
    assert_eq!(server.send("OPTIONS", "/ofrep/v1/evaluate/flags", &preflight).status, 204);
    // No preflight, and it does not pass for one.
    assert_eq!(server.send("OPTIONS", "/ofrep/v1/evaluate/flags", &[]).status, 405);
    assert_eq!(server.send("OPTIONS", "/api/v1/flags", &preflight).status, 405);
}

#[test]
fn a_proxys_header_counts_from_its_address_only() {
    let proxy =
        |from: &str| TrustedProxy::new("x-forwarded-user".parse().unwrap(), vec![from.parse().unwrap()], Role::Read);
    let server = Server::start(|| AccessControl::new().proxy(proxy("127.0.0.0/8")));
    assert_eq!(server.send_to("GET", "/x", "flags.example.com", &["x-forwarded-user: ann"]).status, PASSED);
    assert_eq!(server.ask("/x", &[]).status, 401);
    for headers in [vec!["x-forwarded-user:"], vec!["x-forwarded-user: ann", "x-forwarded-user: bob"]] {
        assert_eq!(server.ask("/x", &headers).status, 400, "{headers:?}");
    }
    let answer = server.ask("/x", &["x-forwarded-user: ann", "origin: https://example.com"]);
    assert_eq!(answer.status, 403, "a page can use the proxy's session");

    assert_eq!(server.ask("/ofrep/v1/streams/other", &[]).status, 401);

    let server = Server::start(|| AccessControl::new().proxy(proxy("192.0.2.0/24")));
    let answer = server.ask("/x", &["x-forwarded-user: ann"]);
    assert!(answer.status == 400 && answer.body.contains("came from 127.0.0.1"), "{answer:?}");
}

#[test]
fn hostile_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    let file = TokenFile::new(&path);
    assert!(matches!(file.read(), Err(TokenFileError::Missing(_))));
    file.create(&NewToken { prefixes: vec!["a.".to_owned()], ..new("a", Role::Read) }).unwrap();
    let good = fs::read_to_string(&path).unwrap();
    let id = file.read().unwrap()[0].id.clone();
    let twice = {
        let mut value: serde_json::Value = serde_json::from_str(&good).unwrap();
        let first = value["tokens"][0].clone();
        value["tokens"].as_array_mut().unwrap().push(first);
        value.to_string()
    };
    for (text, part) in [
        (String::new(), "line 1 column 0"),
        (good[..good.len() / 2].to_owned(), "line"),
        (good.replace("\"role\"", "\"rolle\""), "unknown field `rolle`"),
        (good.replace("\"read\"", "\"root\""), "unknown variant `root`"),
        (good.replace("\"version\": 1", "\"version\": 2"), "another release"),
        (good.replace("\"a.\"", "\"\""), "token 1: no flag's name begins with \"\""),
        (good.replace("\"name\": \"a\"", "\"name\": \"\\u001b[31m\""), "control characters"),
        (good.replace(&id, "../x"), "the id"),
        (good.replace("\"created\": \"2", "\"created\": \"x2"), "is no time"),
        (twice, "token 2"),
        ("x".repeat(17 << 20), "too many"),
        ("[".repeat(100_000), "line 1 column"),
    ] {
        fs::write(&path, &text).unwrap();
        let error = file.read().unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
        assert!(file.create(&new("b", Role::Read)).is_err(), "it is not written over");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    fs::write(&path, &good).unwrap();
    for (mode, part) in [(0o644, "can be read by other users"), (0o620, "can be changed by other users")] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = file.read().unwrap_err();
        assert!(matches!(error, TokenFileError::Exposed { .. }) && error.to_string().contains(part), "{error}");
        assert!(Tokens::open(&path).is_err());
    }
    let error = TokenFile::new(folder.path()).read().unwrap_err();
    assert!(error.to_string().contains("it is no file"), "{error}");
}

#[test]
fn a_broken_file_leaves_the_tokens_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let file = TokenFile::new(folder.path().join("tokens.json"));
    let (_, secret) = file.create(&new("a", Role::Read)).unwrap();
    let good = fs::read_to_string(file.path()).unwrap();
    let mut tokens = None;
    let server = Server::start(|| {
        let followed = followed(file.path());
        tokens = Some(followed.clone());
        AccessControl::new().tokens(followed)
    });
    let (tokens, key) = (tokens.unwrap(), format!("x-api-key: {}", secret.text()));
    for wrong in ["{", ""] {
        fs::write(file.path(), wrong).unwrap();
        wait_until("the error is known", || tokens.error().is_some_and(|error| error.contains("line 1 column")));
        assert_eq!(server.ask("/x", &[&key]).status, PASSED);
        fs::write(file.path(), &good).unwrap();
        wait_until("it is read again", || tokens.error().is_none());
    }
    fs::remove_file(file.path()).unwrap();
    wait_until("the error is known", || tokens.error().is_some_and(|error| error.contains("does not exist")));
    assert_eq!((server.ask("/x", &[&key]).status, tokens.valid()), (PASSED, 1));
}

/// A file is read by the poll and by signals: an older state must not replace a newer one.
#[test]
fn a_revoked_token_stays_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let file = TokenFile::new(folder.path().join("tokens.json"));
    let (token, _) = file.create(&new("a", Role::Read)).unwrap();
    let valid = fs::read(file.path()).unwrap();
    file.revoke(&token.id).unwrap();
    let revoked = fs::read(file.path()).unwrap();
    let tokens = Tokens::open(file.path()).unwrap();
    let next = folder.path().join("next");
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(std::sync::atomic::Ordering::Acquire) {
                    tokens.reload();
                }
            });
        }
        let wrong = (0..30).find(|number| {
            let (text, count) = if number % 2 == 0 { (&valid, 1) } else { (&revoked, 0) };
            fs::write(&next, text).unwrap();
            fs::set_permissions(&next, fs::Permissions::from_mode(0o600)).unwrap();
            fs::rename(&next, file.path()).unwrap();
            tokens.reload();
            (0..2000).any(|_| tokens.valid() != count)
        });
        is_over.store(true, std::sync::atomic::Ordering::Release);
        assert_eq!(wrong, None);
    });
}

#[test]
fn changes_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = TokenFile::new(folder.path().join("tokens.json"));
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let file = &file;
            scope.spawn(move || {
                for number in 0..6 {
                    let (token, _) = file.create(&new(&format!("{writer}-{number}"), Role::Read)).unwrap();
                    if number % 2 == 0 {
                        file.revoke(&token.id).unwrap();
                    }
                    // A reader never sees a half-written file.
                    file.read().unwrap();
                }
            });
        }
    });
    let tokens = file.read().unwrap();
    assert_eq!(tokens.len(), 48);
    assert_eq!(tokens.iter().filter(|token| token.revoked.is_some()).count(), 24);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left over");
}

#[test]
fn an_expired_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = TokenFile::new(folder.path().join("tokens.json"));
    let brief = NewToken { lifetime: Some(Duration::from_secs(2)), ..new("brief", Role::Read) };
    let (token, secret) = file.create(&brief).unwrap();
    let server = Server::start(|| AccessControl::new().tokens(followed(file.path())));
    let key = format!("x-api-key: {}", secret.text());
    wait_until("it is expired", || server.ask("/x", &[&key]).status == 401);
    let answer = server.ask_until("/x", &[&key], 401);
    assert!(answer.body.contains(&format!("token {} (brief) expired at 2", token.id)), "{}", answer.body);
    assert!(file.create(&new("brief", Role::Read)).is_ok(), "its name is free again");
}

#[test]
fn what_no_token_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let file = TokenFile::new(folder.path().join("tokens.json"));
    file.create(&new("a", Role::Read)).unwrap();
    for (wrong, part) in [
        (new("a", Role::Read), "has the name \"a\" already"),
        (new("", Role::Read), "the name \"\""),
        (NewToken { prefixes: vec![String::new()], ..new("b", Role::Read) }, "no flag's name begins with"),
        (NewToken { prefixes: vec!["a/".to_owned()], ..new("b", Role::Read) }, "no flag's name begins with"),
        (NewToken { lifetime: Some(Duration::MAX), ..new("b", Role::Read) }, "at most 100 years"),
    ] {
        let error = file.create(&wrong).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    assert!(file.revoke("nothing").unwrap_err().to_string().contains("no token has the id \"nothing\""));
    assert!(matches!(TokenFile::new(folder.path().join("no")).revoke("x"), Err(TokenFileError::Missing(_))));
}

/// A file behind a link stays behind it, and keeps its owner.
#[test]
fn a_link_stays_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("real.json"), folder.path().join("tokens.json"));
    TokenFile::new(&real).create(&new("a", Role::Read)).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let owned = std::os::unix::fs::chown(&real, Some(65534), Some(65534)).is_ok();
    TokenFile::new(&link).create(&new("b", Role::Read)).unwrap();
    assert!(link.is_symlink());
    assert_eq!(TokenFile::new(&real).read().unwrap().len(), 2);
    if owned {
        assert_eq!(std::os::unix::fs::MetadataExt::uid(&fs::metadata(&real).unwrap()), 65534);
    }
}

fn followed(path: &Path) -> Arc<Tokens> {
    let tokens = Tokens::open(path).unwrap();
    tokens.follow();
    tokens
}

#[test]
fn metrics_need_a_role_and_the_hint_stream_needs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = TokenFile::new(folder.path().join("tokens.json"));
    let keys = [Role::Evaluate, Role::Read]
        .map(|role| format!("x-api-key: {}", file.create(&new(role.name(), role)).unwrap().1.text()));
    let server = Server::start(|| AccessControl::new().tokens(followed(file.path())));
    assert_eq!(server.ask("/metrics", &[]).status, 401);
    let answer = server.ask("/metrics", &[&keys[0]]);
    assert!(answer.status == 403 && answer.body.contains("the role read"), "{answer:?}");
    assert_eq!(server.ask("/metrics", &[&keys[1]]).status, 200);
    // A browser's EventSource sends no token.
    assert_eq!(server.status("GET", "//ofrep/v1/streams//flags"), 200);
    assert_eq!(server.send("POST", "/ofrep/v1/streams/flags", &[]).status, 401);
}
