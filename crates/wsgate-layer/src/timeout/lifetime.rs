use std::time::Duration;

use tower_layer::Layer;
use wsgate_frame::{CloseCode, Role};

use super::end;
use crate::{
    guard::{Action, Guarded, Place, Policy, Wants, forward_io},
    map_upgrade::Upgrade,
    moment::Moment,
    settings::{Jittered, sendable},
    stack::{Accepted, InStream, Sits},
    tunnel::Cause,
};

/// A layer that ends WebSockets when they have reached a certain age, so that clients come back: with
/// fresh credentials, to a fresh process, to another machine.
///
/// See the [module](super) for its companions. Time passes also while the handler holds the client
/// back, as long as it goes on asking for something to read.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use wsgate_frame::CloseCode;
/// use wsgate_layer::LifetimeLayer;
///
/// // A day, less up to a quarter of it.
/// let layer = LifetimeLayer::new(Duration::from_secs(24 * 60 * 60))
///     .jitter(0.25)
///     .close_code(CloseCode::SERVICE_RESTART);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LifetimeLayer {
    age: Jittered,
    close_code: CloseCode,
}

/// The service of [`LifetimeLayer`].
pub type Lifetime<S> = InStream<S, LifetimeLayer>;

/// A stream that ends at a certain age.
pub struct LifetimeIo<S>(Guarded<S, LifetimePolicy>);

#[derive(Debug)]
pub(crate) struct LifetimePolicy {
    ends: Moment,
    close_code: CloseCode,
}

// ===== impl LifetimeLayer =====

impl LifetimeLayer {
    /// Ends WebSockets at this age at the latest.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub fn new(max_age: Duration) -> Self {
        Self {
            age: Jittered::new(max_age),
            close_code: CloseCode::GOING_AWAY,
        }
    }

    /// Shortens each life by a random part of up to this share of it, from 0.0 to 1.0. Default: 0.1, so
    /// that clients who came together do not come back together.
    ///
    /// # Panics
    ///
    /// If the share is not within those bounds.
    #[must_use]
    #[track_caller]
    pub fn jitter(mut self, share: f64) -> Self {
        self.age = self.age.jitter(share);
        self
    }

    /// The code of the Close that both sides get. Default: 1001. The reason is "lifetime".
    ///
    /// [1012](CloseCode::SERVICE_RESTART) says more clearly that the client should come back, after 5 to
    /// 30 seconds.
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

    /// For a life that begins now.
    fn policy(&self) -> LifetimePolicy {
        LifetimePolicy {
            ends: Moment::now() + self.age.draw(rand::random()),
            close_code: self.close_code,
        }
    }
}

impl<S> Layer<S> for LifetimeLayer {
    type Service = Lifetime<S>;

    fn layer(&self, inner: S) -> Self::Service {
        InStream::new(inner, *self)
    }
}

impl Sits for LifetimeLayer {
    fn sit(self, seat: Accepted<'_>) {
        seat.fill(move |_| self.policy());
    }
}

// ===== impl LifetimeIo =====

impl<S> LifetimeIo<S> {
    /// Ends a stream at whose other end is `peer` as the layer does. Its life begins now.
    pub fn new(stream: S, peer: Role, layer: &LifetimeLayer, upgrade: &Upgrade) -> Self {
        Self(Guarded::new(stream, peer, layer.policy(), upgrade))
    }
}

forward_io!(LifetimeIo);

// ===== impl LifetimePolicy =====

impl Policy for LifetimePolicy {
    fn wants(&self) -> Wants {
        Wants::NOTHING
    }

    fn counts_unread(&self) -> bool {
        true
    }

    fn deadline(&self) -> Option<Moment> {
        Some(self.ends)
    }

    fn on_deadline(&mut self, now: Moment, _: Place<'_>) -> Option<Action> {
        Some(end(Cause::Lifetime, self.close_code, "lifetime", now))
    }
}
