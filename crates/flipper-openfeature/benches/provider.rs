//! A boolean check through OpenFeature: `scripts/bench openfeature`. What the provider takes alone, what the SDK's client takes with a
//! provider that does nothing, and both together; on one thread and on two.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Barrier;
use std::thread;

use flipper::{Condition, FeatureFlagClient, MemoryFeatureFlagStore};
use flipper_openfeature::FlipperProvider;
use foldhash::fast::RandomState;
use futures_executor::block_on;
use open_feature::provider::{FeatureProvider, ProviderMetadata, ResolutionDetails};
use open_feature::{
    Client, EvaluationContext, EvaluationError, EvaluationErrorCode, EvaluationResult, OpenFeature, StructValue,
    async_trait,
};
use rustix::time::{ClockId, clock_gettime};

const FLAGS: usize = 1_000;
/// A prime that does not divide the number of flags: as good as at random.
const STEP: usize = 7_919;
/// Nanoseconds of one contestant in one round.
const SLICE: f64 = 2e6;

/// `cargo test` omits `--bench`, and only checks that this runs.
fn rounds() -> usize {
    if std::env::args().any(|argument| argument == "--bench") { 151 } else { 3 }
}

/// Makes this many checks, from that one on.
type Batch = Box<dyn Fn(usize, usize) -> usize + Send + Sync>;

/// Knows the flags by a map, or says yes to everything.
struct Map(ProviderMetadata, Option<HashMap<String, bool, RandomState>>);

impl Map {
    fn new(flags: Option<HashMap<String, bool, RandomState>>) -> Self {
        Self(ProviderMetadata::new("map"), flags)
    }

    fn get(&self, key: &str) -> Option<bool> {
        self.1.as_ref().map_or(Some(true), |flags| flags.get(key).copied())
    }
}

fn missing<T>() -> EvaluationResult<ResolutionDetails<T>> {
    Err(EvaluationError::builder().code(EvaluationErrorCode::FlagNotFound).build())
}

#[async_trait]
impl FeatureProvider for Map {
    fn metadata(&self) -> &ProviderMetadata {
        &self.0
    }

    async fn resolve_bool_value(&self, key: &str, _: &EvaluationContext) -> EvaluationResult<ResolutionDetails<bool>> {
        self.get(key).map_or_else(missing, |on| Ok(ResolutionDetails::new(on)))
    }

    async fn resolve_int_value(&self, _: &str, _: &EvaluationContext) -> EvaluationResult<ResolutionDetails<i64>> {
        missing()
    }

    async fn resolve_float_value(&self, _: &str, _: &EvaluationContext) -> EvaluationResult<ResolutionDetails<f64>> {
        missing()
    }

    async fn resolve_string_value(
        &self,
        _: &str,
        _: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<String>> {
        missing()
    }

    async fn resolve_struct_value(
        &self,
        _: &str,
        _: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<StructValue>> {
        missing()
    }
}

fn name(number: usize) -> String {
    format!("FLAG_{number}")
}

fn is_on(number: usize) -> bool {
    number.is_multiple_of(2)
}

fn map() -> HashMap<String, bool, RandomState> {
    (0..FLAGS).map(|number| (name(number), is_on(number))).collect()
}

fn flipper() -> FlipperProvider {
    let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    for number in 0..FLAGS {
        block_on(features.create(name(number)).enabled(is_on(number)).into_future()).unwrap();
    }
    block_on(features.create("CONDITION").enabled(true).into_future()).unwrap();
    block_on(features.add_condition("CONDITION", Condition::new().eq("plan", "pro"))).unwrap();
    FlipperProvider::new(&features).targeting_key_as("user_id")
}

fn context() -> EvaluationContext {
    EvaluationContext::default().with_targeting_key("user-4711").with_custom_field("plan", "pro")
}

/// One executor for all of a batch.
fn batch(names: Vec<String>, check: impl AsyncFn(&str) -> bool + Send + Sync + 'static) -> Batch {
    Box::new(move |first, checks| {
        block_on(async {
            let mut on = 0;
            for turn in first..first + checks {
                on += usize::from(check(black_box(&names[turn % names.len()])).await);
            }
            on
        })
    })
}

fn alone(names: Vec<String>, provider: impl FeatureProvider) -> Batch {
    let context = context();
    // As the SDK has it.
    let provider: Box<dyn FeatureProvider> = Box::new(provider);
    batch(names, async move |name| provider.resolve_bool_value(name, black_box(&context)).await.unwrap().value)
}

fn through_the_sdk(names: Vec<String>, provider: impl FeatureProvider) -> Batch {
    let mut api = OpenFeature::default();
    block_on(api.set_provider(provider));
    let (client, context): (Client, _) = (api.create_client(), context());
    batch(names, async move |name| client.get_bool_value(name, Some(black_box(&context)), None).await.unwrap())
}

fn contestants() -> [(&'static str, Batch); 8] {
    let names = || (0..FLAGS).map(|number| name(number * STEP % FLAGS)).collect::<Vec<_>>();
    let condition = || vec!["CONDITION".to_owned()];
    let flags = map();
    let bare = move |name: &str| flags[name];
    [
        ("a map", batch(names(), async move |name| bare(name))),
        ("provider over a map", alone(names(), Map::new(Some(map())))),
        ("Flipper's provider", alone(names(), flipper())),
        ("Flipper's provider, a condition", alone(condition(), flipper())),
        ("the SDK's client, a provider that says yes", through_the_sdk(names(), Map::new(None))),
        ("the SDK's client, over a map", through_the_sdk(names(), Map::new(Some(map())))),
        ("the SDK's client, Flipper's provider", through_the_sdk(names(), flipper())),
        ("the SDK's client, Flipper's provider, a condition", through_the_sdk(condition(), flipper())),
    ]
}

/// The thread's, so that other programs do not count.
fn now() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

/// The mean of the threads' nanoseconds for a check.
fn time(batch: &Batch, threads: usize, first: usize, checks: usize) -> f64 {
    let barrier = Barrier::new(threads);
    let time = || {
        barrier.wait();
        let begin = now();
        black_box(batch(black_box(first), black_box(checks)));
        (now() - begin) / checks as f64
    };
    if threads == 1 {
        return time();
    }
    let all: f64 = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(time)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    all / threads as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let contestants = contestants();
    let counts = contestants.each_ref().map(|(_, batch)| {
        let mut checks = 64;
        while time(batch, 1, 0, checks) * (checks as f64) < SLICE {
            checks *= 2;
        }
        checks
    });
    let mut times = [1, 2].map(|_| vec![Vec::new(); contestants.len()]);
    for round in 0..rounds() {
        for turn in 0..contestants.len() {
            let at = (round + turn) % contestants.len();
            for (threads, times) in [1, 2].into_iter().zip(&mut times) {
                times[at].push(time(&contestants[at].1, threads, round * counts[at], counts[at]));
            }
        }
    }
    println!("| check | ns | × a provider over a map | ns, 2 threads | scaling |\n|---|---|---|---|---|");
    let ratio = |one: &[f64], other: &[f64]| median(one.iter().zip(other).map(|(one, other)| one / other).collect());
    let [one, two] = &times;
    for (at, (name, _)) in contestants.iter().enumerate() {
        println!(
            "| {name} | {:.0} | {:.2} | {:.0} | {:.2} |",
            median(one[at].clone()),
            ratio(&one[at], &one[1]),
            median(two[at].clone()),
            ratio(&one[at], &two[at])
        );
    }
}
