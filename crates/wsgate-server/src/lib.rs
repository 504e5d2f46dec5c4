//! axum-server and rustls assembled for HTTPS and wss.
//!
//! ```text
//!   redirect_http ──────────────────────────────► 308 to https ("use wss://")
//!
//!   bind ─► (PROXY protocol) ─► first byte ─┬─ TLS ──► SNI ─► ALPN ─┬─ HTTP/1.1 ─┐
//!                                      │                       └─ HTTP/2 ───┤
//!                                      └─ plain HTTP ─► 308 to https        ▼
//!                                                             extensions ─► your Router
//! ```
//!
//! [`Server`] takes an [`axum::Router`] and serves it with what a public service needs and what
//! is easily forgotten: the right certificate by name, time limits on every stage before a
//! handler runs, a redirect for those who come in plain HTTP, and log lines that say what to do.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use axum::{Router, routing::get};
//! use wsgate_server::{Hsts, Server, Tls};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), wsgate_server::ServerError> {
//! let app = Router::new().route("/", get(|| async { "hello" }));
//!
//! Server::bind(([0, 0, 0, 0], 443))
//!     .tls(Tls::pem_files("example.com.pem", "example.com.key"))
//!     .redirect_http(([0, 0, 0, 0], 80))
//!     .hsts(Hsts::max_age(Duration::from_secs(3600)))
//!     .serve(app)
//!     .await
//! # }
//! ```
//!
//! On one's own machine, [`Tls::development`] makes a certificate for `localhost` on the spot.
//! To go on while the server runs, [`start`](Server::start) it and keep the [`Running`].
//!
//! # What a handler finds in the request's extensions
//!
//! | type | what it tells |
//! |---|---|
//! | [`ConnectInfo<SocketAddr>`](axum::extract::ConnectInfo) | the peer's address, IPv4 as IPv4 on a dual-stack listener too; behind a balancer that speaks the [PROXY protocol](Server::proxy_protocol) the client's |
//! | [`http::uri::Scheme`] | `https`, or `http` when the server has no TLS |
//! | [`Arc<TlsInfo>`](TlsInfo) | with TLS: server name, protocol, the client's certificates |
//!
//! # For WebSockets
//!
//! This crate knows nothing of WebSockets, but some of its settings were chosen for them:
//!
//! - Extended CONNECT (RFC 8441) is on, so browsers open WebSockets over the HTTP/2 connection that
//!   they have. axum routes those to handlers for `CONNECT`: use `any`, not `get`.
//! - `TCP_NODELAY` is on. With Nagle's algorithm small messages wait for acknowledgements.
//! - HTTP/1.1 upgrades always work: [`Tls::without_http2`] narrows ALPN, not hyper.
//! - A TLS connection that is idle holds no buffer: [`TlsStream`].
//! - No [limit](Limits) touches a connection once it is upgraded: what is inside of hyper's `Upgraded` is
//!   a [`Watched`], which lets everything pass then. Noticing that a WebSocket's peer is gone is the work
//!   of WebSocket pings.
//! - A page loaded over https may open `wss://` only, and browsers follow no redirect of a
//!   WebSocket handshake: the redirects here say so in their body.
//! - A shutdown by itself [treats WebSockets badly](Running#upgraded-connections).
//!   [`Server::drain`] lets whoever holds them say goodbye first, and waits for it.
//!
//! # What it is not
//!
//! It does not obtain certificates, but [takes those into use](Tls#reading-them-anew) that something else has
//! put in the place of the old ones. It does not listen on Unix sockets, and does not limit the number of connections.

mod accept;
mod alive;
mod bind;
mod connection;
mod ending;
mod error;
mod handshake_log;
mod hsts;
mod limits;
mod listen;
mod patience;
mod proxy_protocol;
mod redirect;
mod reload;
mod running;
mod server;
mod signal;
mod throttle;
mod tls;
mod tls_acceptor;
mod url;
mod watch;
mod workers;

pub use axum_server::tls::TlsInfo;
/// The version that [`Tls::config`] takes.
pub use rustls;
pub use wsgate_tls::{LoosePermissions, TlsStream, Watched, loose_permissions};

/// What the fuzz targets call: the laws that ordinary tests hold as well.
#[cfg(fuzzing)]
pub mod fuzzing {
    /// A header of the PROXY protocol is understood the same in any pieces, and as it is specified.
    pub fn proxy_header(bytes: &[u8]) {
        crate::proxy_protocol::laws::any_cutting_agrees_with_the_model(bytes);
    }
}

pub use self::error::{ServerError, ServerErrorKind};
pub use self::hsts::Hsts;
pub use self::limits::Limits;
pub use self::reload::Reloader;
pub use self::running::Running;
pub use self::server::Server;
pub use self::signal::shutdown_signal;
pub use self::tls::{DevelopmentCa, Pem, Tls};
