//! Who changed what, when and why; and back again.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use flipper::history::{HistoryPage, HistoryQuery};
use flipper::json::{Json, Object};
use flipper::store::{
    Capabilities, FlagTable, LocalFeatureFlagStore, Precondition, Status, Stored, Version, Watch, WriteOptions,
};
use flipper::{FeatureFlagClient, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore, Result};
use flipper_server::{App, Page, Role};
use flipper_testkit::block_on;

use crate::forms::{HOSTILE, Site, encoded, flip_of, hidden};
use crate::login::{Office, cookie_of, log_in};
use crate::support::Answer;

impl Site {
    pub(crate) fn features(&self) -> FeatureFlagClient {
        FeatureFlagClient::new((*self.store).clone())
    }

    fn history_of(&self, name: &str) -> String {
        self.get(&format!("/flags/-/history?name={}", encoded(name))).body
    }

    fn flip(&self, name: &str, reason: &str) -> Answer {
        let page = self.get(&format!("/flags/{}", encoded(name))).body;
        self.post("/flags/-/change", &hidden(&page, "csrf"), &[("flip", &flip_of(&page)), ("reason", reason)])
    }

    /// Presses the undo of this entry of the flag's history, and answers the question with yes.
    fn undo(&self, name: &str, entry: usize, reason: &str) -> Answer {
        let question = self.ask_undo(name, entry);
        assert_eq!(question.status, 200, "{}", question.body);
        self.post(
            "/flags/-/change",
            &hidden(&question.body, "csrf"),
            &[("undo", &hidden(&question.body, "undo")), ("confirmed", "yes"), ("reason", reason)],
        )
    }

    fn ask_undo(&self, name: &str, entry: usize) -> Answer {
        let page = self.history_of(name);
        let buttons = undo_buttons(&page);
        self.post("/flags/-/change", &hidden(&page, "csrf"), &[("undo", &buttons[entry])])
    }
}

fn undo_buttons(page: &str) -> Vec<String> {
    let buttons = page.split('<').filter(|tag| tag.starts_with("button") && tag.contains("name=\"undo\""));
    buttons.map(|tag| tag.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()).collect()
}

/// The entries of a page.
fn entries(page: &str) -> Vec<&str> {
    page.split("<p class=\"what\">").skip(1).collect()
}

/// In this order.
#[track_caller]
fn has_all(page: &str, texts: &[&str]) {
    let mut rest = page;
    for text in texts {
        let at = rest.find(text).unwrap_or_else(|| panic!("no {text:?}, in this order, in {page}"));
        rest = &rest[at + text.len()..];
    }
}

#[test]
fn a_flag_shows_who_changed_it_and_why() {
    let office = Office::new();
    let (_, token) = office.token(Role::Admin, &[]);
    let site = office.site();
    // By a program that does not say who it is.
    site.flag("A", |_| {});
    let cookie = cookie_of(&log_in(&site, &token, ""));
    let site = site.with_session(&cookie);
    assert_eq!(site.flip("A", "incident 42").status, 303);
    let api = site.features().as_actor("bob").with_source("api").because("a test");
    block_on(api.set_client_data("A", [("owner", "shop")].into_iter().collect::<Object>())).unwrap();
    // As PostgreSQL has what another program did.
    let psql = site.features().as_actor("app").with_source("outside: psql");
    block_on(psql.set_client_data("A", [("owner", "web")].into_iter().collect::<Object>())).unwrap();
    let page = site.get("/flags/A").body;
    has_all(
        &page,
        &[
            "<h2 id=\"history\">History</h2>",
            "Client data changed",
            "Outside</span> by <b>app</b>, from psql",
            "Client data changed",
            "<b>bob</b>, over the API",
            "a test",
            "data owner",
            "Turned on",
            "<b>admin</b>, on the page",
            "incident 42",
            "<del>off</del>",
            "<ins>on</ins>",
            "Created",
            "Outside",
        ],
    );
    // The same on the page of all changes, with the flag's name.
    let page = site.get("/flags/-/history").body;
    has_all(&page, &["Client data changed", "href=\"/flags/A\"", "Turned on", "incident 42", "Created"]);
    assert_eq!(entries(&page).len(), 4);
    for (query, expected) in
        [("by=BOB", 1), ("by=zoe", 0), ("since=1h", 4), ("since=1h&by=adm", 1), ("name=A", 4), ("name=B", 0)]
    {
        assert_eq!(entries(&site.get(&format!("/flags/-/history?{query}")).body).len(), expected, "{query}");
    }
    let wrong = site.get("/flags/-/history?since=soon").body;
    assert!(wrong.contains("is no length of time"), "{wrong}");
}

