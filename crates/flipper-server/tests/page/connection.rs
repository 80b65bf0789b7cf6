//! What a page shows of its connection to the server, in a browser.

use std::net::TcpListener;
use std::sync::Arc;

use flipper::{HttpFeatureFlagStore, MirroredFeatureFlagStore};
use flipper_server::{AccessControl, App, HttpOptions, Page, Role, Tokens};
use flipper_testkit::{Harm, Relay};
use serde_json::json;

use crate::browser::Browser;
use crate::forms::Site;
use crate::login::Office;
use crate::support::Running;

/// Whether the page ever warns that the server is lost.
const WATCH: &str = "await tabs.ann.evaluate(() => {
    const place = document.querySelector('#lost');
    globalThis.warned = !place.hidden;
    new MutationObserver(() => { globalThis.warned ||= !place.hidden; }).observe(place, { attributes: true });
})";

#[test]
fn streams_that_end_and_begin_again_are_no_alarm() {
    let Some(mut browser) = Browser::open() else { return };
    let site = Site::open();
    site.flag("A", |_| {});
    browser.run(&format!("await open('ann', '{}/flags')", site.server.url()));
    browser.run(WATCH);
    let warned = browser.run(
        "const { ann } = tabs;
        let streams = 0;
        await ann.route('**/-/changes', (route) => {
            streams++;
            return route.fulfill({ contentType: 'text/event-stream', body: 'retry: 1\\nevent: hello\\ndata: {}\\n\\n' });
        });
        await ann.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
        while (streams < 3) await ann.waitForRequest('**/-/changes');
        return ann.evaluate(() => globalThis.warned)",
    );
    assert_eq!(warned, json!(false));
}

#[test]
fn a_server_without_flags_is_not_lost() {
    let Some(mut browser) = Browser::open() else { return };
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let store = HttpFeatureFlagStore::builder(format!("http://{address}")).build().unwrap();
    let app = App::new(Arc::new(MirroredFeatureFlagStore::new(store))).page(Page::new());
    let site = Running::start(app, HttpOptions::default());
    browser.run(&format!("await open('ann', '{}/flags')", site.url()));
    browser.run(WATCH);
    let warned = browser.run(
        "const { ann } = tabs;
        const isLoad = (response) => response.url().endsWith('/flags') && response.request().headers()['flipper-script'];
        for (let load = 0; load < 3; load++) await ann.waitForResponse(isLoad);
        await ann.waitForSelector('text=No flags have arrived yet.');
        return ann.evaluate(() => globalThis.warned)",
    );
    assert_eq!(warned, json!(false));
    browser.has_no_errors();
}

#[test]
fn a_page_whose_login_ends_goes_to_the_login() {
    let Some(mut browser) = Browser::open() else { return };
    let office = Office::new();
    let (id, token) = office.token(Role::Admin, &[]);
    let tokens = Tokens::open(office.file().path()).unwrap();
    let site = Site::with(|app| app.access(AccessControl::new().tokens(tokens.clone())));
    browser.run(&format!("await open('ann', '{}/flags')", site.server.url()));
    browser.run(&format!(
        "const {{ ann }} = tabs;
        await ann.fill('#token', '{token}');
        await ann.click('button:text(\"Log in\")');
        await ann.waitForSelector('#flags')"
    ));
    office.file().revoke(&id).unwrap();
    tokens.reload();
    // By itself: the stream is a redirect now, which the browser reports as an error.
    browser.run("await tabs.ann.waitForSelector('#token')");
}

#[test]
fn a_question_leaves_no_switch_behind() {
    let Some(mut browser) = Browser::open() else { return };
    let site = Site::open();
    for name in ["A", "pay.card"] {
        site.flag(name, |_| {});
    }
    browser.run(&format!("await open('ann', '{}/flags')", site.server.url()));
    let left = browser.run(
        "const { ann } = tabs;
        await ann.evaluate(() => {
            HTMLFormElement.prototype.submit = function () { globalThis.sent = new FormData(this).getAll('flip'); };
        });
        await ann.click('[data-name=\"pay.card\"] .switch');
        await ann.waitForFunction(() => globalThis.sent);
        return ann.evaluate(() => [globalThis.sent.length, document.querySelectorAll('#flip input[name=flip]').length])",
    );
    assert_eq!(left, json!([1, 0]));
}

/// The page's own script begins again; another one may leave that to the browser.
#[test]
fn a_browser_goes_on_with_the_changes_that_it_missed() {
    let Some(mut browser) = Browser::open() else { return };
    let site = Site::open();
    let relay = Relay::start(site.server.address.port());
    browser.run(&format!("await open('ann', 'http://127.0.0.1:{}/healthz')", relay.port()));
    browser.run(
        "await tabs.ann.evaluate(() => {
            globalThis.resets = 0;
            globalThis.names = [];
            new EventSource('/api/v1/changes').addEventListener('changes', ({ data }) => {
                const { reset, changes } = JSON.parse(data);
                globalThis.resets += reset;
                globalThis.names.push(...changes.map(({ name }) => name));
            });
        })",
    );
    browser.until("ann", "globalThis.resets === 1");
    site.flag("A", |_| {});
    browser.until("ann", "globalThis.names.includes('A')");
    relay.harm(Harm::Refuse);
    for name in ["B", "C"] {
        site.flag(name, |_| {});
    }
    relay.harm(Harm::None);
    browser.until("ann", "globalThis.names.includes('C')");
    // Without the id of the last event it would be another list of all flags.
    let seen = browser.run("return tabs.ann.evaluate(() => [globalThis.resets, globalThis.names.includes('B')])");
    assert_eq!(seen, json!([1, true]));
}
