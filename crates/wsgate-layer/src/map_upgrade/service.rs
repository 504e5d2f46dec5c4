use std::task::{Context, Poll};

use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service;

use super::ResponseFuture;
use crate::upgrade::{UpgradedIo, intercept};

/// The service of [`MapUpgradeLayer`](super::MapUpgradeLayer).
#[derive(Clone, Copy, Debug)]
pub struct MapUpgrade<S, F> {
    inner: S,
    wrap: F,
}

// ===== impl MapUpgrade =====

impl<S, F> MapUpgrade<S, F> {
    /// Wraps the streams that `inner` is given.
    pub const fn new(inner: S, wrap: F) -> Self {
        Self { inner, wrap }
    }
}

impl<S, F, T, ReqBody, ResBody> Service<Request<ReqBody>> for MapUpgrade<S, F>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    F: FnOnce(UpgradedIo) -> T + Clone + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, F, T>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: Request<ReqBody>) -> Self::Future {
        let intercepted = intercept(&mut req).map(|i| (i, self.wrap.clone()));
        ResponseFuture::new(self.inner.call(req), intercepted)
    }
}
