//! Rules, variants, prerequisites, schedules and segments, in a browser.

use std::time::{SystemTime, UNIX_EPOCH};

use flipper::targeting::{Schedule, segment_of};
use serde_json::json;

use crate::browser::Browser;
use crate::forms::Site;
use crate::targeting::site;

/// All that the page's fields set, as a record shows it.
fn parts(site: &Site, name: &str) -> [String; 4] {
    let record = site.stored(name).unwrap();
    let all = |texts: Vec<String>| texts.join("; ");
    [
        all(record.rules().iter().map(ToString::to_string).collect()),
        record.variants().map(ToString::to_string).unwrap_or_default(),
        all(record.prerequisites().iter().map(ToString::to_string).collect()),
        record.schedule().map(ToString::to_string).unwrap_or_default(),
    ]
}

/// Fills all fields, saves, changes each, saves again, and undoes that; a segment too.
fn each_is_created_changed_and_undone(options: &str) {
    let Some(mut browser) = Browser::open() else { return };
    let site = site();
    site.flag("NEW", |_| {});
    browser.run(&format!("await open('ann', '{}/flags/NEW', {options})", site.server.url()));
    let none = parts(&site, "NEW");
    let fill = |browser: &mut Browser, fields: [(&str, &str); 8]| {
        let fill = |(id, text): (&str, &str)| format!("await ann.fill('#{id}', {});", json!(text));
        let fill: String = fields.into_iter().map(fill).collect();
        browser.run(&format!(
            "const {{ ann }} = tabs; {fill} await Promise.all([ann.waitForNavigation(), ann.click('text=Save changes')]);
            await ann.waitForSelector('text=The changes are saved.')"
        ));
    };
    let fields = [
        ("rules", "[staff] in segment beta: variant red\nplan = pro: 25% by id"),
        ("variants", "red 50% \"#f00\"\nblue 50% \"#00f\""),
        ("variants-by", "id"),
        ("variants-off", "red"),
        ("prerequisites", "BASE"),
        ("enable-at", "2099-01-01T08:00"),
        ("steps", "5% from 2099-01-02T08:00"),
        ("steps-by", "id"),
    ];
    fill(&mut browser, fields);
    let first = parts(&site, "NEW");
    assert_eq!(
        first,
        [
            r#"if in segment beta: variant red; if plan = "pro": on for 25% by id"#,
            "red 50%, blue 50% by id, red when off",
            "BASE",
            "on from 2099-01-01T08:00:00Z, 5% by id from 2099-01-02T08:00:00Z",
        ]
    );
    let fields = [
        ("rules", "off"),
        ("variants", "red 60% \"#f00\"\nblue 40% \"#00f\""),
        ("variants-by", "id"),
        ("variants-off", ""),
        ("prerequisites", "A = red"),
        ("enable-at", ""),
        ("steps", "50% from 2099-01-03T08:00"),
        ("steps-by", "id"),
    ];
    fill(&mut browser, fields);
    let second = parts(&site, "NEW");
    assert_eq!(second[..1], ["off"]);
    assert!(first.iter().zip(&second).all(|(first, second)| first != second), "{second:?}");
    let undo = |browser: &mut Browser, path: &str| {
        browser.run(&format!(
            "const {{ ann }} = tabs;
            await ann.goto(new URL('{path}', ann.url()).href);
            await ann.click('.entries > li:first-child button');
            await ann.click('text=Yes, undo it');
            await ann.waitForSelector('text=The change is undone.')"
        ));
    };
    undo(&mut browser, "/flags/NEW");
    assert_eq!(parts(&site, "NEW"), first);
    // Each by itself goes when its field is emptied.
    let empty = [
        ("rules", ""),
        ("variants", ""),
        ("variants-by", ""),
        ("variants-off", ""),
        ("prerequisites", ""),
        ("enable-at", ""),
        ("steps", ""),
        ("steps-by", ""),
    ];
    fill(&mut browser, empty);
    assert_eq!(parts(&site, "NEW"), none);

    let segment = || site.stored("segments/vips").and_then(|record| record.segment().map(ToString::to_string));
    let save = |browser: &mut Browser, when: &str| {
        browser.run(&format!(
            "const {{ ann }} = tabs; await ann.fill('#when', '{when}'); await Promise.all([ann.waitForNavigation(), ann.click('button:text(\"Save\")')]);
            await ann.waitForSelector('text=The segment is saved.')"
        ));
    };
    browser.run(
        "const { ann } = tabs;
        await ann.click('nav >> text=Segments');
        await ann.click('text=New segment');
        await ann.fill('#name', 'vips')",
    );
    save(&mut browser, "plan = pro");
    assert_eq!(segment().as_deref(), Some("plan = \"pro\""));
    save(&mut browser, "plan = team");
    assert_eq!(segment().as_deref(), Some("plan = \"team\""));
    undo(&mut browser, "/flags/-/segment?name=vips");
    assert_eq!(segment().as_deref(), Some("plan = \"pro\""));
    browser.run(
        "const { ann } = tabs;
        await ann.goto(new URL('/flags/-/segment?name=vips', ann.url()).href);
        await ann.click('button:text(\"Destroy\")');
        await ann.waitForURL('**/flags/-/segments')",
    );
    assert_eq!(segment(), None);
    browser.has_no_errors();
}

#[test]
fn each_is_created_changed_and_undone_with_a_script() {
    each_is_created_changed_and_undone("{}");
}

#[test]
fn each_is_created_changed_and_undone_without_a_script() {
    each_is_created_changed_and_undone("{ javaScriptEnabled: false }");
}

