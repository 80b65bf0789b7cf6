use std::cell::RefCell;

use super::*;
use crate::FeatureFlagClient;
use crate::MemoryFeatureFlagStore;
use crate::evaluation::{FromJson, Unmet};
use crate::json::Json;
use crate::targeting::{Prerequisite, Rule, Schedule, Serve, Step, Variant, Variants, When};
use futures_executor::block_on;

fn when(text: &str) -> When {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn holds(text: &str, attributes: &dyn Attributes) -> bool {
    let mut record = FlagRecord::new("F", 0);
    record.set_enabled(true);
    record.set_rules(vec![Rule::new(Serve::On).when(when(text)), Rule::new(Serve::Off)]);
    record.validate().unwrap();
    // As it comes from a store.
    let record = FlagRecord::from_json(record.to_json()).unwrap();
    let plan = Plan::new("F", &record, false, &NoLinks);
    evaluate(&plan, attributes).is_enabled
}

#[test]
fn each_operator() {
    for (text, attributes, expected) in [
        ("a = 1", context! { a: 1.0 }, true),
        ("a != 1", context! { a: 2 }, true),
        ("a != 1", context! { b: 2 }, false),
        ("not a = 1", context! { b: 2 }, true),
        ("a > 1", context! { a: "x" }, false),
        ("not a > 1", context! { a: "x" }, true),
        ("a in 1, x", context! { a: "x" }, true),
        ("a not in 1, x", context! { a: true }, false),
        ("a not in 1, x", context! { b: true }, false),
        ("a starts with x, y", context! { a: "yes" }, true),
        ("a starts with X", context! { a: "xes" }, false),
        ("a starts with ignoring case X", context! { a: "xes" }, true),
        ("a ends with ignoring case ÉS", context! { a: "xés" }, true),
        ("a contains b", context! { a: "abc" }, true),
        ("a contains b", context! { a: &[Value::from("a"), Value::from("b")] }, true),
        ("a contains b", context! { a: &[Value::from("a"), Value::from("bb")] }, false),
        ("a contains 7", context! { a: 7 }, false),
        ("a matches '^x+$'", context! { a: "xxx" }, true),
        ("a matches '^x+$'", context! { a: "xxy" }, false),
        ("a >= semver 2.0.0", context! { a: "2.0.0+build" }, true),
        ("a >= semver 2.0.0", context! { a: "2.0.0-rc.1" }, false),
        ("a = semver 2.0.0", context! { a: "2.0" }, false),
        ("a < date 2026-12-01", context! { a: "2026-11-30T23:30:00-01:00" }, false),
        ("a < date 2026-12-01", context! { a: "2026-11-30T23:30:00Z" }, true),
        ("a = date 2026-12-01T08:04:05.5Z", context! { a: "2026-12-01 9:04:05.5 +01:00:00" }, true),
        ("a < date 2026-12-01", context! { a: "2026-11-30 23:30:00.0 -01:00:00" }, false),
        ("a < date 2026-12-01", context! { a: "2026-11-30 23:30:00.0 +00:00:00" }, true),
        ("a < date 2026-12-01", context! { a: "2026-11-30 23:30:00.0" }, false),
        ("a < date 2026-12-01", context! { a: "2026-11-30 23:30:00.0 +00:00:00 x" }, false),
        ("a >= date 2026-12-01", context! { a: 1_796_083_200 }, true),
        ("a >= date 2026-12-01", context! { a: 1_796_083_199.5 }, false),
        ("a in network 10.0.0.0/8", context! { a: "10.1.2.3" }, true),
        ("a in network 10.0.0.0/8", context! { a: "::ffff:10.1.2.3" }, true),
        ("a in network fd00::/8, 1.2.3.4", context! { a: "1.2.3.4" }, true),
        ("a in network 10.0.0.0/8", context! { a: "11.1.2.3" }, false),
        ("a exists", context! { a: false }, true),
        ("a exists", context! { a: None::<bool> }, false),
        ("in segment x", context! { a: 1 }, false),
    ] {
        assert_eq!(holds(text, &attributes), expected, "{text} for {attributes:?}");
    }
    assert!(holds("a = 1 and (b = 1 or c = 1)", &context! { a: 1, c: 1 }));
    assert!(!holds("a = 1 and (b = 1 or c = 1)", &context! { a: 1, c: 2 }));
}

#[test]
fn long_lists_find_what_short_ones_do() {
    let values = r#"1, 2.5, "a", "7", 3.0, true, null, 1e300, 12345678901234567890, -9"#;
    let long = format!("a in [{values}, {}]", (100..2000).map(|id| id.to_string()).collect::<Vec<_>>().join(", "));
    let items = Json::parse(&format!("[{values}]")).unwrap();
    let more =
        Json::parse(r#"[0, 2, "b", 7, 3, 1.0, false, 5e300, 12345678901234567891, 150.0, "150", [1], {}]"#).unwrap();
    for item in items.as_array().unwrap().iter().chain(more.as_array().unwrap()) {
        let one_by_one = crate::conditions::compare::holds(item.into(), Operator::In, (&items).into()) == Ok(true)
            || *item == Json::try_from(150.0).unwrap();
        assert_eq!(holds(&long, &context! { a: item }), one_by_one, "{item}");
    }
}

fn on(client: &FeatureFlagClient, name: &str, context: &dyn Attributes) -> (bool, Reason) {
    let evaluation = client.evaluate(name, context);
    assert_eq!(
        client.is_enabled_with(name, context),
        evaluation.is_enabled || context.is_empty() && client.is_enabled(name)
    );
    (evaluation.is_enabled, evaluation.reason)
}

#[test]
fn the_first_rule_that_holds_decides() {
    block_on(async {
        let client = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
        client.create("F").enabled(true).await?;
        client.add_condition("F", Condition::new().eq("plan", "pro")).await?;
        let rules = [
            Rule::new(Serve::Off).when(when("region = x")).named("never in x"),
            Rule::new(Serve::On).when(when("staff = true")),
            Rule::new(Serve::share(0.25, "id")).when(when("plan = free")),
        ];
        client.set_rules("F", rules).await?;
        let rule = |index, name: Option<&str>| Reason::Rule { index, name: name.map(str::to_owned), share: None };
        assert_eq!(on(&client, "F", &context! { region: "x", staff: true }), (false, rule(0, Some("never in x"))));
        assert_eq!(on(&client, "F", &context! { staff: true, plan: "none" }), (true, rule(1, None)));
        assert_eq!(on(&client, "F", &context! { plan: "pro" }), (true, Reason::ConditionsMet));
        assert!(!on(&client, "F", &context! { plan: "none" }).0);
        let share = (0..1000).filter(|id| on(&client, "F", &context! { plan: "free", id: *id }).0).count();
        assert!((200..300).contains(&share), "{share}");
        let salted = crate::bucketing::SaltedPercentageBucketer::new("id", 0.25);
        for id in 0..1000 {
            let bucket = salted.bucket("F", &context! { id: id }).unwrap();
            assert_eq!(on(&client, "F", &context! { plan: "free", id: id }).0, bucket < 25_000);
        }
        let (is_on, reason) = on(&client, "F", &context! { plan: "free" });
        assert!(!is_on && matches!(reason, Reason::Rule { index: 2, share: Some(share), .. } if share.score.is_none()));
        client.disable("F").await?;
        assert_eq!(on(&client, "F", &context! { staff: true }), (false, Reason::Disabled));
        Ok::<(), crate::Error>(())
    })
    .unwrap();
}

#[test]
fn prerequisites_are_asked_with_the_same_attributes() {
    block_on(async {
        let client = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
        for name in ["A", "B", "C"] {
            client.create(name).enabled(true).await?;
        }
        client.set_prerequisites("A", [Prerequisite::new("B")]).await?;
        client.set_prerequisites("B", [Prerequisite::new("C")]).await?;
        client.add_condition("C", Condition::new().eq("plan", "pro")).await?;
        let unmet = |flag: &str, unmet| (false, Reason::Prerequisite { flag: flag.to_owned(), unmet });
        assert_eq!(on(&client, "A", &context! { plan: "pro" }), (true, Reason::Enabled));
        assert_eq!(on(&client, "A", &context! { plan: "x" }), unmet("B", Unmet::Off));
        assert_eq!(on(&client, "B", &context! { plan: "x" }), unmet("C", Unmet::Off));
        assert!(client.is_enabled("A"));
        client.disable("C").await?;
        assert!(!client.is_enabled("A"));
        assert_eq!(on(&client, "A", &context! {}), unmet("B", Unmet::Off));
        client.destroy("C").await?;
        assert_eq!(on(&client, "B", &context! { plan: "pro" }), unmet("C", Unmet::Missing));
        client.create("C").enabled(true).await?;
        assert_eq!(on(&client, "A", &context! { plan: "x" }), (true, Reason::Enabled));

        let error = client.set_prerequisites("C", [Prerequisite::new("A")]).await.unwrap_err();
        assert!(error.to_string().contains("C → A → B → C"), "{error}");
        let error = client.set_prerequisites("C", [Prerequisite::new("C")]).await.unwrap_err();
        assert!(error.to_string().contains("C → C"), "{error}");
        let other = client.set_prerequisites("A", [Prerequisite::new("B").with_variant("x")]).await.unwrap_err();
        assert!(other.to_string().contains("no variant \"x\""), "{other}");
        let error = client.set_prerequisites("C", [Prerequisite::new("none")]).await.unwrap_err();
        assert!(error.to_string().contains("no flag that exists"), "{error}");

        // As another program may write it.
        let mut record = FlagRecord::clone(&*client.record("C")?);
        record.set_prerequisites(vec![Prerequisite::new("A")]);
        client.put(&record, crate::store::Precondition::Any).await?;
        for name in ["A", "B", "C"] {
            let (is_on, reason) = on(&client, name, &context! { plan: "pro" });
            assert!(!is_on && matches!(reason, Reason::Prerequisite { unmet: Unmet::Cycle, .. }), "{name}: {reason}");
        }
        Ok::<(), crate::Error>(())
    })
    .unwrap();
}

/// Never for a moment on while what it needs is off, whichever byte or record a check reads.
#[test]
fn a_flag_turns_with_its_prerequisite() {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    let client = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    block_on(async {
        for name in ["A", "B", "C"] {
            client.create(name).enabled(true).await?;
        }
        client.set_prerequisites("A", [Prerequisite::new("B")]).await?;
        client.set_prerequisites("B", [Prerequisite::new("C")]).await
    })
    .unwrap();
    // Even: C is on. One more before and after each change.
    let (phase, done) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let handle = client.get("A");
                    let mut seen = [0_u64; 2];
                    while !done.load(Ordering::Acquire) {
                        let before = phase.load(Ordering::SeqCst);
                        let answers = [
                            handle.is_enabled(),
                            client.is_enabled("A"),
                            client.is_enabled_with("A", &context! { a: 1 }),
                        ];
                        if phase.load(Ordering::SeqCst) == before && before % 2 == 0 {
                            let on = before % 4 == 0;
                            assert_eq!(answers, [on; 3]);
                            seen[usize::from(on)] += 1;
                        }
                    }
                    seen
                })
            })
            .collect();
        for _ in 0..3_000 {
            phase.fetch_add(1, Ordering::SeqCst);
            block_on(client.toggle("C")).unwrap();
            phase.fetch_add(1, Ordering::SeqCst);
            std::thread::yield_now();
        }
        done.store(true, Ordering::Release);
        let seen: Vec<_> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
        assert!(seen.iter().any(|seen| seen[0] > 0 && seen[1] > 0), "{seen:?}");
    });
}

