use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;
use tracing::{Instrument, Span};

use super::{ResponseFuture, Settings, record::Unsettled};
use crate::stack::Seat;

/// The service of [`ObserveLayer`](super::ObserveLayer).
#[derive(Clone, Debug)]
pub struct Observe<S> {
    inner: S,
    settings: Settings,
}

// ===== impl Observe =====

impl<S> Observe<S> {
    pub(super) const fn new(inner: S, settings: Settings) -> Self {
        Self { inner, settings }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for Observe<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: Request<ReqBody>) -> Self::Future {
        let Some(seat) = Seat::take(&mut req) else {
            return ResponseFuture::new(self.inner.call(req).instrument(Span::none()), None);
        };
        let unsettled = Unsettled::new(&self.settings, seat.kind(), &mut req);
        let span = unsettled.span();
        let inner = span.in_scope(|| self.inner.call(req));
        ResponseFuture::new(inner.instrument(span), Some((seat, unsettled)))
    }
}
