//! Who changed what, over HTTP.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use flipper::history::{Cause, Entry, HistoryLimits, HistoryPage, HistoryQuery};
use flipper::json::Json;
use flipper::store::{Capabilities, Precondition, Stored, Version, WriteOptions};
use flipper::{
    CachedFeatureFlagStore, ErrorKind, FeatureFlagClient, FeatureFlagStore, FlagRecord, HttpFeatureFlagStore,
    MemoryFeatureFlagStore, MirroredFeatureFlagStore,
};
use flipper_server::{AccessControl, App, HttpOptions, NewToken, Role, TokenFile, Tokens, TrustedProxy};
use flipper_testkit::{PATIENCE, block_on};
use futures_util::TryStreamExt;
use support::{Answer, Running, connect, request};

/// A server with tokens, by their names.
struct Guarded {
    running: Running,
    _folder: tempfile::TempDir,
}

impl Guarded {
    fn new(tokens: &[(&str, Role, &[&str])]) -> (Self, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::new(folder.path().join("tokens.json"));
        let secret = |(name, role, prefixes): &(&str, Role, &[&str])| {
            let prefixes = prefixes.iter().map(|&prefix| prefix.to_owned()).collect();
            let token = NewToken { name: (*name).to_owned(), role: *role, prefixes, lifetime: None };
            file.create(&token).unwrap().1.text().to_owned()
        };
        let secrets = tokens.iter().map(secret).collect();
        let known = Tokens::open(file.path()).unwrap();
        let app = App::new(Arc::new(MemoryFeatureFlagStore::new())).access(AccessControl::new().tokens(known));
        let running = Running::start(app, HttpOptions::default());
        (Self { running, _folder: folder }, secrets)
    }

    fn store(&self, token: &str) -> HttpFeatureFlagStore {
        HttpFeatureFlagStore::builder(self.running.url()).token(token).timeout(PATIENCE).build().unwrap()
    }
}

fn entries(features: &FeatureFlagClient<impl Sized>, name: &str) -> Vec<Entry> {
    block_on(features.history(name).try_collect()).unwrap()
}

fn shown(entries: &[Entry]) -> Vec<(&str, Option<&str>, Option<&str>, &str)> {
    entries.iter().map(|entry| (&*entry.verb, entry.actor(), entry.reason(), entry.source())).collect()
}