#[test]
fn chains_and_fans_of_prerequisites_have_limits() {
    block_on(async {
        let client = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
        for place in 0..70 {
            client.create(format!("F{place}")).enabled(true).await?;
        }
        let mut refused = None;
        for place in 1..70 {
            let needs = Prerequisite::new(format!("F{}", place - 1));
            if let Err(error) = client.set_prerequisites(&format!("F{place}"), [needs]).await {
                refused = Some((place, error.to_string()));
                break;
            }
            assert!(client.is_enabled(&format!("F{place}")));
        }
        let (place, error) = refused.unwrap();
        assert!(place == 65 && error.contains("64 deep"), "{place}: {error}");
        // Closing a long chain is a circle of all of them.
        let error = client.set_prerequisites("F0", [Prerequisite::new("F49")]).await.unwrap_err().to_string();
        assert!(error.contains("F0 → F49 → F48") && error.contains("F1 → F0"), "{error}");

        // Two prerequisites each, on the next level: a check would enter 2³⁰.
        for level in 0..30 {
            for side in ["l", "r"] {
                client.create(format!("{side}{level}")).enabled(true).await?;
            }
        }
        let mut refused = false;
        for level in 1..30 {
            let needs = ["l", "r"].map(|side| Prerequisite::new(format!("{side}{}", level - 1)));
            refused |= client.set_prerequisites(&format!("l{level}"), needs.clone()).await.is_err();
            let mut record = FlagRecord::clone(&*client.record(&format!("r{level}"))?);
            record.set_prerequisites(needs.to_vec());
            client.put(&record, crate::store::Precondition::Any).await?;
            let mut record = FlagRecord::clone(&*client.record(&format!("l{level}"))?);
            record.set_prerequisites(needs.to_vec());
            client.put(&record, crate::store::Precondition::Any).await?;
        }
        assert!(refused);
        assert_eq!(on(&client, "l29", &context! { a: 1 }), (true, Reason::Enabled), "none needs to be entered");
        for leaf in ["l0", "r0"] {
            client.add_condition(leaf, Condition::new().eq("a", 1)).await?;
        }
        let (is_on, reason) = on(&client, "l29", &context! { a: 1 });
        assert!(!is_on && matches!(reason, Reason::Prerequisite { unmet: Unmet::TooMany, .. }), "{reason}");

        for count in [101, 1_000] {
            let many = (0..count).map(|place| Prerequisite::new(format!("F{place}")));
            let error = client.set_prerequisites("l0", many).await.unwrap_err().to_string();
            assert!(error.contains(&format!("{count} prerequisites, more than the 100 allowed")), "{error}");
        }
        Ok::<(), crate::Error>(())
    })
    .unwrap();
}

