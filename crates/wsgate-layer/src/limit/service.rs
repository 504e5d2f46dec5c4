use std::{
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::{
    ResponseFuture,
    future::{Handshake, Queued},
    gate::{Admission, Gate},
};
use crate::{handshake::Kind, tunnel::Tunnel};

/// The service of [`LimitLayer`](super::LimitLayer).
#[derive(Clone, Debug)]
pub struct Limited<S> {
    inner: S,
    gate: Arc<Gate>,
}

// ===== impl Limited =====

impl<S> Limited<S> {
    pub(super) const fn new(inner: S, gate: Arc<Gate>) -> Self {
        Self { inner, gate }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Limited<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    ResBody: From<String>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: Request<ReqBody>) -> Self::Future {
        if Kind::of(&req).is_none() {
            return ResponseFuture::called(self.inner.call(req), None);
        }
        let client = self.gate.client(&req);
        let tunnel = Tunnel::of(req.extensions_mut());
        match self.gate.admit(client) {
            Admission::Admitted(permit) => match self.gate.begin() {
                Ok(pending) => {
                    let gate = &self.gate;
                    let handshake = Handshake::begin(&mut req, gate, tunnel, permit, pending);
                    ResponseFuture::called(self.inner.call(req), Some(handshake))
                }
                Err(refused) => {
                    self.gate.tell(refused, &tunnel, client);
                    ResponseFuture::refused(refused)
                }
            },
            Admission::Refused(refused) => {
                self.gate.tell(refused, &tunnel, client);
                ResponseFuture::refused(refused)
            }
            Admission::Queued(place, own) => {
                // The one that is ready goes along, and an unready clone stays.
                let unready = self.inner.clone();
                ResponseFuture::queued(Queued {
                    place,
                    own,
                    inner: mem::replace(&mut self.inner, unready),
                    req,
                    gate: Arc::clone(&self.gate),
                    tunnel,
                    client,
                })
            }
        }
    }
}
