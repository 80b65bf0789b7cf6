//! Two hundred tests with opposite overrides of one flag of one client. `scripts/test-overrides` runs them a hundred times.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::sync::LazyLock;
use std::thread;

use flipper::testing::{spawn, spawn_blocking, spawn_thread};
use flipper::{FeatureFlag, FeatureFlagClient, MemoryFeatureFlagStore, context, override_flags};
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;

static FEATURES: LazyLock<FeatureFlagClient> = LazyLock::new(|| FeatureFlagClient::new(MemoryFeatureFlagStore::new()));
static FLAG: LazyLock<FeatureFlag> = LazyLock::new(|| FEATURES.get("FLAG"));
/// One for many tests, so that their tasks share its threads.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap());

const ROUNDS: usize = 20;

fn check(answer: bool) {
    let context = context! { user_id: 7 };
    assert_eq!(FEATURES.is_enabled("FLAG"), answer);
    assert_eq!(FLAG.is_enabled(), answer);
    assert_eq!(FEATURES.evaluate("FLAG", &context).is_enabled, answer);
    assert_eq!(FEATURES.scope(context).is_enabled("FLAG"), answer);
    assert!(!FEATURES.is_enabled("OTHER"));
}

async fn check_again_and_again(answer: bool) {
    for _ in 0..ROUNDS {
        check(answer);
        yield_now().await;
    }
}

/// Cycles through the ways in which tests are written.
fn test(number: usize) {
    let answer = number.is_multiple_of(2);
    match number / 2 % 5 {
        0 => {
            let _overrides = override_flags!(FEATURES, "FLAG" => answer);
            for _ in 0..ROUNDS {
                check(answer);
                thread::yield_now();
            }
        }
        1 => Builder::new_current_thread().build().unwrap().block_on(async {
            let _overrides = override_flags!(FEATURES, "FLAG" => answer);
            tokio::spawn(check_again_and_again(answer)).await.unwrap();
            check_again_and_again(answer).await;
        }),
        2 => RUNTIME.block_on(async {
            let _overrides = override_flags!(FEATURES, "FLAG" => answer);
            spawn(check_again_and_again(answer)).await.unwrap();
            spawn_blocking(move || check(answer)).await.unwrap();
            tokio::spawn(check_again_and_again(false)).await.unwrap();
        }),
        3 => RUNTIME
            .block_on(RUNTIME.spawn(async move {
                let _overrides = override_flags!(FEATURES, "FLAG" => answer);
                check_again_and_again(answer).await;
                spawn(check_again_and_again(answer)).await.unwrap();
            }))
            .unwrap(),
        _ => {
            let _overrides = override_flags!(FEATURES, "FLAG" => answer);
            let ours = spawn_thread(move || check(answer));
            let others = thread::spawn(|| check(false));
            ours.join().unwrap();
            others.join().unwrap();
        }
    }
    check(false);
}

macro_rules! tests {
    ($($ten:ident: $($one:ident)+;)+) => {$(
        mod $ten {
            tests!(@one $ten $($one)+);
        }
    )+};
    (@one $ten:ident $($one:ident)+) => {$(
        #[test]
        fn $one() {
            let number = |name: &str| name[1..].parse::<usize>().unwrap();
            crate::test(number(stringify!($ten)) * 10 + number(stringify!($one)));
        }
    )+};
}

tests! {
    t0: t0 t1 t2 t3 t4 t5 t6 t7 t8 t9;
    t1: t0 t1 t2 t3 t4 t5 t6 t7 t8 t9;
    t2: t0 t1 t2 t3 t4 t5 t6 t7 t8 t9;
    t3: t0 t1 t2 t3 t4 t5 t6 t7 t8 t9;
    t4: t0 t1 t2 t3 t4 t5 t6 t7 t8 t9;
    t5: t0 t1 t2 t3 t4 t5 t6 t7 t8 t9;
    t6: t0 t1 t2 t3 t4 t5 t6 t7 t8 t9;
    t7: t0 t1 t2 t3 t4 t5 t6 t7 t8 t9;
    t8: t0 t1 t2 t3 t4 t5 t6 t7 t8 t9;
    t9: t0 t1 t2 t3 t4 t5 t6 t7 t8 t9;
    t10: t0 t1 t2 t3 t4 t5 t6 t7 t8 t9;
    t11: t0 t1 t2 t3 t4 t5 t6 t7 t8 t9;
    t12: t0 t1 t2 t3 t4 t5 t6 t7 t8 t9;
    t13: t0 t1 t2 t3 t4 t5 t6 t7 t8 t9;
    t14: t0 t1 t2 t3 t4 t5 t6 t7 t8 t9;
    t15: t0 t1 t2 t3 t4 t5 t6 t7 t8 t9;
    t16: t0 t1 t2 t3 t4 t5 t6 t7 t8 t9;
    t17: t0 t1 t2 t3 t4 t5 t6 t7 t8 t9;
    t18: t0 t1 t2 t3 t4 t5 t6 t7 t8 t9;
    t19: t0 t1 t2 t3 t4 t5 t6 t7 t8 t9;
}
