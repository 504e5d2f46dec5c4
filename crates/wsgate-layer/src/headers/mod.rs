//! Forward a handshake: hop-by-hop fields out, Upgrade restored, the client's address told.
//!
//! [`UpgradeHeadersLayer`] turns whatever request came in into the one that an HTTP/1.1 client
//! service behind it should send on. It does what nginx's `proxy_set_header Upgrade $http_upgrade;
//! proxy_set_header Connection "Upgrade";` does, and what people forget beside it:
//!
//! | field | what happens |
//! |---|---|
//! | `Connection` and all it names, `Keep-Alive`, `TE`, `Trailer`, `Transfer-Encoding`, `Proxy-Connection`, `HTTP2-Settings` | removed (RFC 9110 7.6.1) |
//! | `Upgrade`, `Connection` | restored for WebSocket handshakes; any other `Upgrade`, `h2c` above all, is never forwarded |
//! | `Host` | kept (`:authority` over HTTP/2), or [replaced](UpgradeHeadersLayer::host) |
//! | `X-Forwarded-For`, `-Proto`, `-Host`, `-Port`, `X-Real-IP`, `Forwarded` (RFC 7239) | set; incoming ones are kept only from [trusted](UpgradeHeadersLayer::trusted_proxies) addresses |
//! | `Sec-WebSocket-*` and all else | untouched, even where `Connection` names a `Sec-WebSocket-*` field or `Host` |
//!
//! An HTTP/2 extended CONNECT becomes an HTTP/1.1 upgrade: the layer makes the key, and joins the
//! `Cookie` fields, which HTTP/2 clients cut up, into one (RFC 9113 8.2.3). On the way back every 101
//! is held to what was offered ([`Offer`]): one that does not fit becomes a 502 that says why, with
//! the [`AnswerError`](crate::handshake::AnswerError) in its extensions. To an extended CONNECT a good
//! 101 becomes 200, and a 2xx that is no 101, which the client would take for an opened WebSocket, a
//! 502.
//!
//! So that it can write such an answer, the body of the service behind must be made `From<String>`,
//! as axum's `Body` is; a client with another body type goes behind tower-http's
//! `MapResponseBodyLayer`.
//!
//! The layer translates fields. Joining the two upgraded streams is what `WebSocketProxy`, which
//! uses it inside, adds.
//!
//! # Example
//!
//! In front of any HTTP client service:
//!
//! ```
//! # use std::convert::Infallible;
//! use axum::body::Body;
//! use http::{Request, Response, StatusCode};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use wsgate_layer::UpgradeHeadersLayer;
//!
//! let client = service_fn(|req: Request<Body>| async move {
//!     assert_eq!(req.headers()["connection"], "Upgrade");
//!     assert!(!req.headers().contains_key("x-forwarded-proto-forged"));
//!     let mut res = Response::new(Body::empty());
//!     *res.status_mut() = StatusCode::UNAUTHORIZED;
//!     Ok::<_, Infallible>(res)
//! });
//! let service = ServiceBuilder::new().layer(UpgradeHeadersLayer::new()).service(client);
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let handshake = Request::get("/websocket")
//!     .header("connection", "Upgrade, X-Forwarded-For")
//!     .header("upgrade", "websocket")
//!     .header("x-forwarded-proto-forged", "1")
//!     .body(Body::empty())
//!     .unwrap();
//! let res = service.oneshot(handshake).await.unwrap();
//! assert_eq!(res.status(), 401);
//! # });
//! ```

mod forwarded;
mod future;
mod hop_by_hop;
mod service;

#[cfg(test)]
mod tests;

use http::HeaderValue;
use tower_layer::Layer;

pub use self::{future::ResponseFuture, service::UpgradeHeaders};
use crate::client::TrustedProxies;
#[cfg(doc)]
use crate::handshake::Offer;

/// A layer that turns the handshake that came in into the one to send on.
///
/// See the [module](self) for what it does to each field, and an example.
#[derive(Clone, Debug, Default)]
pub struct UpgradeHeadersLayer {
    settings: Settings,
}

#[derive(Clone, Debug, Default)]
struct Settings {
    trusted: TrustedProxies,
    host: Option<HeaderValue>,
}

// ===== impl UpgradeHeadersLayer =====

impl UpgradeHeadersLayer {
    /// Keeps the Host and trusts no proxy.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the `X-Forwarded-*`, `X-Real-IP` and `Forwarded` fields of requests from these
    /// addresses, and adds to them. From any other address they are removed: whoever connects could
    /// have written them. Default: [`TrustedProxies::none`].
    #[must_use]
    pub fn trusted_proxies(mut self, trusted: TrustedProxies) -> Self {
        self.settings.trusted = trusted;
        self
    }

    /// Sends this `Host` instead of the client's. Default: the client's, so that the upstream can
    /// tell virtual hosts apart and check the `Origin`. The client's own stands in
    /// `X-Forwarded-Host` either way.
    #[must_use]
    pub fn host(mut self, host: HeaderValue) -> Self {
        self.settings.host = Some(host);
        self
    }
}

impl<S> Layer<S> for UpgradeHeadersLayer {
    type Service = UpgradeHeaders<S>;

    fn layer(&self, inner: S) -> Self::Service {
        UpgradeHeaders::new(inner, self.settings.clone())
    }
}
