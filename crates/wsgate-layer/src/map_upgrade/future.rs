use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;

use super::{Upgrade, Wrap};
use crate::upgrade::Intercepted;

pin_project! {
    /// The future of [`MapUpgrade`](super::MapUpgrade).
    pub struct ResponseFuture<Fut, W>
    where
        W: Wrap,
    {
        #[pin]
        inner: Fut,
        // Boxed, so that an ordinary request pays one pointer for it.
        handshake: Option<Box<Handshake<W>>>,
    }
}

/// A handshake under way, how to wrap its stream, and what to tell about it.
type Handshake<W> = (Intercepted<<W as Wrap>::Io>, W, Upgrade);

// ===== impl ResponseFuture =====

impl<Fut, W: Wrap> ResponseFuture<Fut, W> {
    pub(super) fn new(inner: Fut, handshake: Option<Handshake<W>>) -> Self {
        Self {
            inner,
            handshake: handshake.map(Box::new),
        }
    }
}

impl<Fut, W, B, E> Future for ResponseFuture<Fut, W>
where
    Fut: Future<Output = Result<Response<B>, E>>,
    W: Wrap,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let res = ready!(this.inner.poll(cx));
        // Taken in any case: an error, too, ends the handler's wait.
        if let (Some(handshake), Ok(res)) = (this.handshake.take(), &res) {
            let (intercepted, wrap, upgrade) = *handshake;
            intercepted.complete(res, move |io| wrap.wrap(io, upgrade));
        }
        Poll::Ready(res)
    }
}

impl<Fut, W: Wrap> fmt::Debug for ResponseFuture<Fut, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("handshake", &self.handshake.is_some())
            .finish_non_exhaustive()
    }
}
