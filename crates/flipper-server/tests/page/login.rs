//! Login with tokens: what each may see and do.

use flipper::targeting::{Rule, Serve, When};
use flipper::{Condition, FlagRecord};
use flipper_server::{AccessControl, NewToken, Page, Role, TokenFile, Tokens};
use flipper_testkit::wait_until;
use tempfile::TempDir;

use crate::forms::{Site, encoded, hidden};
use crate::support::Answer;

pub(crate) struct Office {
    folder: TempDir,
}

impl Office {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn file(&self) -> TokenFile {
        TokenFile::new(self.folder.path().join("tokens.json"))
    }

    /// Its id and its text.
    pub(crate) fn token(&self, role: Role, prefixes: &[&str]) -> (String, String) {
        let prefixes = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
        let new = NewToken { name: role.name().to_owned(), role, prefixes, lifetime: None };
        let (token, secret) = self.file().create(&new).unwrap();
        (token.id, secret.text().to_owned())
    }

    pub(crate) fn site(&self) -> Site {
        let tokens = Tokens::open(self.file().path()).unwrap();
        Site::with(|app| app.access(AccessControl::new().tokens(tokens)))
    }
}

pub(crate) fn log_in(site: &Site, token: &str, next: &str) -> Answer {
    let csrf = hidden(&site.get("/flags/-/login").body, "csrf");
    site.post("/flags/-/login", &csrf, &[("token", token), ("next", next)])
}

#[track_caller]
pub(crate) fn cookie_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.body);
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

#[test]
fn a_token_is_exchanged_for_a_cookie() {
    let office = Office::new();
    let (_, token) = office.token(Role::Admin, &[]);
    let site = office.site();
    site.flag("A", |_| {});
    let answer = site.get("/flags/A?x=1");
    assert_eq!((answer.status, answer.header("location")), (303, Some("/flags/-/login?next=%2Fflags%2FA%3Fx%3D1")));
    let answer = log_in(&site, &token, "/flags/A?x=1");
    assert_eq!(answer.header("location"), Some("/flags/A?x=1"));
    let cookie = answer.header("set-cookie").unwrap().to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/flags"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure") && !cookie.contains("Max-Age") && !cookie.contains(&token), "{cookie}");
    let old = log_in(&site, &token, "");
    let site = site.with_session(&cookie_of(&answer));
    let page = site.get("/flags/A");
    assert_eq!(page.status, 200);
    assert!(page.body.contains("(admin)") && page.body.contains("Log out"), "{}", page.body);
    // The cookie is for the page alone.
    let api = site.server.send(&format!("GET /api/v1/flags\nCookie: {}", cookie_of(&answer)), "");
    assert_eq!(api.status, 401);
    // A login cannot use a form of another one.
    assert_eq!(site.change("A", &[("do", "destroy"), ("typed", "A")]).status, 303);
    let page = site.get("/flags").body;
    let other = office_form(&site, &cookie_of(&old), &hidden(&page, "csrf"));
    assert_eq!(other.status, 403, "{}", other.body);
    // After the logout the cookie is nothing.
    let answer = site.post("/flags/-/logout", &hidden(&page, "csrf"), &[]);
    assert_eq!((answer.status, answer.header("location")), (303, Some("/flags/-/login")));
    assert!(answer.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(site.get("/flags").status, 303);
}

fn office_form(site: &Site, cookie: &str, csrf: &str) -> Answer {
    let head = format!("POST /flags/-/new\nContent-Type: application/x-www-form-urlencoded\nCookie: {cookie}");
    site.server.send(&head, &format!("csrf={}&name=B", encoded(csrf)))
}

#[test]
fn a_login_ends_the_one_before() {
    let office = Office::new();
    let (_, token) = office.token(Role::Read, &[]);
    let site = office.site();
    let first = cookie_of(&log_in(&site, &token, ""));
    let page = site.get("/flags/-/login?next=%2Fflags%2FA").body;
    assert!(page.contains("Already logged in? <a href=\"/flags/A\">Go on</a>"), "{page}");
    assert!(!site.get("/flags/-/login?next=https%3A%2F%2Fevil.example").body.contains("Already"));
    let csrf = hidden(&page, "csrf");
    let site = site.with_session(&first);
    for (next, expected) in [("/flags/A", "/flags/A"), ("//evil.example", "/flags")] {
        let answer = site.get(&format!("/flags/-/login?next={}", encoded(next)));
        assert_eq!((answer.status, answer.header("location")), (303, Some(expected)));
    }
    let second = cookie_of(&site.post("/flags/-/login", &csrf, &[("token", &token)]));
    assert_eq!(site.get("/flags").status, 303);
    assert_eq!(site.with_session(&second).get("/flags").status, 200);
}

