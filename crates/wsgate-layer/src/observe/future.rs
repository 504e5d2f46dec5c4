use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;
use tracing::instrument::Instrumented;

use super::{policy::ObservePolicy, record::Unsettled};
use crate::stack::Seat;

pin_project! {
    /// The future of [`Observe`](super::Observe).
    pub struct ResponseFuture<F> {
        #[pin]
        inner: Instrumented<F>,
        // Boxed, so that an ordinary request pays one pointer for it.
        handshake: Option<Box<Handshake>>,
    }
}

/// A handshake under way.
type Handshake = (Seat, Unsettled);

// ===== impl ResponseFuture =====

impl<F> ResponseFuture<F> {
    pub(super) fn new(inner: Instrumented<F>, handshake: Option<Handshake>) -> Self {
        Self {
            inner,
            handshake: handshake.map(Box::new),
        }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let res = ready!(this.inner.poll(cx));
        let Some(handshake) = this.handshake.take() else {
            return Poll::Ready(res);
        };
        let (seat, unsettled) = *handshake;
        match &res {
            Ok(res) if seat.kind().is_accepted(res.status()) => {
                let status = res.status();
                // Where the client leaves before the upgrade, the closure is dropped uncalled, and
                // tells that.
                seat.complete(res, |seat| {
                    seat.fill(move |_| ObservePolicy::new(unsettled.opened(status), status));
                });
            }
            Ok(res) => unsettled.refused(res),
            Err(_) => unsettled.failed(),
        }
        Poll::Ready(res)
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("handshake", &self.handshake.is_some())
            .finish_non_exhaustive()
    }
}
