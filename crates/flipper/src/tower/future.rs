use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::future::Either;
use pin_project_lite::pin_project;
use tower_service::Service;

pin_project! {
    /// The response future of a [`Gated`](super::Gated) service.
    pub struct ResponseFuture<F, G> {
        #[pin]
        either: Either<F, G>,
    }
}

impl<F, G> ResponseFuture<F, G> {
    pub(super) fn on(future: F) -> Self {
        Self { either: Either::Left(future) }
    }

    pub(super) fn off(future: G) -> Self {
        Self { either: Either::Right(future) }
    }
}

impl<F: Future, G: Future<Output = F::Output>> Future for ResponseFuture<F, G> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.project().either.poll(context)
    }
}

impl<F, G> fmt::Debug for ResponseFuture<F, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

pin_project! {
    /// The response future of a service that must first be ready.
    pub struct Oneshot<T: Service<R>, R> {
        #[pin]
        step: Step<T, R, T::Future>,
    }
}

pin_project! {
    #[project = StepProjection]
    enum Step<T, R, F> {
        Waiting { service: T, request: Option<R> },
        Called { #[pin] future: F },
    }
}

impl<T: Service<R>, R> Oneshot<T, R> {
    pub(super) fn new(service: T, request: R) -> Self {
        Self { step: Step::Waiting { service, request: Some(request) } }
    }
}

impl<T: Service<R>, R> Future for Oneshot<T, R> {
    type Output = Result<T::Response, T::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut step = self.project().step;
        loop {
            match step.as_mut().project() {
                StepProjection::Waiting { service, request } => {
                    ready!(service.poll_ready(context))?;
                    // Present until the call.
                    let Some(request) = request.take() else { return Poll::Pending };
                    let future = service.call(request);
                    step.set(Step::Called { future });
                }
                StepProjection::Called { future } => return future.poll(context),
            }
        }
    }
}

impl<T: Service<R>, R> fmt::Debug for Oneshot<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Oneshot").finish_non_exhaustive()
    }
}
