//! wsgate itself: its HTTPS server with a proxy mounted in it, as an application would start it.

use std::env;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::{any, get};
use wsgate::WebSocketProxy;
use wsgate::server::{Pem, Running, Server, Tls};

use crate::certs::TestCa;
use crate::client::Target;
use crate::io::within;

/// wsgate's server on a free port of 127.0.0.1, with a certificate for `localhost`.
#[derive(Debug)]
pub struct Gateway {
    ca: TestCa,
    running: Running,
}

// ===== impl Gateway =====

impl Gateway {
    /// Serves this proxy at `/websocket` and beneath it, and an ordinary page at `/`.
    pub async fn proxying(proxy: WebSocketProxy) -> Self {
        Self::serving(app(proxy)).await
    }

    /// Serves any app.
    pub async fn serving(app: Router) -> Self {
        Self::adjusted(app, |server| server).await
    }

    /// Serves any app with further settings of the server.
    pub async fn adjusted(app: Router, adjust: impl FnOnce(Server) -> Server) -> Self {
        let ca = TestCa::new();
        let leaf = ca.leaf(&["localhost"]);
        let tls = Tls::pem(Pem::bytes(leaf.cert_pem), Pem::bytes(leaf.key_pem));
        let server = Server::bind(([127, 0, 0, 1], 0)).tls(by(tls));
        Self::start(adjust(server), app, ca).await
    }

    /// Serves any app with certificates of one's own, signed by `ca`.
    pub async fn with_tls(app: Router, ca: TestCa, tls: Tls) -> Self {
        let server = Server::bind(([127, 0, 0, 1], 0)).tls(by(tls));
        Self::start(server, app, ca).await
    }

    async fn start(server: Server, app: Router, ca: TestCa) -> Self {
        let running = server.start(app).await.expect("the gateway starts");
        Self { ca, running }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.running.local_addr()
    }

    /// The server, for what else there is to ask of it.
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// The authority that signed its certificate.
    pub fn ca(&self) -> &TestCa {
        &self.ca
    }

    /// What a client that trusts its certificate connects to.
    pub fn target(&self) -> Target {
        Target::tls(self.addr(), &self.ca)
    }

    /// Takes no new connection and waits for the live ones to end.
    ///
    /// # Panics
    ///
    /// When they do not.
    pub async fn join(self) {
        let stopped = self.running.shutdown(GRACE);
        within("the gateway's connections end", stopped)
            .await
            .expect("the gateway stops");
    }
}

/// What [`Gateway::proxying`] serves.
pub fn app(proxy: WebSocketProxy) -> Router {
    Router::new()
        .route("/", get(|| async { "an ordinary page" }))
        .route("/websocket", any(proxy.clone()))
        .route("/websocket/{*rest}", any(proxy))
}

/// Has TLS spoken by tokio-rustls where the environment says so: the tests are to come out the same.
fn by(tls: Tls) -> Tls {
    match env::var_os(BY_TOKIO_RUSTLS) {
        Some(_) => tls.with_tokio_rustls(),
        None => tls,
    }
}

/// Set by `cargo xtask ci` for a second run.
const BY_TOKIO_RUSTLS: &str = "WSGATE_TESTS_BY_TOKIO_RUSTLS";

/// For connections whose client has gone already.
const GRACE: Duration = Duration::from_secs(5);
