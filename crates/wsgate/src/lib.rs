//! `wss://` for axum apps: layers that act on any upgraded WebSocket, a WebSocket proxy to mount
//! beside ordinary routes, and the TLS server below.
//!
//! ```text
//!             ┌─ Server ─────────┬─ your axum Router ───────────────────────────┐
//!   wss://  ──▶ TLS by SNI       │  /           an ordinary page                │
//!   browsers   h1 and h2         │  /websocket  WebSocketProxy ─────────────────┼──▶ upstream
//!             └──────────────────┴──────────────────────────────────────────────┘
//! ```
//!
//! - [`WebSocketProxy`] does what nginx's `proxy_pass` with `proxy_set_header Upgrade` does, as an
//!   axum handler: see [`proxy`].
//! - [`Server`] serves the whole app over HTTPS with certificates by domain name: see [`server`].
//! - [`layer`] has the tower layers: [keepalive](layer::KeepaliveLayer),
//!   [timeouts](layer::timeout), [limits](layer::LimitLayer), [origin](layer::OriginLayer),
//!   [drain](layer::Drain), [observation](layer::ObserveLayer). They act on axum's own WebSocket
//!   handlers as on the proxy.
//!
//! What it is not: a WebSocket implementation. Messages are made by axum, tungstenite or whatever
//! your app uses; wsgate carries them.
//!
//! # Example
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use axum::{Router, routing::{any, get}};
//! use wsgate::{
//!     Server, WebSocketProxy,
//!     layer::{Drain, KeepaliveLayer, ReadTimeoutLayer},
//!     server::{Tls, shutdown_signal},
//! };
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let drain = Drain::new();
//! let app = Router::new()
//!     .route("/", get(|| async { "an ordinary page" }))
//!     .route("/websocket", any(WebSocketProxy::to("http://127.0.0.1:9000")?))
//!     .layer(KeepaliveLayer::every(Duration::from_secs(25)))
//!     .layer(ReadTimeoutLayer::new(Duration::from_secs(60)))
//!     .layer(drain.layer());
//!
//! Server::bind(([0, 0, 0, 0], 443))
//!     .tls(Tls::pem_files("example.com.pem", "example.com.key"))
//!     .redirect_http(([0, 0, 0, 0], 80))
//!     .shutdown_on(shutdown_signal())
//!     .drain(drain.within(Duration::from_secs(30)))
//!     .serve(app)
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! All but `dns` and `metrics` are on by default.
//!
//! - `dns`: endpoints by DNS, [`upstream::discovery`](proxy::upstream::discovery). Brings `proxy` with
//!   it.
//! - `proxy`: [`WebSocketProxy`]. Brings `layer` with it.
//! - `layer`: the tower layers.
//! - `metrics`: the layers' [`ObserveLayer`](layer::ObserveLayer) counts and measures, through the
//!   facade of the same name. Brings `layer` with it.
//! - `server`: [`Server`] and [`Tls`](server::Tls).

#[cfg(feature = "layer")]
pub use wsgate_layer as layer;
#[cfg(feature = "proxy")]
pub use wsgate_proxy as proxy;
#[cfg(feature = "server")]
pub use wsgate_server as server;

#[cfg(feature = "proxy")]
pub use wsgate_proxy::WebSocketProxy;
#[cfg(feature = "server")]
pub use wsgate_server::Server;