#[test]
fn an_undo_asks_and_puts_the_flag_back() {
    let site = Site::open();
    site.flag("A", |_| {});
    site.flip("A", "");
    let question = site.ask_undo("A", 0);
    assert_eq!(question.status, 200);
    has_all(
        &question.body,
        &["Undo this change of A?", "Turned on", "<del>on</del>", "<ins>off</ins>", "Yes, undo it"],
    );
    assert!(site.stored("A").unwrap().is_enabled());
    let answer = site.undo("A", 0, "too early");
    assert_eq!((answer.status, answer.header("location")), (303, Some("/flags/A?done=undone")), "{}", answer.body);
    assert!(!site.stored("A").unwrap().is_enabled());
    let page = site.get("/flags/A?done=undone").body;
    has_all(&page, &["The change is undone.", "Restored", "on the page", "too early", "Turned on"]);
    // The undo of the creation, which the flag is like again, destroys it.
    let answer = site.undo("A", 2, "");
    assert_eq!(answer.header("location"), Some("/flags/-/history?name=A&done=undone"), "{}", answer.body);
    assert!(site.stored("A").is_none());
}

#[test]
fn an_undo_of_what_was_changed_since_is_a_conflict() {
    let site = Site::open();
    site.flag("A", |_| {});
    site.flip("A", "");
    site.flag("A", |flag| {
        flag.set_enabled(true);
        flag.set_client_data([("owner", "bob")].into_iter().collect());
    });
    let answer = site.ask_undo("A", 1);
    assert_eq!(answer.status, 409);
    has_all(
        &answer.body,
        &[
            "This flag was changed since, so nothing is undone",
            "Changed since",
            "data owner",
            "What the undo would have changed",
            "<ins>off</ins>",
            "It does not turn the flag off",
        ],
    );
    assert!(site.stored("A").unwrap().is_enabled());
    // Between the question and the answer too.
    let question = site.ask_undo("A", 0);
    assert_eq!(question.status, 200);
    site.flag("A", |_| {});
    let answer = site.post(
        "/flags/-/change",
        &hidden(&question.body, "csrf"),
        &[("undo", &hidden(&question.body, "undo")), ("confirmed", "yes")],
    );
    assert_eq!(answer.status, 409, "{}", answer.body);
    assert!(site.stored("A").unwrap().client_data().to_string() == "{}");
    // What the form then has is the flag as it is, with the undo.
    site.flag("A", |flag| flag.set_client_data([("a", 1)].into_iter().collect()));
    site.flag("A", |flag| flag.set_client_data([("a", 1), ("b", 2)].into_iter().collect()));
    site.flag("A", |flag| {
        flag.set_client_data([("a", 1), ("b", 2)].into_iter().collect());
        flag.set_strict(true);
    });
    let answer = site.ask_undo("A", 1);
    assert_eq!(answer.status, 409);
    let data = answer.body.split("name=\"data\"").nth(1).unwrap().split("</textarea>").next().unwrap();
    assert!(data.contains("&quot;a&quot;: 1") && !data.contains("&quot;b&quot;"), "{data}");
    assert!(answer.body.contains("name=\"strict\" checked"), "{}", answer.body);
}

