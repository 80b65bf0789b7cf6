//! Gates and scopes as layers, over services that say what became of each request.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use std::convert::Infallible;
use std::future::{Future, Ready, poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll, Waker};

use allocation_counter::measure;
use flipper::bucketing::{Percentage, PercentageBucketer};
use flipper::tower::{FeatureGate, ScopeLayer};
use flipper::{Condition, Context, FeatureFlagClient, MemoryFeatureFlagStore, Scope, context};
use flipper_testkit::block_on;
use http::{Request, Response, StatusCode};
use tower_layer::Layer;
use tower_service::Service;

/// Says its name, and what the request's scope says of the flag.
#[derive(Clone)]
struct Named(&'static str);

impl<B> Service<Request<B>> for Named {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let scope = request.extensions().get::<Scope>().map(|scope| scope.is_enabled("FLAG"));
        let scope = scope.map_or(String::new(), |on| format!(", {on}"));
        ready(Ok(Response::new(format!("{}{scope}", self.0))))
    }
}

fn client() -> FeatureFlagClient {
    let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    block_on(features.create("FLAG")).unwrap();
    features
}

fn request(uri: &str) -> Request<()> {
    Request::get(uri).body(()).unwrap()
}

/// As a server does it: ready first, then the call.
fn send<S>(service: &mut S, uri: &str) -> (StatusCode, String)
where
    S: Service<Request<()>, Response = Response<String>, Error = Infallible>,
{
    block_on(async {
        poll_fn(|context| service.poll_ready(context)).await.unwrap();
        let response = service.call(request(uri)).await.unwrap();
        (response.status(), response.into_body())
    })
}

#[test]
fn off_is_404_and_a_flip_counts_at_once() {
    let features = client();
    let mut service = FeatureGate::new(&features, "FLAG").layer(Named("new"));
    for _ in 0..2 {
        assert_eq!(send(&mut service, "/"), (StatusCode::NOT_FOUND, String::new()));
        block_on(features.enable("FLAG")).unwrap();
        assert_eq!(send(&mut service, "/"), (StatusCode::OK, "new".into()));
        block_on(features.disable("FLAG")).unwrap();
    }
    block_on(features.destroy("FLAG")).unwrap();
    assert_eq!(send(&mut service, "/").0, StatusCode::NOT_FOUND);
}

#[test]
fn a_gate_may_stand_before_there_is_a_flag() {
    let features = client();
    let mut service = FeatureGate::on(features.get("LATER")).layer(Named("new"));
    assert_eq!(send(&mut service, "/").0, StatusCode::NOT_FOUND);
    block_on(features.create("LATER").enabled(true)).unwrap();
    assert_eq!(send(&mut service, "/").0, StatusCode::OK);
}

#[test]
fn off_is_another_service() {
    let features = client();
    let mut service = FeatureGate::new(&features, "FLAG").or_service(Named("old")).layer(Named("new"));
    assert_eq!(send(&mut service, "/").1, "old");
    block_on(features.enable("FLAG")).unwrap();
    assert_eq!(send(&mut service, "/").1, "new");
}

#[test]
fn off_is_a_response_of_a_closure() {
    let features = client();
    let gate = FeatureGate::new(&features, "FLAG").or_response(|parts| {
        let mut response = Response::new(format!("not {}", parts.uri.path()));
        *response.status_mut() = StatusCode::FORBIDDEN;
        response
    });
    let mut service = gate.layer(Named("new"));
    assert_eq!(send(&mut service, "/here"), (StatusCode::FORBIDDEN, "not /here".into()));
    block_on(features.enable("FLAG")).unwrap();
    assert_eq!(send(&mut service, "/here").1, "new");
}

/// Has room for one caller, as services with a limit have: made ready, it keeps the place until it is called or dropped.
struct Limited {
    taken: Arc<AtomicUsize>,
    has_place: bool,
}

impl Clone for Limited {
    fn clone(&self) -> Self {
        Self { taken: self.taken.clone(), has_place: false }
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        self.taken.fetch_sub(usize::from(self.has_place), Ordering::Relaxed);
    }
}

impl Service<Request<()>> for Limited {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<String>, Infallible>>>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        if !self.has_place {
            if self.taken.load(Ordering::Relaxed) > 0 {
                return Poll::Pending;
            }
            self.taken.fetch_add(1, Ordering::Relaxed);
            self.has_place = true;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        assert!(std::mem::take(&mut self.has_place), "called without being ready");
        self.taken.fetch_sub(1, Ordering::Relaxed);
        Box::pin(ready(Ok(Response::new("old".into()))))
    }
}

