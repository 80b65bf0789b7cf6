//! Many checks of one kind, in a function whose instructions are counted.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use flipper::bucketing::{ConsistentHashPercentageBucketer, SaltedPercentageBucketer};
use flipper::targeting::{Prerequisite, Rule, Serve, Variant, Variants, When};
use flipper::{Condition, Context as Owned, FeatureFlagClient, MemoryFeatureFlagStore, context};

const CHECKS: usize = 1_000;

#[inline(never)]
fn counted(check: impl Fn() -> bool) -> usize {
    (0..CHECKS).filter(|_| black_box(check())).count()
}

/// Writes to memory never wait.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

async fn flags(features: &FeatureFlagClient) -> flipper::Result<()> {
    // So many that the table is as full as tables are.
    for number in 0..1_000 {
        features.create(format!("FLAG_{number}")).enabled(true).await?;
    }
    for name in ["ON", "ONE", "TWENTY", "SALTED", "HASH", "RULE", "NEEDS", "VARIANTS"] {
        features.create(name).enabled(true).await?;
    }
    features.add_condition("ONE", Condition::new().eq("plan", "pro")).await?;
    let twenty = (0..20).map(|number| Condition::new().eq(&format!("a{number}"), number));
    features.set_conditions("TWENTY", twenty).await?;
    features.set_bucketer("SALTED", SaltedPercentageBucketer::new("user_id", 0.5)).await?;
    features.set_bucketer("HASH", ConsistentHashPercentageBucketer::new(0.5)).await?;
    features.set_rules("RULE", [Rule::new(Serve::On).when("plan = pro".parse::<When>()?)]).await?;
    features.set_prerequisites("NEEDS", [Prerequisite::new("ON")]).await?;
    let three = ["red", "green", "blue"].map(|name| Variant::new(name, 0.0));
    features.set_variants("VARIANTS", three.into_iter().fold(Variants::new("user_id"), Variants::with).even()).await
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let row = arguments.next().expect("the name of a row");
    // Moves what follows in memory.
    let _before = vec![1_u8; arguments.next().map_or(0, |bytes| bytes.parse().expect("a number of bytes"))];
    let features = &FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    now(flags(features)).expect("flags in memory");
    let handle = features.get("ON");
    let user = context! { user_id: "user-4711" };
    let plan = context! { plan: "pro" };
    let twenty = context! {
        a0: 0, a1: 1, a2: 2, a3: 3, a4: 4, a5: 5, a6: 6, a7: 7, a8: 8, a9: 9,
        a10: 10, a11: 11, a12: 12, a13: 13, a14: 14, a15: 15, a16: 16, a17: 17, a18: 18, a19: 19,
    };
    let owned = Owned::from(twenty);
    let on = match &*row {
        "name" => counted(|| features.is_enabled(black_box("ON"))),
        "handle" => counted(|| handle.is_enabled()),
        "missing" => counted(|| features.is_enabled(black_box("NONE"))),
        "condition" => counted(|| features.is_enabled_with(black_box("ONE"), &plan)),
        "twenty" => counted(|| features.is_enabled_with(black_box("TWENTY"), &twenty)),
        "owned" => counted(|| features.is_enabled_with(black_box("TWENTY"), &owned)),
        "salted" => counted(|| features.is_enabled_with(black_box("SALTED"), &user)),
        "hash" => counted(|| features.is_enabled_with(black_box("HASH"), &user)),
        "rule" => counted(|| features.is_enabled_with(black_box("RULE"), &plan)),
        "prerequisite" => counted(|| features.is_enabled(black_box("NEEDS"))),
        "variant" => counted(|| features.variant(black_box("VARIANTS"), &user, "none").len() < 5),
        other => panic!("no row {other:?}"),
    };
    println!("{on}");
}
