use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use pin_project_lite::pin_project;

use super::{policy::DrainPolicy, shared::Live};
use crate::{stack::Seat, tunnel::Cause};

pin_project! {
    /// The future of [`Drainable`](super::Drainable).
    ///
    /// # Cancel safety
    ///
    /// Dropped, its handshake is not counted any more.
    pub struct ResponseFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F> {
        // Boxed, so that an ordinary request pays one pointer for it.
        Called { #[pin] inner: F, handshake: Option<Box<Handshake>> },
        Refused,
    }
}

/// A handshake that is with the inner service.
pub(super) struct Handshake {
    /// `None`, if there is no stream to stand in. Then it is counted until the answer.
    seat: Option<Seat>,
    live: Live,
}

// ===== impl ResponseFuture =====

impl<F> ResponseFuture<F> {
    pub(super) fn called(inner: F, handshake: Option<Handshake>) -> Self {
        let handshake = handshake.map(Box::new);
        Self {
            state: State::Called { inner, handshake },
        }
    }

    pub(super) const fn refused() -> Self {
        Self {
            state: State::Refused,
        }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: From<String>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Called { inner, handshake } => {
                let res = ready!(inner.poll(cx));
                // Taken in any case: whatever came of it, it is over here.
                if let (Some(handshake), Ok(res)) = (handshake.take(), &res) {
                    handshake.complete(res);
                }
                Poll::Ready(res)
            }
            StateProj::Refused => Poll::Ready(Ok(unavailable())),
        }
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Called { .. } => "called",
            State::Refused => "refused",
        };
        f.debug_struct("ResponseFuture")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}

// ===== impl Handshake =====

impl Handshake {
    pub(super) fn begin<B>(req: &mut Request<B>, live: Live) -> Self {
        Self {
            seat: Seat::take(req),
            live,
        }
    }

    /// Lets it be counted as long as the WebSocket lives, if the answer opens one.
    fn complete<B>(self, res: &Response<B>) {
        let Self { seat, live } = self;
        if let Some(seat) = seat {
            seat.complete(res, |seat| seat.fill(move |_| DrainPolicy::new(live)));
        }
    }
}

fn unavailable<B: From<String>>() -> Response<B> {
    let text = format!("the server is shutting down: try again in {RETRY} s\n");
    let mut res = Response::new(B::from(text));
    *res.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = res.headers_mut();
    headers.insert(RETRY_AFTER, RETRY.into());
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(CONTENT_TYPE, text);
    res.extensions_mut().insert(Cause::Drain);
    res
}

/// By then a load balancer knows to send them elsewhere, and what restarts is mostly back. It is also
/// the least that clients are to wait after a Close 1012.
const RETRY: u64 = 5;
