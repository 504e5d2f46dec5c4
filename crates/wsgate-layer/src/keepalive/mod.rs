//! Ping quiet peers, and end the WebSockets of dead ones.
//!
//! A peer that loses its network, is put to sleep or crashes says nothing, and TCP notices only when
//! it has something to send, then takes a quarter of an hour. And a peer that is well but quiet is
//! cut by the first device on the way that forgets idle connections. [`KeepaliveLayer`] pings a peer
//! from which nothing came for a while, and ends its WebSocket when no sign of life follows.
//!
//! ```text
//!              interval              pong timeout
//!   last byte ──────────▶ ping ─────────┬──────────▶ dead: the peer is cut, the handler
//!       ▲                               │                  reads a Close, cause "pong timeout"
//!       └───────── any byte ────────────┘
//! ```
//!
//! # When to choose it
//!
//! For every server whose clients may be quiet, unless the application has a heartbeat of its own and
//! acts on it. Such a heartbeat goes on working: pings carry eight bytes that nobody can guess, and
//! exactly the pongs to those are taken out of what the handler reads. Any other pong passes.
//!
//! Dead peers are what this layer finds. For those that are alive but have nothing to say, see
//! [`timeout`](crate::timeout), and there how the order of the two layers matters. The interval has to
//! be shorter than any such timeout on the way.
//!
//! # Signs of life
//!
//! Any byte from the peer is one, whatever it belongs to: the pong may have to wait behind a long
//! upload. So is a write of the handler that had to wait and goes on, because the peer has read
//! something. A sign of life after the ping gives the peer its whole time once more.
//!
//! - A ping goes out between two frames, also those of one message, and never after a Close. A handler
//!   that leaves off in the middle of a frame holds it up; no time runs against the peer then, and a
//!   [read timeout](crate::timeout) is what ends that.
//! - While the peer takes nothing of what the handler writes, no ping can be sent either. The time runs
//!   all the same: a client stopped in the middle of a flood is found as any other.
//! - Once the handler has sent a Close no ping may follow it. The peer owes an answer to that just
//!   as well, so the time runs as it would for a ping.
//! - A peer that has sent its Close owes nothing any more. One that ends its direction without a Close
//!   can answer no ping: that it takes what is written is then its only sign of life.
//! - Where the handler broke the framing so that nobody can tell where a frame ends (a length of more than
//!   63 bits), no ping goes out ever again. A peer that then says nothing for the interval and the pong
//!   timeout is taken for dead.
//! - A process that stood still, stopped by a signal or with its machine, does not blame the peer: when the
//!   time was over for more than 100 ms before anybody was there to see it, it runs once more.
//!
//! Like every layer, this one acts only when the handler reads.
//!
//! # Defaults
//!
//! A ping after 25 s of silence: load balancers and mobile networks forget idle connections after 30 s
//! to a few minutes. A pong within 20 s, as much as a phone may need that has to be woken over a bad
//! network.
//!
//! # What others call it
//!
//! nginx, HAProxy and Envoy have no pings for WebSockets. Their `proxy_socket_keepalive`, `tcp-ka` and
//! `tcp_keepalive` are TCP's: a kernel answers those for a process that is stopped or hangs, and so
//! does any proxy on the way for the client behind it. Envoy's `connection_keepalive` pings an HTTP/2
//! connection, of which the same is true. Among WebSocket servers, the usual words are `ping_interval`
//! and `ping_timeout`.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//!
//! use axum::{Router, extract::WebSocketUpgrade, routing::any};
//! use wsgate_layer::KeepaliveLayer;
//!
//! let app: Router = Router::new()
//!     .route(
//!         "/live",
//!         any(|ws: WebSocketUpgrade| async {
//!             ws.on_upgrade(|mut socket| async move { while let Some(Ok(_)) = socket.recv().await {} })
//!         }),
//!     )
//!     .layer(KeepaliveLayer::every(Duration::from_secs(25)).pong_timeout(Duration::from_secs(10)));
//! ```

mod pings;
mod policy;
mod stream;

#[cfg(test)]
pub(crate) mod tests;

use std::{sync::Arc, time::Duration};

