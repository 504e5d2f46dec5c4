use std::time::Duration;

use tower_layer::Layer;
use wsgate_frame::{CloseCode, Event, OpCode, Role};

use crate::{
    guard::{Action, Ending, Guarded, PeerEnds, Place, Policy, Wants, forward_io},
    map_upgrade::Upgrade,
    moment::Moment,
    settings::positive,
    stack::{Accepted, InStream, Sits},
    tunnel::{Cause, Tunnel},
};

/// A layer that cuts WebSockets which do not come to their end: from the first Close on, of either side,
/// there is so much time.
///
/// A client that has been sent a Close and goes on sending, or has sent one and does not end its
/// connection, would keep the handler that waits for it as long as it likes. Nothing else finds that
/// client: each of its bytes is a sign of life. A [`WebSocketProxy`] has such a time for both of its sides
/// by itself (`close_timeout`), and needs no layer.
///
/// The client is cut, as it has been told already or has said so itself. A handler that waits for its
/// answer reads a Close 1001 "close timeout" in place of it, and then the end.
///
/// [`WebSocketProxy`]: https://docs.rs/wsgate/latest/wsgate/struct.WebSocketProxy.html
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use wsgate_layer::CloseTimeoutLayer;
///
/// assert_eq!(CloseTimeoutLayer::default(), CloseTimeoutLayer::new(Duration::from_secs(10)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseTimeoutLayer {
    timeout: Duration,
}

/// The service of [`CloseTimeoutLayer`].
pub type CloseTimeout<S> = InStream<S, CloseTimeoutLayer>;

/// A stream that ends some time after the first Close.
pub struct CloseTimeoutIo<S>(Guarded<S, CloseTimeoutPolicy>);

#[derive(Debug)]
pub(crate) struct CloseTimeoutPolicy {
    timeout: Duration,
    /// There from the first Close on.
    until: Option<Moment>,
}

// ===== impl CloseTimeoutLayer =====

impl CloseTimeoutLayer {
    /// How long the end may take by default: 10 s, as with Python's `websockets`.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

    /// Cuts WebSockets this time after the first Close.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub fn new(timeout: Duration) -> Self {
        Self {
            timeout: positive(timeout),
        }
    }

    pub(super) const fn policy(&self) -> CloseTimeoutPolicy {
        CloseTimeoutPolicy {
            timeout: self.timeout,
            until: None,
        }
    }
}

impl Default for CloseTimeoutLayer {
    /// 10 s.
    fn default() -> Self {
        Self::new(Self::DEFAULT_TIMEOUT)
    }
}

impl<S> Layer<S> for CloseTimeoutLayer {
    type Service = CloseTimeout<S>;

    fn layer(&self, inner: S) -> Self::Service {
        InStream::new(inner, *self)
    }
}

impl Sits for CloseTimeoutLayer {
    fn sit(self, seat: Accepted<'_>) {
        seat.fill(move |_| self.policy());
    }
}

// ===== impl CloseTimeoutIo =====

impl<S> CloseTimeoutIo<S> {
    /// Ends a stream at whose other end is `peer` as the layer does.
    pub fn new(stream: S, peer: Role, layer: &CloseTimeoutLayer, upgrade: &Upgrade) -> Self {
        Self(Guarded::new(stream, peer, layer.policy(), upgrade))
    }
}

forward_io!(CloseTimeoutIo);

// ===== impl CloseTimeoutPolicy =====

impl CloseTimeoutPolicy {
    fn on_event(&mut self, event: &Event<'_>) {
        // A Close that is too long to be one is told as a frame only.
        let is_close = match event {
            Event::FrameBegin { header, .. } => header.opcode == OpCode::Close,
            Event::Control { opcode, .. } => *opcode == OpCode::Close,
            _ => false,
        };
        if is_close && self.until.is_none() {
            self.until = Some(Moment::now() + self.timeout);
        }
    }
}

impl Policy for CloseTimeoutPolicy {
    // That a Close brings its deadline nearer the stream knows by itself.
    fn wants(&self) -> Wants {
        Wants::NOTHING
    }

    fn counts_unread(&self) -> bool {
        true
    }

    fn on_incoming(&mut self, event: &Event<'_>, _: Moment, _: &Tunnel) {
        self.on_event(event);
    }

    fn on_outgoing(&mut self, event: &Event<'_>, _: &Tunnel) {
        self.on_event(event);
    }

    fn deadline(&self) -> Option<Moment> {
        self.until
    }

    fn on_deadline(&mut self, _: Moment, _: Place<'_>) -> Option<Action> {
        Some(Action::End(Ending {
            cause: Cause::CloseTimeout,
            code: CloseCode::GOING_AWAY,
            reason: "close timeout",
            peer: PeerEnds::AtOnce,
        }))
    }
}
