use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Request;
use http::request::Parts;
use tower_layer::Layer;
use tower_service::Service;

use crate::client::{Checks, FeatureFlagClient};
use crate::context;

/// A layer that puts a [`Scope`](crate::Scope) into each request's extensions, with the attributes that a closure makes of its parts. It
/// belongs around the [`FeatureGate`](super::FeatureGate)s and handlers that use the scope, and inside the layers that add what the closure
/// reads.
///
/// ```
/// use flipper::tower::ScopeLayer;
/// use flipper::{Context, context};
/// # use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};
///
/// #[derive(Clone)]
/// struct User {
///     id: u64,
/// }
///
/// # let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
/// let scopes = ScopeLayer::new(&features, |parts| match parts.extensions.get::<User>() {
///     Some(user) => Context::from(context! { user_id: user.id, path: parts.uri.path() }),
///     None => Context::new(),
/// });
/// ```
pub struct ScopeLayer<F> {
    make: Arc<Make<F>>,
}

struct Make<F> {
    features: FeatureFlagClient,
    attributes: F,
}

impl<F, C> ScopeLayer<F>
where
    F: Fn(&Parts) -> C,
    C: Into<context::Context>,
{
    /// Scopes of these flags, with these attributes.
    #[must_use]
    pub fn new<M: Checks>(features: &FeatureFlagClient<M>, attributes: F) -> Self {
        Self { make: Arc::new(Make { features: features.local(), attributes }) }
    }
}

impl<S, F> Layer<S> for ScopeLayer<F> {
    type Service = Scoped<S, F>;

    fn layer(&self, service: S) -> Self::Service {
        Scoped { service, make: self.make.clone() }
    }
}

impl<F> Clone for ScopeLayer<F> {
    fn clone(&self) -> Self {
        Self { make: self.make.clone() }
    }
}

impl<F> fmt::Debug for ScopeLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopeLayer").field("features", &self.make.features).finish_non_exhaustive()
    }
}

/// The service within a [`ScopeLayer`].
pub struct Scoped<S, F> {
    service: S,
    make: Arc<Make<F>>,
}

impl<S, F, C, B> Service<Request<B>> for Scoped<S, F>
where
    S: Service<Request<B>>,
    F: Fn(&Parts) -> C,
    C: Into<context::Context>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        let (mut parts, body) = request.into_parts();
        let scope = self.make.features.scope((self.make.attributes)(&parts));
        parts.extensions.insert(scope);
        self.service.call(Request::from_parts(parts, body))
    }
}

impl<S: Clone, F> Clone for Scoped<S, F> {
    fn clone(&self) -> Self {
        Self { service: self.service.clone(), make: self.make.clone() }
    }
}

impl<S: fmt::Debug, F> fmt::Debug for Scoped<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scoped").field("service", &self.service).finish_non_exhaustive()
    }
}
