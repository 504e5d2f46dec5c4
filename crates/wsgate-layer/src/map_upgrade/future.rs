use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::upgrade::{Intercepted, UpgradedIo};

pin_project! {
    /// The future of [`MapUpgrade`](super::MapUpgrade).
    pub struct ResponseFuture<Fut, F, T>
    where
        T: AsyncRead,
        T: AsyncWrite,
        T: Unpin,
        T: Send,
        T: 'static,
    {
        #[pin]
        inner: Fut,
        // Boxed, so that an ordinary request pays one pointer for it.
        intercepted: Option<Box<(Intercepted<T>, F)>>,
    }
}

// ===== impl ResponseFuture =====

impl<Fut, F, T> ResponseFuture<Fut, F, T>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    pub(super) fn new(inner: Fut, intercepted: Option<(Intercepted<T>, F)>) -> Self {
        Self {
            inner,
            intercepted: intercepted.map(Box::new),
        }
    }
}

impl<Fut, F, T, B, E> Future for ResponseFuture<Fut, F, T>
where
    Fut: Future<Output = Result<Response<B>, E>>,
    F: FnOnce(UpgradedIo) -> T + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let res = ready!(this.inner.poll(cx));
        // Taken in any case: an error, too, ends the handler's wait.
        if let (Some(intercepted), Ok(res)) = (this.intercepted.take(), &res) {
            let (intercepted, wrap) = *intercepted;
            intercepted.complete(res, wrap);
        }
        Poll::Ready(res)
    }
}

impl<Fut, F, T> fmt::Debug for ResponseFuture<Fut, F, T>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("handshake", &self.intercepted.is_some())
            .finish_non_exhaustive()
    }
}