#[test]
fn a_destroyed_flag_has_its_history_and_comes_back() {
    let site = Site::open();
    site.flag("A", |flag| flag.set_client_data([("owner", "shop")].into_iter().collect()));
    site.flip("A", "");
    let before = site.stored("A").unwrap();
    assert_eq!(site.change("A", &[("do", "destroy"), ("typed", "A"), ("reason", "cleanup")]).status, 303);
    let answer = site.get("/flags/A");
    assert_eq!(answer.status, 404);
    has_all(&answer.body, &["There is no such flag", "Destroyed", "cleanup", "Turned on", "Created"]);
    assert!(site.get("/flags/-/history").body.contains("href=\"/flags/A\""));
    let answer = site.undo("A", 0, "");
    assert_eq!((answer.status, answer.header("location")), (303, Some("/flags/A?done=undone")), "{}", answer.body);
    assert_eq!(site.stored("A").unwrap(), before);
    // Destroyed again, and created again: one history, and the undo of the destruction is a conflict.
    site.change("A", &[("do", "destroy"), ("typed", "A")]);
    let csrf = hidden(&site.get("/flags/-/new").body, "csrf");
    assert_eq!(site.post("/flags/-/new", &csrf, &[("name", "A"), ("reason", "again")]).status, 303);
    has_all(&site.history_of("A"), &["Created", "again", "Destroyed", "Restored", "Destroyed", "Turned on", "Created"]);
    let answer = site.ask_undo("A", 1);
    assert_eq!(answer.status, 409);
    has_all(&answer.body, &["It was created again", "data owner", "<ins>&quot;shop&quot;</ins>"]);
    assert_eq!(site.stored("A").unwrap().client_data().to_string(), "{}");
}

#[test]
fn reasons_are_asked_for_where_the_server_says_so() {
    let site = Site::with(|app| app.page(Page::new().require_reason(true)));
    let csrf = hidden(&site.get("/flags/-/new").body, "csrf");
    let create = |reason: &str| site.post("/flags/-/new", &csrf, &[("name", "A"), ("reason", reason)]);
    let answer = create(" ");
    assert_eq!(answer.status, 422);
    assert!(answer.body.contains("This server asks for a reason of each change"), "{}", answer.body);
    assert!(site.stored("A").is_none());
    assert_eq!(create("ticket 1").status, 303);
    // The switch has no field that must be filled in: the page asks.
    let question = site.flip("A", "");
    assert_eq!(question.status, 200);
    has_all(&question.body, &["Turn on A?", "asks for a reason", "<ins>on</ins>", "id=\"reason\"", "required"]);
    assert!(!site.stored("A").unwrap().is_enabled());
    let again = [("flip", &*hidden(&question.body, "flip")), ("confirmed", "yes"), ("reason", "")];
    let csrf = hidden(&question.body, "csrf");
    let answer = site.post("/flags/-/change", &csrf, &again);
    assert_eq!(answer.status, 422, "{}", answer.body);
    let answer = site.post("/flags/-/change", &csrf, &[again[0], again[1], ("reason", "ticket 2")]);
    assert_eq!(answer.status, 303, "{}", answer.body);
    assert!(site.stored("A").unwrap().is_enabled());
    has_all(&site.history_of("A"), &["Turned on", "ticket 2", "Created", "ticket 1"]);
    let save = [("do", "save"), ("rollout", "everybody"), ("conditions", "a = 1"), ("deny", ""), ("data", "{}")];
    for form in [&[("do", "destroy"), ("typed", "A")][..], &save] {
        assert_eq!(site.change("A", form).status, 200);
    }
    assert_eq!(site.stored("A").unwrap().conditions().len(), 0);
    let question = site.ask_undo("A", 0);
    assert!(question.body.contains("required"), "{}", question.body);
    assert_eq!(site.undo("A", 0, "").status, 422);
    assert_eq!(site.undo("A", 0, "ticket 3").status, 303);
}

