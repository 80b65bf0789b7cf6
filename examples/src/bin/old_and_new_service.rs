//! Two whole services, a new one and its predecessor: a flag decides, request by request, which of them answers.
//!
//! ```sh
//! cargo run --package flipper-examples --bin old_and_new_service -- sqlite:flags.db 127.0.0.1:3000
//! curl -H 'x-user: 7' localhost:3000/orders/7
//! ```
//!
//! With a percentage on the flag, users move over gradually, and none of them back and forth.
#![expect(clippy::print_stdout, reason = "it prints its address")]

use std::env;
use std::error::Error;

use axum::Router;
use axum::extract::Path;
use axum::http::request::Parts;
use axum::routing::get;
use flipper::tower::{FeatureGate, ScopeLayer};
use flipper::{Context, FeatureFlagClient};

fn old_service() -> Router {
    Router::new()
        .route("/orders/{order}", get(async |Path(order): Path<u64>| format!("order {order}, by the old service\n")))
}

fn new_service() -> Router {
    Router::new()
        .route("/orders/{order}", get(async |Path(order): Path<u64>| format!("order {order}, by the new service\n")))
        .route("/stock", get(async || "only the new service has a stock\n"))
}

fn service(features: &FeatureFlagClient) -> Router {
    let gate = FeatureGate::new(features, "NEW_SERVICE").or_service(old_service());
    Router::new()
        .fallback_service(new_service())
        .layer(gate)
        // Around the gate: the last layer runs first.
        .layer(ScopeLayer::new(features, attributes))
}

fn attributes(parts: &Parts) -> Context {
    match parts.headers.get("x-user").and_then(|user| user.to_str().ok()) {
        Some(user) => Context::new().with("user", user),
        None => Context::new(),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| "sqlite:flags.db".into());
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:3000".into());

    let features = flipper::connect(&url).await?;
    features.create("NEW_SERVICE").or_get().await?;

    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, service(&features)).await?;
    Ok(())
}
