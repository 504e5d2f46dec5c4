//! Bounds on what clients may ask for: how many WebSockets, how fast, how large.
//!
//! [`LimitLayer`] bounds, for all handlers behind it, whichever of these are set; none is by itself,
//! as no number fits every service:
//!
//! | setting                                                  | beyond it                                    |
//! |----------------------------------------------------------|----------------------------------------------|
//! | [`tunnels`](LimitLayer::tunnels)                         | 503, or a [queue](LimitLayer::queue)         |
//! | [`tunnels_per_client`](LimitLayer::tunnels_per_client)   | 429                                          |
//! | [`pending_handshakes`](LimitLayer::pending_handshakes)   | 503                                          |
//! | [`handshake_rate`](LimitLayer::handshake_rate)           | 429                                          |
//! | [`frame_size`](LimitLayer::frame_size)                   | Close 1009                                   |
//! | [`message_size`](LimitLayer::message_size)               | Close 1009                                   |
//! | [`message_rate`](LimitLayer::message_rate)               | the client is held back, or Close 1008       |
//! | [`frame_rate`](LimitLayer::frame_rate)                   | the client is held back, or Close 1008       |
//! | [`byte_rate`](LimitLayer::byte_rate)                     | the client is held back, or Close 1008       |
//!
//! Choose `tunnels` for every service, as memory and file descriptors end somewhere: the number that
//! the machine was seen to carry. Choose `pending_handshakes` where handshakes wait for something that
//! can be slow, an upstream or a database: when all clients come back at once, those whom it can serve in
//! time are served, and the others hear it now instead of running into a time-out. Choose the limits per
//! client where strangers connect, and the sizes where the handler would assemble a message in memory.
//! All refusals have a `Retry-After` and a sentence that names the limit; the [`Limit`](crate::tunnel::Limit) is in the response's
//! extensions, for those who build answers of their own.
//!
//! A place is taken at the handshake and held until the handler lets go of the stream. It is free
//! again at once if the handler refuses the handshake, fails, or the client leaves before.
//!
//! A **client** is an IPv4 address, or the first 64 bits of an IPv6 address, as a single subscriber
//! has all that begin with them. Many people may share one address, in an office or behind a
//! carrier's translation, so leave room. Behind a proxy all clients have its address, unless it is
//! a [trusted one](LimitLayer::trusted_proxies).
//!
//! The limits on frames hold for what clients send, and are read off the frames' headers: nothing is
//! assembled, and a message that is too big is refused at the header that says so, before its
//! payload is read. Sizes are those on the wire. Where permessage-deflate was agreed they are those
//! of the compressed data, of which a few KiB may become many MiB: the handler needs a limit of its
//! own then.
//!
//! A message is not the only thing that can be sent too often. A pong that nobody asked for is six bytes and
//! no message, and neither is an empty piece of one; both have to be parsed, by the handler as well, and a
//! megabit has twenty thousand of them. [`frame_rate`](LimitLayer::frame_rate) counts every frame.
//!
//! axum answers pings by itself, and a client that takes none of the answers has them kept without a bound:
//! give `WebSocketUpgrade::max_write_buffer_size` one, whether or not there is a rate. `WebSocketProxy`
//! keeps nothing.
//!
//! A frame whose length has the highest bit set (RFC 6455 5.2 forbids it) is larger than any limit, and
//! nothing that follows could be counted. Where a size is limited, or a rate with [`Excess::Close`], it is
//! refused with Close 1009.
//!
//! nginx has `limit_conn` and `limit_req` for the first three (503 by default, and on an upgraded
//! connection `limit_conn` counts, too, as long as it lives), and nothing for frames. HAProxy has
//! `maxconn` with its queue, and stick tables (`conn_cur`, `conn_rate`). Envoy has circuit breakers
//! (`max_connections`, `max_pending_requests`) and the local rate limit filter.
//!
//! # Where to put it
//!
//! Outside of whatever is expensive, as a refused handshake goes no further. While the limit
//! [holds a client back](Excess::HoldBack), keepalive and timeouts on either side of it end nobody for
//! his silence, and when reading goes on, what has come meanwhile counts first. With a stream of
//! someone else's in between, such as a [`MapUpgradeLayer`](crate::MapUpgradeLayer) gives, that holds
//! for those outside of the limit only.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//!
//! use axum::{Router, extract::WebSocketUpgrade, routing::any};
//! use wsgate_layer::{
//!     LimitLayer,
//!     limit::{Excess, Rate},
//! };
//!
//! let limits = LimitLayer::new()
//!     .tunnels(10_000)
//!     .queue(500, Duration::from_secs(2))
//!     .tunnels_per_client(50)
//!     .handshake_rate(Rate::per_second(5).burst(50))
//!     .message_size(1024 * 1024)
//!     .message_rate(Rate::per_second(20).burst(100))
//!     .excess(Excess::Close);
//!
//! let app: Router = Router::new()
//!     .route("/live", any(|ws: WebSocketUpgrade| async { ws.on_upgrade(|_socket| async {}) }))
//!     .layer(limits);
//! ```

