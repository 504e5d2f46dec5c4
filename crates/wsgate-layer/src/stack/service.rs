use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::{ResponseFuture, Seat, Sits};

/// The service of every layer that acts in the stream alone.
#[derive(Clone, Copy, Debug)]
pub struct InStream<S, L> {
    inner: S,
    layer: L,
}

// ===== impl InStream =====

impl<S, L> InStream<S, L> {
    pub(crate) const fn new(inner: S, layer: L) -> Self {
        Self { inner, layer }
    }
}

impl<S, L, ReqBody, ResBody> Service<Request<ReqBody>> for InStream<S, L>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    L: Sits,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, L>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: Request<ReqBody>) -> Self::Future {
        let seat = Seat::take(&mut req).map(|seat| (seat, self.layer.clone()));
        ResponseFuture::new(self.inner.call(req), seat)
    }
}
