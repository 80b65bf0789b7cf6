//! Forms that are sent late, twice, or not whole.

use std::sync::Arc;
use std::time::Duration;

use flipper::json::{Json, Object};
use flipper::store::{LocalFeatureFlagStore, Precondition, Stored, Version};
use flipper::{Condition, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore, MirroredFeatureFlagStore};
use flipper_server::{App, HttpOptions, Page};
use flipper_testkit::{block_on, wait_until};

use crate::forms::{Site, hidden};
use crate::support::{Answer, Running};

fn data(text: &str) -> Object {
    Json::parse(text).unwrap().as_object().unwrap().clone()
}

/// Sends the form of this page with these fields changed.
fn send(site: &Site, page: &str, what: &str, changed: &[(&str, &str)]) -> Answer {
    let kept = ["name", "version", "base"].map(|field| (field, hidden(page, field)));
    let kept = kept.iter().map(|(field, value)| (*field, value.as_str()));
    let typed = [("rollout", "everybody"), ("conditions", ""), ("deny", ""), ("data", "{}"), ("do", what)];
    let typed = typed.into_iter().filter(|(field, _)| !changed.iter().any(|(other, _)| other == field));
    let all: Vec<_> = kept.chain(typed).chain(changed.iter().copied()).collect();
    site.post("/flags/-/change", &hidden(page, "csrf"), &all)
}

