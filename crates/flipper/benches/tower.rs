//! Times what a gate adds to a service: `cargo bench --features tower --bench tower`.
//!
//! The cases take turns, so that other load hits all alike. A figure is the median of the rounds.
#![expect(clippy::print_stdout, reason = "a report is what this program is for")]

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Instant;

use flipper::tower::{FeatureGate, ScopeLayer};
use flipper::{Context, FeatureFlagClient, MemoryFeatureFlagStore, context};
use futures_executor::block_on;
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

const ROUNDS: usize = 301;
const REQUESTS: usize = 2_000;

#[derive(Clone)]
struct Bare;

impl Service<Request<()>> for Bare {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        black_box(&request);
        ready(Ok(Response::new(())))
    }
}

/// Nanoseconds a request; making it does not count.
fn time<S>(service: &mut S, mut request: impl FnMut() -> Request<()>) -> f64
where
    S: Service<Request<()>, Response = Response<()>, Error = Infallible>,
{
    let requests: Vec<_> = (0..REQUESTS).map(|_| request()).collect();
    let mut responses = Vec::with_capacity(REQUESTS);
    let mut task = TaskContext::from_waker(Waker::noop());
    let begin = Instant::now();
    for request in requests {
        let _ = black_box(service.poll_ready(&mut task));
        if let Poll::Ready(response) = pin!(service.call(request)).poll(&mut task) {
            responses.push(response);
        }
    }
    let took = begin.elapsed();
    assert_eq!(responses.len(), REQUESTS);
    took.as_secs_f64() * 1e9 / REQUESTS as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> flipper::Result<()> {
    let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    block_on(features.create("ON").enabled(true).into_future())?;
    block_on(features.create("OFF").into_future())?;
    let mut bare = Bare;
    let mut on = FeatureGate::new(&features, "ON").layer(Bare);
    let mut off = FeatureGate::new(&features, "OFF").layer(Bare);
    let mut off_to_service = FeatureGate::new(&features, "OFF").or_service(Bare).layer(Bare);
    let attributes = |_: &http::request::Parts| Context::from(context! { user_id: 7, plan: "pro" });
    let mut scoped = ScopeLayer::new(&features, attributes).layer(Bare);
    let mut scoped_gate = ScopeLayer::new(&features, attributes).layer(FeatureGate::new(&features, "ON").layer(Bare));
    let in_scope = || {
        let mut request = Request::new(());
        request.extensions_mut().insert(features.scope(context! { user_id: 7, plan: "pro" }));
        request
    };

    // `cargo test --benches` leaves `--bench` out: one round shows that this runs.
    let rounds = if std::env::args().any(|argument| argument == "--bench") { ROUNDS } else { 1 };
    let mut figures: [Vec<f64>; 8] = Default::default();
    for _ in 0..rounds {
        for (figure, ns) in figures.iter_mut().zip([
            time(&mut bare, || Request::new(())),
            time(&mut on, || Request::new(())),
            time(&mut off, || Request::new(())),
            time(&mut off_to_service, || Request::new(())),
            time(&mut bare, in_scope),
            time(&mut on, in_scope),
            time(&mut scoped, || Request::new(())),
            time(&mut scoped_gate, || Request::new(())),
        ]) {
            figure.push(ns);
        }
    }
    let names = [
        "the bare service",
        "gate, on",
        "gate, off: 404",
        "gate, off: another service",
        "the bare service, request with a scope",
        "gate, on, asks the request's scope",
        "scope of two attributes for each request",
        "the same with a gate that asks it",
    ];
    let over = |case: usize, limit: usize| {
        median(figures[case].iter().zip(&figures[limit]).map(|(case, limit)| case - limit).collect())
    };
    println!("| service | ns | over the bare service |\n|---|---|---|");
    for (case, name) in names.into_iter().enumerate() {
        let limit = if case == 4 || case == 5 { 4 } else { 0 };
        println!("| {name} | {:.1} | {:.1} |", median(figures[case].clone()), over(case, limit));
    }
    println!();
    for case in [1, 2, 3, 5] {
        let kept = if over(case, if case == 5 { 4 } else { 0 }) <= 100.0 { "kept  " } else { "BROKEN" };
        println!("{kept} {} ≤ 100 ns over the bare service", names[case]);
    }
    Ok(())
}