#[test]
fn variants_keep_their_callers_and_types() {
    block_on(async {
        let client = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
        client.create("F").enabled(true).await?;
        let colours = Variants::new("id")
            .with(Variant::new("red", 50.0).value("#f00"))
            .with(Variant::new("blue", 50.0).value("#00f"));
        client.set_variants("F", colours.clone().off("blue")).await?;
        let red = (0..10_000).filter(|id| client.variant("F", &context! { id: *id }, "none") == "#f00").count();
        assert!((4_800..5_200).contains(&red), "{red}");
        assert_eq!(&*client.variant("F", &context! { other: 1 }, "none"), "none");
        assert_eq!(client.variant("F", &context! { id: 1 }, 7), 7, "it is no number");
        let evaluation = client.evaluate("F", &context! { id: 1 });
        let chosen = evaluation.variant.unwrap();
        assert_eq!(client.variant("F", &context! { id: 1 }, String::new()), chosen.value().as_str().unwrap());
        client.disable("F").await?;
        assert_eq!(client.variant("F", &context! { id: 1 }, "none"), "#00f");
        client.set_variants("F", None).await?;
        client.enable("F").await?;
        assert_eq!(client.variant("F", &context! { id: 1 }, "none"), "none");

        // Independent of the share: of the callers in it each variant gets its part.
        client.set_variants("F", colours).await?;
        client.set_rules("F", [Rule::new(Serve::share(0.1, "id"))]).await?;
        let got: Vec<_> = (0..10_000).map(|id| client.variant("F", &context! { id: id }, "none").to_string()).collect();
        let count = |wanted: &str| got.iter().filter(|value| *value == wanted).count();
        assert!((430..570).contains(&count("#f00")) && (430..570).contains(&count("#00f")), "{}", count("#f00"));

        client.set_rules("F", [Rule::new(Serve::Variant("red".into())).when(when("vip = true"))]).await?;
        assert_eq!(client.variant("F", &context! { id: 1, vip: true }, "none"), "#f00");
        let error = client.set_rules("F", [Rule::new(Serve::Variant("green".into()))]).await.unwrap_err().to_string();
        assert!(error.contains("no variant \"green\""), "{error}");

        client.set_rules("F", []).await?;
        let numbers = Variants::new("id").with(Variant::new("one", 100.0).value(3));
        client.set_variants("F", numbers).await?;
        assert_eq!(client.variant("F", &context! {}, 0), 3);
        assert_eq!(client.variant("F", &context! {}, 0.0), 3.0);
        assert_eq!(client.variant("F", &context! {}, 0_u64), 3);
        assert!(!client.variant("F", &context! {}, false));
        assert_eq!(client.variant("F", &context! {}, FromJson(0_u8)), 3);
        assert_eq!(client.variant("F", &context! {}, Json::Null), Json::from(3));

        for (variants, wrong) in [
            (
                Variants::new("id").with(Variant::new("a", 40.0)).with(Variant::new("b", 50.0)),
                "add up to 90%, so 10% are missing",
            ),
            (
                Variants::new("id").with(Variant::new("a", 60.0)).with(Variant::new("b", 50.0)),
                "add up to 110%, so 10% are too much",
            ),
            (
                Variants::new("id").with(Variant::new("a", 50.0)).with(Variant::new("b", 50.0).value(1)),
                "is a number, and that of \"a\" is a string",
            ),
            (Variants::new("id").with(Variant::new("a", 50.0)).with(Variant::new("a", 50.0)), "is there twice"),
            (Variants::new("id").with(Variant::new("a", 100.0)).off("b"), "no variant \"b\""),
            (Variants::new("").with(Variant::new("a", 100.0)), "is empty"),
            (Variants::new("id"), "there are no variants"),
        ] {
            let error = client.set_variants("F", variants).await.unwrap_err().to_string();
            assert!(error.contains(wrong), "{error}");
        }
        Ok::<(), crate::Error>(())
    })
    .unwrap();
}

