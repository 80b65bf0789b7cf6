use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use http::request::Parts;
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::future::ResponseFuture;
use super::when_off::{NotFound, OrResponse, OrService, WhenOff};
use crate::client::{Checks, FeatureFlag, FeatureFlagClient};
use crate::scope::Scope;

/// A layer that passes requests to the service while a flag is on. Else the response is an empty 404, or that of
/// [`or_service`](Self::or_service) or [`or_response`](Self::or_response).
///
/// A request with a [`Scope`] of the same flags, by a [`ScopeLayer`](super::ScopeLayer) around this, gets the scope's answer, as in the
/// handler. Others have no attributes: **conditions are skipped**, and a flag for a few callers is on for all; the first such request is
/// logged as a warning.
///
/// ```
/// use flipper::tower::FeatureGate;
/// # use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};
/// use http::{Response, StatusCode};
///
/// # let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
/// let gate = FeatureGate::new(&features, "BETA").or_response(|parts| {
///     let mut response = Response::new(format!("{} is not open to you yet", parts.uri.path()));
///     *response.status_mut() = StatusCode::FORBIDDEN;
///     response
/// });
/// ```
#[derive(Clone)]
pub struct FeatureGate<O = NotFound> {
    /// One pointer: services are cloned for each request or connection.
    gate: Arc<Gate>,
    when_off: O,
}

struct Gate {
    flag: FeatureFlag,
    has_warned: AtomicBool,
}

impl FeatureGate {
    /// A gate on the flag of this name.
    #[must_use]
    pub fn new<M: Checks>(features: &FeatureFlagClient<M>, name: impl Into<String>) -> Self {
        Self::on(features.local().get(name))
    }

    /// A gate on the flag of this handle.
    #[must_use]
    pub fn on(flag: FeatureFlag) -> Self {
        Self { gate: Arc::new(Gate { flag, has_warned: AtomicBool::new(false) }), when_off: NotFound }
    }

    /// While the flag is off, requests go to this service. It is cloned for each, and waited for only then.
    #[must_use]
    pub fn or_service<T>(self, service: T) -> FeatureGate<OrService<T>> {
        FeatureGate { gate: self.gate, when_off: OrService::new(service) }
    }

    /// While the flag is off, this closure responds, from the request's parts.
    #[must_use]
    pub fn or_response<F, B>(self, respond: F) -> FeatureGate<OrResponse<F>>
    where
        F: Fn(&Parts) -> Response<B>,
    {
        FeatureGate { gate: self.gate, when_off: OrResponse::new(respond) }
    }
}

impl<S, O: Clone> Layer<S> for FeatureGate<O> {
    type Service = Gated<S, O>;

    fn layer(&self, service: S) -> Self::Service {
        Gated { service, gate: self.gate.clone(), when_off: self.when_off.clone() }
    }
}

impl<O> fmt::Debug for FeatureGate<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeatureGate").field("flag", &self.gate.flag.name()).finish_non_exhaustive()
    }
}

/// The service behind a [`FeatureGate`].
#[derive(Clone)]
pub struct Gated<S, O = NotFound> {
    service: S,
    gate: Arc<Gate>,
    when_off: O,
}

impl Gate {
    fn warn_of_conditions(&self) {
        if self.flag.has_conditions() && !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                flag = self.flag.name(),
                "a request without a scope meets a gate whose flag has conditions, which are not looked at: put a `ScopeLayer` \
                 around the gate"
            );
        }
    }
}

impl<S, O> Gated<S, O> {
    fn is_on<B>(&self, request: &Request<B>) -> bool {
        let flag = &self.gate.flag;
        match request.extensions().get::<Scope>() {
            Some(scope) if scope.client().has_same_flags(flag.client()) => scope.is_enabled(flag),
            _ => {
                self.gate.warn_of_conditions();
                flag.is_enabled()
            }
        }
    }
}

impl<S, O, B> Service<Request<B>> for Gated<S, O>
where
    S: Service<Request<B>>,
    O: WhenOff<B, S::Response, S::Error>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, O::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if self.is_on(&request) {
            ResponseFuture::on(self.service.call(request))
        } else {
            ResponseFuture::off(self.when_off.respond(request))
        }
    }
}

impl<S: fmt::Debug, O> fmt::Debug for Gated<S, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gated")
            .field("flag", &self.gate.flag.name())
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}
