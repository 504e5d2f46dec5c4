//! Which web pages may open a WebSocket.
//!
//! Browsers let any page open a WebSocket to any host, cookies included, and leave it to the server
//! to look at `Origin` (RFC 6455 10.2). A server that does not can be used by any page in the
//! visitor's name: cross-site WebSocket hijacking. [`OriginLayer`] stops it at the handshake, with
//! a 403, whoever the handler is. [`OriginPolicy`] is the decision by itself.
//!
//! Choose the layer for every WebSocket that knows its visitor by a cookie, by the address, or by
//! HTTP authentication. `WebSocketProxy` has the same policy inside and needs no layer.
//! Default: pages of the [same origin](OriginPolicy::same_origin), because that is what a site
//! whose page opens its own WebSocket needs; who has others lists them.
//!
//! nginx and HAProxy leave this to the configuration: `if ($http_origin !~ ...) { return 403; }`, and
//! `http-request deny` with an `acl` on `hdr(origin)`. Envoy's CSRF filter looks only at methods that
//! change something, and a handshake is a GET: there it is a rule on the header in the RBAC filter.
//!
//! # Example
//!
//! ```
//! use axum::{Router, extract::WebSocketUpgrade, routing::any};
//! use wsgate_layer::OriginLayer;
//!
//! let app: Router = Router::new()
//!     .route("/live", any(|ws: WebSocketUpgrade| async { ws.on_upgrade(|_socket| async {}) }))
//!     .layer(OriginLayer::allow(["https://example.com", "*.example.com"])?);
//! # Ok::<(), wsgate_layer::origin::OriginPatternError>(())
//! ```

mod future;
mod layer;
mod pattern;
mod policy;
mod service;

#[cfg(test)]
mod tests;

pub use self::{
    future::ResponseFuture,
    layer::OriginLayer,
    pattern::OriginPatternError,
    policy::{OriginError, OriginPolicy},
    service::Origin,
};