fn textarea(page: &str, name: &str) -> String {
    let rest = page.split(&format!("name=\"{name}\"")).nth(1).unwrap();
    let text = rest.split_once('>').unwrap().1.split("</textarea>").next().unwrap();
    text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

const WARNING: &str = "Another has changed this flag while you edit it.";

#[test]
fn a_preview_stays_of_the_version_that_it_is_of() {
    let site = Site::open();
    site.flag("A", |_| {});
    let page = site.get("/flags/A").body;
    assert!(!page.contains(WARNING));
    let preview = |page: &str| send(&site, page, "preview", &[("conditions", "mine = 1"), ("users", "mine=1")]);
    assert!(!preview(&page).body.contains(WARNING));
    site.flag("A", |flag| flag.set_client_data(data(r#"{"theirs": 1}"#)));
    let answer = preview(&page);
    assert!(answer.body.contains("This user gets it.") && answer.body.contains(WARNING), "{}", answer.body);
    for field in ["version", "base"] {
        assert_eq!(hidden(&answer.body, field), hidden(&page, field));
    }
    let answer = send(&site, &answer.body, "save", &[("conditions", "mine = 1")]);
    assert_eq!(answer.status, 409, "{}", answer.body);
    assert_eq!(site.stored("A").unwrap().client_data().to_string(), r#"{"theirs": 1}"#);
}

#[test]
fn a_form_that_failed_stays_of_its_version() {
    let memory = Arc::new(MemoryFeatureFlagStore::new());
    block_on(memory.put(&FlagRecord::new("A", 7), Precondition::Absent.into())).unwrap();
    let mut upstream = Running::start(App::new(memory.clone()), HttpOptions::default());
    let mirror = Arc::new(MirroredFeatureFlagStore::new(upstream.store()));
    block_on(mirror.ready()).unwrap();
    let site = Site::of(memory, App::new(mirror).page(Page::new()));
    let page = site.get("/flags/A").body;
    site.flag("A", |flag| flag.set_client_data(data(r#"{"theirs": 1}"#)));
    wait_until("the page has it", || site.get("/flags/A").body.contains("theirs"));
    upstream.shutdown(Duration::ZERO);
    drop(upstream);
    let answer = send(&site, &page, "save", &[("conditions", "mine = 1")]);
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert_eq!(textarea(&answer.body, "conditions"), "mine = 1");
    for field in ["version", "base"] {
        assert_eq!(hidden(&answer.body, field), hidden(&page, field));
    }
    // The banner is not rendered again while nothing changes, so it has no age.
    wait_until("it is stale", || site.get("/flags").body.contains("These flags are stale."));
    let list = site.get("/flags").body;
    let banner = list.split("These flags are stale.").nth(1).unwrap().split("</div>").next().unwrap();
    assert!(banner.contains(" UTC</time>") && !banner.contains(" ago") && !banner.contains("just now"), "{banner}");
}

#[test]
fn a_conflict_keeps_the_client_data_of_both() {
    let site = Site::open();
    site.flag("A", |flag| flag.set_client_data(data(r#"{"owner": "a", "tags": ["x"]}"#)));
    let page = site.get("/flags/A").body;
    site.flag("A", |flag| flag.set_client_data(data(r#"{"owner": "a", "tags": ["x", "y"]}"#)));
    const CLASH: &str = "where both changed the same";
    let answer = send(&site, &page, "save", &[("data", r#"{"owner": "b", "tags": ["x"]}"#)]);
    assert_eq!(answer.status, 409, "{}", answer.body);
    let merged = Json::parse(&textarea(&answer.body, "data")).unwrap().to_string();
    assert_eq!(merged, r#"{"owner": "b", "tags": ["x", "y"]}"#);
    assert!(!answer.body.contains(CLASH), "{}", answer.body);
    let answer = send(&site, &page, "save", &[("data", r#"{"owner": "a", "tags": []}"#)]);
    assert!(textarea(&answer.body, "data").contains("\"tags\": []") && answer.body.contains(CLASH), "{}", answer.body);
    // What cannot be read stays what was typed.
    let answer = send(&site, &page, "save", &[("data", "{\"owner\"")]);
    assert_eq!((answer.status, &*textarea(&answer.body, "data")), (409, "{\"owner\""));
    assert!(answer.body.contains(CLASH) && !answer.body.contains("You wanted:"), "{}", answer.body);
}

#[test]
fn a_form_that_is_sent_twice_blames_no_one() {
    let site = Site::open();
    site.flag("A", |_| {});
    let page = site.get("/flags/A").body;
    for _ in 0..2 {
        let answer = send(&site, &page, "save", &[("conditions", "a = 1")]);
        assert_eq!((answer.status, answer.header("location")), (303, Some("/flags/A?done=saved")), "{}", answer.body);
    }
    assert_eq!(site.stored("A").unwrap().conditions(), [Condition::new().eq("a", 1)]);
}

#[test]
fn an_unchanged_form_writes_nothing() {
    let site = Site::open();
    site.flag("A", |_| {});
    let version = || site.store.table().get("A").unwrap().version;
    let before = version();
    let answer = send(&site, &site.get("/flags/A").body, "save", &[]);
    assert_eq!((answer.status, answer.header("location")), (303, Some("/flags/A?done=same")), "{}", answer.body);
    assert_eq!(version(), before);
}

#[test]
fn a_form_without_a_field_removes_nothing() {
    let site = Site::open();
    site.flag("A", |flag| {
        flag.add_condition(Condition::new().eq("a", 1));
        flag.set_bucketer(flipper::bucketing::PercentageBucketer::new(0.5).into());
    });
    let before = site.stored("A").unwrap();
    let all = [("rollout", "random"), ("conditions", "a = 1"), ("deny", ""), ("data", "{}"), ("share", "50%")];
    for missing in 0..4 {
        let mut fields = all.to_vec();
        fields.remove(missing);
        fields.push(("do", "save"));
        let answer = site.change("A", &fields);
        assert_eq!(answer.status, 400, "{missing}: {}", answer.body);
        assert!(answer.body.contains(&format!("no field &quot;{}&quot;", all[missing].0)), "{}", answer.body);
    }
    // A rollout that this version does not know.
    let answer = send(&site, &site.get("/flags/A").body, "save", &[("rollout", "new"), ("conditions", "a = 2")]);
    assert_eq!(answer.status, 303, "{}", answer.body);
    let after = site.stored("A").unwrap();
    assert_eq!((after.bucketer(), after.conditions().len()), (before.bucketer(), 1));
}

#[test]
fn a_protected_flag_that_cannot_be_read_asks_twice() {
    let site = Site::open();
    site.store.table().apply(Stored::from_json("pay.card", Version::ordered(u64::MAX), b"{"));
    let destroy = [("do", "destroy"), ("typed", "pay.card")];
    let answer = site.change("pay.card", &destroy);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.contains("so the page asks twice"), "{}", answer.body);
    assert!(site.store.table().get("pay.card").is_some());
}

#[test]
fn large_forms_are_refused() {
    let site = Site::open();
    site.flag("A", |_| {});
    let page = site.get("/flags/A").body;
    let many = [("a", ""); 64];
    let answer = send(&site, &page, "save", &many);
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(answer.body.contains("more than 64 fields"), "{}", answer.body);
    let base = "x".repeat((1 << 20) + 1);
    let fields = [("name", "A"), ("base", &*base), ("do", "preview")];
    assert_eq!(site.post("/flags/-/change", &hidden(&page, "csrf"), &fields).status, 413);
}

#[test]
fn a_strict_flag_without_conditions_is_for_everybody() {
    let site = Site::open();
    site.flag("A", |flag| {
        flag.set_enabled(true);
        flag.set_strict(true);
    });
    assert!(site.get("/flags").body.contains("<p>everybody</p>"));
    assert!(site.get("/flags?show=targeted").body.contains("No flag matches."));
}
