//! The page as a client without a browser sees it.

use std::sync::Arc;

use flipper::json::Json;
use flipper::store::{LocalFeatureFlagStore, Precondition};
use flipper::{Condition, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore};
use flipper_server::{App, HttpOptions, Page};
use flipper_testkit::block_on;

use crate::support::{Answer, Running};

/// Shown as text, or the page is broken. It does no harm.
pub(crate) const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'&amp;<script>alert(2)</script>";

pub(crate) struct Site {
    pub(crate) server: Running,
    pub(crate) store: Arc<MemoryFeatureFlagStore>,
    cookie: Option<String>,
}

impl Site {
    pub(crate) fn open() -> Self {
        Self::with(|app| app)
    }

    pub(crate) fn with(configure: impl FnOnce(App) -> App) -> Self {
        let store = Arc::new(MemoryFeatureFlagStore::new());
        let app = configure(App::new(store.clone()).page(Page::new().protect("pay.*")));
        Self::of(store, app)
    }

    /// An app over this store, or over one that has its flags.
    pub(crate) fn of(store: Arc<MemoryFeatureFlagStore>, app: App) -> Self {
        Self { server: Running::start(app, HttpOptions::default()), store, cookie: None }
    }

    /// With this session.
    pub(crate) fn with_session(mut self, cookie: &str) -> Self {
        self.cookie = Some(cookie.to_owned());
        self
    }

    pub(crate) fn flag(&self, name: &str, change: impl FnOnce(&mut FlagRecord)) {
        let mut record = FlagRecord::new(name, 1_700_000_000);
        change(&mut record);
        block_on(self.store.put(&record, Precondition::Any.into())).unwrap();
    }

    pub(crate) fn stored(&self, name: &str) -> Option<Arc<FlagRecord>> {
        self.store.table().get(name).map(|flag| flag.record.unwrap())
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.server.send(&format!("GET {path}{}", self.headers()), "")
    }

    fn headers(&self) -> String {
        self.cookie.as_ref().map(|cookie| format!("\nCookie: {cookie}")).unwrap_or_default()
    }

    /// Sends a form as a page has it, with its hidden text.
    pub(crate) fn post(&self, path: &str, csrf: &str, fields: &[(&str, &str)]) -> Answer {
        let fields: Vec<_> =
            [("csrf", csrf)].iter().chain(fields).map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let head = format!("POST {path}\nContent-Type: application/x-www-form-urlencoded{}", self.headers());
        self.server.send(&head, &fields.join("&"))
    }

    /// A change of a flag, in the version that its page shows.
    pub(crate) fn change(&self, name: &str, fields: &[(&str, &str)]) -> Answer {
        let page = self.get(&format!("/flags/{}", encoded(name)));
        let version = hidden(&page.body, "version");
        let name = hidden(&page.body, "name");
        let all: Vec<_> =
            [("name", &*name), ("version", &*version)].into_iter().chain(fields.iter().copied()).collect();
        self.post("/flags/-/change", &hidden(&page.body, "csrf"), &all)
    }
}