#[test]
fn a_form_of_anyone_is_small() {
    let office = Office::new();
    office.token(Role::Read, &[]);
    let site = office.site();
    for (body, status) in [("a&".repeat(8000), 400), ("a".repeat(17_000), 413)] {
        let answer = site.server.send("POST /flags/-/login\nContent-Type: application/x-www-form-urlencoded", &body);
        assert_eq!(answer.status, status, "{}", answer.body);
    }
}

#[test]
fn behind_a_proxy() {
    let office = Office::new();
    let (_, token) = office.token(Role::Read, &[]);
    let tokens = Tokens::open(office.file().path()).unwrap();
    let site = Site::with(|app| {
        let app = app.access(AccessControl::new().tokens(tokens)).page(Page::new().behind_tls(true));
        app.public_url("https://Flags.example.com:443/").unwrap()
    });
    let csrf = hidden(&site.get("/flags/-/login").body, "csrf");
    let log_in = |origin: &str| {
        let head = "POST /flags/-/login\nContent-Type: application/x-www-form-urlencoded";
        site.server.send(&format!("{head}\nOrigin: {origin}"), &format!("csrf={}&token={token}", encoded(&csrf)))
    };
    // Whatever the proxy says in its headers.
    let answer = log_in("https://flags.example.com");
    assert!(answer.header("set-cookie").unwrap().ends_with("; Secure"), "{:?}", answer.header("set-cookie"));
    assert_eq!(log_in("https://example.com").status, 403);
    let page = site.server.send(&format!("GET /flags\nCookie: {}", cookie_of(&answer)), "").body;
    let log_out = |origin: &str| {
        let head = "POST /flags/-/logout\nContent-Type: application/x-www-form-urlencoded";
        let head = format!("{head}\nOrigin: {origin}\nCookie: {}", cookie_of(&answer));
        site.server.send(&head, &format!("csrf={}", encoded(&hidden(&page, "csrf"))))
    };
    assert_eq!(log_out("http://flags.example.com").status, 403);
    assert_eq!(log_out("https://flags.example.com").status, 303);
}

#[test]
fn under_tls_the_cookie_is_secure() {
    let office = Office::new();
    let (_, token) = office.token(Role::Read, &[]);
    let site = office.site();
    let csrf = hidden(&site.get("/flags/-/login").body, "csrf");
    let head = "POST /flags/-/login\nContent-Type: application/x-www-form-urlencoded\nX-Forwarded-Proto: https";
    let answer = site.server.send(head, &format!("csrf={}&token={token}", encoded(&csrf)));
    assert!(answer.header("set-cookie").unwrap().ends_with("; Secure"), "{:?}", answer.header("set-cookie"));
}

#[test]
fn wrong_tokens_are_explained_and_limited() {
    let office = Office::new();
    let (_, evaluate) = office.token(Role::Evaluate, &[]);
    let site = office.site();
    for (token, text) in [
        ("secret", "begin with flp_"),
        (&evaluate[..70], "misspelled or cut off"),
        ("a\nb", "That is no token"),
        (&evaluate, "may only evaluate flags"),
    ] {
        let answer = log_in(&site, token, "");
        assert_eq!(answer.status, 401, "{token}");
        assert!(answer.body.contains(text) && !answer.body.contains(token), "{text}: {}", answer.body);
        assert_eq!(answer.header("set-cookie"), None);
    }
    let csrf = hidden(&site.get("/flags/-/login").body, "csrf");
    // A busy machine may take a second for some of these.
    wait_until("guesses are limited", || {
        site.post("/flags/-/login", &csrf, &[("token", "flp_guess")]).body.contains("Too many requests")
    });
    let foreign = "POST /flags/-/login\nContent-Type: application/x-www-form-urlencoded\nOrigin: https://evil.example";
    assert_eq!(site.server.send(foreign, &format!("csrf={}&token={evaluate}", encoded(&csrf))).status, 403);
}