use tower_layer::Layer;
use wsgate_frame::{CloseCode, Role};

pub(crate) use self::policy::KeepalivePolicy;
pub use self::stream::KeepaliveIo;
use crate::{
    moment::Moment,
    settings::{Jittered, positive, sendable},
    stack::{Accepted, InStream, Sits},
};

/// A layer that pings quiet clients, and ends the WebSockets of dead ones. Cheap to clone.
///
/// See the [module](self) for what it does when, and an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepaliveLayer {
    settings: Arc<Settings>,
}

/// The service of [`KeepaliveLayer`].
pub type Keepalive<S> = InStream<S, KeepaliveLayer>;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Settings {
    interval: Jittered,
    pong_timeout: Duration,
    /// Whether the interval begins anew with each byte of the peer.
    postponed: bool,
    close_code: CloseCode,
}

// ===== impl KeepaliveLayer =====

impl KeepaliveLayer {
    /// After how much silence a ping goes out by default: 25 s. See the [module](self#defaults) for why.
    pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(25);

    /// How long a pong may take [by default](Self::pong_timeout), at most: 20 s.
    pub const DEFAULT_PONG_TIMEOUT: Duration = Duration::from_secs(20);

    /// Pings a client from which nothing came for this time.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub fn every(interval: Duration) -> Self {
        let interval = Jittered::new(interval);
        let settings = Settings {
            interval,
            pong_timeout: interval.longest().min(Self::DEFAULT_PONG_TIMEOUT),
            postponed: true,
            close_code: CloseCode::INTERNAL_ERROR,
        };
        Self {
            settings: Arc::new(settings),
        }
    }

    /// How long a client may give no sign of life after a ping. Default: as long as the interval, at
    /// most 20 s.
    ///
    /// A ping waits behind all that the handler has written before. Who sends large messages over slow
    /// links gives the time that they take, too: what lies in the kernel's send buffer, up to a few MiB,
    /// leaves it unseen.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub fn pong_timeout(self, timeout: Duration) -> Self {
        let timeout = positive(timeout);
        self.with(|settings| settings.pong_timeout = timeout)
    }

    /// Shortens each interval, the first one too, by a random part of up to this share of it, from 0.0
    /// to 1.0. Default: 0.1, so that a million sockets that were opened at once do not ping in step.
    ///
    /// # Panics
    ///
    /// If the share is not within those bounds.
    #[must_use]
    #[track_caller]
    pub fn jitter(self, share: f64) -> Self {
        let interval = self.settings.interval.jitter(share);
        self.with(|settings| settings.interval = interval)
    }

    /// Pings once in each interval, whether or not the client sends something by itself. Default: what
    /// it sends postpones the ping, because it says as much.
    ///
    /// Choose it where round-trip times are wanted of busy clients, too.
    #[must_use]
    pub fn regardless_of_traffic(self) -> Self {
        self.with(|settings| settings.postponed = false)
    }

    /// The code of the Close that the handler reads when the client is dead. Default: 1011, as
    /// Python's `websockets` reports it. The reason is "pong timeout".
    ///
    /// # Panics
    ///
    /// If the code [may not be sent](CloseCode::is_sendable).
    #[must_use]
    #[track_caller]
    pub fn close_code(self, code: CloseCode) -> Self {
        let code = sendable(code);
        self.with(|settings| settings.close_code = code)
    }

    fn policy(&self, peer: Role) -> KeepalivePolicy {
        let settings = Arc::clone(&self.settings);
        KeepalivePolicy::new(settings, peer, Moment::now())
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }
}

impl Default for KeepaliveLayer {
    /// After 25 s of silence.
    fn default() -> Self {
        Self::every(Self::DEFAULT_INTERVAL)
    }
}

impl<S> Layer<S> for KeepaliveLayer {
    type Service = Keepalive<S>;

    fn layer(&self, inner: S) -> Self::Service {
        InStream::new(inner, self.clone())
    }
}

impl Sits for KeepaliveLayer {
    fn sit(self, seat: Accepted<'_>) {
        seat.fill(move |_| self.policy(Role::Client));
    }
}
