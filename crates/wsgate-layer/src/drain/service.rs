use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::{ResponseFuture, future::Handshake, shared::Shared};
use crate::handshake::Kind;

/// The service of [`DrainLayer`](super::DrainLayer).
#[derive(Clone, Debug)]
pub struct Drainable<S> {
    inner: S,
    shared: Arc<Shared>,
}

// ===== impl Drainable =====

impl<S> Drainable<S> {
    pub(super) const fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Drainable<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: From<String>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: Request<ReqBody>) -> Self::Future {
        if Kind::of(&req).is_none() {
            return ResponseFuture::called(self.inner.call(req), None);
        }
        let Some(live) = self.shared.enter() else {
            tracing::debug!("refused a WebSocket handshake: the server is shutting down");
            return ResponseFuture::refused();
        };
        let handshake = Handshake::begin(&mut req, live);
        ResponseFuture::called(self.inner.call(req), Some(handshake))
    }
}
