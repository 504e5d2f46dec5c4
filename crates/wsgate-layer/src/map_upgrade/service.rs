use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::{ResponseFuture, Upgrade, Wrap};
use crate::{tunnel::Tunnel, upgrade::intercept};

/// The service of [`MapUpgradeLayer`](super::MapUpgradeLayer).
#[derive(Clone, Copy, Debug)]
pub struct MapUpgrade<S, W> {
    inner: S,
    wrap: W,
}

// ===== impl MapUpgrade =====

impl<S, W> MapUpgrade<S, W> {
    /// Wraps the streams that `inner` is given.
    pub const fn new(inner: S, wrap: W) -> Self {
        Self { inner, wrap }
    }
}

impl<S, W, ReqBody, ResBody> Service<Request<ReqBody>> for MapUpgrade<S, W>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    W: Wrap + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, W>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: Request<ReqBody>) -> Self::Future {
        let intercepted = intercept(&mut req).map(|intercepted| {
            let tunnel = Tunnel::of(req.extensions_mut());
            let upgrade = Upgrade::new(tunnel, intercepted.kind());
            (intercepted, self.wrap.clone(), upgrade)
        });
        ResponseFuture::new(self.inner.call(req), intercepted)
    }
}
