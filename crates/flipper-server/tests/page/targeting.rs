//! Rules, variants, prerequisites, schedules and segments on the page.

use std::time::{SystemTime, UNIX_EPOCH};

use flipper::evaluation::Operator;
use flipper::targeting::{Prerequisite, Rule, Schedule, Serve, Step, Test, Variant, Variants, When, stored_name};
use flipper::{Condition, FlagRecord};

use crate::forms::{HOSTILE, Site, flip_of, hidden};
use crate::support::Answer;

fn when(text: &str) -> When {
    text.parse().unwrap()
}

fn in_seconds(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(now).unwrap() + seconds
}

fn text_of(html: &str) -> String {
    html.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// What a browser would send of the form after this text.
fn form_of(page: &str, begin: &str) -> Vec<(String, String)> {
    let form = page.split(begin).nth(1).unwrap().split("</form>").next().unwrap();
    let mut fields = Vec::new();
    for tag in form.split('<') {
        let (head, text) = tag.split_once('>').unwrap_or((tag, ""));
        let attribute = |name: &str| {
            let value = head.split(&format!(" {name}=\"")).nth(1)?.split('"').next()?;
            Some(text_of(value))
        };
        let Some(name) = attribute("name").filter(|_| head.starts_with("input ") || head.starts_with("textarea "))
        else {
            continue;
        };
        let is_choice = head.contains("type=\"radio\"") || head.contains("type=\"checkbox\"");
        let is_time = head.contains("type=\"datetime-local\"");
        match head.starts_with("textarea ") {
            // The shortest form of the same time.
            _ if is_time => {
                let value = attribute("value").unwrap_or_default();
                let has_seconds = value.matches(':').count() > 1;
                fields.push((name, value.strip_suffix(":00").filter(|_| has_seconds).unwrap_or(&value).to_owned()));
            }
            true => fields.push((name, text_of(text))),
            false if is_choice && !head.contains(" checked") => {}
            false if is_choice => fields.push((name, attribute("value").unwrap_or_else(|| "on".to_owned()))),
            false => fields.push((name, attribute("value").unwrap_or_default())),
        }
    }
    fields
}

/// Sends a form with these fields changed; one of `None` is left out.
fn send(site: &Site, page: &str, begin: &str, path: &str, changed: &[(&str, Option<&str>)]) -> Answer {
    let mut fields = form_of(page, begin);
    for (name, value) in changed {
        fields.retain(|(other, _)| other != name);
        fields.extend(value.map(|value| ((*name).to_owned(), value.to_owned())));
    }
    fields.retain(|(name, _)| name != "csrf");
    let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    site.post(path, &hidden(page, "csrf"), &fields)
}

const EDIT: &str = "id=\"edit\"";

fn edit(site: &Site, page: &str, what: &str, changed: &[(&str, &str)]) -> Answer {
    let changed: Vec<_> =
        changed.iter().map(|(name, value)| (*name, Some(*value))).chain([("do", Some(what))]).collect();
    send(site, page, EDIT, "/flags/-/change", &changed)
}

/// A flag with all of it, and what it needs.
pub(crate) fn site() -> Site {
    let site = Site::open();
    site.flag("BASE", |flag| flag.set_enabled(true));
    site.flag(&stored_name("beta"), |record| record.set_segment(Some(when("country in de, fr"))));
    site.flag("A", |flag| {
        flag.set_enabled(true);
        flag.set_variants(Some(
            Variants::new("user_id")
                .with(Variant::new("red", 25.0).value("#f00"))
                .with(Variant::new("dark blue", 75.0).value("#00f"))
                .off("red"),
        ));
        flag.set_rules(vec![
            Rule::new(Serve::On).when(when("in segment beta and name = \"a: b\"")).named("staff"),
            Rule::new(Serve::share(0.25, "user_id")).when(when("plan = pro")),
            Rule::new(Serve::Variant("dark blue".into())),
        ]);
        flag.set_prerequisites(vec![Prerequisite::new("BASE")]);
        flag.set_schedule(Some(Schedule {
            disable_at: Some(4_102_444_800),
            steps: vec![Step { at: 4_102_358_400, share: 0.125 }],
            by: "user_id".into(),
            ..Schedule::default()
        }));
    });
    site
}

#[test]
fn a_flag_is_shown_in_sentences() {
    let site = site();
    let page = site.get("/flags/A");
    assert_eq!(page.status, 200);
    for text in [
        "<strong>staff</strong>: if in segment beta and name = &quot;a: b&quot;: on",
        "if plan = &quot;pro&quot;: on for 25% by user_id",
        "<li>variant dark blue</li>",
        "Variants by user_id",
        "<strong>red</strong> 25% <code>&quot;#f00&quot;</code> also when off",
        "<a href=\"/flags/BASE\">BASE</a>",
        "<li>12.5% by user_id from <time datetime=\"2099-12-31T00:00:00Z\">2099-12-31 00:00:00 UTC</time></li><li>off from <time",
        "<span data-turn=\"4102358400\">The next turn is in ",
    ] {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
    let fields = form_of(&page.body, EDIT);
    let field = |name: &str| &*fields.iter().find(|(other, _)| other == name).unwrap().1;
    let rules = "[staff] in segment beta and name = \"a: b\": on\nplan = \"pro\": 25% by user_id\nvariant dark blue";
    assert_eq!(field("rules"), rules);
    assert_eq!(field("variants"), "red 25% \"#f00\"\n\"dark blue\" 75% \"#00f\"");
    assert_eq!((field("variants-by"), field("variants-off")), ("user_id", "red"));
    assert_eq!(field("prerequisites"), "BASE");
    assert_eq!((field("enable-at"), field("disable-at")), ("", "2100-01-01T00:00"));
    assert_eq!((field("steps"), field("steps-by")), ("12.5% from 2099-12-31T00:00", "user_id"));
    let base = site.get("/flags/BASE").body;
    assert!(base.contains("These flags need it, and are off then: <a href=\"/flags/A\">A</a>."), "{base}");
    // As it is, it changes nothing.
    let before = site.stored("A").unwrap();
    let same = edit(&site, &page.body, "save", &[]);
    assert_eq!((same.status, same.header("location")), (303, Some("/flags/A?done=same")), "{}", same.body);
    assert_eq!(site.stored("A").unwrap(), before);
    // A segment is no flag.
    let list = site.get("/flags").body;
    assert!(list.contains("2 flags") && !list.contains("segments/beta"), "{list}");
}

#[test]
fn all_of_it_is_set_without_a_script() {
    let site = site();
    site.flag("NEW", |_| {});
    let page = site.get("/flags/NEW").body;
    let typed = [
        ("variants", "on 50% true\r\noff 50% false"),
        ("variants-by", "id"),
        ("rules", "in segment beta: variant on\r\n\r\n[rest] plan = pro and not (country = ch): 10% by id\r\noff"),
        ("prerequisites", "BASE\r\nA = red"),
        ("enable-at", "2099-01-01T08:00"),
        ("disable-at", "2099-01-03T08:00:30"),
        ("steps", "5% from 2099-01-01T08:00\r\n50% from 2099-01-02 08:00Z"),
        ("steps-by", "id"),
    ];
    let saved = edit(&site, &page, "save", &typed);
    assert_eq!((saved.status, saved.header("location")), (303, Some("/flags/NEW?done=saved")), "{}", saved.body);
    let mut expected = FlagRecord::new("NEW", 1_700_000_000);
    // A time to turn it on turns on the switch.
    expected.set_enabled(true);
    let boolean = |name: &str, value: bool| Variant::new(name, 50.0).value(value);
    expected.set_variants(Some(Variants::new("id").with(boolean("on", true)).with(boolean("off", false))));
    expected.set_rules(vec![
        Rule::new(Serve::Variant("on".into())).when(When::Segment("beta".into())),
        Rule::new(Serve::share(0.1, "id")).when(when("plan = pro and not (country = ch)")).named("rest"),
        Rule::new(Serve::Off),
    ]);
    expected.set_prerequisites(vec![Prerequisite::new("BASE"), Prerequisite::new("A").with_variant("red")]);
    let day = 86_400;
    let first = 4_070_937_600;
    expected.set_schedule(Some(Schedule {
        enable_at: Some(first),
        disable_at: Some(first + 2 * day + 30),
        steps: vec![Step { at: first, share: 0.05 }, Step { at: first + day, share: 0.5 }],
        by: "id".into(),
    }));
    assert_eq!(*site.stored("NEW").unwrap(), expected);
    // Rules move and go by their lines.
    let page = site.get("/flags/NEW").body;
    edit(
        &site,
        &page,
        "save",
        &[("rules", "off\nin segment beta: variant on"), ("prerequisites", ""), ("disable-at", "")],
    );
    let after = site.stored("NEW").unwrap();
    assert_eq!(after.rules().len(), 2);
    assert_eq!(after.rules()[1], expected.rules()[0]);
    assert!(after.prerequisites().is_empty() && after.schedule().unwrap().disable_at.is_none());
    let page = site.get("/flags/NEW").body;
    let none = [("rules", ""), ("variants", ""), ("enable-at", ""), ("steps", "")];
    assert_eq!(edit(&site, &page, "save", &none).status, 303);
    let after = site.stored("NEW").unwrap();
    assert!(after.rules().is_empty() && after.variants().is_none() && after.schedule().is_none());
}

#[test]
fn the_status_names_a_circle() {
    let site = Site::open();
    assert!(!site.get("/flags/-/status").body.contains("In a circle"));
    for (name, other) in [("A", "B"), ("B", "A")] {
        site.flag(name, |flag| flag.set_prerequisites(vec![Prerequisite::new(other)]));
    }
    let page = site.get("/flags/-/status").body;
    assert!(page.contains("In a circle") && page.contains("<li>A → B → A</li>"), "{page}");
}

#[test]
fn variants_change_again_and_again() {
    let site = Site::open();
    let variant = |name: &str, percent: f64| Variant::new(name, percent);
    let of = |red: f64, blue: f64, green: f64| {
        Variants::new("id").with(variant("red", red)).with(variant("blue", blue)).with(variant("green", green))
    };
    site.flag("A", |flag| flag.set_variants(Some(of(20.0, 30.0, 50.0))));
    let mut expected = FlagRecord::clone(&site.stored("A").unwrap());
    for (red, blue, green) in [(30.0, 30.0, 40.0), (30.0, 20.0, 50.0), (40.0, 20.0, 40.0), (20.0, 30.0, 50.0)] {
        let page = site.get("/flags/A").body;
        let lines = format!("red {red}% \"red\"\nblue {blue}% \"blue\"\ngreen {green}% \"green\"");
        let saved = edit(&site, &page, "save", &[("variants", &lines)]);
        assert_eq!(saved.status, 303, "{lines}: {}", saved.body);
        expected.set_variants(Some(of(red, blue, green)));
        assert_eq!(site.stored("A").unwrap().variants(), expected.variants(), "{lines}");
    }
    let has_buckets = expected.variants().unwrap().values.iter().any(|variant| !variant.buckets.is_empty());
    assert!(has_buckets, "as few callers as can be have moved: {expected:?}");
    // A value alone moves no caller.
    let page = site.get("/flags/A").body;
    let lines = "red 20% \"#f00\"\nblue 30% \"blue\"\ngreen 50% \"green\"";
    assert_eq!(edit(&site, &page, "save", &[("variants", lines)]).status, 303);
    let after = site.stored("A").unwrap();
    let buckets = |record: &FlagRecord| -> Vec<_> {
        record.variants().unwrap().values.iter().map(|variant| variant.buckets.clone()).collect()
    };
    assert_eq!(buckets(&after), buckets(&expected));
}

#[test]
fn what_is_wrong_is_beside_its_field() {
    let site = site();
    let page = site.get("/flags/A").body;
    site.flag("OTHER", |_| {});
    let before = site.stored("A").unwrap();
    for (field, typed, beside, shown) in [
        ("rules", "plan = pro: on\nplan ~ pro: on", "rules", "Line 2: at “~”: "),
        ("rules", "plan = pro", "rules", "after a colon."),
        ("rules", "variant green", "rules", "There is no variant \"green\"."),
        ("rules", "in segment none: on", "rules", "There is no segment \"none\"."),
        ("variants", "red 40% 1", "variants", "The weights of the variants add up to 40%, so 60% are missing."),
        ("variants", "red 50% 1\nblue 50% \"b\"", "variants", "All must have one type."),
        ("variants", "red", "variants", "Line 1: a variant is its name"),
        ("variants-by", "", "variants-by", "The attribute that chooses callers is missing"),
        ("variants-off", "green", "variants", "There is no variant \"green\" for when the flag is off."),
        ("prerequisites", "NONE", "prerequisites", "The prerequisite \"NONE\" is no flag that exists."),
        ("prerequisites", "A", "prerequisites", "In a circle: A → A."),
        ("prerequisites", "BASE\nOTHER = red", "prerequisites", "The prerequisite \"OTHER\" has no variant \"red\"."),
        ("enable-at", "soon", "enable-at", "“soon” is no time"),
        ("enable-at", "2001-01-01T08:00", "schedule", "The schedule's time 2001-01-01T08:00:00Z has passed."),
        ("enable-at", "2101-01-01T08:00", "schedule", "The schedule is out of order"),
        ("steps", "25%", "steps", "Line 1: a step is a share and a time"),
        ("steps-by", "", "schedule", "The attribute by which the steps choose callers is empty."),
    ] {
        let answer = edit(&site, &page, "save", &[(field, typed)]);
        assert_eq!(answer.status, 422, "{field} {typed}: {}", answer.body);
        let body = text_of(&answer.body);
        let fault = body.split(&format!("<p class=\"fault\" id=\"{beside}-fault\">")).nth(1);
        let fault = fault.unwrap_or_else(|| panic!("{field} {typed}: {body}")).split("</p>").next().unwrap();
        let (fault, shown) = (fault.to_lowercase(), shown.to_lowercase());
        assert!(fault.contains(&shown), "{field} {typed}: {fault}");
        let kept = form_of(&answer.body, EDIT);
        assert!(kept.iter().any(|(name, value)| name == field && value == typed), "{field}: {kept:?}");
    }
    assert_eq!(site.stored("A").unwrap(), before);
}

#[test]
fn a_form_of_an_older_page_loses_nothing() {
    let site = site();
    let page = site.get("/flags/A").body;
    let before = site.stored("A").unwrap();
    let fields = [
        "rules",
        "variants",
        "variants-by",
        "variants-off",
        "prerequisites",
        "enable-at",
        "disable-at",
        "steps",
        "steps-by",
    ];
    let old: Vec<_> = fields.iter().map(|field| (*field, None)).collect();
    let with = |more: &[(&'static str, Option<&'static str>)]| [&old, more, &[("do", Some("save"))]].concat();
    let saved = send(&site, &page, EDIT, "/flags/-/change", &with(&[("conditions", Some("age > 3"))]));
    assert_eq!(saved.status, 303, "{}", saved.body);
    let mut expected = FlagRecord::clone(&before);
    expected.set_conditions(vec![Condition::new().gt("age", 3)]);
    assert_eq!(*site.stored("A").unwrap(), expected);
    // One that ended early is refused.
    let page = site.get("/flags/A").body;
    for field in fields {
        let cut = send(&site, &page, EDIT, "/flags/-/change", &[(field, None), ("do", Some("save"))]);
        assert_eq!(cut.status, 400, "{field}: {}", cut.body);
    }
    assert_eq!(*site.stored("A").unwrap(), expected);
}

#[test]
fn a_conflict_keeps_both_sides() {
    let site = site();
    let page = site.get("/flags/A").body;
    // Another changes the variants.
    let mut theirs = FlagRecord::clone(&site.stored("A").unwrap());
    theirs.set_variants(Some(Variants::new("user_id").with(Variant::new("dark blue", 100.0))));
    site.flag("A", |flag| *flag = theirs.clone());
    let conflict = edit(&site, &page, "save", &[("rules", "plan = team: on")]);
    assert_eq!(conflict.status, 409, "{}", conflict.body);
    assert_eq!(*site.stored("A").unwrap(), theirs);
    assert!(!conflict.body.contains("where both changed the same"), "{}", conflict.body);
    let saved = edit(&site, &conflict.body, "save", &[]);
    assert_eq!(saved.status, 303, "{}", saved.body);
    let mut both = theirs.clone();
    both.set_rules(vec![Rule::new(Serve::On).when(when("plan = team"))]);
    assert_eq!(*site.stored("A").unwrap(), both);

    // Both change the rules.
    let page = site.get("/flags/A").body;
    site.flag("A", |flag| {
        *flag = both.clone();
        flag.set_rules(vec![Rule::new(Serve::Off)]);
    });
    let clash = edit(&site, &page, "save", &[("rules", "plan = new: on")]);
    assert_eq!(clash.status, 409);
    assert!(clash.body.contains("where both changed the same, it has yours"), "{}", clash.body);
    assert!(form_of(&clash.body, EDIT).contains(&("rules".to_owned(), "plan = new: on".to_owned())));
    // An older form does not hold what another changed.
    let fields = [
        "rules",
        "variants",
        "variants-by",
        "variants-off",
        "prerequisites",
        "enable-at",
        "disable-at",
        "steps",
        "steps-by",
    ];
    let mut old: Vec<_> = fields.iter().map(|field| (*field, None)).collect();
    old.extend([("conditions", Some("age > 3")), ("do", Some("save"))]);
    let conflict = send(&site, &page, EDIT, "/flags/-/change", &old);
    assert_eq!(conflict.status, 409);
    assert!(form_of(&conflict.body, EDIT).contains(&("rules".to_owned(), "off".to_owned())), "{}", conflict.body);
}

#[test]
fn the_switch_is_what_checks_answer() {
    let site = Site::open();
    let (soon, later) = (in_seconds(3600), in_seconds(7200));
    let schedule = Schedule { enable_at: Some(soon), disable_at: Some(later), ..Schedule::default() };
    let scheduled = |flag: &mut FlagRecord| {
        flag.set_enabled(true);
        flag.set_schedule(Some(schedule.clone()));
    };
    site.flag("A", scheduled);
    let page = site.get("/flags/A").body;
    assert!(flip_of(&page).starts_with("on "), "{page}");
    // Now, and its end stays.
    let flip = |value: &str| site.post("/flags/-/change", &hidden(&page, "csrf"), &[("flip", value)]);
    assert_eq!(flip(&flip_of(&page)).status, 303);
    let on = site.stored("A").unwrap();
    assert_eq!(
        (on.is_enabled(), on.schedule().unwrap().enable_at, on.schedule().unwrap().disable_at),
        (true, None, Some(later))
    );
    assert!(flip_of(&site.get("/flags/A").body).starts_with("off "));
    // Or not at all.
    site.flag("B", scheduled);
    let page = site.get("/flags/B").body;
    let keep = page
        .split("aria-label=\"Keep off: B\" value=\"")
        .nth(1)
        .unwrap_or_else(|| panic!("{page}"))
        .split('"')
        .next()
        .unwrap();
    assert_eq!(flip(keep).status, 303);
    assert!(!site.stored("B").unwrap().is_enabled());
    assert!(site.get("/flags/B").body.contains("so it waits for its switch"));
    for (show, there) in [("on", "A"), ("off", "B")] {
        let list = site.get(&format!("/flags?show={show}")).body;
        assert!(list.contains(&format!("data-name=\"{there}\"")) && list.contains("1 of 2 flags"), "{list}");
    }
}

#[test]
fn a_flag_that_is_kept_off_stays_off() {
    let site = Site::open();
    let schedule = Schedule { enable_at: Some(4_070_937_600), disable_at: Some(4_102_444_830), ..Schedule::default() };
    site.flag("A", |flag| flag.set_schedule(Some(schedule.clone())));
    let page = site.get("/flags/A").body;
    // A script compares the value with what a browser has.
    for value in ["2099-01-01T08:00", "2100-01-01T00:00:30"] {
        assert!(page.contains(&format!("value=\"{value}\" type=\"datetime-local\"")), "{page}");
    }
    let same = edit(&site, &page, "save", &[]);
    assert_eq!(same.header("location"), Some("/flags/A?done=same"), "{}", same.body);
    let saved = edit(&site, &page, "save", &[("conditions", "age > 3")]);
    assert_eq!(saved.header("location"), Some("/flags/A?done=saved"), "{}", saved.body);
    // A form of an older page has the same time in other words.
    let page = site.get("/flags/A").body;
    let longer = [("enable-at", "2099-01-01T08:00:00"), ("conditions", "age > 4")];
    assert_eq!(edit(&site, &page, "save", &longer).status, 303);
    let page = site.get("/flags/A").body;
    let steps = [("disable-at", ""), ("steps", "25% from 2099-01-02T08:00:00Z"), ("steps-by", "id")];
    assert_eq!(edit(&site, &page, "save", &steps).status, 303);
    let page = site.get("/flags/A").body;
    let steps = [("steps", "25% from 2099-01-02 08:00"), ("conditions", "age > 5")];
    assert_eq!(edit(&site, &page, "save", &steps).status, 303);
    let after = site.stored("A").unwrap();
    assert_eq!((after.is_enabled(), after.conditions()), (false, &[Condition::new().gt("age", 5)][..]));
    assert_eq!(after.schedule().unwrap().enable_at, schedule.enable_at);
    // Another time is a wish.
    let page = site.get("/flags/A").body;
    assert_eq!(edit(&site, &page, "save", &[("enable-at", "2099-01-01T09:00")]).status, 303);
    assert!(site.stored("A").unwrap().is_enabled());
}

#[test]
fn a_preview_shows_rules_and_variants() {
    let site = site();
    let page = site.get("/flags/A").body;
    let users = "country=de name=\"a: b\" user_id=7\nplan=free";
    let answer = edit(&site, &page, "preview", &[("users", users), ("rules", "[staff] in segment beta: on\noff")]);
    let body = text_of(&answer.body);
    assert!(body.contains("Rule 0 (\"staff\")."), "{body}");
    assert!(body.contains("Rule 1."), "{body}");
    assert!(
        body.contains("<span class=\"badge\">red</span><code>\"#f00\"</code>"),
        "the one for when it is off: {body}"
    );
    // By what the flag looks at.
    assert!(text_of(&page).contains("user_id=1 name=\"a: b\" plan=\"pro\""), "{page}");
    site.flag("BASE", |_| {});
    let body = text_of(&edit(&site, &page, "preview", &[("users", users)]).body);
    assert!(body.contains("The flag \"BASE\", which must be on, is off."), "{body}");
}

#[test]
fn hostile_names_are_text() {
    let site = Site::open();
    site.flag(&stored_name(HOSTILE), |record| record.set_segment(Some(When::check(HOSTILE, Test::Exists))));
    site.flag("A", |flag| {
        flag.set_variants(Some(Variants::new(HOSTILE).with(Variant::new(HOSTILE, 100.0).value(HOSTILE)).off(HOSTILE)));
        flag.set_rules(vec![
            Rule::new(Serve::Variant(HOSTILE.into())).when(When::Segment(HOSTILE.into())).named(HOSTILE),
        ]);
        flag.set_prerequisites(vec![Prerequisite::new(HOSTILE).with_variant(HOSTILE)]);
    });
    let segment = format!("/flags/-/segment?name={}", crate::forms::encoded(HOSTILE));
    for path in ["/flags", "/flags/A", "/flags/-/segments", &segment] {
        let page = site.get(path);
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        assert!(!page.body.contains("<img src=x") && !page.body.contains("<script>alert"), "{path}: {}", page.body);
    }
    let same = edit(&site, &site.get("/flags/A").body, "save", &[]);
    assert_eq!(same.header("location"), Some("/flags/A?done=same"), "{}", same.body);
}

const SEGMENT: &str = "action=\"/flags/-/segment\"";

fn segment(site: &Site, page: &str, changed: &[(&str, &str)]) -> Answer {
    let changed: Vec<_> = changed.iter().map(|(name, value)| (*name, Some(*value))).collect();
    send(site, page, SEGMENT, "/flags/-/segment", &changed)
}

#[test]
fn a_segments_life() {
    let site = Site::open();
    assert!(site.get("/flags/-/segments").body.contains("There are no segments."));
    let page = site.get("/flags/-/segment").body;
    for (name, text, field) in
        [("a/b", "a = 1", "name"), ("beta", "a ~ 1", "when"), ("beta", "in segment none", "when")]
    {
        let refused = segment(&site, &page, &[("new-name", name), ("when", text), ("do", "save")]);
        assert_eq!(refused.status, 422, "{}", refused.body);
        assert!(refused.body.contains(&format!("id=\"{field}-fault\"")), "{}", refused.body);
        assert!(form_of(&refused.body, SEGMENT).contains(&("when".to_owned(), text.to_owned())));
    }
    let created = segment(&site, &page, &[("new-name", "100% beta"), ("when", "plan = pro"), ("do", "save")]);
    let path = "/flags/-/segment?name=100%25%20beta";
    assert_eq!(
        (created.status, created.header("location")),
        (303, Some(&*format!("{path}&done=saved"))),
        "{}",
        created.body
    );
    let stored = || site.stored("segments/100% beta").and_then(|record| record.segment().map(ToString::to_string));
    assert_eq!(stored().as_deref(), Some("plan = \"pro\""));
    site.flag("A", |flag| flag.set_rules(vec![Rule::new(Serve::On).when(When::Segment("100% beta".into()))]));

    let page = site.get(path).body;
    assert!(page.contains("<a href=\"/flags/A\">A</a>"), "{page}");
    assert!(site.get("/flags/-/segments").body.contains("plan = &quot;pro&quot;"));
    // A flag's page of that name is the segment's.
    assert_eq!(site.get("/flags/segments%2F100%25%20beta").header("location"), Some(path));
    let flip = [("flip", "on x segments/100%25 beta")];
    assert_eq!(site.post("/flags/-/change", &hidden(&page, "csrf"), &flip).status, 400);

    assert_eq!(segment(&site, &page, &[("when", "plan in pro, team"), ("do", "save")]).status, 303);
    assert_eq!(stored().as_deref(), Some("plan in [\"pro\", \"team\"]"));
    // The form of the version before.
    let conflict = segment(&site, &page, &[("when", "plan = mine"), ("do", "save")]);
    assert_eq!(conflict.status, 409);
    assert!(conflict.body.contains("plan in [&quot;pro&quot;, &quot;team&quot;]"), "{}", conflict.body);
    assert_eq!(stored().as_deref(), Some("plan in [\"pro\", \"team\"]"), "nothing is written");
    assert_eq!(segment(&site, &page, &[("do", "destroy")]).status, 409);
    assert_eq!(segment(&site, &conflict.body, &[("do", "save")]).status, 303);
    assert_eq!(stored().as_deref(), Some("plan = \"mine\""));
    let page = site.get(path).body;
    // First it says what uses it.
    site.flag("segments/outer", |record| record.set_segment(Some(when("in segment \"100% beta\""))));
    let question = segment(&site, &page, &[("do", "destroy")]);
    assert_eq!(question.status, 200);
    for text in [
        "Destroy the segment 100% beta?",
        "<li><a href=\"/flags/A\">A</a></li>",
        "<li>segment <a href=\"/flags/-/segment?name=outer\">outer</a></li>",
        "does not hold, also under “not”, unless the rest of the condition decides.",
        "Yes, destroy it",
    ] {
        assert!(question.body.contains(text), "{text}: {}", question.body);
    }
    assert!(!question.body.contains("asks twice") && stored().is_some(), "{}", question.body);
    assert_eq!(segment(&site, &question.body, &[]).header("location"), Some("/flags/-/segments"));
    assert_eq!(stored(), None);
    let missing = site.get(path);
    assert!(missing.status == 404 && missing.body.contains("also under “not”"), "{}", missing.body);
    // What nothing uses is destroyed at once.
    let page = site.get("/flags/-/segment?name=outer").body;
    assert_eq!(segment(&site, &page, &[("do", "destroy")]).header("location"), Some("/flags/-/segments"));
    assert!(site.stored("segments/outer").is_none());
    // A new one does not replace another.
    site.flag("segments/beta", |record| record.set_segment(Some(when("plan = theirs"))));
    let new = site.get("/flags/-/segment").body;
    let conflict = segment(&site, &new, &[("new-name", "beta"), ("when", "plan = mine"), ("do", "save")]);
    assert_eq!(conflict.status, 409, "{}", conflict.body);
    assert_eq!(site.stored("segments/beta").unwrap().segment(), Some(&when("plan = theirs")));
}

#[test]
fn a_segment_of_a_protected_flag_asks_twice() {
    let site = Site::open();
    site.flag("segments/beta", |record| record.set_segment(Some(when("plan = pro"))));
    site.flag("pay.card", |flag| flag.set_rules(vec![Rule::new(Serve::On).when(When::Segment("beta".into()))]));
    let page = site.get("/flags/-/segment?name=beta").body;
    let question = segment(&site, &page, &[("when", "plan = team"), ("do", "save")]);
    assert_eq!(question.status, 200);
    assert!(question.body.contains("so the page asks twice"), "{}", question.body);
    assert_eq!(site.stored("segments/beta").unwrap().segment(), Some(&when("plan = pro")));
    assert_eq!(segment(&site, &question.body, &[]).status, 303);
    assert_eq!(site.stored("segments/beta").unwrap().segment(), Some(&when("plan = team")));
    // Also through other segments.
    site.flag("segments/inner", |record| record.set_segment(Some(when("plan = pro"))));
    site.flag("segments/middle", |record| record.set_segment(Some(when("in segment inner"))));
    site.flag("segments/beta", |record| record.set_segment(Some(when("not in segment middle"))));
    for name in ["inner", "middle"] {
        let page = site.get(&format!("/flags/-/segment?name={name}")).body;
        let question = segment(&site, &page, &[("when", "plan = team"), ("do", "save")]);
        assert!(question.body.contains("so the page asks twice"), "{name}: {}", question.body);
    }
    // What no protected flag depends on is not protected.
    site.flag("segments/beta", |record| record.set_segment(Some(when("plan = team"))));
    let page = site.get("/flags/-/segment?name=middle").body;
    assert_eq!(segment(&site, &page, &[("when", "plan = team"), ("do", "save")]).status, 303);
}

#[test]
fn a_change_of_a_long_segment_is_shown_where_it_begins() {
    let site = Site::open();
    let of = |last: u32| {
        format!("user_id in [{}, {last}]", (1000..1300).map(|id| id.to_string()).collect::<Vec<_>>().join(", "))
    };
    site.flag("segments/beta", |record| record.set_segment(Some(when(&of(7777)))));
    site.flag("pay.card", |flag| flag.set_rules(vec![Rule::new(Serve::On).when(When::Segment("beta".into()))]));
    let page = site.get("/flags/-/segment?name=beta").body;
    let question = segment(&site, &page, &[("when", &of(8888)), ("do", "save")]);
    assert_eq!(question.status, 200, "{}", question.body);
    let shown = |page: &str, tag: &str| {
        let part = page.split(&format!("<{tag}>")).nth(1).unwrap_or_else(|| panic!("{page}"));
        part.split('<').next().unwrap().to_owned()
    };
    assert!(shown(&question.body, "del").ends_with("1299, 7777]"), "{}", question.body);
    assert!(shown(&question.body, "ins").ends_with("1299, 8888]"), "{}", question.body);
    site.flag("segments/beta", |record| record.set_segment(Some(when(&of(9999)))));
    let conflict = segment(&site, &page, &[("when", &of(8888)), ("do", "save")]);
    assert_eq!(conflict.status, 409);
    assert!(shown(&conflict.body, "del").ends_with("1299, 9999]"), "{}", conflict.body);
    assert!(shown(&conflict.body, "ins").ends_with("1299, 8888]"), "{}", conflict.body);
    // What is no condition is no change that could be shown.
    let conflict = segment(&site, &page, &[("when", "plan ~ pro"), ("do", "save")]);
    assert!(conflict.status == 409 && conflict.body.contains("It is now:"), "{}", conflict.body);
}

#[test]
fn what_a_form_cannot_say_stays_as_it_is_stored() {
    let site = Site::open();
    let text = r#"{"feature_name": "A", "is_enabled": false, "meta": {"created_date": 1, "enabled": true, "rules": [{"name": "n] x", "serve": "on"},
        {"when": {"all": []}, "serve": {"share": {"type": "LinearRampPercentage", "initial_value": 0.0, "final_value": 1.0, "ramp_duration": 9, "initial_time": 7}, "by": "id"}}],
        "variants": {"by": "id", "values": [{"name": "a", "weight": 100000, "value": {"n": 1.0, "é": [null]}}]}}}"#;
    let Ok(record) = FlagRecord::from_json(text) else { panic!("{:?}", FlagRecord::from_json(text)) };
    site.flag("A", |flag| *flag = record.clone());
    let page = site.get("/flags/A").body;
    let same = edit(&site, &page, "save", &[]);
    assert_eq!(same.header("location"), Some("/flags/A?done=same"), "{}", same.body);
    let saved = edit(&site, &page, "save", &[("conditions", "a = 1")]);
    assert_eq!(saved.status, 303, "{}", saved.body);
    let after = site.stored("A").unwrap();
    assert_eq!((after.rules(), after.variants()), (record.rules(), record.variants()));
}

#[test]
fn a_segment_may_list_a_hundred_thousand_callers() {
    let site = Site::open();
    // As long as UUIDs.
    let ids: Vec<_> = (0..100_000).map(|number| format!("{number:036}")).collect();
    let all = When::check("id", Test::Compare(Operator::In, ids.into()));
    site.flag("segments/large", |record| record.set_segment(Some(all.clone())));
    let list = site.get("/flags/-/segments").body;
    assert!(list.contains("000… (") && list.len() < 10_000, "{}", list.len());
    let page = site.get("/flags/-/segment?name=large").body;
    let more = format!("{all} or plan = pro");
    assert_eq!(segment(&site, &page, &[("when", &more), ("do", "save")]).status, 303);
    let expected = When::Any(vec![all, when("plan = pro")]);
    assert_eq!(site.stored("segments/large").unwrap().segment(), Some(&expected));
}