#[derive(Clone, Debug, Default)]
struct Set(Arc<std::sync::atomic::AtomicI64>);

impl Clock for Set {
    fn now(&self) -> SystemTime {
        let seconds = self.0.load(std::sync::atomic::Ordering::Relaxed);
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds as u64)
    }
}

#[test]
fn a_schedule_follows_the_clock_wherever_it_goes() {
    block_on(async {
        let clock = Set::default();
        let set = |seconds| clock.0.store(seconds, std::sync::atomic::Ordering::Relaxed);
        set(1_000);
        let client = FeatureFlagClient::builder().clock(clock.clone()).build(MemoryFeatureFlagStore::new());
        client.create("F").await?;
        let schedule = Schedule {
            enable_at: Some(2_000),
            disable_at: Some(5_000),
            steps: vec![Step { at: 2_000, share: 0.1 }, Step { at: 3_000, share: 0.5 }],
            by: "id".into(),
        };
        client.set_schedule("F", schedule.clone()).await?;
        let share = || (0..10_000).filter(|id| client.is_enabled_with("F", &context! { id: *id })).count();
        let seen = RefCell::new(Vec::new());
        for (now, least, most) in [
            (1_999, 0, 0),
            (2_000, 900, 1_100),
            (2_999, 900, 1_100),
            (3_000, 4_800, 5_200),
            (5_000, 0, 0),
            (1_500, 0, 0),
            (4_999, 4_800, 5_200),
        ] {
            set(now);
            let share = share();
            assert!((least..=most).contains(&share), "{share} at {now}");
            seen.borrow_mut().push(share);
        }
        set(1_500);
        assert_eq!(on(&client, "F", &context! { id: 1 }), (false, Reason::Scheduled { at: 2_000, is_over: false }));
        client.enable("F").await?;
        assert_eq!(client.record("F")?.schedule().unwrap().enable_at, None, "enabled now");
        set(6_000);
        assert_eq!(on(&client, "F", &context! { id: 1 }), (false, Reason::Scheduled { at: 5_000, is_over: true }));
        assert!(client.toggle("F").await?, "it was off");
        assert_eq!(client.record("F")?.schedule().unwrap().disable_at, None);

        for (wrong, what) in [
            (Schedule { enable_at: Some(5_999), ..Schedule::default() }, "has passed"),
            (Schedule { enable_at: Some(9_000), disable_at: Some(8_000), ..Schedule::default() }, "out of order"),
            (
                Schedule {
                    steps: vec![Step { at: 9_000, share: 0.1 }, Step { at: 8_000, share: 0.2 }],
                    by: "id".into(),
                    ..Schedule::default()
                },
                "out of order",
            ),
            (
                Schedule { steps: vec![Step { at: 9_000, share: 10.0 }], by: "id".into(), ..Schedule::default() },
                "from 0 to 1",
            ),
            (Schedule { steps: vec![Step { at: 9_000, share: 0.1 }], ..Schedule::default() }, "is empty"),
            (Schedule::default(), "no time"),
        ] {
            let error = client.set_schedule("F", wrong).await.unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
        Ok::<(), crate::Error>(())
    })
    .unwrap();
}

#[test]
fn segments_change_for_all_flags_at_once() {
    block_on(async {
        let client = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
        client.create("F").enabled(true).await?;
        let error = client.set_rules("F", [Rule::new(Serve::On).when(when("in segment beta"))]).await.unwrap_err();
        assert!(error.to_string().contains("no segment \"beta\""), "{error}");
        let ids = When::check(
            "id",
            crate::targeting::Test::Compare(Operator::In, Json::Array((0..100_000).map(Json::from).collect())),
        );
        client.set_segment("beta", ids).await?;
        client.set_rules("F", [Rule::new(Serve::On).when(when("in segment beta")), Rule::new(Serve::Off)]).await?;
        assert!(
            client.is_enabled_with("F", &context! { id: 99_999 })
                && !client.is_enabled_with("F", &context! { id: 100_000 })
        );
        client.set_segment("inner", when("plan = pro")).await?;
        client.set_segment("beta", when("in segment inner")).await?;
        assert!(
            client.is_enabled_with("F", &context! { plan: "pro" }) && !client.is_enabled_with("F", &context! { id: 1 })
        );
        let error = client.set_segment("inner", when("in segment beta")).await.unwrap_err().to_string();
        assert!(error.contains("segments/inner → segments/beta → segments/inner"), "{error}");
        assert_eq!(client.segments().len(), 2);
        assert_eq!(client.list().len(), 1, "segments are no flags");
        client.delete_segment("inner").await?;
        assert!(!client.is_enabled_with("F", &context! { plan: "pro" }));
        assert!(client.delete_segment("inner").await.is_err());
        assert!(client.enable("segments/beta").await.unwrap_err().to_string().contains("neither on nor off"));
        // As another program may have stored it; it is set as any other.
        let text = client.record("segments/beta")?.to_json().replace(r#""is_enabled": false"#, r#""is_enabled": true"#);
        let enabled = FlagRecord::from_json(text)?;
        assert!(enabled.is_enabled());
        client.put(&enabled, crate::store::Precondition::Any).await?;
        client.set_segment("beta", when("in segment inner")).await?;
        let odd = FlagRecord::new("segments/odd", 0);
        client.put(&odd, crate::store::Precondition::Any).await?;
        assert!(client.delete_segment("odd").await.is_err() && client.exists("segments/odd"), "a flag of Python's");
        client.destroy("segments/odd").await?;

        let remote = FeatureFlagClient::remote(client_store(&client).await);
        assert!(!remote.fetch_enabled("F", &context! { plan: "pro" }).await?);
        remote.set_segment("inner", when("plan = pro")).await?;
        assert!(remote.fetch_enabled("F", &context! { plan: "pro" }).await?);
        Ok::<(), crate::Error>(())
    })
    .unwrap();
}

/// The same flags, in a store of their own.
async fn client_store(client: &FeatureFlagClient) -> MemoryFeatureFlagStore {
    let store = MemoryFeatureFlagStore::new();
    let names = client.list().iter().map(|flag| flag.name().to_owned()).collect::<Vec<_>>();
    let segments = client.segments().into_iter().map(|(name, _)| crate::targeting::stored_name(&name));
    for name in names.into_iter().chain(segments) {
        let record = client.record(&name).unwrap();
        crate::FeatureFlagStore::put(&store, &record, crate::store::Precondition::Any.into()).await.unwrap();
    }
    store
}

#[test]
fn what_python_reads_is_off() {
    let mut record = FlagRecord::new("F", 1);
    record.set_enabled(true);
    record.set_variants(Some(Variants::new("id").with(Variant::new("a", 100.0))));
    assert!(record.to_json().contains(r#""is_enabled": true"#), "variants alone are no limit");
    record.set_rules(vec![Rule::new(Serve::On).when(when("a = 1"))]);
    let text = record.to_json();
    assert!(text.starts_with(r#"{"feature_name": "F", "is_enabled": false, "#) && text.contains(r#""enabled": true"#));
    let read = FlagRecord::from_json(&text).unwrap();
    assert_eq!(read, record);
    assert!(read.is_enabled());
    record.set_enabled(false);
    assert!(!FlagRecord::from_json(record.to_json()).unwrap().is_enabled());
    // Another program that keeps what it does not know turns it on.
    let on = record.to_json().replace(r#""is_enabled": false"#, r#""is_enabled": true"#);
    assert!(FlagRecord::from_json(on).unwrap().is_enabled());
    record.set_enabled(true);
    record.set_rules(Vec::new());
    assert!(record.to_json().starts_with(r#"{"feature_name": "F", "is_enabled": true, "#));
}

#[test]
fn what_cannot_be_read_is_corrupt() {
    for (meta, wrong) in [
        (r#""rules": {}"#, "not an array"),
        (r#""rules": [{"serve": "maybe"}]"#, "unknown"),
        (r#""rules": [{"serve": "on", "unless": 1}]"#, "unknown field \"unless\""),
        (
            r#""rules": [{"serve": "on", "when": {"attribute": "a", "operator": "like", "value": 1}}]"#,
            "\"like\" of a rule is unknown",
        ),
        (
            r#""rules": [{"serve": "on", "when": {"attribute": "a", "operator": "matches", "value": "("}}]"#,
            "regular expression",
        ),
        (r#""rules": [{"serve": "on", "when": {"all": [], "any": []}}]"#, "exactly one of"),
        (r#""rules": [{"serve": {"share": 1.5, "by": "id"}}]"#, "from 0 to 1"),
        (r#""rules": [{"serve": {"share": 0.5}}]"#, "no \"by\""),
        (r#""rules": [{"serve": {"variant": "a"}}]"#, "no variant \"a\""),
        (r#""variants": {"by": "id", "values": [{"name": "a", "weight": 1}]}"#, "add up to 0.001%"),
        (
            r#""variants": {"by": "id", "values": [{"name": "a", "weight": 100000, "buckets": [[0, 5]]}]}"#,
            "not as many as its weight",
        ),
        (r#""prerequisites": [{"flag": 1}]"#, "no string"),
        (r#""schedule": {"enable_at": "x"}"#, "no integer"),
        (r#""segment": {"not": {}}"#, "exactly one of"),
        (r#""segment": {"all": []}, "rules": [{"serve": "on"}]"#, "a segment has neither"),
    ] {
        let text = format!(r#"{{"feature_name": "F", "is_enabled": true, "meta": {{"created_date": 1, {meta}}}}}"#);
        let error = FlagRecord::from_json(text).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Corrupt);
        assert!(error.chain().contains(wrong), "{}", error.chain());
    }
}

#[test]
fn turns_of_a_schedule_are_reported() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let clock = Set::default();
        let client = FeatureFlagClient::builder().clock(clock.clone()).build(MemoryFeatureFlagStore::new());
        client.create("F").await.unwrap();
        client.set_schedule("F", Schedule { enable_at: Some(100), ..Schedule::default() }).await.unwrap();
        let mut changes = client.changes();
        let revision = client.table().revision();
        clock.0.store(100, std::sync::atomic::Ordering::Relaxed);
        let change = tokio::time::timeout(Duration::from_secs(20), changes.recv()).await.unwrap().unwrap();
        assert_eq!(change.name(), Some("F"));
        assert!(client.is_enabled("F") && client.table().revision() > revision);
        // Set back, it turns back.
        clock.0.store(50, std::sync::atomic::Ordering::Relaxed);
        tokio::time::timeout(Duration::from_secs(20), changes.recv()).await.unwrap().unwrap();
        assert!(!client.is_enabled("F"));
    });
}

#[test]
fn what_did_not_count_does_not_turn_a_flag_on() {
    for (stored, is_on) in [
        (r#""is_enabled": false, "meta": {"created_date": 1, "enabled": true}"#, false),
        (r#""is_enabled": true, "meta": {"created_date": 1, "enabled": false}"#, true),
        (r#""is_enabled": 1, "meta": {"created_date": 1}"#, true),
    ] {
        let mut record = FlagRecord::from_json(format!(r#"{{"feature_name": "F", {stored}}}"#)).unwrap();
        record.set_rules(vec![Rule::new(Serve::On)]);
        let read = FlagRecord::from_json(record.to_json()).unwrap();
        assert_eq!(
            (read.is_enabled(), FlagRecord::from_json(read.to_json()).unwrap()),
            (is_on, read.clone()),
            "{stored}"
        );
    }
}

#[test]
fn what_no_reader_could_take_is_refused() {
    let refused = |change: &dyn Fn(&mut FlagRecord)| {
        let mut record = FlagRecord::new("F", 1);
        change(&mut record);
        record.validate().unwrap_err().to_string()
    };
    let deep = Json::parse(&format!("{}{}", "[".repeat(509), "]".repeat(509))).unwrap();
    let one = |value: Json| Some(Variants::new("id").with(Variant::new("a", 100.0).value(value)));
    assert!(refused(&|record| record.set_variants(one(deep.clone()))).contains("levels deep"));
    assert!(refused(&|record| record.set_variants(one("x".repeat(300_000).into()))).contains("the variants take"));
    assert!(refused(&|record| record.set_segment(Some(when("a = 1")))).contains("begins with"));
    assert!(
        refused(&|record| record.set_prerequisites(vec![Prerequisite::new("segments/x")])).contains("is a segment")
    );
}

#[test]
fn numbers_beyond_64_bits_are_found_in_long_lists() {
    let list = "a in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10000000000000000000, -20000000000000000000]";
    for value in ["1e19", "10000000000000000000", "-2e19"] {
        let value = Json::parse(value).unwrap();
        assert!(holds(list, &context! { a: &value }), "{value}");
        assert!(!holds(&list.replace(" in ", " not in "), &context! { a: &value }), "{value}");
    }
    assert!(holds("a in network ::ffff:10.0.0.0/104", &context! { a: "10.0.0.1" }));
}

#[test]
fn a_schedule_that_goes_leaves_off_what_it_kept_off() {
    block_on(async {
        let client = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
        let later = crate::targeting::seconds(SystemTime::now()) + 1_000;
        let step = Schedule { steps: vec![Step { at: later, share: 0.1 }], by: "id".into(), ..Schedule::default() };
        for schedule in [Schedule { enable_at: Some(later), ..Schedule::default() }, step] {
            client.create("F").replace().await?;
            client.set_schedule("F", schedule).await?;
            client.set_schedule("F", None).await?;
            assert!(!client.is_enabled("F"));
        }
        client.enable("F").await?;
        client.set_schedule("F", Schedule { disable_at: Some(later), ..Schedule::default() }).await?;
        client.set_schedule("F", None).await?;
        assert!(client.is_enabled("F"), "it was on");
        Ok::<(), crate::Error>(())
    })
    .unwrap();
}

#[test]
fn a_scope_keeps_its_variant() {
    block_on(async {
        let client = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
        client.create("F").enabled(true).await?;
        client.create("P").enabled(true).await?;
        client.set_variants("F", Variants::new("id").with(Variant::new("red", 100.0))).await?;
        client.set_bucketer("F", crate::bucketing::PercentageBucketer::new(0.5)).await?;
        for _ in 0..100 {
            let scope = client.scope(context! { id: 1 });
            let first = scope.is_enabled("F");
            assert_eq!(&*scope.variant("F", "none") == "red", first);
        }
        client.set_bucketer("F", crate::Bucketer::NoOp).await?;
        client.set_prerequisites("F", [Prerequisite::new("P")]).await?;
        let scope = client.scope(context! { id: 1 });
        assert!(scope.is_enabled("F"));
        client.disable("P").await?;
        assert_eq!(&*scope.variant("F", "none"), "red");
        Ok::<(), crate::Error>(())
    })
    .unwrap();
}

#[test]
fn an_undo_makes_no_circle() {
    block_on(async {
        let client = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
        client.create("A").enabled(true).await?;
        client.create("B").enabled(true).await?;
        client.set_prerequisites("A", [Prerequisite::new("B")]).await?;
        client.set_prerequisites("A", []).await?;
        client.set_prerequisites("B", [Prerequisite::new("A")]).await?;
        let entry = futures_util::TryStreamExt::try_next(&mut client.history("A")).await?.unwrap();
        let error = client.restore("A", &entry).await.unwrap_err();
        assert!(error.to_string().contains("A → B → A"), "{error}");
        Ok::<(), crate::Error>(())
    })
    .unwrap();
}

#[test]
fn many_flags_that_need_one_are_listed_again_in_time() {
    const FLAGS: usize = 20_000;
    let client = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    block_on(client.create("BASE").enabled(true).into_future()).unwrap();
    let stored = |number: usize| {
        let mut record = FlagRecord::new(format!("F{number}"), 1);
        record.set_enabled(true);
        record.set_prerequisites(vec![Prerequisite::new("BASE")]);
        crate::store::Stored {
            name: record.name().to_owned(),
            version: crate::store::Version::ordered(number as u64 + 10),
            record: Ok(record.into()),
        }
    };
    let table = client.table();
    let base = || table.get("BASE").unwrap();
    for _ in 0..3 {
        table.reset((0..FLAGS).map(stored).chain([base()]).collect());
    }
    assert!(client.is_enabled("F0") && client.is_enabled(&format!("F{}", FLAGS - 1)));
    block_on(client.disable("BASE")).unwrap();
    assert!(!client.is_enabled("F0"));
}