#[test]
fn a_revoked_token_is_logged_out() {
    let office = Office::new();
    let (id, token) = office.token(Role::Admin, &[]);
    let tokens = Tokens::open(office.file().path()).unwrap();
    let site = Site::with(|app| app.access(AccessControl::new().tokens(tokens.clone())));
    let cookie = cookie_of(&log_in(&site, &token, ""));
    let site = site.with_session(&cookie);
    assert_eq!(site.get("/flags").status, 200);
    office.file().revoke(&id).unwrap();
    tokens.reload();
    let answer = site.get("/flags");
    assert_eq!((answer.status, answer.header("location")), (303, Some("/flags/-/login?next=%2Fflags")));
    assert!(log_in(&site, &token, "").body.contains("is revoked"));
}

#[test]
fn what_a_role_forbids_is_not_there() {
    let office = Office::new();
    let (_, read) = office.token(Role::Read, &[]);
    let (_, shop) = office.token(Role::Write, &["shop."]);
    let site = office.site();
    site.flag("shop.a", |_| {});
    site.flag("other", |_| {});
    let reader = cookie_of(&log_in(&site, &read, ""));
    let writer = cookie_of(&log_in(&site, &shop, ""));
    let site = site.with_session(&reader);
    for path in ["/flags", "/flags/other", "/flags/-/status"] {
        let page = site.get(path);
        assert_eq!(page.status, 200, "{path}");
        for text in ["role=\"switch\"", "New flag", "Destroy", "Save changes"] {
            assert!(!page.body.contains(text), "{path}: {text}");
        }
    }
    assert_eq!(site.get("/flags/-/new").status, 403);
    // Its browser sends no fields that it may not change.
    site.flag("rule", |flag| flag.add_condition(Condition::new().eq("plan", "pro")));
    let answer = site.change("rule", &[("do", "preview"), ("users", "plan=free")]);
    assert!(answer.body.contains("This user does not get it."), "{}", answer.body);
    let csrf = hidden(&site.get("/flags").body, "csrf");
    for fields in [&[("flip", "on o1 other")][..], &[("do", "destroy"), ("name", "other"), ("typed", "other")]] {
        let answer = site.post("/flags/-/change", &csrf, fields);
        assert_eq!(answer.status, 403, "{}", answer.body);
        assert!(answer.body.contains("You may not do this") && answer.body.contains("<h1>"), "{}", answer.body);
    }
    let site = site.with_session(&writer);
    let list = site.get("/flags").body;
    assert!(list.contains("shop.a") && !list.contains("other") && list.contains("1 flag<"), "{list}");
    assert_eq!(site.get("/flags/other").status, 403);
    assert_eq!(site.change("shop.a", &[("do", "destroy"), ("typed", "shop.a")]).status, 303);
    let csrf = hidden(&site.get("/flags/-/new").body, "csrf");
    let answer = site.post("/flags/-/new", &csrf, &[("name", "other2"), ("owner", "shop")]);
    assert_eq!(answer.status, 403);
    for text in ["value=\"other2\"", "value=\"shop\"", "Your token is not for flag"] {
        assert!(answer.body.contains(text), "{text}: {}", answer.body);
    }
    assert_eq!(site.post("/flags/-/new", &csrf, &[("name", "shop.b")]).status, 303);
}

#[test]
fn a_reader_tries_out_what_is_stored() {
    let office = Office::new();
    let (_, read) = office.token(Role::Read, &["shop."]);
    let (_, write) = office.token(Role::Write, &["shop."]);
    let site = office.site();
    site.flag("shop.a", |flag| flag.add_condition(Condition::new().eq("plan", "pro")));
    site.flag("segments/lodge", |record| record.set_segment(Some("email = \"chief@corp.com\"".parse().unwrap())));
    // A form that was never on a page.
    let mut made_up = FlagRecord::new("shop.a", 1);
    made_up.set_rules(vec![Rule::new(Serve::On).when(When::Segment("lodge".into())), Rule::new(Serve::Off)]);
    let base = made_up.to_json();
    let fields = [("do", "preview"), ("users", "email=chief@corp.com plan=free"), ("base", &base)];
    let (reader, writer) = (cookie_of(&log_in(&site, &read, "")), cookie_of(&log_in(&site, &write, "")));
    let site = site.with_session(&reader);
    let answer = site.change("shop.a", &fields);
    assert!(answer.body.contains("This user does not get it.") && !answer.body.contains("lodge"), "{}", answer.body);
    // Nor does the server read it.
    let long = " ".repeat((1 << 20) + 1);
    assert_eq!(site.change("shop.a", &[fields[0], fields[1], ("base", &long)]).status, 200);
    // Who may save such a flag may try it out.
    let answer = site.with_session(&writer).change("shop.a", &fields);
    assert!(answer.body.contains("This user gets it."), "{}", answer.body);
}