#[test]
fn a_reason_has_four_kibibytes() {
    let site = Site::open();
    site.flag("A", |_| {});
    let long = "x".repeat(1 << 20);
    let answer = site.flip("A", &long);
    assert_eq!(answer.status, 422);
    assert!(answer.body.contains("The reason has 1048576 bytes, more than 4096."), "{}", answer.body);
    assert!(answer.body.len() < 16 << 10, "{} bytes", answer.body.len());
    assert!(!site.stored("A").unwrap().is_enabled());
    let csrf = hidden(&site.get("/flags/-/new").body, "csrf");
    assert_eq!(site.post("/flags/-/new", &csrf, &[("name", "B"), ("reason", &long)]).status, 422);
    assert!(site.stored("B").is_none());
    assert_eq!(site.flip("A", &"é".repeat(2048)).status, 303);
    assert!(site.history_of("A").contains(&"é".repeat(2048)));
    assert_eq!(site.flip("A", "two\r\nlines \0").status, 422);
}

#[test]
fn hostile_reasons_and_actors_are_text() {
    let site = Site::open();
    site.flag("A", |_| {});
    let hostile = format!("{HOSTILE}\n\u{202e}\u{1b}[2J");
    let program = site.features().as_actor(HOSTILE).because(&hostile).with_source(&HOSTILE[..24]);
    block_on(program.enable("A")).unwrap();
    site.flip("A", &hostile);
    let question = site.ask_undo("A", 1);
    let pages = [
        site.get("/flags/A").body,
        site.history_of("A"),
        site.get("/flags/-/history").body,
        site.get(&format!("/flags/-/history?by={}&since={}", encoded(HOSTILE), encoded(HOSTILE))).body,
        site.ask_undo("A", 0).body,
        question.body,
    ];
    for page in pages {
        for raw in ["<img src=x", "<script>", "\u{202e}", "\u{1b}"] {
            assert!(!page.contains(raw), "{raw:?} in {page}");
        }
    }
    assert!(site.get("/flags/A").body.contains("&lt;img src=x onerror=alert(1)&gt;"));
}

#[test]
fn pages_have_each_entry_once() {
    let site = Site::open();
    let program = site.features().as_actor("ann");
    block_on(program.create("A")).unwrap();
    for number in 0..120 {
        block_on(program.set_client_data("A", [("number", number)].into_iter().collect::<Object>())).unwrap();
    }
    let page = site.get("/flags/A").body;
    assert_eq!(entries(&page).len(), 10);
    let mut next = "/flags/-/history?name=A".to_owned();
    assert!(page.contains(&format!("<a href=\"{next}\">Older changes</a>")), "{page}");
    let mut numbers = Vec::new();
    loop {
        let page = site.get(&next).body;
        let lines = page.split("<ins>").skip(1).map(|rest| rest.split('<').next().unwrap());
        numbers.extend(lines.filter_map(|line| line.parse::<u32>().ok()));
        let Some(link) = page.split("rel=\"next\" href=\"").nth(1) else { break };
        next = link.split('"').next().unwrap().replace("&amp;", "&");
    }
    assert_eq!(numbers, (0..120).rev().collect::<Vec<_>>());
    // An entry of an older page can be undone as well: it is found again.
    let page = site.get(&next).body;
    let button = undo_buttons(&page)[0].clone();
    let answer = site.post("/flags/-/change", &hidden(&page, "csrf"), &[("undo", &button)]);
    assert_eq!(answer.status, 409, "{}", answer.body);
    for wrong in ["", "x", "99999  A", "1+  A", "1 x A"] {
        let answer = site.post("/flags/-/change", &hidden(&page, "csrf"), &[("undo", wrong)]);
        assert!((400..500).contains(&answer.status), "{wrong}: {}", answer.body);
    }
}

#[test]
fn roles_are_respected() {
    let office = Office::new();
    let (reader, admin) = (office.token(Role::Read, &["shop."]).1, office.token(Role::Admin, &[]).1);
    let site = office.site();
    site.flag("shop.A", |_| {});
    site.flag("other.B", |_| {});
    let [admin, reader] = [admin, reader].map(|token| cookie_of(&log_in(&site, &token, "")));
    let site = site.with_session(&admin);
    let button = undo_buttons(&site.history_of("shop.A"))[0].clone();
    let site = site.with_session(&reader);
    let page = site.get("/flags/-/history").body;
    assert!(page.contains("shop.") && !page.contains("other."), "{page}");
    assert!(undo_buttons(&page).is_empty());
    assert_eq!(site.get("/flags/-/history?name=other.B").status, 403);
    assert_eq!(site.get("/flags/other.GONE").status, 403);
    let csrf = hidden(&site.get("/flags").body, "csrf");
    assert_eq!(site.post("/flags/-/change", &csrf, &[("undo", &button), ("confirmed", "yes")]).status, 403);
    assert!(site.stored("shop.A").is_some());
}