mod bucket;
mod future;
mod gate;
mod handshakes;
mod places;
mod policy;
mod rate;
mod refused;
mod service;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use tower_layer::Layer;

pub(crate) use self::policy::LimitPolicy;
pub use self::{future::ResponseFuture, rate::Rate, service::Limited};
use self::{gate::Gate, places::QueueSettings, policy::StreamLimits};
use crate::client::TrustedProxies;

/// A layer that bounds what clients may ask for.
///
/// Its clones count together, and so do all services that they are put round: one layer on a router
/// is one limit for all of its routes. Each setting gives a layer that begins to count anew, so set
/// first and clone then.
///
/// See the [module](self) for what can be set, and an example.
#[derive(Clone, Debug)]
pub struct LimitLayer {
    gate: Arc<Gate>,
}

/// What becomes of a client that sends more, or faster, than it may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Excess {
    /// Nothing is read from it until it has waited long enough: its messages pile up on its side,
    /// and none is lost. The default.
    ///
    /// Held back with them are its pongs and its Close.
    #[default]
    HoldBack,
    /// The WebSocket is ended with Close 1008.
    Close,
}

#[derive(Clone, Debug, Default)]
struct Settings {
    tunnels: Option<usize>,
    queue: Option<QueueSettings>,
    pending_handshakes: Option<usize>,
    tunnels_per_client: Option<usize>,
    handshake_rate: Option<Rate>,
    trusted: TrustedProxies,
    stream: StreamLimits,
}

// ===== impl LimitLayer =====

