//! Wrap the stream of every upgraded WebSocket.
//!
//! [`MapUpgradeLayer`] carries the mechanism; a feature is a plain `AsyncRead + AsyncWrite` wrapper
//! and the closure that puts it round the stream. It acts on axum's own `WebSocketUpgrade`
//! handlers, on `WebSocketProxy` and on any hyper service, over HTTP/1.1 and HTTP/2 alike.
//!
//! Layers nest: the outermost is nearest the wire. What the handler writes passes the innermost
//! wrapper first.
//!
//! A wrapper is driven by the handler's polls. A handler that never reads gives it no chance to
//! look at what comes in.
//!
//! # Example
//!
//! Every WebSocket of an app, made to flush each write at once into a buffer of its own:
//!
//! ```
//! use axum::{Router, extract::WebSocketUpgrade, routing::any};
//! use tokio::io::BufWriter;
//! use wsgate_layer::{MapUpgradeLayer, upgrade::UpgradedIo};
//!
//! let app: Router = Router::new()
//!     .route(
//!         "/live",
//!         any(|ws: WebSocketUpgrade| async { ws.on_upgrade(|_socket| async {}) }),
//!     )
//!     .layer(MapUpgradeLayer::new(|stream: UpgradedIo| BufWriter::new(stream)));
//! ```

mod future;
mod service;
mod wrap;

#[cfg(test)]
mod tests;

use tower_layer::Layer;

pub use self::{
    future::ResponseFuture,
    service::MapUpgrade,
    wrap::{Upgrade, Wrap},
};

/// A layer that wraps the stream of every upgraded WebSocket that passes through it.
///
/// See the [module](self) for an example.
#[derive(Clone, Copy, Debug)]
pub struct MapUpgradeLayer<W> {
    wrap: W,
}

// ===== impl MapUpgradeLayer =====

impl<W> MapUpgradeLayer<W> {
    /// A layer that gives each upgraded stream to a clone of `wrap`, and what it returns to the
    /// handler. `wrap` is a closure, or a [`Wrap`] that wants to know more.
    ///
    /// It is called when the connection has been upgraded, on a task of the connection, and not for
    /// a handshake that was refused or whose client left.
    pub const fn new(wrap: W) -> Self {
        Self { wrap }
    }
}

impl<S, W: Clone> Layer<S> for MapUpgradeLayer<W> {
    type Service = MapUpgrade<S, W>;

    fn layer(&self, inner: S) -> Self::Service {
        MapUpgrade::new(inner, self.wrap.clone())
    }
}
