use std::time::Duration;

use tower_layer::Layer;
use wsgate_frame::{CloseCode, Role};

use super::end;
use crate::{
    guard::{Action, Guarded, Place, Policy, Wants, forward_io},
    map_upgrade::Upgrade,
    moment::Moment,
    settings::{positive, sendable},
    stack::{Accepted, InStream, Sits},
    tunnel::Cause,
};

/// A layer that ends the WebSockets of silent clients: nginx's `proxy_read_timeout` without the cut.
///
/// Any byte counts, of whatever frame; while the handler does not read, no time passes. See the
/// [module](super) for when to choose it, and for its place beside a keepalive.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use wsgate_layer::ReadTimeoutLayer;
///
/// assert_eq!(ReadTimeoutLayer::default(), ReadTimeoutLayer::new(Duration::from_secs(60)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadTimeoutLayer {
    timeout: Duration,
    close_code: CloseCode,
}

/// The service of [`ReadTimeoutLayer`].
pub type ReadTimeout<S> = InStream<S, ReadTimeoutLayer>;

/// A stream that ends when its peer is silent for too long.
pub struct ReadTimeoutIo<S>(Guarded<S, ReadTimeoutPolicy>);

#[derive(Debug)]
pub(crate) struct ReadTimeoutPolicy {
    timeout: Duration,
    close_code: CloseCode,
    /// When something was read last, or the WebSocket opened, or the time began anew.
    last: Moment,
    /// Whether it did, since something was read last.
    excused: bool,
}

// ===== impl ReadTimeoutLayer =====

impl ReadTimeoutLayer {
    /// How long a client may be silent by default: 60 s, as with nginx's `proxy_read_timeout`.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

    /// Ends WebSockets from whose client nothing came for this time.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub fn new(timeout: Duration) -> Self {
        Self {
            timeout: positive(timeout),
            close_code: CloseCode::GOING_AWAY,
        }
    }

    /// The code of the Close that both sides get. Default: 1001. The reason is "read timeout".
    ///
    /// # Panics
    ///
    /// If the code [may not be sent](CloseCode::is_sendable).
    #[must_use]
    #[track_caller]
    pub fn close_code(mut self, code: CloseCode) -> Self {
        self.close_code = sendable(code);
        self
    }

    pub(super) fn policy(&self) -> ReadTimeoutPolicy {
        ReadTimeoutPolicy {
            timeout: self.timeout,
            close_code: self.close_code,
            last: Moment::now(),
            excused: false,
        }
    }
}

impl Default for ReadTimeoutLayer {
    /// 60 s, as nginx.
    fn default() -> Self {
        Self::new(Self::DEFAULT_TIMEOUT)
    }
}

impl<S> Layer<S> for ReadTimeoutLayer {
    type Service = ReadTimeout<S>;

    fn layer(&self, inner: S) -> Self::Service {
        InStream::new(inner, *self)
    }
}

impl Sits for ReadTimeoutLayer {
    fn sit(self, seat: Accepted<'_>) {
        seat.fill(move |_| self.policy());
    }
}

// ===== impl ReadTimeoutIo =====

impl<S> ReadTimeoutIo<S> {
    /// Ends a stream at whose other end is `peer` as the layer does.
    pub fn new(stream: S, peer: Role, layer: &ReadTimeoutLayer, upgrade: &Upgrade) -> Self {
        Self(Guarded::new(stream, peer, layer.policy(), upgrade))
    }
}

forward_io!(ReadTimeoutIo);

// ===== impl ReadTimeoutPolicy =====

impl Policy for ReadTimeoutPolicy {
    fn wants(&self) -> Wants {
        Wants::NOTHING
    }

    fn on_read(&mut self, now: Moment) {
        self.last = now;
        self.excused = false;
    }

    fn deadline(&self) -> Option<Moment> {
        Some(self.last + self.timeout)
    }

    fn on_deadline(&mut self, now: Moment, _: Place<'_>) -> Option<Action> {
        let ends = self.last + self.timeout;
        if ends.was_missed(now) && !self.excused {
            // A keepalive was asleep as well, and its pings come first.
            self.last = now;
            self.excused = true;
            return None;
        }
        Some(end(
            Cause::ReadTimeout,
            self.close_code,
            "read timeout",
            now,
        ))
    }
}
