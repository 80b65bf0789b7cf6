use std::fmt;
use std::future::{Future, Ready, ready};

use http::request::Parts;
use http::{Request, Response, StatusCode};
use tower_service::Service;

use super::future::Oneshot;

/// What a [`FeatureGate`](super::FeatureGate) responds while its flag is off: [`NotFound`], [`OrService`] or [`OrResponse`].
pub trait WhenOff<B, Response, Error>: sealed::Sealed {
    /// The response future.
    type Future: Future<Output = Result<Response, Error>>;

    /// Responds to a request.
    fn respond(&mut self, request: Request<B>) -> Self::Future;
}

mod sealed {
    pub trait Sealed {}
}

/// 404 with an empty body.
#[derive(Clone, Copy, Debug, Default)]
pub struct NotFound;

impl sealed::Sealed for NotFound {}

impl<B, R: Default, E> WhenOff<B, Response<R>, E> for NotFound {
    type Future = Ready<Result<Response<R>, E>>;

    fn respond(&mut self, _request: Request<B>) -> Self::Future {
        let mut response = Response::new(R::default());
        *response.status_mut() = StatusCode::NOT_FOUND;
        ready(Ok(response))
    }
}

/// Another service; made by [`FeatureGate::or_service`](super::FeatureGate::or_service).
#[derive(Clone, Debug)]
pub struct OrService<T> {
    service: T,
}

impl<T> OrService<T> {
    pub(super) fn new(service: T) -> Self {
        Self { service }
    }
}

impl<T> sealed::Sealed for OrService<T> {}

impl<B, T: Service<Request<B>> + Clone> WhenOff<B, T::Response, T::Error> for OrService<T> {
    type Future = Oneshot<T, Request<B>>;

    fn respond(&mut self, request: Request<B>) -> Self::Future {
        // A clone, made ready on demand: one that is ready but not called could hold a permit of a concurrency limit.
        Oneshot::new(self.service.clone(), request)
    }
}

/// A closure's response; made by [`FeatureGate::or_response`](super::FeatureGate::or_response).
#[derive(Clone)]
pub struct OrResponse<F> {
    respond: F,
}

impl<F> OrResponse<F> {
    pub(super) fn new(respond: F) -> Self {
        Self { respond }
    }
}

impl<F> sealed::Sealed for OrResponse<F> {}

impl<B, R, E, F: Fn(&Parts) -> Response<R>> WhenOff<B, Response<R>, E> for OrResponse<F> {
    type Future = Ready<Result<Response<R>, E>>;

    fn respond(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok((self.respond)(&request.into_parts().0)))
    }
}

impl<F> fmt::Debug for OrResponse<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrResponse").finish_non_exhaustive()
    }
}
