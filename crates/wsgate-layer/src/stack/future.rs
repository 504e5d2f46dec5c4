use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;

use super::{Seat, Sits};

pin_project! {
    /// The future of [`InStream`](super::InStream).
    pub struct ResponseFuture<F, L> {
        #[pin]
        inner: F,
        // Boxed, so that an ordinary request pays one pointer for it.
        handshake: Option<Box<(Seat, L)>>,
    }
}

// ===== impl ResponseFuture =====

impl<F, L> ResponseFuture<F, L> {
    pub(super) fn new(inner: F, handshake: Option<(Seat, L)>) -> Self {
        Self {
            inner,
            handshake: handshake.map(Box::new),
        }
    }
}

impl<F, L, B, E> Future for ResponseFuture<F, L>
where
    F: Future<Output = Result<Response<B>, E>>,
    L: Sits,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let res = ready!(this.inner.poll(cx));
        // Taken in any case: an error, too, ends the handler's wait.
        if let (Some(handshake), Ok(res)) = (this.handshake.take(), &res) {
            let (seat, layer) = *handshake;
            seat.complete(res, |seat| layer.sit(seat));
        }
        Poll::Ready(res)
    }
}

impl<F, L> fmt::Debug for ResponseFuture<F, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("handshake", &self.handshake.is_some())
            .finish_non_exhaustive()
    }
}