/// The memory store with another history.
#[derive(Debug)]
struct Odd {
    store: MemoryFeatureFlagStore,
    has_history: bool,
}

impl std::fmt::Display for Odd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Odd")
    }
}

#[async_trait]
impl FeatureFlagStore for Odd {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        self.store.get(name).await
    }

    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
        self.store.put(record, options).await
    }

    async fn delete(&self, name: &str, options: WriteOptions) -> Result<Version> {
        self.store.delete(name, options).await
    }

    async fn list(&self) -> Result<Vec<Stored>> {
        self.store.list().await
    }

    fn watch(&self) -> Watch<'_> {
        self.store.watch()
    }

    fn capabilities(&self) -> Capabilities {
        let capabilities = Capabilities::default().with_push().with_ordered_versions();
        if self.has_history { capabilities.with_history() } else { capabilities }
    }

    /// Each entry is an hour before the one before it.
    async fn history(&self, query: &HistoryQuery) -> Result<HistoryPage> {
        let mut page = self.store.history(query).await?;
        for entry in &mut page.entries {
            let number: u32 = entry.id.as_str().parse().unwrap();
            entry.at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) - number * Duration::from_secs(3600);
        }
        Ok(page)
    }
}

#[async_trait]
impl LocalFeatureFlagStore for Odd {
    fn table(&self) -> &Arc<FlagTable> {
        self.store.table()
    }

    fn status(&self) -> Status {
        self.store.status()
    }

    async fn ready(&self) -> Result<()> {
        Ok(())
    }
}

fn odd(has_history: bool) -> Site {
    let store = MemoryFeatureFlagStore::new();
    let app = App::new(Arc::new(Odd { store: store.clone(), has_history })).page(Page::new());
    Site::of(Arc::new(store), app)
}

#[test]
fn a_clock_that_goes_back_changes_no_order() {
    let site = odd(true);
    site.flag("A", |_| {});
    site.flip("A", "first");
    site.flip("A", "second");
    for page in [site.get("/flags/A").body, site.history_of("A"), site.get("/flags/-/history").body] {
        has_all(
            &page,
            &["Turned off", "2023-11-14 19:13:20 UTC", "second", "Turned on", "20:13:20", "first", "21:13:20"],
        );
    }
    assert_eq!(site.undo("A", 0, "").status, 303);
    assert!(site.stored("A").unwrap().is_enabled());
}

#[test]
fn a_store_without_history_says_so() {
    let site = odd(false);
    site.flag("A", |_| {});
    for page in ["/flags/A", "/flags/-/history", "/flags/-/history?name=A"] {
        let page = site.get(page).body;
        assert!(page.contains("This store keeps no history."), "{page}");
        assert!(undo_buttons(&page).is_empty());
    }
    // A reason goes nowhere, and hinders nothing.
    assert_eq!(site.flip("A", "why").status, 303);
    assert!(site.get("/flags/-/status").body.contains("Not kept by this store"));
}

#[test]
fn a_protected_flag_says_so_before_an_undo() {
    let site = Site::open();
    site.flag("pay.card", |_| {});
    site.flag("B", |flag| {
        flag.set_client_data(Json::parse(r#"{"protected": true}"#).unwrap().as_object().unwrap().clone());
    });
    for name in ["pay.card", "B"] {
        assert!(site.ask_undo(name, 0).body.contains("This flag is protected"));
    }
    let version = site.store.table().get("B").unwrap().version;
    block_on(site.store.delete("B", Precondition::Unchanged(version).into())).unwrap();
    assert!(site.ask_undo("B", 0).body.contains("This flag is protected"));
}
