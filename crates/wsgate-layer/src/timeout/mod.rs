//! End WebSockets that are silent, slow, unused, or old.
//!
//! | layer | ends a WebSocket | default |
//! |---|---|---|
//! | [`ReadTimeoutLayer`] | from whose client nothing came for a while | 60 s |
//! | [`IdleTimeoutLayer`] | in which no message moved, either way, for a while | none |
//! | [`LifetimeLayer`] | that has lived long enough | none |
//! | [`MessageTimeoutLayer`] | whose client begins a frame, or a message, and does not finish it | none; 60 s for frames in the program |
//! | [`CloseTimeoutLayer`] | that does not end after the first Close | 10 s |
//!
//! # Which to choose
//!
//! - Is the client still there? A [keepalive](crate::keepalive) asks it, and a [`ReadTimeoutLayer`]
//!   *outside* of that is the backstop: it needs nothing from the handler but that it reads.
//! - Does the client's application still do something? A [`ReadTimeoutLayer`] *inside* the keepalive:
//!   for protocols in which the client has a heartbeat of its own.
//! - Is the WebSocket of any use, to whichever side? An [`IdleTimeoutLayer`], anywhere. Pings and pongs
//!   do not count, whoever sends them.
//! - Are clients to come back now and then, to be authenticated or balanced anew? A
//!   [`LifetimeLayer`], anywhere.
//!
//! - Does a client take its time on purpose? A [`MessageTimeoutLayer`], and a [`CloseTimeoutLayer`] round
//!   handlers that wait for the client's answer to their Close. Both anywhere.
//!
//! # Their place beside the keepalive
//!
//! The keepalive takes the pongs to its pings out of the stream. What is outside of it, nearer to the
//! client, sees them; what is inside does not:
//!
//! ```text
//!   client ── pong ──▶ READ TIMEOUT ── pong ──▶ keepalive ─────────────▶ handler
//!
//!     "the client is there": a quiet one stays, a dead one goes
//!
//!   client ── pong ──▶ keepalive ─────────────▶ READ TIMEOUT ──────────▶ handler
//!
//!     "the client has something to say": a quiet one goes, too
//! ```
//!
//! Outside, the timeout has to be longer than the keepalive's interval and its pong timeout together, so
//! that each dead client is found by the one that can tell why.
//!
//! With axum, the last `.layer()` line is the outermost.
//!
//! # How they end it
//!
//! With a Close at the next boundary: 1001 and the name of the layer, so that a client knows that it
//! may come back. What the handler writes from then on is thrown away, and it reads on until the client
//! has answered, 5 s at most, then a Close and the end of the stream. nginx, HAProxy and Envoy cut
//! the connection instead; a browser reports that as 1006.
//!
//! A process that stood still, stopped by a signal or with its machine, ends nobody for a silence in which
//! it did not listen: when read or idle timeout was over for more than 100 ms before anybody was there to see it,
//! it runs once more.
//!
//! # What others call it
//!
//! | | nginx | HAProxy | Envoy |
//! |---|---|---|---|
//! | [`ReadTimeoutLayer`] | `proxy_read_timeout`, about | `timeout client`, before the upgrade | |
//! | [`IdleTimeoutLayer`] | `proxy_read_timeout`, about | `timeout tunnel` | `stream_idle_timeout`, `idle_timeout` |
//! | [`LifetimeLayer`] | | | `max_stream_duration`, `max_connection_duration` |
//!
//! Theirs count bytes, pings and pongs included. On an open WebSocket `proxy_read_timeout` counts those
//! of either side: a client that is dead never runs into it as long as it is talked to, and one that
//! only listens stays. Here the first is found by a [`ReadTimeoutLayer`], and the second stays because
//! of the pongs that a keepalive inside of that asks for.
//!
//! None of them sends pings, so each one of their timeouts needs a heartbeat in the application. A
//! client that takes nothing, which nginx ends after `send_timeout`, is found by the
//! [keepalive](crate::keepalive#signs-of-life), as is an upstream that takes nothing
//! (`proxy_send_timeout`) by the keepalive on its side.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//!
//! use axum::{Router, extract::WebSocketUpgrade, routing::any};
//! use wsgate_layer::{IdleTimeoutLayer, KeepaliveLayer, LifetimeLayer, ReadTimeoutLayer};
//!
//! let app: Router = Router::new()
//!     .route(
//!         "/live",
//!         any(|ws: WebSocketUpgrade| async {
//!             ws.on_upgrade(|mut socket| async move { while let Some(Ok(_)) = socket.recv().await {} })
//!         }),
//!     )
//!     .layer(IdleTimeoutLayer::new(Duration::from_secs(30 * 60)))
//!     .layer(LifetimeLayer::new(Duration::from_secs(24 * 60 * 60)))
//!     .layer(KeepaliveLayer::every(Duration::from_secs(25)))
//!     // Outside of the keepalive: the client's pongs count.
//!     .layer(ReadTimeoutLayer::new(Duration::from_secs(60)));
//! ```

mod close;
mod idle;
mod lifetime;
mod message;
mod read;

#[cfg(test)]
mod tests;

use wsgate_frame::CloseCode;

pub(crate) use self::{
    close::CloseTimeoutPolicy, idle::IdlePolicy, lifetime::LifetimePolicy,
    message::MessageTimeoutPolicy, read::ReadTimeoutPolicy,
};
pub use self::{
    close::{CloseTimeout, CloseTimeoutIo, CloseTimeoutLayer},
    idle::{IdleTimeout, IdleTimeoutIo, IdleTimeoutLayer},
    lifetime::{Lifetime, LifetimeIo, LifetimeLayer},
    message::{MessageTimeout, MessageTimeoutIo, MessageTimeoutLayer},
    read::{ReadTimeout, ReadTimeoutIo, ReadTimeoutLayer},
};
use crate::{
    guard::{Action, Ending, LINGER, PeerEnds},
    moment::Moment,
    tunnel::Cause,
};

/// Ends a WebSocket whose peer may well be alive.
fn end(cause: Cause, code: CloseCode, reason: &'static str, now: Moment) -> Action {
    let peer = PeerEnds::Politely {
        until: now + LINGER,
    };
    Action::End(Ending {
        cause,
        code,
        reason,
        peer,
    })
}
