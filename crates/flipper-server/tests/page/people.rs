//! What people see and do in a browser.

use std::net::TcpListener;
use std::sync::Arc;

use flipper::json::Json;
use flipper::store::{LocalFeatureFlagStore, Precondition};
use flipper::{Condition, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore, MirroredFeatureFlagStore};
use flipper_server::{AccessControl, App, HttpOptions, NewToken, Page, Role, TokenFile, Tokens};
use flipper_testkit::{block_on, wait_until};
use serde_json::json;

use crate::browser::Browser;
use crate::forms::Site;
use crate::support::Running;

fn is_on(store: &dyn LocalFeatureFlagStore, name: &str) -> bool {
    store.table().get(name).and_then(|flag| flag.record.ok()).is_some_and(|record| record.is_enabled())
}

fn flip(store: &dyn FeatureFlagStore, name: &str, to: bool) {
    let mut record = FlagRecord::clone(block_on(store.get(name)).unwrap().unwrap().readable().unwrap());
    record.set_enabled(to);
    block_on(store.put(&record, Precondition::Any.into())).unwrap();
}

#[test]
fn an_operator_does_all() {
    let Some(mut browser) = Browser::open() else { return };
    let site = Site::open();
    browser.run(&format!("await open('ann', '{}/flags')", site.server.url()));
    assert!(browser.text("return tabs.ann.textContent('main')").contains("There are no flags yet."));
    // Create.
    browser.run(
        "const { ann } = tabs;
        await ann.click('text=Create the first');
        await ann.fill('#name', 'NEW_CHECKOUT');
        await ann.fill('#description', 'The new checkout');
        await ann.fill('#owner', 'shop');
        await ann.click('button:text(\"Create\")');
        await ann.waitForSelector('text=The flag is created. It is off.')",
    );
    assert!(!is_on(&*site.store, "NEW_CHECKOUT"));
    // Switch on, without a new page.
    browser.run(
        "const { ann } = tabs;
        await ann.evaluate(() => { globalThis.same = true });
        await ann.click('#flag .switch');
        await ann.waitForSelector('#flag .switch[aria-checked=true]');
        if (!await ann.evaluate(() => globalThis.same)) throw new Error('the page was loaded again');
        await ann.waitForFunction(() => document.querySelector('#said').textContent === 'NEW_CHECKOUT is now on.')",
    );
    assert!(is_on(&*site.store, "NEW_CHECKOUT"));
    // Target, with a mistake; try it before it is saved.
    browser.run(
        "const { ann } = tabs;
        await ann.check('#to-share');
        await ann.fill('#share', '25%');
        await ann.fill('#by', 'user_id');
        await ann.fill('#users', Array.from({ length: 20 }, (_, id) => `user_id=${id + 1}`).join('\\n'));
        await ann.click('text=Who of these gets it?');
        await ann.waitForSelector('#preview .result')",
    );
    let result = browser.text("return tabs.ann.textContent('#preview .result')");
    assert!(result.starts_with("Of these 20 users ") && result.ends_with(" get it."), "{result}");
    browser.run(
        "const { ann } = tabs;
        await ann.waitForSelector('#unsaved:not([hidden])');
        await ann.fill('#conditions', 'plan in pro team');
        await ann.click('text=Save changes');
        await ann.waitForSelector('#conditions-fault');
        await ann.fill('#conditions', 'plan in pro,team');
        await ann.click('text=Save changes');
        await ann.waitForSelector('text=The changes are saved.')",
    );
    let stored = site.stored("NEW_CHECKOUT").unwrap();
    assert_eq!(stored.conditions(), [Condition::new().one_of("plan", ["pro", "team"])]);
    assert_eq!(stored.bucketer().bucketer_type(), "ConsistentHashPercentageBucketer");
    // Search as one types, and filter.
    site.flag("OTHER", |_| {});
    let rows = browser.run(
        "const { ann } = tabs;
        await ann.click('nav >> text=Flags');
        await ann.waitForSelector('[data-name=OTHER]');
        await ann.locator('#q').pressSequentially('check');
        await ann.waitForSelector('[data-name=OTHER]', { state: 'detached' });
        await ann.waitForURL('**/flags?q=check');
        return ann.$$eval('#flags > li', (rows) => rows.map((row) => row.dataset.name))",
    );
    assert_eq!(rows, json!(["NEW_CHECKOUT"]));
    // A flag comes and goes elsewhere.
    browser.run("await tabs.ann.fill('#q', ''); await tabs.ann.waitForSelector('[data-name=OTHER]')");
    site.flag("MIDDLE", |_| {});
    browser.run("const { ann } = tabs;
        await ann.waitForFunction(() => [...document.querySelectorAll('#flags > li')].map((row) => row.dataset.name).join() === 'MIDDLE,NEW_CHECKOUT,OTHER');
        await ann.click('.chips >> text=Off');
        await ann.waitForFunction(() => !document.querySelector('[data-name=NEW_CHECKOUT]'))");
    // Destroy.
    browser.run(
        "const { ann } = tabs;
        await ann.click('text=MIDDLE');
        await ann.click('text=Destroy this flag');
        await ann.fill('#typed', 'MIDDLE');
        await ann.click('button:text(\"Destroy\")');
        await ann.waitForSelector('text=The flag is destroyed.')",
    );
    assert!(site.stored("MIDDLE").is_none());
    // What happened, and back again: the flag is there as it was.
    browser.run(
        "const { ann } = tabs;
        await ann.click('nav >> text=History');
        await ann.fill('#since', '1h');
        await ann.waitForURL('**/history?since=1h');
        await ann.click('.entries li:first-child button');
        await ann.waitForSelector('text=This would create the flag again');
        await ann.fill('#reason', 'not yet');
        await ann.click('text=Yes, undo it');
        await ann.waitForSelector('text=The change is undone.');
        await ann.waitForSelector('.entries >> text=not yet')",
    );
    assert!(site.stored("MIDDLE").is_some());
    // A switch with a reason is in the history without a new page.
    browser.run(
        "const { ann } = tabs;
        await ann.click('text=Give a reason');
        await ann.fill('#because', 'incident 42');
        await ann.click('#flag .switch');
        await ann.waitForSelector('.entries >> text=incident 42')",
    );
    // Who is connected.
    browser.run("const { ann } = tabs; await ann.click('text=Status'); await ann.waitForSelector('#followers td')");
    assert!(browser.text("return tabs.ann.textContent('#facts')").contains("Current"));
    browser.has_no_errors();
}

#[test]
fn two_people_edit_one_flag() {
    let Some(mut browser) = Browser::open() else { return };
    let site = Site::open();
    site.flag("A", |_| {});
    let url = site.server.url();
    browser.run(&format!("await open('ann', '{url}/flags/A'); await open('bob', '{url}/flags/A')"));
    // What one does the other sees.
    browser.run("await tabs.bob.click('#flag .switch')");
    browser.until("ann", "document.querySelector('#flag .switch').getAttribute('aria-checked') === 'true'");
    // Bob's switch does not disturb what Ann types.
    browser.run(
        "const { ann, bob } = tabs;
        await ann.fill('#conditions', 'plan = pro');
        const version = await ann.getAttribute('#edit', 'data-version');
        await bob.click('#flag .switch[aria-checked=true]');
        await ann.waitForFunction((version) => document.querySelector('#edit').dataset.version !== version, version);
        if (await ann.isVisible('#changed')) throw new Error('a warning');
        if (await ann.inputValue('#conditions') !== 'plan = pro') throw new Error('lost');
        // His own page may have it later than hers.
        const now = await ann.getAttribute('#edit', 'data-version');
        await bob.waitForFunction((now) => document.querySelector('#edit').dataset.version === now, now)",
    );
    // His data do: she is warned, sees both sides, and overwrites nothing.
    browser.run(
        "const { ann, bob } = tabs;
        await bob.fill('#data', '{\"owner\": \"bob\"}');
        await bob.click('text=Save changes');
        await bob.waitForSelector('text=The changes are saved.');
        await ann.waitForSelector('#changed:not([hidden])');
        await ann.click('text=Save changes');
        await ann.waitForSelector('text=Another has changed this flag meanwhile')",
    );
    let sides = browser.text("return tabs.ann.textContent('.sides')");
    assert!(sides.contains("data owner") && sides.contains("plan = \"pro\""), "{sides}");
    assert_eq!(site.stored("A").unwrap().conditions().len(), 0);
    browser.run(
        "const { ann } = tabs;
        await ann.click('text=Save changes');
        await ann.waitForSelector('text=The changes are saved.')",
    );
    let stored = site.stored("A").unwrap();
    assert_eq!((stored.conditions().len(), stored.client_data().to_string()), (1, "{\"owner\": \"bob\"}".to_owned()));
    browser.until("bob", "document.querySelector('#conditions').value === 'plan = \"pro\"'");
    // A flag that one destroys is not there for the other.
    let version = site.store.table().get("A").unwrap().version;
    block_on(site.store.delete("A", Precondition::Unchanged(version).into())).unwrap();
    browser.run("await tabs.bob.waitForSelector('text=Another has destroyed this flag.')");
}

#[test]
fn the_store_goes_down_and_comes_back() {
    let Some(mut browser) = Browser::open() else { return };
    let memory = Arc::new(MemoryFeatureFlagStore::new());
    block_on(memory.put(&FlagRecord::new("A", 7), Precondition::Absent.into())).unwrap();
    let store_server = |listener: TcpListener| Running::on(listener, App::new(memory.clone()), HttpOptions::default());
    let mut upstream = store_server(TcpListener::bind("127.0.0.1:0").unwrap());
    let mirror = Arc::new(MirroredFeatureFlagStore::new(upstream.store()));
    block_on(mirror.ready()).unwrap();
    let site = Running::start(App::new(mirror).page(Page::new()), HttpOptions::default());
    browser.run(&format!("await open('ann', '{}/flags')", site.url()));
    browser.run(
        "const { ann } = tabs;
        await ann.click('[data-name=A] .switch');
        await ann.waitForSelector('.switch[aria-checked=true]')",
    );
    let address = upstream.address;
    browser.run("await tabs.ann.evaluate(() => { document.querySelector('#banner').same = true })");
    upstream.shutdown(std::time::Duration::ZERO);
    drop(upstream);
    browser.run("await tabs.ann.waitForSelector('text=These flags are stale.')");
    // A screen reader speaks what comes into a region that it knows.
    assert_eq!(browser.run("return tabs.ann.evaluate(() => document.querySelector('#banner').same)"), json!(true));
    // The flags are still there; a change fails, and the page says why.
    browser.run(
        "const { ann } = tabs;
        await ann.click('[data-name=A] .switch');
        await ann.waitForSelector('[role=alert]')",
    );
    let text = browser.text("return tabs.ann.textContent('[role=alert]')");
    assert!(text.contains("The store is unavailable"), "{text}");
    assert!(is_on(&*memory, "A"));
    browser.run("await tabs.ann.goBack()");
    let mut listener = None;
    wait_until("the address is free", || {
        listener = TcpListener::bind(address).ok();
        listener.is_some()
    });
    let _upstream = store_server(listener.unwrap());
    browser.run(
        "const { ann } = tabs;
        await ann.waitForSelector('text=These flags are stale.', { state: 'detached' });
        await ann.click('[data-name=A] .switch');
        await ann.waitForSelector('.switch[aria-checked=false]')",
    );
    assert!(!is_on(&*memory, "A"));
    browser.has_no_errors();
}

#[test]
fn the_server_restarts_under_an_open_page() {
    let Some(mut browser) = Browser::open() else { return };
    let store = Arc::new(MemoryFeatureFlagStore::new());
    block_on(store.put(&FlagRecord::new("A", 7), Precondition::Absent.into())).unwrap();
    let app = || App::new(store.clone()).page(Page::new());
    let mut server = Running::start(app(), HttpOptions::default());
    let address = server.address;
    browser.run(&format!("await open('ann', '{}/flags')", server.url()));
    server.shutdown(std::time::Duration::ZERO);
    drop(server);
    browser.run("await tabs.ann.waitForSelector('text=The connection to the server is lost.')");
    flip(&*store, "A", true);
    let mut listener = None;
    wait_until("the address is free", || {
        listener = TcpListener::bind(address).ok();
        listener.is_some()
    });
    let _server = Running::on(listener.unwrap(), app(), HttpOptions::default());
    // What changed meanwhile is there, and the forms are those of the new server.
    browser.run(
        "const { ann } = tabs;
        await ann.waitForSelector('#lost', { state: 'hidden' });
        await ann.click('.switch[aria-checked=true]');
        await ann.waitForSelector('.switch[aria-checked=false]')",
    );
    assert!(!is_on(&*store, "A"));
    browser.has_no_errors();
}

#[test]
fn a_keyboard_is_enough() {
    let Some(mut browser) = Browser::open() else { return };
    let site = Site::open();
    for name in ["A", "B", "C"] {
        site.flag(name, |_| {});
    }
    browser.run(&format!("await open('ann', '{}/flags')", site.server.url()));
    // Tab by tab to the switch of B; each stop is visible.
    browser.run("const { keyboard } = tabs.ann;
        for (let stop = 0; stop < 40; stop++) {
            await keyboard.press('Tab');
            const at = await tabs.ann.evaluate(() => {
                const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
                return { name: document.activeElement.getAttribute('aria-label'), ring: outlineStyle !== 'none' && outlineWidth !== '0px' };
            });
            if (!at.ring) throw new Error(`no focus ring at stop ${stop}`);
            if (at.name === 'B') return;
        }
        throw new Error('B is not reached')");
    browser.run(
        "await tabs.ann.keyboard.press('Space'); await tabs.ann.waitForSelector('[aria-label=B][aria-checked=true]')",
    );
    assert!(is_on(&*site.store, "B"));
    // The focus stays, so the same key switches it off again; and when another flips it.
    browser.run(
        "const { ann } = tabs;
        await ann.waitForFunction(() => document.activeElement.getAttribute('aria-label') === 'B');
        await ann.keyboard.press('Enter');
        await ann.waitForSelector('[aria-label=B][aria-checked=false]')",
    );
    flip(&*site.store, "B", true);
    browser.run(
        "const { ann } = tabs;
        await ann.waitForSelector('[aria-label=B][aria-checked=true]');
        await ann.waitForFunction(() => document.activeElement.getAttribute('aria-label') === 'B')",
    );
    // The first stop leads past the navigation. A new flag, by keys alone.
    browser.run(&format!(
        "const {{ ann }} = tabs;
        await ann.goto('{}/flags/-/new');
        await ann.keyboard.press('Tab');
        await ann.keyboard.press('Enter');
        await ann.keyboard.press('Tab');
        await ann.keyboard.type('D');
        await ann.keyboard.press('Enter');
        await ann.waitForSelector('text=The flag is created.')",
        site.server.url()
    ));
    assert!(site.stored("D").is_some());
    browser.has_no_errors();
}

#[test]
fn without_javascript_it_lists_and_flips() {
    let Some(mut browser) = Browser::open() else { return };
    let site = Site::open();
    site.flag("A", |_| {});
    site.flag("pay.card", |_| {});
    browser.run(&format!("await open('ann', '{}/flags', {{ javaScriptEnabled: false }})", site.server.url()));
    let rows = browser.run(
        "const { ann } = tabs;
        await ann.fill('#q', 'a');
        await ann.click('[data-name=A] .switch');
        await ann.waitForSelector('[data-name=A] .switch[aria-checked=true]');
        await ann.fill('#q', 'PAY');
        await ann.click('button:text(\"Search\")');
        await ann.waitForURL('**/flags?q=PAY*');
        await ann.click('.switch');
        await ann.click('text=Yes, turn on pay.card');
        await ann.waitForSelector('.switch[aria-checked=true]');
        await ann.waitForURL('**/flags?q=PAY');
        await ann.click('text=pay.card');
        await ann.fill('#conditions', 'plan = pro');
        await ann.fill('#users', 'plan=free');
        await ann.click('text=Who of these gets it?');
        return [await ann.textContent('#preview .result'), await ann.inputValue('#conditions')]",
    );
    assert_eq!(rows, json!(["This user does not get it.", "plan = pro"]));
    assert!(is_on(&*site.store, "A") && is_on(&*site.store, "pay.card"));
    browser.run(
        "const { ann } = tabs;
        await ann.click('nav >> text=History');
        await ann.click('.entries li:first-child button');
        await ann.click('text=Yes, undo it');
        await ann.waitForSelector('text=The change is undone.')",
    );
    assert!(!is_on(&*site.store, "pay.card"));
}

#[test]
fn hostile_texts_run_nothing() {
    let Some(mut browser) = Browser::open() else { return };
    let site = Site::open();
    let hostile = "<img src=x onerror=alert(1)>\"'<b id=bold>&lt;";
    site.flag(hostile, |flag| {
        flag.set_client_data(["description", "owner", "link"].map(|key| (key, hostile)).into_iter().collect());
        flag.add_condition(Condition::new().eq(hostile, hostile));
    });
    let program = site.features().as_actor(hostile).because(hostile);
    block_on(program.update(hostile, |flag| {
        flag.set_strict(true);
        Ok(())
    }))
    .unwrap();
    browser.run(&format!("await open('ann', '{}/flags')", site.server.url()));
    let name = browser.text("return tabs.ann.textContent('.name a')");
    assert_eq!(name, hostile);
    // Also after the script has changed the page.
    flip(&*site.store, hostile, true);
    browser.run(
        "const { ann } = tabs;
        await ann.waitForSelector('.switch[aria-checked=true]');
        await ann.waitForFunction(() => document.querySelector('#said').textContent.includes('is now on'));
        await ann.click('.name a');
        await ann.click('text=Who of these gets it?');
        await ann.waitForSelector('#preview .result')",
    );
    let shown =
        browser.run("const { ann } = tabs; return [await ann.textContent('.what b'), await ann.textContent('.why')]");
    assert_eq!(shown, json!([hostile, hostile]));
    assert_eq!(browser.run("return tabs.ann.$$eval('#bold, main img', (all) => all.length)"), json!(0));
    browser.run(
        "const { ann } = tabs; await ann.click('.entries button'); await ann.waitForSelector('text=This would change')",
    );
    assert_eq!(browser.run("return tabs.ann.$$eval('#bold, main img', (all) => all.length)"), json!(0));
    browser.has_no_errors();
}

#[test]
fn nothing_keeps_anyone_out() {
    let Some(mut browser) = Browser::open() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = TokenFile::new(folder.path().join("tokens.json"));
    let new = NewToken { name: "ann".into(), role: Role::Admin, prefixes: Vec::new(), lifetime: None };
    let (_, secret) = file.create(&new).unwrap();
    let tokens = Tokens::open(file.path()).unwrap();
    let site = Site::with(|app| app.access(AccessControl::new().tokens(tokens)));
    let data = r#"{"description": "The new checkout", "owner": "shop", "tags": ["pay", "eu"], "link": "https://example.com/1"}"#;
    site.flag("A", |flag| {
        flag.set_enabled(true);
        flag.set_client_data(Json::parse(data).unwrap().as_object().unwrap().clone());
        flag.add_condition(Condition::new().one_of("plan", ["pro", "team"]));
    });
    site.flag("pay.card", |_| {});
    browser.run(&format!("await open('ann', '{}/flags')", site.server.url()));
    browser.is_accessible("ann", "login");
    browser.run("await tabs.ann.fill('#token', 'flp_x'); await tabs.ann.click('button:text(\"Log in\")'); await tabs.ann.waitForSelector('.fault')");
    browser.is_accessible("ann", "login with an error");
    browser.run(&format!(
        "const {{ ann }} = tabs;
        await ann.fill('#token', '{}');
        await ann.click('button:text(\"Log in\")');
        await ann.waitForSelector('#flags')",
        secret.text()
    ));
    browser.is_accessible("ann", "list");
    browser.run("await tabs.ann.goto(new URL('/flags?q=nothing', tabs.ann.url()).href)");
    browser.is_accessible("ann", "empty list");
    for (path, what) in [
        ("/flags/-/new", "new"),
        ("/flags/-/status", "status"),
        ("/flags/-/history", "history"),
        ("/flags/NONE", "error"),
        ("/flags/A", "flag"),
    ] {
        browser.run(&format!("await tabs.ann.goto(new URL('{path}', tabs.ann.url()).href)"));
        browser.is_accessible("ann", what);
    }
    browser.run(
        "const { ann } = tabs;
        await ann.click('text=Who of these gets it?');
        await ann.waitForSelector('#preview .result');
        await ann.check('#to-share');
        await ann.fill('#share', 'x');
        await ann.click('text=Destroy this flag');
        await ann.click('text=Save changes');
        await ann.waitForSelector('.fault')",
    );
    browser.is_accessible("ann", "flag with errors");
    browser.run("await tabs.ann.fill('#share', '50%')");
    flip(&*site.store, "A", false);
    browser.run("await tabs.ann.click('text=Save changes'); await tabs.ann.waitForSelector('.sides')");
    browser.is_accessible("ann", "conflict");
    browser.run(
        "const { ann } = tabs;
        await ann.goto(new URL('/flags/pay.card', ann.url()).href);
        await ann.click('#flag .switch');
        await ann.waitForSelector('text=so the page asks twice')",
    );
    browser.is_accessible("ann", "second question");
    browser.run(
        "const { ann } = tabs;
        await ann.goto(new URL('/flags/-/history', ann.url()).href);
        await ann.click('.entries button');
        await ann.waitForSelector('text=Yes, undo it')",
    );
    browser.is_accessible("ann", "undo");
    // On the smallest screen nothing is beside it.
    browser.run("await tabs.ann.setViewportSize({ width: 360, height: 740 })");
    for path in ["/flags", "/flags/A", "/flags/-/history", "/flags/-/new", "/flags/-/status"] {
        browser.run(&format!("await tabs.ann.goto(new URL('{path}', tabs.ann.url()).href)"));
        assert_eq!(
            browser.run("return tabs.ann.evaluate(() => document.documentElement.scrollWidth)"),
            json!(360),
            "{path}"
        );
        browser.is_accessible("ann", path);
    }
    browser.run("await tabs.ann.click('text=Log out'); await tabs.ann.waitForSelector('#token')");
}