#[test]
fn the_actor_is_the_token() {
    let (server, tokens) = Guarded::new(&[("ci", Role::Write, &[]), ("ops", Role::Write, &[])]);
    let [ci, ops] = [0, 1].map(|index| FeatureFlagClient::remote(server.store(&tokens[index])));
    block_on(async {
        ci.as_actor("mallory").because("new").create("A").await.unwrap();
        ops.with_source("command").because("инцидент 42\n100%").enable("A").await.unwrap();
        ops.destroy("A").await.unwrap();
    });
    let expected = [
        ("destroy", Some("ops"), None, "program"),
        ("enable", Some("ops"), Some("инцидент 42\n100%"), "command"),
        ("create", Some("ci"), Some("new"), "program"),
    ];
    let entries = entries(&ci, "A");
    assert_eq!(shown(&entries), expected);
    let key = format!("X-API-Key: {}", tokens[0]);
    server.running.expect(201, &format!("POST /api/v1/flags\n{key}\nFlipper-Actor: mallory"), r#"{"name": "B"}"#);
    let page = server.running.expect(200, &format!("GET /api/v1/history?name=B\n{key}"), "").json();
    let entry = &page["entries"].as_array().unwrap()[0];
    assert_eq!((entry["actor"].as_str(), entry["source"].as_str()), (Some("ci"), Some("api")));
}

#[test]
fn a_token_sees_the_entries_of_its_flags() {
    let (server, tokens) =
        Guarded::new(&[("all", Role::Write, &[]), ("web", Role::Write, &["WEB_"]), ("page", Role::Evaluate, &[])]);
    let [all, web] = [0, 1].map(|index| FeatureFlagClient::remote(server.store(&tokens[index])));
    block_on(async {
        for number in 0..150 {
            let name = format!("{}_{number}", if number % 50 == 0 { "WEB" } else { "OTHER" });
            all.create(name).await.unwrap();
        }
    });
    let seen: Vec<Entry> = block_on(web.history_of_all(None).try_collect()).unwrap();
    let names: Vec<_> = seen.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["WEB_100", "WEB_50", "WEB_0"]);
    let refused = block_on(web.history("OTHER_1").try_next()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unauthorized, "{refused:?}");

    let key = |index: usize| format!("X-API-Key: {}", tokens[index]);
    let page = server.running.expect(200, &format!("GET /api/v1/history?limit=2\n{}", key(1)), "").json();
    assert_eq!(page["entries"].as_array().unwrap().len(), 2);
    let next = page["next"].as_str().unwrap();
    let path = format!("GET /api/v1/history?limit=2&before={next}\n{}", key(1));
    let page = server.running.expect(200, &path, "").json();
    assert_eq!(page["entries"][0]["name"].as_str(), Some("WEB_0"));
    assert!(page["next"].is_null());
    server.running.expect(403, &format!("GET /api/v1/history?name=OTHER_1\n{}", key(1)), "");
    server.running.expect(403, &format!("GET /api/v1/history\n{}", key(2)), "");
    let id = page["entries"][0]["id"].as_str().unwrap();
    let restore = format!(r#"{{"name": "OTHER_1", "id": "{id}"}}"#);
    server.running.expect(403, &format!("POST /api/v1/restore\n{}", key(1)), &restore);
}

/// The JSON API, as a person calls it.
#[test]
fn pages_of_a_history() {
    let server = Running::memory();
    let because = "Flipper-Reason: incident%2042\nFlipper-Actor: %C3%84lice";
    server.expect(201, &format!("POST /api/v1/flags\n{because}"), r#"{"name": "A", "client_data": {"x": 1}}"#);
    server.expect(200, "PATCH /api/v1/flags/A\nFlipper-Source: deploy", r#"{"enabled": true}"#);
    let tag = server.expect(200, "GET /api/v1/flags/A", "").header("etag").unwrap().to_owned();
    let patch = r#"{"conditions": ["plan in pro"]}"#;
    server.expect(200, &format!("PATCH /api/v1/flags/A\nIf-Match: {tag}\n{because}"), patch);
    server.expect(200, &format!("PUT /api/v1/flags/A\n{because}"), r#"{"strict": true}"#);
    server.expect(204, &format!("DELETE /api/v1/flags/A\n{because}"), "");
    let bulk = r#"[{"op": "create", "name": "B"}, {"op": "change", "name": "B", "client_data": {"b": 1}}]"#;
    server.expect(200, &format!("POST /api/v1/bulk\n{because}"), bulk);
    let import = r#"[{"feature_name": "C", "is_enabled": true, "meta": {"created_date": 1}}]"#;
    server.expect(200, &format!("POST /api/v1/import\n{because}"), import);

    let page = server.expect(200, "GET /api/v1/history", "").json();
    let fields = |entry: &Json| {
        let text = |field: &str| entry[field].as_str().unwrap_or("-").to_owned();
        [text("name"), text("verb"), text("actor"), text("reason"), text("source")].join(" ")
    };
    let all: Vec<_> = page["entries"].as_array().unwrap().iter().map(fields).collect();
    let by = "\u{c4}lice incident 42 api";
    assert_eq!(
        all,
        [
            format!("C create {by}"),
            format!("B set_client_data {by}"),
            format!("B create {by}"),
            format!("A destroy {by}"),
            format!("A update {by}"),
            format!("A set_conditions {by}"),
            "A enable - - deploy".to_owned(),
            format!("A create {by}"),
        ]
    );
    assert!(page["next"].is_null());
    let enabled = &page["entries"][6];
    assert_eq!(enabled["before"].to_string(), r#"{"is_enabled": false}"#);
    assert_eq!(enabled["after"].to_string(), r#"{"is_enabled": true}"#);
    assert!(page["entries"][3]["after"].is_null() && page["entries"][7]["before"].is_null());

    let mut path = "GET /api/v1/history?name=A&limit=2".to_owned();
    let mut paged = Vec::new();
    loop {
        let page = server.expect(200, &path, "").json();
        paged.extend(page["entries"].as_array().unwrap().iter().map(fields));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("GET /api/v1/history?name=A&limit=2&before={next}");
    }
    assert_eq!(paged, all[3..], "also from before it was destroyed");
    let count = |query: &str| {
        let page = server.expect(200, &format!("GET /api/v1/history?{query}"), "").json();
        page["entries"].as_array().unwrap().len()
    };
    assert_eq!(count("actor=%C3%84lice"), 7);
    assert_eq!(count("actor=bob"), 0);
    assert_eq!(count("since=2100-01-01T00:00:00Z"), 0);
    assert_eq!(count(&format!("since={}", enabled["at"].as_str().unwrap())), 7);
    for (query, status) in [("since=yesterday", 400), ("limit=0", 400), ("by=alice", 400), ("before=x", 422)] {
        server.expect(status, &format!("GET /api/v1/history?{query}"), "");
    }
}

#[test]
fn restoring() {
    let server = Running::memory();
    server.expect(201, "POST /api/v1/flags", r#"{"name": "A", "client_data": {"x": 1}}"#);
    server.expect(204, "DELETE /api/v1/flags/A", "");
    let last = || server.expect(200, "GET /api/v1/history?name=A&limit=1", "").json()["entries"][0].clone();
    let restore = |id: &str| format!(r#"{{"name": "A", "id": "{id}"}}"#);
    let destroyed = last()["id"].as_str().unwrap().to_owned();
    let head = "POST /api/v1/restore\nFlipper-Reason: oops";
    let back = server.expect(200, head, &restore(&destroyed));
    assert_eq!(back.json()["client_data"].to_string(), r#"{"x": 1}"#);
    assert_eq!(back.header("etag"), server.expect(200, "GET /api/v1/flags/A", "").header("etag"));
    let entry = last();
    assert_eq!((entry["verb"].as_str(), entry["reason"].as_str()), (Some("restore"), Some("oops")));
    let conflict = server.expect(409, head, &restore(&destroyed));
    assert!(conflict.body.contains("the flag was changed since"), "{}", conflict.body);
    server.expect(204, head, &restore(entry["id"].as_str().unwrap()));
    server.expect(404, "GET /api/v1/flags/A", "");
    assert_eq!(server.expect(404, head, &restore("999")).code(), "no_such_entry");
    // A segment has its own form.
    server.expect(201, "PUT /api/v1/segments/beta", r#"{"when": "plan = pro"}"#);
    server.expect(200, "PUT /api/v1/segments/beta", r#"{"when": "plan = team"}"#);
    let entry = server.expect(200, "GET /api/v1/history?name=segments/beta&limit=1", "").json()["entries"][0].clone();
    let body = format!(r#"{{"name": "segments/beta", "id": "{}"}}"#, entry["id"].as_str().unwrap());
    let back = server.expect(200, head, &body);
    let now = server.expect(200, "GET /api/v1/segments/beta", "");
    assert_eq!((&back.body, back.header("etag")), (&now.body, now.header("etag")));
    assert_eq!(back.json()["when"]["value"].as_str(), Some("pro"));
    server.expect(422, head, r#"{"name": "A"}"#);
}

#[test]
fn what_a_reason_cannot_be() {
    let server = Running::memory();
    let long = "x".repeat(4097);
    for (value, why) in [
        ("Flipper-Reason:", "reason is empty"),
        ("Flipper-Reason: %", "has the escape"),
        ("Flipper-Reason: %ff", "is not UTF-8"),
        ("Flipper-Reason: a\nFlipper-Reason: b", "is there twice"),
        (&format!("Flipper-Reason: {long}"), "reason has 4097 bytes, more than 4096"),
        ("Flipper-Actor: %0A", "actor has the character"),
        (&format!("Flipper-Source: {}", &long[..65]), "source has 65 bytes, more than 64"),
    ] {
        for head in ["PATCH /api/v1/flags/A", "DELETE /api/v1/flags/A", "POST /api/v1/records", "POST /api/v1/bulk"] {
            let answer = server.expect(400, &format!("{head}\n{value}"), r#"[{"delete": "A"}]"#);
            assert!(answer.body.contains(why), "{head} {value}: {}", answer.body);
        }
    }
    let million = "x".repeat(1 << 20);
    let mut stream = connect(server.address);
    // The server ends the connection before it has read all.
    let _ = stream.write_all(request(&format!("DELETE /api/v1/flags/A\nFlipper-Reason: {million}"), "").as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert_eq!(Answer::parse(&answer).status, 431);
    let features = FeatureFlagClient::remote(server.store());
    block_on(async {
        let refused = features.because(&million).create("A").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{refused:?}");
        // The longest that there is, in the longest letters.
        let longest = "\u{1f525}".repeat(1024);
        features.because(&longest).create("A").await.unwrap();
        let last = features.history("A").try_next().await.unwrap().unwrap();
        assert_eq!(last.reason(), Some(&*longest));
    });
}

#[test]
fn through_wrappers() {
    let server = Running::memory();
    let mirrored = MirroredFeatureFlagStore::new(server.store());
    block_on(flipper::store::LocalFeatureFlagStore::ready(&mirrored)).unwrap();
    assert!(mirrored.capabilities().history, "the stream of changes says it");
    let cached = FeatureFlagClient::remote(CachedFeatureFlagStore::new(server.store()));
    let features = FeatureFlagClient::new(mirrored).as_actor("alice");
    block_on(async {
        features.create("A").await.unwrap();
        features.because("on").enable("A").await.unwrap();
        let last = cached.history("A").try_next().await.unwrap().unwrap();
        assert_eq!((&*last.verb, last.actor(), last.reason()), ("enable", Some("alice"), Some("on")));
        cached.restore("A", &last).await.unwrap();
        let again = features.restore("A", &last).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::Conflict, "{again:?}");
        let restored = features.history("A").try_next().await.unwrap().unwrap();
        assert_eq!((&*restored.verb, restored.actor()), ("restore", None));
        assert_eq!(restored.after, last.before);
    });
}

/// Large flags make pages short, and none is left out.
#[test]
fn large_entries_come_in_short_pages() {
    let server = Running::memory();
    let store = server.store();
    block_on(async {
        for number in 0..30 {
            let mut record = FlagRecord::new("LARGE", 1);
            record.set_client_data([("text", "x".repeat(200_000)), ("n", number.to_string())].into_iter().collect());
            store.put(&record, Precondition::Any.into()).await.unwrap();
        }
        let page = store.history(&HistoryQuery::of("LARGE")).await.unwrap();
        assert!((1..30).contains(&page.entries.len()) && page.next.is_some(), "{}", page.entries.len());
        let all: Vec<Entry> = FeatureFlagClient::remote(store).history("LARGE").try_collect().await.unwrap();
        assert_eq!(all.len(), 30);
        assert!(all.windows(2).all(|pair| pair[0].before == pair[1].after));
    });
}

/// Of the memory store only what each store has.
#[derive(Debug)]
struct WithoutHistory(MemoryFeatureFlagStore);

impl std::fmt::Display for WithoutHistory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WithoutHistory")
    }
}

#[async_trait]
impl FeatureFlagStore for WithoutHistory {
    async fn get(&self, name: &str) -> flipper::Result<Option<Stored>> {
        self.0.get(name).await
    }

    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> flipper::Result<Version> {
        self.0.put(record, options).await
    }

    async fn delete(&self, name: &str, options: WriteOptions) -> flipper::Result<Version> {
        self.0.delete(name, options).await
    }

    async fn list(&self) -> flipper::Result<Vec<Stored>> {
        self.0.list().await
    }
}

/// Of the memory store, without the entries of writes that have no cause: it does not see other programs' writes.
#[derive(Debug)]
struct Blind {
    inner: MemoryFeatureFlagStore,
    asked: Arc<Mutex<Vec<usize>>>,
}

impl std::fmt::Display for Blind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Blind")
    }
}

#[async_trait]
impl FeatureFlagStore for Blind {
    async fn get(&self, name: &str) -> flipper::Result<Option<Stored>> {
        self.inner.get(name).await
    }

    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> flipper::Result<Version> {
        self.inner.put(record, options).await
    }

    async fn delete(&self, name: &str, options: WriteOptions) -> flipper::Result<Version> {
        self.inner.delete(name, options).await
    }

    async fn list(&self) -> flipper::Result<Vec<Stored>> {
        self.inner.list().await
    }

    async fn history(&self, query: &HistoryQuery) -> flipper::Result<HistoryPage> {
        self.asked.lock().unwrap().push(query.limit);
        let mut page = self.inner.history(query).await?;
        page.entries.retain(|entry| entry.cause.is_some());
        Ok(page)
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}

/// A server, its store, and with how great limits the history was asked for.
fn blind() -> (Running, MemoryFeatureFlagStore, Arc<Mutex<Vec<usize>>>) {
    let inner = MemoryFeatureFlagStore::new().history_limits(HistoryLimits::default());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let store = Blind { inner: inner.clone(), asked: asked.clone() };
    (Running::over(MirroredFeatureFlagStore::new(store)), inner, asked)
}

async fn write(store: &MemoryFeatureFlagStore, number: usize, text: &str, cause: Option<Cause>) {
    let mut record = FlagRecord::new("A", 1);
    record.set_client_data([("n", number.to_string()), ("text", text.to_owned())].into_iter().collect());
    let mut options = WriteOptions::from(Precondition::Any);
    options.cause = cause.map(Arc::new);
    store.put(&record, options).await.unwrap();
}

#[test]
fn gaps_make_a_page_little_longer() {
    let (server, store, _) = blind();
    block_on(async {
        for number in 0..120 {
            write(&store, number, "", (number % 2 == 0).then(Cause::default)).await;
        }
    });
    let list = |query: &str| server.expect(200, &format!("GET /api/v1/history?name=A&{query}"), "").json();
    let ids = |page: &Json| {
        let entries = page["entries"].as_array().unwrap().iter();
        entries.map(|entry| entry["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = ids(&list("limit=1000"));
    assert_eq!((all.len(), all[0].ends_with('+'), all[1].ends_with('+')), (120, true, false), "a gap is also in front");
    for limit in [1, 2, 7] {
        let mut page = list(&format!("limit={limit}"));
        let mut paged = Vec::new();
        loop {
            let found = ids(&page);
            assert!((1..=limit + 2).contains(&found.len()), "{limit}: {found:?}");
            paged.extend(found);
            let Some(next) = page["next"].as_str() else { break };
            page = list(&format!("limit={limit}&before={next}"));
        }
        assert_eq!(paged, all, "{limit}");
    }
}

#[test]
fn large_entries_are_read_in_small_portions() {
    let (server, store, asked) = blind();
    let large = "x".repeat(300_000);
    block_on(async {
        for number in 0..24 {
            write(&store, number, &format!("{number}{large}"), Some(Cause::default())).await;
        }
    });
    let page = server.expect(200, "GET /api/v1/history?name=A&limit=1000", "").json();
    assert!(page["entries"].as_array().unwrap().len() < 24 && page["next"].as_str().is_some());
    let records = r#"[{"history": {"limit": 1000}}]"#;
    assert!(server.expect(200, "POST /api/v1/records", records).json()[0]["next"].as_str().is_some());
    assert!(asked.lock().unwrap().iter().all(|limit| *limit == 8), "{asked:?}");
    asked.lock().unwrap().clear();
    block_on(async {
        for number in 0..600 {
            write(&store, number, "", Some(Cause::default())).await;
        }
    });
    server.expect(200, "GET /api/v1/history?limit=600", "");
    server.expect(200, "POST /api/v1/records", r#"[{"history": {"limit": 600}}]"#);
    let portions = [8, 16, 32, 64, 128, 256, 512];
    assert_eq!(*asked.lock().unwrap(), [portions, portions].concat(), "small ones are asked for seldom");
}

#[test]
fn one_history_in_a_body() {
    let server = Running::memory();
    server.expect(200, "POST /api/v1/records", r#"[{"history": {}}, {"get": "A"}]"#);
    let refused = server.expect(422, "POST /api/v1/records", r#"[{"history": {}}, {"get": "A"}, {"history": {}}]"#);
    assert!(refused.body.contains("the body has more than one `history`"), "{}", refused.body);
}

#[test]
fn a_restore_looks_through_a_part_of_a_history() {
    let (server, store, _) = blind();
    block_on(async {
        for number in 0..2100 {
            write(&store, number, "", Some(Cause::default())).await;
        }
    });
    let newest = block_on(store.history(&HistoryQuery::of("A").limit(1))).unwrap().entries[0].id.as_str().to_owned();
    let restore = |id: &str| format!(r#"{{"name": "A", "id": "{id}"}}"#);
    let refused = server.expect(404, "POST /api/v1/restore", &restore("1"));
    assert!(refused.body.contains("in the newest 2000 entries of flag"), "{}", refused.body);
    server.expect(200, "POST /api/v1/restore", &restore(&newest));
}

/// Its name is the proxy's choice, so it is no fault of the request.
#[test]
fn a_user_with_a_long_name() {
    let proxy = TrustedProxy::new("x-user".parse().unwrap(), vec!["127.0.0.0/8".parse().unwrap()], Role::Admin);
    let app = App::new(Arc::new(MemoryFeatureFlagStore::new())).access(AccessControl::new().proxy(proxy));
    let server = Running::start(app, HttpOptions::default());
    let user = format!("X-User: {}", "u".repeat(300));
    server.expect(201, &format!("POST /api/v1/flags\n{user}"), r#"{"name": "A"}"#);
    server.expect(200, &format!("POST /api/v1/records\n{user}"), r#"[{"get": "A"}]"#);
    let page = server.expect(200, &format!("GET /api/v1/history\n{user}"), "").json();
    assert_eq!(page["entries"][0]["actor"].as_str(), Some(&*"u".repeat(255)));
    // Reads do not look at what is for writes.
    server.expect(200, &format!("POST /api/v1/records\n{user}\nFlipper-Reason: %"), r#"[{"get": "A"}]"#);
}

#[test]
fn a_store_without_history() {
    let server = Running::over(MirroredFeatureFlagStore::new(WithoutHistory(MemoryFeatureFlagStore::new())));
    let store = server.store();
    let cause = Cause::default().with_actor("alice").unwrap();
    let options = WriteOptions::from(Precondition::Absent).with_verb("create").with_cause(cause);
    block_on(store.put(&FlagRecord::new("A", 1), options)).unwrap();
    assert!(!store.capabilities().history);
    let refused = block_on(store.history(&HistoryQuery::all())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused:?}");
    assert_eq!(server.expect(501, "GET /api/v1/history", "").code(), "unsupported");
    server.expect(501, "POST /api/v1/restore", r#"{"name": "A", "id": "1"}"#);
}

/// Its refusal of an operation that it does not know.
#[test]
fn an_older_server_has_no_history() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"]") {
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).unwrap();
            request.extend_from_slice(&bytes[..read]);
        }
        let body =
            r#"{"status": 422, "code": "invalid_input", "detail": "operation 0 has the unknown field \"history\""}"#;
        let head = format!("HTTP/1.1 422 X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        stream.write_all(head.as_bytes()).unwrap();
    });
    let store = HttpFeatureFlagStore::builder(url).timeout(PATIENCE).build().unwrap();
    let refused = block_on(store.history(&HistoryQuery::all())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused:?}");
    server.join().unwrap();
}
