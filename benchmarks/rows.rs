//! The rows of `benchmarks/against`. With `--ask` it prints their names, then for each name that it reads the nanoseconds of a check; else it
//! times each row once.
#![allow(unexpected_cfgs, reason = "`against` declares the feature, for revisions without rules and variants")]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a benchmark")]

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::Future;
use std::hint::black_box;
use std::io::stdin;
use std::pin::pin;
use std::task::{Context as Waiting, Poll, Waker};

use flipper::bucketing::{ConsistentHashPercentageBucketer, SaltedPercentageBucketer};
use flipper::{Condition, Context, FeatureFlagClient, MemoryFeatureFlagStore, context};
use rustix::time::{ClockId, clock_gettime};

/// Of one row in one round.
const SLICE: f64 = 2e6;

/// Makes this many checks, from that one on, and returns how many are on.
type Batch = Box<dyn Fn(usize, usize) -> usize>;

#[derive(Default)]
struct Rows(Vec<(&'static str, Batch)>);

impl Rows {
    fn add(&mut self, name: &'static str, check: impl Fn(usize) -> bool + 'static) {
        let batch = move |first, checks| (first..first + checks).filter(|turn| black_box(check(*turn))).count();
        self.0.push((name, Box::new(batch)));
    }
}

/// Writes to memory never wait.
fn now<T, E: Debug>(future: impl IntoFuture<Output = Result<T, E>>) -> T {
    match pin!(future.into_future()).poll(&mut Waiting::from_waker(Waker::noop())) {
        Poll::Ready(value) => value.unwrap(),
        Poll::Pending => panic!("it waits"),
    }
}

fn flags(count: usize) -> FeatureFlagClient {
    let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    for number in 0..count {
        now(features.create(format!("FLAG_{number}")).enabled(number % 2 == 0));
    }
    features
}

fn plain(rows: &mut Rows) {
    for (row, count) in [("name_100", 100), ("name_1000", 1_000), ("name_10000", 10_000)] {
        let features = flags(count);
        // A prime that does not divide the counts: as good as at random.
        let names: Vec<_> = (0..count).map(|number| format!("FLAG_{}", number * 7_919 % count)).collect();
        rows.add(row, move |turn| features.is_enabled(&names[turn % count]));
    }
    let features = flags(1_000);
    let handle = features.get("FLAG_0");
    rows.add("handle", move |_| black_box(&handle).is_enabled());
    rows.add("missing", move |_| features.is_enabled(black_box("NONE")));
}

async fn targeted() -> flipper::Result<FeatureFlagClient> {
    let features = flags(1_000);
    for name in ["ONE", "TWENTY", "NOT_IN", "LIST", "SALTED", "HASH"] {
        features.create(name).enabled(true).await?;
    }
    let ids = |count: usize| (0..count).map(|id| format!("user-{id}")).collect::<Vec<_>>();
    features.add_condition("ONE", Condition::new().eq("plan", "pro")).await?;
    features.set_conditions("TWENTY", (0..20).map(|number| Condition::new().eq(&format!("a{number}"), number))).await?;
    features.add_condition("NOT_IN", Condition::new().not_one_of("user_id", &ids(20))).await?;
    features.add_condition("LIST", Condition::new().one_of("user_id", &ids(10_000))).await?;
    features.set_bucketer("SALTED", SaltedPercentageBucketer::new("user_id", 0.5)).await?;
    features.set_bucketer("HASH", ConsistentHashPercentageBucketer::new(0.5)).await?;
    Ok(features)
}

fn with_context(rows: &mut Rows) {
    let features = now(targeted());
    let plan = context! { plan: "pro" };
    let user = context! { user_id: "user-4711" };
    let twenty = context! {
        a0: 0, a1: 1, a2: 2, a3: 3, a4: 4, a5: 5, a6: 6, a7: 7, a8: 8, a9: 9,
        a10: 10, a11: 11, a12: 12, a13: 13, a14: 14, a15: 15, a16: 16, a17: 17, a18: 18, a19: 19,
    };
    for (row, name, owned) in [
        ("one_rule_owned", "ONE", Context::from(plan)),
        ("twenty_rules_owned", "TWENTY", Context::from(twenty)),
        ("one_of_10000_owned", "LIST", Context::from(user)),
    ] {
        let features = features.clone();
        rows.add(row, move |_| features.is_enabled_with(black_box(name), black_box(&owned)));
    }
    macro_rules! borrowed {
        ($($row:literal: $name:literal, $context:expr;)*) => {$(
            let borrowed = features.clone();
            rows.add($row, move |_| borrowed.is_enabled_with(black_box($name), black_box(&$context)));
        )*};
    }
    borrowed! {
        "one_rule": "ONE", plan;
        "twenty_rules": "TWENTY", twenty;
        "not_in_20": "NOT_IN", user;
        "one_of_10000": "LIST", user;
        "salted": "SALTED", user;
        "compatible_hash": "HASH", user;
    }
    rows.add("evaluate", move |_| features.evaluate(black_box("ONE"), black_box(&plan)).is_enabled);
}

#[cfg(not(feature = "before_targeting"))]
mod targeting {
    use flipper::targeting::{Prerequisite, Rule, Serve, Variant, Variants, When};

    use super::*;

    async fn targeted() -> flipper::Result<FeatureFlagClient> {
        let features = flags(1_000);
        for name in ["ON", "RULE", "NEEDS", "VARIANTS"] {
            features.create(name).enabled(true).await?;
        }
        features.set_rules("RULE", [Rule::new(Serve::On).when("plan = pro".parse::<When>()?)]).await?;
        features.set_prerequisites("NEEDS", [Prerequisite::new("ON")]).await?;
        let three = ["red", "green", "blue"].map(|name| Variant::new(name, 0.0));
        let three = three.into_iter().fold(Variants::new("user_id"), Variants::with).even();
        features.set_variants("VARIANTS", three).await?;
        Ok(features)
    }

    pub(super) fn add(rows: &mut Rows) {
        let features = now(targeted());
        let plan = context! { plan: "pro" };
        let user = context! { user_id: "user-4711" };
        for (row, name) in [("rule", "RULE"), ("prerequisite", "NEEDS")] {
            let features = features.clone();
            rows.add(row, move |_| features.is_enabled_with(black_box(name), black_box(&plan)));
        }
        rows.add("variant", move |_| features.variant(black_box("VARIANTS"), black_box(&user), "none").len() > 4);
    }
}

/// Other programs do not count, but for what they do to the caches.
fn time(batch: &Batch, first: usize, checks: usize) -> f64 {
    let clock = || {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
    };
    let begin = clock();
    black_box(batch(black_box(first), black_box(checks)));
    clock() - begin
}

fn calibrate(batch: &Batch) -> usize {
    let mut checks = 1;
    while time(batch, 0, checks) < SLICE / 2.0 {
        checks *= 2;
    }
    checks
}

fn main() {
    let mut rows = Rows::default();
    plain(&mut rows);
    with_context(&mut rows);
    #[cfg(not(feature = "before_targeting"))]
    targeting::add(&mut rows);
    if !std::env::args().any(|argument| argument == "--ask") {
        // `cargo test` only checks that this runs.
        return rows.0.iter().for_each(|(name, batch)| println!("{name} {:.1}", time(batch, 0, 1_000) / 1e3));
    }
    println!("{}", rows.0.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" "));
    let (rows, mut counts): (HashMap<_, _>, HashMap<_, _>) = (rows.0.into_iter().collect(), HashMap::new());
    for name in stdin().lines() {
        let name = name.expect("a name");
        let batch = &rows[&*name];
        let (checks, first) = counts.entry(name).or_insert_with(|| (calibrate(batch), 0));
        println!("{}", time(batch, *first, *checks) / *checks as f64);
        *first += *checks;
    }
}
