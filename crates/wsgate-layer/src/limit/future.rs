use std::{
    fmt,
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    gate::{Gate, Pending, Permit},
    places::{ClientPlace, Place, Waiting},
    policy::{LimitPolicy, StreamLimits},
    refused::Refused,
};
use crate::{stack::Seat, tunnel::Tunnel};

pin_project! {
    /// The future of [`Limited`](super::Limited).
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves the queue, or gives its place back.
    pub struct ResponseFuture<S, ReqBody>
    where
        S: Service<Request<ReqBody>>,
    {
        #[pin]
        state: State<S, ReqBody>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, ReqBody>
    where
        S: Service<Request<ReqBody>>,
    {
        Refused { refused: Refused },
        // Until there is a place, or none. Boxed, as it has the whole request in it.
        Queued { queued: Option<Box<Queued<S, ReqBody>>> },
        // Boxed, so that an ordinary request pays one pointer for it.
        Called { #[pin] inner: S::Future, handshake: Option<Box<Handshake>> },
    }
}

/// A handshake that waits for a place.
pub(super) struct Queued<S, ReqBody> {
    pub(super) place: Waiting,
    pub(super) own: Option<ClientPlace>,
    pub(super) inner: S,
    pub(super) req: Request<ReqBody>,
    pub(super) gate: Arc<Gate>,
    pub(super) tunnel: Tunnel,
    pub(super) client: Option<IpAddr>,
}

/// A handshake that has its place and is with the inner service.
pub(super) struct Handshake {
    /// `None`, if there is no stream to stand in. Then the place is held until the answer.
    seat: Option<Seat>,
    limits: StreamLimits,
    tunnel: Tunnel,
    permit: Permit,
    pending: Pending,
}

// ===== impl ResponseFuture =====

impl<S, ReqBody> ResponseFuture<S, ReqBody>
where
    S: Service<Request<ReqBody>>,
{
    pub(super) fn called(inner: S::Future, handshake: Option<Handshake>) -> Self {
        let handshake = handshake.map(Box::new);
        Self {
            state: State::Called { inner, handshake },
        }
    }

    pub(super) fn queued(queued: Queued<S, ReqBody>) -> Self {
        let queued = Some(Box::new(queued));
        Self {
            state: State::Queued { queued },
        }
    }

    pub(super) const fn refused(refused: Refused) -> Self {
        Self {
            state: State::Refused { refused },
        }
    }
}

impl<S, ReqBody, ResBody> Future for ResponseFuture<S, ReqBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: From<String>,
{
    type Output = Result<Response<ResBody>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProj::Refused { refused } => return Poll::Ready(Ok(refused.to_response())),
                // Queued -> Called | Refused
                StateProj::Queued { queued } => {
                    let waiting = queued.as_mut().expect("taken once, when the state changes");
                    let place = ready!(Pin::new(&mut waiting.place).poll(cx));
                    let queued = queued.take().expect("it was there a line ago");
                    state.set(queued.go_on(place));
                }
                StateProj::Called { inner, handshake } => {
                    let res = ready!(inner.poll(cx));
                    // Taken in any case: whatever came of it, it is over here.
                    if let (Some(handshake), Ok(res)) = (handshake.take(), &res) {
                        handshake.complete(res);
                    }
                    return Poll::Ready(res);
                }
            }
        }
    }
}

impl<S, ReqBody> fmt::Debug for ResponseFuture<S, ReqBody>
where
    S: Service<Request<ReqBody>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Refused { .. } => "refused",
            State::Queued { .. } => "queued",
            State::Called { .. } => "called",
        };
        f.debug_struct("ResponseFuture")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}

// ===== impl Queued =====

impl<S, ReqBody> Queued<S, ReqBody>
where
    S: Service<Request<ReqBody>>,
{
    /// What becomes of it with a place, or without one when its time is up.
    fn go_on(mut self, place: Option<Place>) -> State<S, ReqBody> {
        let begun = match place {
            Some(_) => self.gate.begin(),
            None => Err(Refused::TUNNELS),
        };
        let pending = match begun {
            Ok(pending) => pending,
            Err(refused) => {
                self.gate.tell(refused, &self.tunnel, self.client);
                return State::Refused { refused };
            }
        };
        let permit = Permit::new(self.own, place);
        let handshake = Handshake::begin(&mut self.req, &self.gate, self.tunnel, permit, pending);
        State::Called {
            inner: self.inner.call(self.req),
            handshake: Some(Box::new(handshake)),
        }
    }
}

// ===== impl Handshake =====

impl Handshake {
    pub(super) fn begin<B>(
        req: &mut Request<B>,
        gate: &Gate,
        tunnel: Tunnel,
        permit: Permit,
        pending: Pending,
    ) -> Self {
        Self {
            seat: Seat::take(req),
            limits: gate.settings().stream,
            tunnel,
            permit,
            pending,
        }
    }

    /// Lets the place live as long as the tunnel, if the answer opens one.
    fn complete<B>(self, res: &Response<B>) {
        let Self {
            seat,
            limits,
            tunnel,
            permit,
            pending,
        } = self;
        drop(pending);
        if let Some(seat) = seat {
            seat.complete(res, |seat| {
                seat.fill(move |_| LimitPolicy::new(limits, tunnel, permit));
            });
        }
    }
}
