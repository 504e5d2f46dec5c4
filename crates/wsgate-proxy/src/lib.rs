//! A WebSocket proxy that is an axum handler and a tower service.
//!
//! [`WebSocketProxy`] takes a handshake that came in over HTTP/1.1 or HTTP/2, repeats it to an
//! upstream over HTTP/1.1, or [over HTTP/2](Http2) where that is asked for, and relays the bytes of
//! the two upgraded connections to each other. It does what nginx's `proxy_pass` with its two
//! `proxy_set_header` lines does, inside an axum app.
//!
//! ```text
//!   client ──wss, h1 or h2──▶ axum Router ──▶ WebSocketProxy ──ws, wss, unix──▶ upstream
//!
//!     check the handshake     400 / 405 / 426, with what was wrong
//!     check the origin        403
//!     connect                 502 / 504, with which side failed and where
//!     forward the handshake   what UpgradeHeadersLayer does
//!     check the answer        502, or 101 (200 over HTTP/2) and the tunnel
//!                             any other status passes whole
//! ```
//!
//! The tunnel relays bytes, not messages: compression, fragmentation, reserved bits and close codes
//! pass untouched, a message may be of any size, and a slow reader stops the fast writer. It follows
//! the frame boundaries in both directions, so that it can add a Close where an upstream is lost,
//! and tell in one log line how the tunnel ended.
//!
//! What it is not: a general HTTP reverse proxy. A request that is no WebSocket handshake is
//! refused with what was wrong with it.
//!
//! # Example
//!
//! ```
//! use axum::{Router, routing::{any, get}};
//! use wsgate_proxy::WebSocketProxy;
//!
//! let app: Router = Router::new()
//!     .route("/", get(|| async { "an ordinary page" }))
//!     .route("/websocket", any(WebSocketProxy::to("http://127.0.0.1:9000")?));
//! # Ok::<(), wsgate_proxy::EndpointError>(())
//! ```

mod answer;
mod config;
mod connect;
mod endpoint;
mod error;
mod exhausted;
mod forward;
#[cfg(any(test, fuzzing))]
mod laws;
mod limited;
mod lookup;
mod path;
mod proxy;
mod silence;
mod tls;
mod tunnel;
pub mod upstream;

pub use self::{
    endpoint::{Endpoint, EndpointError},
    path::PathError,
    proxy::{ProxyFuture, WebSocketProxy},
    tls::{UpstreamTls, UpstreamTlsError},
    upstream::{EndpointSettings, Http2, Upstream, UpstreamError},
};

/// What the fuzz targets call: the laws that ordinary tests hold as well.
#[cfg(fuzzing)]
pub mod fuzzing {
    /// The text of a file of endpoints.
    pub fn endpoints(bytes: &[u8]) {
        crate::laws::endpoints_are_as_they_are_told(bytes);
    }

    /// A prefix, what takes its place, and a path.
    pub fn path(bytes: &[u8]) {
        crate::laws::paths_stay_beneath_their_prefix(bytes);
    }

    /// Operations on a relay.
    pub fn relay(bytes: &[u8]) {
        crate::tunnel::operations::keep_the_promises(bytes);
    }
}
