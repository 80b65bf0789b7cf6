//! A service with axum: a gate before a route, the attribute on a handler, and a scope for each request.
//!
//! ```sh
//! cargo run --package flipper-examples --bin axum_handlers -- sqlite:flags.db 127.0.0.1:3000
//! curl -H 'x-user: 7' localhost:3000/checkout
//! ```
//!
//! Flags are in the file, where another process can flip them; the next request sees it.
#![expect(clippy::print_stdout, reason = "it prints its address")]

use std::env;
use std::error::Error;

use axum::Router;
use axum::extract::State;
use axum::http::request::Parts;
use axum::routing::get;
use flipper::tower::{FeatureGate, ScopeLayer};
use flipper::{Context, FeatureFlagClient, Scope};

flipper::flags! {
    #[derive(Clone)]
    struct Flags {
        /// Louder horses.
        improved_horse_sounds,
        /// Pages that are not public yet.
        beta,
        /// The checkout that is rolled out user by user.
        new_checkout,
    }
}

fn routes(features: &FeatureFlagClient) -> Router {
    let flags = Flags::new(features);
    Router::new()
        .route("/sound", get(sound))
        .route("/beta", get(async || "welcome to the beta\n").layer(FeatureGate::on(flags.beta.clone())))
        .route("/checkout", get(checkout))
        .with_state(flags)
        // Around everything above: the last layer runs first.
        .layer(ScopeLayer::new(features, attributes))
}

/// The attributes for flags, once for each request.
fn attributes(parts: &Parts) -> Context {
    let user = parts.headers.get("x-user").and_then(|user| user.to_str().ok());
    let context = Context::new().with("path", parts.uri.path());
    match user.and_then(|user| user.parse::<u64>().ok()) {
        Some(user) => context.with("user_id", user),
        None => context,
    }
}

#[flipper::is_enabled(flags.improved_horse_sounds, redirect = old_sound)]
async fn sound(State(flags): State<Flags>) -> &'static str {
    "whinny\n"
}

async fn old_sound(_: State<Flags>) -> &'static str {
    "neigh\n"
}

async fn checkout(State(flags): State<Flags>, scope: Scope) -> String {
    // Every check in the request gets the same answer.
    let page = if scope.is_enabled(&flags.new_checkout) { "new checkout" } else { "old checkout" };
    let reason = scope.evaluate(&flags.new_checkout).reason;
    format!("{page}: {reason}\n")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| "sqlite:flags.db".into());
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3000".into());

    let features = flipper::connect(&url).await?;
    Flags::register(&features).await?;

    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, routes(&features)).await?;
    Ok(())
}