pub(crate) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// The value of the first hidden field of this name.
#[track_caller]
pub(crate) fn hidden(page: &str, name: &str) -> String {
    let field = format!("name=\"{name}\"");
    let tag = page.split('<').find(|tag| tag.starts_with("input") && tag.contains(&field));
    let tag = tag.unwrap_or_else(|| panic!("no field {name} in {page}"));
    let value = tag.split("value=\"").nth(1).unwrap().split('"').next().unwrap();
    value.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// The value of the switch of the only flag.
pub(crate) fn flip_of(page: &str) -> String {
    let button = page.split('<').find(|tag| tag.starts_with("button") && tag.contains("name=\"flip\"")).unwrap();
    button.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

#[test]
fn without_the_option_there_is_no_page() {
    let server = Running::memory();
    assert_eq!(server.send("GET /flags", "").code(), "no_such_path");
}

#[test]
fn every_answer_limits_what_a_page_may_do() {
    let site = Site::open();
    site.flag("A", |_| {});
    for (path, status) in [
        ("/flags", 200),
        ("/flags/A", 200),
        ("/flags/NONE", 404),
        ("/flags/-/new", 200),
        ("/flags/-/status", 200),
        ("/flags/-/history", 200),
        ("/flags/-/history?name=NONE&since=soon&before=x", 200),
        ("/flags/-/login", 303),
        ("/flags/-/assets/0000/script.js", 404),
        ("/flags/%zz", 400),
    ] {
        let answer = site.get(path);
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        let policy = answer.header("content-security-policy").unwrap();
        for part in
            ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"]
        {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        let is_page = answer.header("content-type") == Some("text/html; charset=utf-8");
        assert!(is_page || answer.body.is_empty(), "{path}: {:?}", answer.header("content-type"));
        // What the policy forbids would not work.
        for inline in [" style=", " onclick=", "<style", "javascript:"] {
            assert!(!answer.body.contains(inline), "{path}: {inline}");
        }
    }
}

#[test]
fn browsers_keep_the_script_and_the_stylesheet() {
    let site = Site::open();
    let page = site.get("/flags").body;
    let paths: Vec<_> = page.split('"').filter(|part| part.starts_with("/flags/-/assets/")).collect();
    assert!(paths.len() >= 3);
    for path in paths {
        let answer = site.get(path);
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
        assert_eq!(answer.header("content-encoding"), None);
        assert_eq!(
            site.server.send(&format!("GET {path}\nAccept-Encoding: gzip"), "").header("content-encoding"),
            Some("gzip")
        );
    }
}

#[test]
fn the_first_view_of_many_flags_is_small() {
    let site = Site::open();
    for number in 0..5000 {
        site.flag(&format!("TEAM_{}_FEATURE_{number:04}", number % 37), |flag| {
            flag.set_enabled(number % 3 == 0);
            flag.add_condition(Condition::new().one_of("plan", [&*format!("plan{}", number % 11)]));
            let text = format!(
                r#"{{"description": "What number {number} turns on", "owner": "team {}", "tags": ["t{}"]}}"#,
                number % 40,
                number % 23
            );
            flag.set_client_data(Json::parse(&text).unwrap().as_object().unwrap().clone());
        });
    }
    let sent = |path: &str| -> usize {
        let answer = site.server.send(&format!("GET {path}\nAccept-Encoding: gzip"), "");
        assert_eq!(answer.header("content-encoding"), Some("gzip"), "{path}");
        answer.header("content-length").unwrap().parse().unwrap()
    };
    let page = site.get("/flags").body;
    assert!(page.contains("1–100 of 5,000 flags"), "{page}");
    let assets = page.split('"').filter(|part| part.starts_with("/flags/-/assets/") && !part.ends_with(".svg"));
    let all = assets.map(sent).sum::<usize>() + sent("/flags");
    assert!(all < 60 * 1024, "{all} bytes");
    // All flags are on some page, once.
    let (mut next, mut names) = ("/flags".to_owned(), Vec::new());
    loop {
        let page = site.get(&next).body;
        names.extend(page.split("data-name=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
        let Some(link) = page.split("rel=\"next\" href=\"").nth(1) else { break };
        next = link.split('"').next().unwrap().replace("&amp;", "&");
    }
    assert_eq!(names.len(), 5000);
    assert!(names.is_sorted());
}

#[test]
fn lists_are_searched_and_filtered() {
    let site = Site::open();
    site.flag("CHECKOUT", |flag| {
        flag.set_enabled(true);
        flag.set_client_data(
            Json::parse(r#"{"owner": "shop", "tags": ["pay"], "description": "Ünder way"}"#)
                .unwrap()
                .as_object()
                .unwrap()
                .clone(),
        );
    });
    site.flag("SEARCH", |flag| flag.add_condition(Condition::new().eq("plan", "pro")));
    let names = |query: &str| -> Vec<String> {
        let page = site.get(&format!("/flags?{query}")).body;
        page.split("data-name=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    };
    for (query, expected) in [
        ("", &["CHECKOUT", "SEARCH"][..]),
        ("q=check", &["CHECKOUT"]),
        ("q=%C3%BCnder", &["CHECKOUT"]),
        ("show=on", &["CHECKOUT"]),
        ("show=off", &["SEARCH"]),
        ("show=targeted", &["SEARCH"]),
        ("show=stale", &["CHECKOUT", "SEARCH"]),
        ("owner=shop", &["CHECKOUT"]),
        ("tag=pay&show=off", &[]),
        ("after=CHECKOUT", &["SEARCH"]),
        ("x=1", &["CHECKOUT", "SEARCH"]),
    ] {
        assert_eq!(names(query), expected, "{query}");
    }
}

#[test]
fn a_flip_is_of_the_version_that_the_page_showed() {
    let site = Site::open();
    site.flag("A", |_| {});
    let page = site.get("/flags").body;
    let csrf = hidden(&page, "csrf");
    let flip = flip_of(&page);
    assert!(flip.starts_with("on ") && flip.ends_with(" A"), "{flip}");
    let answer = site.post("/flags/-/change", &csrf, &[("flip", &flip), ("back", "/flags?q=A")]);
    assert_eq!((answer.status, answer.header("location")), (303, Some("/flags?q=A")));
    assert!(site.stored("A").unwrap().is_enabled());
    // The same form again is of an older version.
    let answer = site.post("/flags/-/change", &csrf, &[("flip", &flip.replacen("on", "off", 1))]);
    assert_eq!(answer.status, 409, "{}", answer.body);
    assert!(answer.body.contains("Another has changed this flag meanwhile"), "{}", answer.body);
    assert!(site.stored("A").unwrap().is_enabled());
    // Back is a place of the page.
    for (back, expected) in [("https://evil.example/", "/flags/A?done=off"), ("//evil.example", "/flags/A?done=on")] {
        let page = site.get("/flags").body;
        let answer = site.post("/flags/-/change", &hidden(&page, "csrf"), &[("flip", &flip_of(&page)), ("back", back)]);
        assert_eq!(answer.header("location"), Some(expected));
    }
}

#[test]
fn forms_of_others_are_refused() {
    let site = Site::open();
    site.flag("A", |_| {});
    let page = site.get("/flags").body;
    let (csrf, flip) = (hidden(&page, "csrf"), flip_of(&page));
    for wrong in ["", "x", &csrf[1..]] {
        let answer = site.post("/flags/-/change", wrong, &[("flip", &flip)]);
        assert_eq!(answer.status, 403, "{}", answer.body);
        assert!(answer.body.contains("This form is too old"), "{}", answer.body);
    }
    let body = format!("csrf={csrf}&flip={}", encoded(&flip));
    let form = "POST /flags/-/change\nContent-Type: application/x-www-form-urlencoded";
    let answer = site.server.send(&format!("{form}\nOrigin: https://evil.example"), &body);
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert_eq!(site.server.send("POST /flags/-/change", &body).status, 415);
    assert!(!site.stored("A").unwrap().is_enabled());
    assert_eq!(site.server.send(&format!("{form}\nOrigin: http://localhost"), &body).status, 303);
    assert!(site.stored("A").unwrap().is_enabled());
}

#[test]
fn a_flag_is_edited_in_words() {
    let site = Site::open();
    site.flag("A", |flag| flag.set_client_data(Json::parse(r#"{"kept": 1.5}"#).unwrap().as_object().unwrap().clone()));
    let form = [
        ("rollout", "share"),
        ("share", "25%"),
        ("by", "user_id"),
        ("conditions", "plan in pro,team\r\n\r\nhorses > 9000"),
        ("deny", "country = XX"),
        ("strict", "on"),
        ("data", "{\r\n  \"kept\": 1.5\r\n}"),
        ("do", "save"),
    ];
    let answer = site.change("A", &form);
    assert_eq!((answer.status, answer.header("location")), (303, Some("/flags/A?done=saved")), "{}", answer.body);
    let stored = site.stored("A").unwrap();
    let conditions: Vec<_> = stored.conditions().iter().map(ToString::to_string).collect();
    assert_eq!(conditions, [r#"plan in ["pro", "team"]"#, "horses > 9000"]);
    assert_eq!(stored.deny_conditions()[0].to_string(), r#"country = "XX""#);
    assert!(stored.is_strict());
    assert_eq!(
        stored.bucketer().to_json().to_string(),
        r#"{"type": "ConsistentHashPercentageBucketer", "percentage": {"type": "Percentage", "value": 0.25}, "key_whitelist": ["user_id"]}"#
    );
    assert_eq!(stored.client_data().to_string(), r#"{"kept": 1.5}"#);
    // What is wrong is shown beside its field, with what was typed.
    let wrong = form.map(|(name, value)| match name {
        "conditions" => (name, "plan in pro team"),
        "share" => (name, "25"),
        _ => (name, value),
    });
    let answer = site.change("A", &wrong);
    assert_eq!(answer.status, 422);
    for text in [
        "plan in pro team",
        "Line 1, at “team”: expected `and` or the end",
        "is no percentage",
        "aria-invalid=\"true\"",
    ] {
        assert!(answer.body.contains(text), "{text}: {}", answer.body);
    }
    assert_eq!(site.stored("A").unwrap(), stored);
}

#[test]
fn a_conflict_shows_both_sides_and_overwrites_nothing() {
    let site = Site::open();
    site.flag("A", |_| {});
    let page = site.get("/flags/A").body;
    let form = |page: &str, conditions: &str, data: &str| -> Vec<(String, String)> {
        let fields =
            [("csrf", hidden(page, "csrf")), ("version", hidden(page, "version")), ("base", hidden(page, "base"))];
        let typed = [
            ("name", "A"),
            ("rollout", "everybody"),
            ("conditions", conditions),
            ("deny", ""),
            ("data", data),
            ("do", "save"),
        ];
        let typed = typed.map(|(name, value)| (name.to_owned(), value.to_owned()));
        fields.map(|(name, value)| (name.to_owned(), value)).into_iter().chain(typed).collect()
    };
    let send = |form: Vec<(String, String)>| {
        let fields: Vec<_> = form.iter().map(|(name, value)| (&**name, &**value)).collect();
        site.post("/flags/-/change", fields[0].1, &fields[1..])
    };
    // Another is faster.
    site.flag("A", |flag| flag.set_client_data(Json::parse(r#"{"theirs": 1}"#).unwrap().as_object().unwrap().clone()));
    let answer = send(form(&page, "mine = 1", "{}"));
    assert_eq!(answer.status, 409, "{}", answer.body);
    for text in
        ["Another has changed this flag meanwhile", "data theirs", "<ins>mine = 1</ins>", "Nothing is saved yet"]
    {
        assert!(answer.body.contains(text), "{text}: {}", answer.body);
    }
    assert_eq!(site.stored("A").unwrap().conditions().len(), 0);
    // The form of that page has both, and the current version.
    let answer = send(form(&answer.body, "mine = 1", "{\"theirs\": 1}"));
    assert_eq!(answer.status, 303, "{}", answer.body);
    let stored = site.stored("A").unwrap();
    assert_eq!((stored.conditions().len(), stored.client_data().to_string()), (1, "{\"theirs\": 1}".to_owned()));
    // A flag that is destroyed meanwhile stays so.
    let page = site.get("/flags/A").body;
    let version = site.store.table().get("A").unwrap().version;
    block_on(site.store.delete("A", Precondition::Unchanged(version).into())).unwrap();
    let answer = send(form(&page, "mine = 2", "{}"));
    assert_eq!(answer.status, 409);
    assert!(answer.body.contains("Another has destroyed this flag meanwhile"), "{}", answer.body);
    assert!(site.stored("A").is_none());
}

#[test]
fn protected_flags_ask_twice() {
    let site = Site::open();
    site.flag("pay.card", |_| {});
    site.flag("B", |flag| {
        flag.set_client_data(Json::parse(r#"{"protected": true}"#).unwrap().as_object().unwrap().clone());
    });
    for name in ["pay.card", "B"] {
        let page = site.get(&format!("/flags/{name}")).body;
        let (csrf, flip) = (hidden(&page, "csrf"), flip_of(&page));
        let answer = site.post("/flags/-/change", &csrf, &[("flip", &flip)]);
        assert_eq!(answer.status, 200);
        assert!(
            answer.body.contains(&format!("Turn on {name}?")) && answer.body.contains("<ins>on</ins>"),
            "{}",
            answer.body
        );
        assert!(!site.stored(name).unwrap().is_enabled());
        let again = hidden(&answer.body, "flip");
        let answer =
            site.post("/flags/-/change", &hidden(&answer.body, "csrf"), &[("flip", &again), ("confirmed", "yes")]);
        assert_eq!(answer.status, 303, "{}", answer.body);
        assert!(site.stored(name).unwrap().is_enabled());
        let destroy = [("do", "destroy"), ("typed", name)];
        assert_eq!(site.change(name, &destroy).status, 200);
        assert!(site.stored(name).is_some());
        assert_eq!(site.change(name, &[destroy[0], destroy[1], ("confirmed", "yes")]).status, 303);
        assert!(site.stored(name).is_none());
    }
}

#[test]
fn flags_are_created_and_destroyed() {
    let site = Site::open();
    let form = site.get("/flags/-/new").body;
    assert!(form.contains("Older OFREP clients cannot ask for a name with #, ?, % or \\."), "{form}");
    let csrf = hidden(&form, "csrf");
    let create = |name: &str| {
        site.post("/flags/-/new", &csrf, &[("name", name), ("owner", "shop"), ("tags", "a, b,"), ("description", "")])
    };
    let answer = create("NEW");
    assert_eq!((answer.status, answer.header("location")), (303, Some("/flags/NEW?done=created")), "{}", answer.body);
    let data = site.stored("NEW").unwrap().client_data().to_string();
    assert_eq!(data, r#"{"owner": "shop", "tags": ["a", "b"]}"#);
    for (name, status, text) in [
        ("NEW", 409, "There is a flag of this name already"),
        ("", 422, "is empty"),
        ("a/b", 422, "has a '/' at byte 1"),
    ] {
        let answer = create(name);
        assert_eq!(answer.status, status, "{name}");
        assert!(answer.body.contains(text), "{name}: {}", answer.body);
    }
    let answer = site.change("NEW", &[("do", "destroy"), ("typed", "new")]);
    assert_eq!(answer.status, 422);
    assert!(answer.body.contains("Nothing was destroyed"));
    assert_eq!(
        site.change("NEW", &[("do", "destroy"), ("typed", "NEW")]).header("location"),
        Some("/flags?done=destroyed")
    );
    assert!(site.stored("NEW").is_none());
}

#[test]
fn a_preview_writes_nothing() {
    let site = Site::open();
    site.flag("A", |_| {});
    let before = site.stored("A").unwrap();
    let users = "plan=pro\r\nplan=free\r\nplan";
    let answer = site.change(
        "A",
        &[("do", "preview"), ("rollout", "everybody"), ("conditions", "plan = pro"), ("data", "{}"), ("users", users)],
    );
    assert_eq!(answer.status, 200);
    for text in
        ["Of these 2 users 1 get it.", "All conditions hold.", "plan = pro", "is no attribute=value", "The flag is off"]
    {
        assert!(answer.body.contains(text), "{text}: {}", answer.body);
    }
    assert_eq!(site.stored("A").unwrap(), before);
}

#[test]
fn hostile_texts_are_text() {
    let site = Site::open();
    let name = HOSTILE.replace('/', "");
    for name in [&*name, HOSTILE, "..", "", "a\u{202e}b\n", "-/new"] {
        site.flag(name, |flag| {
            let data: flipper::json::Object =
                ["description", "owner", "link", HOSTILE].map(|key| (key, HOSTILE)).into_iter().collect();
            flag.set_client_data(data);
            flag.add_condition(Condition::new().eq(HOSTILE, HOSTILE));
        });
    }
    let list = site.get("/flags").body;
    let links: Vec<_> = list
        .split("class=\"name\"><a href=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().replace("&amp;", "&"))
        .collect();
    assert_eq!(links.len(), 6, "{list}");
    let mut pages = vec![list];
    for link in links {
        let answer = site.get(&link);
        assert_eq!(answer.status, 200, "{link}");
        pages.push(answer.body);
    }
    let query = format!("/flags?q={}&owner={}", encoded(HOSTILE), encoded(HOSTILE));
    pages.push(site.get(&query).body);
    pages.push(site.get(&format!("/flags/{}", encoded("none<img>"))).body);
    for page in pages {
        assert!(!page.contains("<img src=x") && !page.contains("<script>") && !page.contains("<img>"), "{page}");
        // The script compares this attribute with the names of the stream.
        let shown = page.replace("data-name=\"a\u{202e}b", "");
        assert!(!shown.contains('\u{202e}') && !page.contains("href=\"<"), "{page}");
    }
    let preview =
        site.change(HOSTILE, &[("do", "preview"), ("conditions", HOSTILE), ("data", HOSTILE), ("users", HOSTILE)]);
    assert_eq!(preview.status, 200);
    assert!(!preview.body.contains("<img src=x"), "{}", preview.body);
    // A form changes line ends, so names in it have none.
    let name = "a\u{202e}b\n";
    let page = site.get(&format!("/flags/{}", encoded(name))).body;
    let answer = site.post("/flags/-/change", &hidden(&page, "csrf"), &[("flip", &flip_of(&page))]);
    assert_eq!(answer.status, 303, "{}", answer.body);
    assert!(site.stored(name).unwrap().is_enabled());
    site.flag("LINK", |flag| flag.set_client_data([("link", "javascript:alert(1)")].into_iter().collect()));
    assert!(!site.get("/flags/LINK").body.contains("href=\"javascript"));
}

#[test]
fn unreadable_flags_can_be_destroyed() {
    use flipper::store::{Stored, Version};
    let site = Site::open();
    site.store.table().apply(Stored::from_json("BROKEN", Version::ordered(u64::MAX), b"{"));
    let list = site.get("/flags?show=unreadable").body;
    assert!(list.contains("Unreadable") && list.contains("BROKEN"), "{list}");
    let page = site.get("/flags/BROKEN").body;
    assert!(page.contains("The stored flag cannot be read") && page.contains("Destroy this flag"), "{page}");
}