impl LimitLayer {
    /// Limits nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::with_settings(Settings::default())
    }

    /// At most so many tunnels at a time. A handshake beyond that is answered with 503, or stands
    /// in the [queue](Self::queue). Default: no limit.
    #[must_use]
    pub fn tunnels(self, at_most: usize) -> Self {
        self.set(|s| s.tunnels = Some(at_most))
    }

    /// Lets up to `length` handshakes wait, each for at most so long, until one of the
    /// [`tunnels`](Self::tunnels) has ended: first come, first served. Default: none waits.
    ///
    /// It smooths the moment in which all clients come back at once. Keep the time below the
    /// client's patience (browsers have minutes, libraries often 5 to 10 s), and the length to what
    /// may be served in that time. A client that leaves leaves the queue. Handshakes beyond the
    /// limits per client never stand in it.
    #[must_use]
    pub fn queue(self, length: usize, at_most: Duration) -> Self {
        self.set(|s| s.queue = Some(QueueSettings { length, at_most }))
    }

    /// At most so many handshakes at a time that the handler has not answered yet; one beyond that is
    /// answered with 503 at once. Default: no limit.
    ///
    /// It keeps a storm from becoming one of time-outs. What waits is served at the handler's pace, so
    /// with more of them than it answers within a client's patience all wait, and most in vain; and each
    /// holds a place, memory and often a connection to an upstream. Choose the number that is answered in
    /// good time on a bad day: an upstream that answers 100 in a second has 1,000 done within 10 s.
    #[must_use]
    pub fn pending_handshakes(self, at_most: usize) -> Self {
        self.set(|s| s.pending_handshakes = Some(at_most))
    }

    /// At most so many tunnels of one client at a time. A handshake beyond that is answered with
    /// 429. Default: no limit.
    ///
    /// Needs the client's address: see [`peer_addr`](crate::client::peer_addr).
    #[must_use]
    pub fn tunnels_per_client(self, at_most: usize) -> Self {
        self.set(|s| s.tunnels_per_client = Some(at_most))
    }

    /// So many handshakes of one client, also such as are refused later. One beyond that is
    /// answered with 429 and the time until the next may come. Default: no limit.
    ///
    /// Needs the client's address: see [`peer_addr`](crate::client::peer_addr). What is kept for each
    /// client is forgotten when its burst is whole again.
    #[must_use]
    pub fn handshake_rate(self, rate: Rate) -> Self {
        self.set(|s| s.handshake_rate = Some(rate))
    }

    /// Takes the client's address from what these say in `X-Forwarded-For`. Default:
    /// [`TrustedProxies::none`], which makes all clients behind a proxy one.
    #[must_use]
    pub fn trusted_proxies(self, trusted: TrustedProxies) -> Self {
        self.set(|s| s.trusted = trusted)
    }

    /// At most so many bytes of payload in a frame. A larger one, and nothing after it, reaches the
    /// handler, and the WebSocket is ended with Close 1009. Default: no limit.
    ///
    /// A client may cut its messages into frames as it likes, and some browsers cut large ones: for
    /// most purposes [`message_size`](Self::message_size) is the one to set.
    #[must_use]
    pub fn frame_size(self, bytes: u64) -> Self {
        self.set(|s| s.stream.frame_size = Some(bytes))
    }

    /// At most so many bytes of payload in all frames of a message. The frame that goes beyond it,
    /// and nothing after it, reaches the handler, and the WebSocket is ended with Close 1009.
    /// Default: no limit.
    #[must_use]
    pub fn message_size(self, bytes: u64) -> Self {
        self.set(|s| s.stream.message_size = Some(bytes))
    }

    /// So many messages of one tunnel. Pings count as well, as each asks for an answer. Pongs do not, nor
    /// do the pieces of a message before its last: see [`frame_rate`](Self::frame_rate). Default: no
    /// limit.
    #[must_use]
    pub fn message_rate(self, rate: Rate) -> Self {
        self.set(|s| s.stream.message_rate = Some(rate))
    }

    /// So many frames of one tunnel, of whatever kind: the pieces of messages, empty ones too, pings and
    /// pongs. Default: no limit.
    ///
    /// It bounds what a flood of tiny frames costs whoever has to parse them. Browsers cut only long messages,
    /// so the rate of messages with some room to spare is enough. The pongs to a [keepalive](crate::keepalive) inside of the limit count as well.
    #[must_use]
    pub fn frame_rate(self, rate: Rate) -> Self {
        self.set(|s| s.stream.frame_rate = Some(rate))
    }

    /// So many bytes of one tunnel, frame headers and control frames included. Default: no limit.
    ///
    /// They are counted when they have been read, up to a buffer of the handler's at once, and what
    /// was too much is waited for afterwards. So a burst smaller than that buffer (64 KiB in
    /// `WebSocketProxy`) makes the flow no smoother.
    #[must_use]
    pub fn byte_rate(self, rate: Rate) -> Self {
        self.set(|s| s.stream.byte_rate = Some(rate))
    }

    /// What becomes of a client beyond [`message_rate`](Self::message_rate),
    /// [`frame_rate`](Self::frame_rate) or [`byte_rate`](Self::byte_rate). Default: [`Excess::HoldBack`].
    #[must_use]
    pub fn excess(self, excess: Excess) -> Self {
        self.set(|s| s.stream.excess = excess)
    }

    fn set(self, set: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.gate.settings().clone();
        set(&mut settings);
        Self::with_settings(settings)
    }

    fn with_settings(settings: Settings) -> Self {
        Self {
            gate: Arc::new(Gate::new(settings)),
        }
    }
}

impl Default for LimitLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for LimitLayer {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Limited::new(inner, Arc::clone(&self.gate))
    }
}
