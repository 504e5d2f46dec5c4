//! One stream for all layers that stand one directly round the other.
//!
//! A layer that acts in the stream of a WebSocket needs one `OnUpgrade` of its own making, a task that
//! waits for the connection's, and a stream that follows the frames. Layers that follow each other
//! need that only once. The outermost makes it; those inside of it find in the request that it is
//! there, and leave their part with it when the handshake is accepted:
//!
//! ```text
//!   request ──▶ outermost: mints an OnUpgrade ──▶ inner: finds the stack ──▶ handler
//!   101     ◀── takes all parts, wraps the stream ◀── leaves its part ◀─────────┘
//! ```
//!
//! Where something else has put a stream of its own in between, such as a
//! [`MapUpgradeLayer`](crate::MapUpgradeLayer), a new stack begins inside of that. So nobody can tell
//! from outside, except by what it costs.

mod future;
mod policy;
mod service;

#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use http::{HeaderMap, Request, Response};
use wsgate_frame::Role;

use crate::{
    guard::{Guarded, Policies},
    handshake::Kind,
    map_upgrade::Upgrade,
    tunnel::Tunnel,
    upgrade::{ConnectionIo, Intercepted, intercept},
};

use self::policy::LayerPolicy;
pub use self::{future::ResponseFuture, service::InStream};

/// A layer of this crate that acts in the stream alone. Others use [`Wrap`](crate::map_upgrade::Wrap).
pub trait Sits: Clone + Send + 'static {
    /// Takes the seat when the handshake was accepted.
    #[doc(hidden)]
    fn sit(self, seat: Accepted<'_>);
}

/// A layer's part in one handshake, from the request to the answer.
///
/// Dropped, it fails the handler's `OnUpgrade`, if it was the one to mint it.
pub(crate) struct Seat {
    kind: Kind,
    tunnel: Tunnel,
    stack: Stack,
    /// Of the outermost.
    intercepted: Option<Intercepted<LayeredIo>>,
}

/// A seat whose handshake was accepted.
#[derive(Debug)]
pub struct Accepted<'a> {
    seat: &'a mut Seat,
    /// Those of the answer.
    headers: &'a HeaderMap,
}

/// The parts of a stack, the innermost first. In the request's extensions as long as nobody else has
/// put a stream in between.
#[derive(Clone, Default)]
pub(crate) struct Stack(Arc<Mutex<Vec<Part>>>);

/// The stream of a stack.
pub(crate) type LayeredIo = Guarded<ConnectionIo, Policies<LayerPolicy>>;

type Part = Box<dyn FnOnce(&Upgrade) -> LayerPolicy + Send>;

// ===== impl Seat =====

impl Seat {
    /// Takes a seat in a handshake. `None` where [`intercept`] gives none.
    pub(crate) fn take<B>(req: &mut Request<B>) -> Option<Self> {
        let stack = req.extensions().get::<Stack>().cloned();
        if let Some((stack, kind)) = stack.zip(Kind::of(req)) {
            return Some(Self {
                kind,
                tunnel: Tunnel::of(req.extensions_mut()),
                stack,
                intercepted: None,
            });
        }
        let intercepted = intercept(req)?;
        let stack = Stack::default();
        req.extensions_mut().insert(stack.clone());
        Some(Self {
            kind: intercepted.kind(),
            tunnel: Tunnel::of(req.extensions_mut()),
            stack,
            intercepted: Some(intercepted),
        })
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    /// Completes the handshake with the inner service's answer: where that accepts, `sit` has to
    /// [fill](Accepted::fill) the seat.
    pub(crate) fn complete<B>(mut self, res: &Response<B>, sit: impl FnOnce(Accepted<'_>)) {
        if !self.kind.is_accepted(res.status()) {
            return;
        }
        sit(Accepted {
            seat: &mut self,
            headers: res.headers(),
        });
        let Some(intercepted) = self.intercepted else {
            return;
        };
        let parts = std::mem::take(&mut *self.stack.lock());
        let upgrade = Upgrade::new(self.tunnel, self.kind);
        intercepted.complete(res, move |io| {
            let outermost_first = parts.into_iter().rev();
            let policies = outermost_first.map(|part| part(&upgrade)).collect();
            let io = ConnectionIo::from(io.into_inner());
            Guarded::new(io, Role::Client, Policies::new(policies), &upgrade)
        });
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat")
            .field("kind", &self.kind)
            .field("outermost", &self.intercepted.is_some())
            .finish_non_exhaustive()
    }
}

// ===== impl Accepted =====

impl Accepted<'_> {
    /// With what fields the handshake was accepted.
    pub(crate) const fn headers(&self) -> &HeaderMap {
        self.headers
    }

    /// Leaves what makes the policy, when the WebSocket is open. Dropped uncalled, the client has left.
    pub(crate) fn fill<P>(self, make: impl FnOnce(&Upgrade) -> P + Send + 'static)
    where
        P: Into<LayerPolicy>,
    {
        let part: Part = Box::new(move |upgrade| make(upgrade).into());
        self.seat.stack.lock().push(part);
    }
}

// ===== impl Stack =====

impl Stack {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Part>> {
        // Nothing that is done under the lock panics half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack").finish_non_exhaustive()
    }
}