#[test]
fn all_of_it_is_accessible_and_narrow() {
    let Some(mut browser) = Browser::open() else { return };
    let site = site();
    let long = "x".repeat(120);
    site.flag(&format!("segments/{long}"), |record| {
        record.set_segment(Some(format!("user_id in {long}, 2 and in segment beta").parse().unwrap()));
    });
    browser.run(&format!("await open('ann', '{}/flags')", site.server.url()));
    for width in [1280, 360] {
        browser.run(&format!("await tabs.ann.setViewportSize({{ width: {width}, height: 740 }})"));
        for path in [
            "/flags/A",
            "/flags/BASE",
            "/flags/-/segments",
            "/flags/-/segment",
            "/flags/-/segment?name=beta",
            &format!("/flags/-/segment?name={long}"),
            "/flags/-/segment?name=none",
        ] {
            browser.run(&format!("await tabs.ann.goto(new URL('{path}', tabs.ann.url()).href)"));
            let taken = browser.run("return tabs.ann.evaluate(() => document.documentElement.scrollWidth)");
            assert_eq!(taken, json!(width), "{path}");
            browser.is_accessible("ann", path);
        }
    }
    // With what is wrong, a conflict, and the question before the end of a segment.
    browser.run(
        "const { ann } = tabs;
        await ann.goto(new URL('/flags/A', ann.url()).href);
        await ann.fill('#rules', 'plan ~ pro: on');
        await ann.click('text=Save changes');
        await ann.waitForSelector('#rules-fault')",
    );
    browser.is_accessible("ann", "a rule that is wrong");
    browser.run(
        "const { ann } = tabs;
        await ann.goto(new URL('/flags/-/segment?name=beta', ann.url()).href);
        await ann.fill('#when', 'plan ~ pro');
        await ann.click('button:text(\"Save\")');
        await ann.waitForSelector('#when-fault')",
    );
    browser.is_accessible("ann", "a segment that is wrong");
    site.flag("segments/beta", |record| record.set_segment(Some("plan = theirs".parse().unwrap())));
    browser.run(
        "const { ann } = tabs;
        await ann.fill('#when', 'plan = mine');
        await ann.click('button:text(\"Save\")');
        await ann.waitForSelector('text=Another has changed this segment')",
    );
    browser.is_accessible("ann", "a conflict of a segment");
    browser.run(
        "const { ann } = tabs;
        await ann.click('button:text(\"Destroy\")');
        await ann.waitForSelector('text=Yes, destroy it')",
    );
    browser.is_accessible("ann", "the end of a segment");
    assert_eq!(browser.run("return tabs.ann.evaluate(() => document.documentElement.scrollWidth)"), json!(360));
    browser.has_no_errors();
}

#[test]
fn a_keyboard_is_enough_for_all_of_it() {
    let Some(mut browser) = Browser::open() else { return };
    let site = site();
    site.flag("NEW", |_| {});
    browser.run(&format!("await open('ann', '{}/flags/-/segment')", site.server.url()));
    // From field to field in the order in which they are read; each stop is visible.
    browser.run(
        "globalThis.reach = async (ann, id) => {
            for (let stop = 0; stop < 60; stop++) {
                await ann.keyboard.press('Tab');
                const at = await ann.evaluate(() => {
                    const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
                    return { id: document.activeElement.id || document.activeElement.textContent, ring: outlineStyle !== 'none' && outlineWidth !== '0px' };
                });
                if (!at.ring) throw new Error(`no focus ring at ${at.id}`);
                if (at.id === id) return;
            }
            throw new Error(`${id} is not reached`);
        }",
    );
    browser.run(
        "const { ann } = tabs;
        await reach(ann, 'name');
        await ann.keyboard.type('vips');
        await reach(ann, 'when');
        await ann.keyboard.type('plan = pro');
        await reach(ann, 'Save');
        await ann.keyboard.press('Enter');
        await ann.waitForSelector('text=The segment is saved.')",
    );
    assert!(site.stored("segments/vips").is_some_and(|record| segment_of(record.name()) == Some("vips")));
    browser.run(
        "const { ann } = tabs;
        await ann.goto(new URL('/flags/NEW', ann.url()).href);
        for (const [id, text] of [
            ['rules', 'in segment vips: 5% by id'], ['prerequisites', 'BASE'],
            ['variants', 'red 100%'], ['variants-by', 'id'],
            ['steps', '5% from 2099-01-01T08:00'], ['steps-by', 'id'],
        ]) {
            await reach(ann, id);
            await ann.keyboard.type(text);
        }
        await reach(ann, 'Save changes');
        await ann.keyboard.press('Enter');
        await ann.waitForSelector('text=The changes are saved.')",
    );
    assert_eq!(
        parts(&site, "NEW"),
        ["if in segment vips: on for 5% by id", "red 100% by id", "BASE", "5% by id from 2099-01-01T08:00:00Z"]
    );
    browser.has_no_errors();
}

#[test]
fn an_open_page_turns_with_the_schedule() {
    let Some(mut browser) = Browser::open() else { return };
    let site = Site::open();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let soon = i64::try_from(now).unwrap() + 6;
    site.flag("A", |flag| {
        flag.set_enabled(true);
        flag.set_schedule(Some(Schedule { enable_at: Some(soon), ..Schedule::default() }));
    });
    for (tab, path) in [("ann", "/flags"), ("bea", "/flags/A")] {
        browser.run(&format!(
            "await open('{tab}', '{}{path}'); await tabs.{tab}.waitForSelector('.switch[aria-checked=false]')",
            site.server.url()
        ));
    }
    for tab in ["ann", "bea"] {
        browser.until(
            tab,
            "document.querySelector('.switch[aria-checked=true]') && !document.querySelector('[data-turn]')",
        );
        browser.until(tab, "document.querySelector('#said').textContent === 'A is now on.'");
    }
    browser.has_no_errors();
}
