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
//! - [`MapUpgradeLayer`] wraps the stream of every upgraded WebSocket; [`upgrade`] is the
//!   mechanism below it.
//! - [`UpgradeHeadersLayer`] turns the handshake that came in into the one to send on to an
//!   upstream: what nginx's `proxy_set_header Upgrade` does, and all that belongs to it.
//! - [`handshake`] has the rules for both ends of an opening handshake, [`client`] tells who sent a
//!   request, [`OriginPolicy`] which web pages may open a WebSocket.
//!
//! What it is not: a WebSocket implementation. It never assembles a message or touches a payload.
//!
//! # Example
//!
//! ```
//! use axum::{Router, extract::WebSocketUpgrade, routing::any};
//! use wsgate_layer::{MapUpgradeLayer, upgrade::UpgradedIo};
//!
//! // Counts the WebSockets that were really opened, refused handshakes not included.
//! let app: Router = Router::new()
//!     .route("/live", any(|ws: WebSocketUpgrade| async { ws.on_upgrade(|_socket| async {}) }))
//!     .layer(MapUpgradeLayer::new(|stream: UpgradedIo| {
//!         tracing::info!("opened");
//!         stream
//!     }));
//! ```

pub mod client;
pub mod handshake;
pub mod headers;
pub mod map_upgrade;
pub mod origin;
pub mod upgrade;

pub use self::{headers::UpgradeHeadersLayer, map_upgrade::MapUpgradeLayer, origin::OriginPolicy};
