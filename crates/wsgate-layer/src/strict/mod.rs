//! Hold both sides to the rules for frames.
//!
//! [`StrictFramesLayer`] looks at the header of every frame, the client's and the handler's, and at the
//! payload of each Close. Nothing of a frame that breaks a rule passes, nor anything after it: both sides
//! get a Close 1002 that says who did what, and one line of the log says it as well.
//!
//! ```text
//!   client ── frame without a mask ──▶ STRICT ─────────── Close 1002 ──────────▶ handler
//!          ◀──────── Close 1002 ──────────┘   "client: frame without a mask"
//! ```
//!
//! | refused, from either side                                          | RFC 6455 |
//! |---------------------------------------------------------------------|----------|
//! | a frame of the client's without a mask, one of the server's with one | 5.1      |
//! | a reserved bit that no agreed extension gave a meaning              | 5.2      |
//! | a reserved opcode                                                   | 5.2      |
//! | a length that is not in its shortest form, or has its highest bit set | 5.2    |
//! | a continuation of no message, a new message inside a fragmented one | 5.4      |
//! | a control frame that is fragmented, or longer than 125 bytes        | 5.5      |
//! | a data frame after a Close                                          | 5.5.1    |
//! | a Close with half a code, or a reason that is not UTF-8             | 5.5.1    |
//! | a Close with a code that must not be sent                           | 7.4      |
//!
//! permessage-deflate (RFC 7692), where it was agreed, has the first reserved bit, in the first frame of a
//! message only. An extension that this layer does not know may give a meaning to any reserved bit and
//! opcode, so where one was agreed all of those pass.
//!
//! **Text is not checked for UTF-8**, and compressed data is not inflated: no payload is ever unmasked here.
//! Both are left to the end for which the message is (RFC 6455 8.1).
//!
//! # When to choose it
//!
//! Not by default, here or in the program `wsgate`. The other layers and the proxy are *transparent*: what
//! is between the two ends is passed on as it came.
//!
//! - **Who is harmed by a broken frame?** Only those who exchange it. A WebSocket has its connection
//!   (its stream of HTTP/2) for itself on either side of a gateway, so unlike a smuggled request it cannot
//!   run into somebody else's. A gateway that only follows the frames keeps its place after every
//!   one of these faults but a length with its highest bit set; after that it puts no frames of its own
//!   between the others any more, warns once, and still ends what is silent.
//! - **Who knows better?** The end. RFC 6455 has each of the two fail the connection, and every
//!   well-known implementation does, with a code and a reason of its own choice. Before the same
//!   application, with and without a gateway, a client then hears the same. That is what Autobahn's
//!   cases look at.
//! - **What would break?** What works today though it bends a rule: devices that do not mask, servers that
//!   write every length in 16 bits, applications that close with a code that was registered
//!   yesterday, or with one of their own below 3000.
//!
//! Choose it before a handler that does not look for itself: a parser of one's own, an old one, one in
//! C that nobody maintains. Or to have each offender in the log.
//!
//! nginx, HAProxy and Envoy pass all bytes of an upgraded connection, and have nothing of this kind.
//!
//! # Where to put it
//!
//! Anywhere. As it ends what it does not like, the others see only what is right, or the end. Inside of
//! an [`ObserveLayer`](crate::ObserveLayer) the observer is told of the end with its cause. With a stream
//! of someone else's in between, such as a [`MapUpgradeLayer`](crate::MapUpgradeLayer) gives, put it next
//! to whom it is to protect.
//!
//! # How it ends it
//!
//! With a Close 1002 at the next boundary, to both, as far as neither has had one. The offender has 5 s to
//! answer. [`Tunnel::end`](crate::tunnel::Tunnel::end) then tells
//! [`Cause::ProtocolError`](crate::tunnel::Cause::ProtocolError) with the [`Violation`](crate::Violation), and whose it was.
//! A rule broken after a Close cannot be told with another one to whom has had that.
//!
//! # Example
//!
//! ```
//! use axum::{Router, extract::WebSocketUpgrade, routing::any};
//! use wsgate_layer::StrictFramesLayer;
//!
//! let app: Router = Router::new()
//!     .route("/live", any(|ws: WebSocketUpgrade| async { ws.on_upgrade(|_socket| async {}) }))
//!     .layer(StrictFramesLayer::new());
//! ```

mod extensions;
mod policy;

use http::HeaderMap;
use tower_layer::Layer;
use wsgate_frame::Role;

pub(crate) use self::policy::StrictPolicy;
use crate::{
    guard::{Guarded, forward_io},
    map_upgrade::Upgrade,
    stack::{Accepted, InStream, Sits},
};

/// A layer that ends WebSockets in which a frame breaks the rules, with Close 1002 to both sides.
///
/// See the [module](self) for the rules, for when to choose it, and an example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StrictFramesLayer {
    _private: (),
}

/// The service of [`StrictFramesLayer`].
pub type StrictFrames<S> = InStream<S, StrictFramesLayer>;

/// A stream that ends where a frame breaks the rules.
pub struct StrictFramesIo<S>(Guarded<S, StrictPolicy>);

// ===== impl StrictFramesLayer =====

impl StrictFramesLayer {
    /// Holds both sides to the rules.
    #[must_use]
    pub const fn new() -> Self {
        Self { _private: () }
    }
}

impl<S> Layer<S> for StrictFramesLayer {
    type Service = StrictFrames<S>;

    fn layer(&self, inner: S) -> Self::Service {
        InStream::new(inner, *self)
    }
}

impl Sits for StrictFramesLayer {
    fn sit(self, seat: Accepted<'_>) {
        let policy = StrictPolicy::new(seat.headers());
        seat.fill(move |_| policy);
    }
}

// ===== impl StrictFramesIo =====

impl<S> StrictFramesIo<S> {
    /// Holds both ends of a stream to the rules, as the layer does: `peer`, which is at its other end, and
    /// whoever writes to it. `accepted` are the fields of the answer that opened the WebSocket, which
    /// has the extensions that were agreed.
    pub fn new(stream: S, peer: Role, accepted: &HeaderMap, upgrade: &Upgrade) -> Self {
        Self(Guarded::new(
            stream,
            peer,
            StrictPolicy::new(accepted),
            upgrade,
        ))
    }
}

forward_io!(StrictFramesIo);
