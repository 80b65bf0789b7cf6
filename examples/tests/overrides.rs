//! How a program's tests override its flags.

use std::sync::LazyLock;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use axum::routing::get;
use flipper::testing::{self, Overrides};
use flipper::tower::FeatureGate;
use flipper::{FeatureFlagClient, MemoryFeatureFlagStore, override_flags};
use tower::ServiceExt;

// The program: one client, which all tests share.

static FEATURES: LazyLock<FeatureFlagClient> = LazyLock::new(|| FeatureFlagClient::new(MemoryFeatureFlagStore::new()));

#[flipper::is_enabled(FEATURES, "IMPROVED_HORSE_SOUNDS", redirect = old_sound)]
fn sound() -> &'static str {
    "whinny"
}

fn old_sound() -> &'static str {
    "neigh"
}

fn app() -> Router {
    Router::new().route("/sound", get(async || sound()).layer(FeatureGate::new(&FEATURES, "SOUNDS")))
}

// Its tests, which run in parallel.

#[test]
fn new_sound() {
    let _overrides = override_flags!(FEATURES, "IMPROVED_HORSE_SOUNDS" => true);
    assert_eq!(sound(), "whinny");
}

#[test]
fn the_sound_as_it_was() {
    let _overrides = override_flags!(FEATURES, "IMPROVED_HORSE_SOUNDS" => false);
    assert_eq!(sound(), "neigh");
}

#[test]
fn every_combination() {
    for (improved, expected) in [(false, "neigh"), (true, "whinny")] {
        let _overrides = testing::override_flags(&FEATURES, [("IMPROVED_HORSE_SOUNDS", improved)]);
        assert_eq!(sound(), expected);
    }
}

#[tokio::test]
async fn a_route_and_what_it_calls() {
    let ask = || async { app().oneshot(Request::get("/sound").body(Body::empty()).unwrap()).await.unwrap() };
    assert_eq!(ask().await.status(), StatusCode::NOT_FOUND);

    let _overrides = override_flags!(FEATURES, "SOUNDS" => true, "IMPROVED_HORSE_SOUNDS" => true);
    let response = ask().await;
    assert_eq!(to_bytes(response.into_body(), 100).await.unwrap(), "whinny");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_on_other_threads() {
    let _overrides = override_flags!(FEATURES, "IMPROVED_HORSE_SOUNDS" => true);
    assert_eq!(testing::spawn(async { sound() }).await.unwrap(), "whinny");
    // A task outside of the test's own gets the overrides explicitly.
    let overrides = Overrides::current();
    assert_eq!(tokio::spawn(overrides.attach(async { sound() })).await.unwrap(), "whinny");
}
