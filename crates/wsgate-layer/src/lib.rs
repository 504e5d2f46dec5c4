//! tower layers that act on any upgraded WebSocket, over HTTP/1.1 and HTTP/2.
//!
//! A tower layer sees the request and the response of a WebSocket handshake, but not the frames
//! that follow: by then the stream is the handler's. The layers of this crate stand in that stream
//! as well, whoever the handler is: axum's own `WebSocketUpgrade`, wsgate's `WebSocketProxy`, any
//! hyper service.
//!
//! ```text
//!            request ▶                    ▶ handler
//!   client ───────────▶ layer ─▶ layer ─▶   │
//!            ◀ frames ◀ wrapper ◀ wrapper ◀─┘       outermost layer = nearest the wire
//! ```
//!
//! - [`KeepaliveLayer`] pings quiet clients and finds dead ones; [`ReadTimeoutLayer`],
//!   [`IdleTimeoutLayer`] and [`LifetimeLayer`] end WebSockets with a Close where others cut them;
//!   [`MessageTimeoutLayer`] and [`CloseTimeoutLayer`] those of clients that take their time.
//! - [`OriginLayer`] keeps the pages of other sites out, [`LimitLayer`] bounds how many WebSockets
//!   there are, how fast they come and what they send.
//! - [`StrictFramesLayer`] closes with 1002 where a frame breaks the rules, on both sides.
//! - [`Drain`] ends all of them in an orderly way when the server stops.
//! - [`ObserveLayer`] tells logs, metrics, or an observer of your own, what becomes of each.
//! - [`UpgradeHeadersLayer`] turns the handshake that came in into the one to send on to an
//!   upstream: what nginx's `proxy_set_header Upgrade` does, and all that belongs to it.
//! - [`MapUpgradeLayer`] wraps the stream of every upgraded WebSocket; [`upgrade`] is the
//!   mechanism below all of them, and [`tunnel`] what the layers of one WebSocket share.
//! - [`handshake`] has the rules for both ends of an opening handshake, [`client`] tells who sent a
//!   request.
//!
//! What it is not: a WebSocket implementation. It never assembles a message or touches a payload.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//!
//! use axum::{Router, extract::WebSocketUpgrade, routing::any};
//! use wsgate_layer::{Drain, KeepaliveLayer, LimitLayer, OriginLayer, ReadTimeoutLayer};
//!
//! let drain = Drain::new();
//! let app: Router = Router::new()
//!     .route("/live", any(|ws: WebSocketUpgrade| async {
//!         ws.on_upgrade(|mut socket| async move { while let Some(Ok(_)) = socket.recv().await {} })
//!     }))
//!     .layer(KeepaliveLayer::every(Duration::from_secs(25)))
//!     // Outside of the keepalive: a pong is a sign of life.
//!     .layer(ReadTimeoutLayer::new(Duration::from_secs(60)))
//!     .layer(LimitLayer::new().tunnels_per_client(100).message_size(64 * 1024))
//!     .layer(OriginLayer::same_origin())
//!     .layer(drain.layer());
//! ```

pub mod client;
pub mod drain;
mod guard;
pub mod handshake;
pub mod headers;
pub mod keepalive;
pub mod limit;
pub mod map_upgrade;
mod moment;
pub mod observe;
pub mod origin;
mod settings;
pub mod stack;
pub mod strict;
pub mod timeout;
pub mod tunnel;
pub mod upgrade;

pub use self::{
    drain::Drain,
    headers::UpgradeHeadersLayer,
    keepalive::KeepaliveLayer,
    limit::LimitLayer,
    map_upgrade::MapUpgradeLayer,
    observe::ObserveLayer,
    origin::{OriginLayer, OriginPolicy},
    strict::StrictFramesLayer,
    timeout::{
        CloseTimeoutLayer, IdleTimeoutLayer, LifetimeLayer, MessageTimeoutLayer, ReadTimeoutLayer,
    },
};

// What the layers take and tell in the words of the protocol.
pub use wsgate_frame::{Close, CloseCode, Counts, Role, Violation};

/// What the fuzz targets call: the laws that ordinary tests hold as well.
#[cfg(fuzzing)]
pub mod fuzzing {
    /// A handler and a peer that talk through layers.
    pub fn guard(bytes: &[u8]) {
        crate::guard::tests::traffic::hold_for(bytes);
    }
}
