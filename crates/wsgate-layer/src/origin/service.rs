use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::{OriginError, OriginPolicy, ResponseFuture};
use crate::{
    client::{self, TrustedProxies},
    handshake::Kind,
};

/// The service of [`OriginLayer`](super::OriginLayer).
#[derive(Clone, Debug)]
pub struct Origin<S> {
    inner: S,
    policy: OriginPolicy,
    trusted: TrustedProxies,
}

// ===== impl Origin =====

impl<S> Origin<S> {
    pub(super) const fn new(inner: S, policy: OriginPolicy, trusted: TrustedProxies) -> Self {
        Self {
            inner,
            policy,
            trusted,
        }
    }

    /// Only handshakes are held to the policy: for the rest browsers have rules of their own.
    fn check<B>(&self, req: &Request<B>) -> Result<(), OriginError> {
        match Kind::of(req) {
            Some(_) => self.policy.check(req, &self.trusted),
            None => Ok(()),
        }
    }

    fn log<B>(&self, req: &Request<B>, error: &OriginError) {
        let peer = client::peer_addr(req.extensions());
        let client = peer.map(|p| self.trusted.client(p.ip(), req.headers()));
        tracing::info!(
            client = client.map(tracing::field::display),
            origin = error.origin(),
            host = error.host(),
            "{error}"
        );
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Origin<S>
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

    fn call(&mut self, req: Request<ReqBody>) -> Self::Future {
        match self.check(&req) {
            Ok(()) => ResponseFuture::passed(self.inner.call(req)),
            Err(error) => {
                self.log(&req, &error);
                ResponseFuture::refused(error)
            }
        }
    }
}