#[test]
fn the_other_service_is_asked_for_a_place_only_when_it_is_needed() {
    let features = client();
    let taken = Arc::new(AtomicUsize::new(0));
    let old = Limited { taken: taken.clone(), has_place: false };
    let mut service = FeatureGate::new(&features, "FLAG").or_service(old).layer(Named("new"));

    block_on(features.enable("FLAG")).unwrap();
    assert_eq!(send(&mut service, "/").1, "new");
    assert_eq!(taken.load(Ordering::Relaxed), 0, "no place is kept by one that is not called");
    taken.store(1, Ordering::Relaxed);
    assert_eq!(send(&mut service, "/").1, "new", "nor does the new one wait for the old");

    block_on(features.disable("FLAG")).unwrap();
    let mut task = TaskContext::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut task).is_ready());
    let mut response = pin!(service.call(request("/")));
    assert!(response.as_mut().poll(&mut task).is_pending(), "waits for a place");
    taken.store(0, Ordering::Relaxed);
    let Poll::Ready(Ok(response)) = response.poll(&mut task) else { panic!("still waits") };
    assert_eq!(response.into_body(), "old");
}

#[test]
fn a_gate_within_a_scope_has_its_attributes() {
    let features = client();
    block_on(features.enable("FLAG")).unwrap();
    block_on(features.add_condition("FLAG", Condition::new().eq("path", "/pro"))).unwrap();
    let scopes = ScopeLayer::new(&features, |parts| Context::from(context! { path: parts.uri.path() }));
    let gate = FeatureGate::new(&features, "FLAG").or_service(Named("old"));
    let mut service = scopes.layer(gate.layer(Named("new")));
    assert_eq!(send(&mut service, "/pro").1, "new, true");
    assert_eq!(send(&mut service, "/free").1, "old, false");

    // The other way round the gate is asked before there are attributes.
    let mut service = gate.layer(scopes.layer(Named("new")));
    assert_eq!(send(&mut service, "/free").1, "new, false");
}

#[test]
fn gate_and_handler_agree_on_a_random_flag() {
    let features = client();
    block_on(features.enable("FLAG")).unwrap();
    block_on(features.set_bucketer("FLAG", PercentageBucketer::new(Percentage::new(0.5)))).unwrap();
    let gate = FeatureGate::new(&features, "FLAG").or_service(Named("old"));
    let mut service = ScopeLayer::new(&features, |_| Context::new()).layer(gate.layer(Named("new")));
    let mut seen = [0, 0];
    for _ in 0..200 {
        let (_, body) = send(&mut service, "/");
        assert!(body == "new, true" || body == "old, false", "{body}");
        seen[usize::from(body == "new, true")] += 1;
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}

#[test]
fn a_scope_of_other_flags_is_not_asked() {
    let (features, others) = (client(), client());
    block_on(others.enable("FLAG")).unwrap();
    let gate = FeatureGate::new(&features, "FLAG").or_service(Named("old"));
    let mut service = ScopeLayer::new(&others, |_| Context::new()).layer(gate.layer(Named("new")));
    assert_eq!(send(&mut service, "/").1, "old, true");
}

/// Does nothing, at no cost of its own.
#[derive(Clone)]
struct Bare;

impl<B> Service<Request<B>> for Bare {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        ready(Ok(Response::new(())))
    }
}

#[test]
fn a_gate_allocates_nothing() {
    let features = client();
    let mut task = TaskContext::from_waker(Waker::noop());
    for enabled in [true, false] {
        if enabled { block_on(features.enable("FLAG")) } else { block_on(features.disable("FLAG")) }.unwrap();
        let mut service = FeatureGate::new(&features, "FLAG").layer(Bare);
        let in_scope = |enabled: bool| {
            let mut request = request("/");
            let scope = features.scope(context! { user_id: 7 });
            request.extensions_mut().insert(scope);
            (request, enabled)
        };
        // Once per thread `arc-swap` allocates its place for this thread.
        features.evaluate("FLAG", &context! {});
        for (request, enabled) in [(request("/"), enabled), in_scope(enabled)] {
            let mut status = None;
            let gated = measure(|| {
                assert!(Service::<Request<()>>::poll_ready(&mut service, &mut task).is_ready());
                let response = pin!(service.call(request));
                let Poll::Ready(Ok(response)) = response.poll(&mut task) else { return };
                status = Some(response.status());
            });
            assert_eq!(status, Some(if enabled { StatusCode::OK } else { StatusCode::NOT_FOUND }));
            assert_eq!(gated.count_total, 0, "{enabled}");
        }
    }
}
