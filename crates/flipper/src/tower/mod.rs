//! Flags in HTTP services of `tower` layers (feature `tower`): axum, tonic, hyper.
//!
//! - [`FeatureGate`]: a service while a flag is on; else 404, another service, or your own response.
//! - [`ScopeLayer`]: a [`Scope`] for each request, for gates, handlers, and as an argument of axum's handlers.
//!
//! ```
//! use flipper::tower::{FeatureGate, ScopeLayer};
//! use flipper::{Context, FeatureFlagClient, MemoryFeatureFlagStore};
//! use http::{Request, Response, StatusCode};
//! use tower_layer::Layer;
//! use tower_service::Service;
//!
//! # #[derive(Clone)]
//! # struct Checkout;
//! # impl Service<Request<String>> for Checkout {
//! #     type Response = Response<String>;
//! #     type Error = std::convert::Infallible;
//! #     type Future = std::future::Ready<Result<Self::Response, Self::Error>>;
//! #     fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
//! #         std::task::Poll::Ready(Ok(()))
//! #     }
//! #     fn call(&mut self, _: Request<String>) -> Self::Future {
//! #         std::future::ready(Ok(Response::new("checked out".into())))
//! #     }
//! # }
//! # futures_executor::block_on(async {
//! let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
//!
//! let gate = FeatureGate::new(&features, "NEW_CHECKOUT");
//! let scopes = ScopeLayer::new(&features, |parts| Context::new().with("path", parts.uri.path()));
//! let mut service = scopes.layer(gate.layer(Checkout)); // scopes are made before the gate asks
//!
//! assert_eq!(service.call(Request::default()).await?.status(), StatusCode::NOT_FOUND);
//! features.create("NEW_CHECKOUT").enabled(true).await?;
//! assert_eq!(service.call(Request::default()).await?.status(), StatusCode::OK);
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! [`Scope`]: crate::Scope

#[cfg(feature = "axum")]
mod axum;
mod future;
mod gate;
mod scope_layer;
mod when_off;

#[cfg(feature = "axum")]
pub use self::axum::NoScope;
pub use future::ResponseFuture;
pub use gate::{FeatureGate, Gated};
pub use scope_layer::{ScopeLayer, Scoped};
pub use when_off::{NotFound, OrResponse, OrService, WhenOff};
