//! HTTP/2 as an attacker speaks it.
//!
//! Every attack comes over a connection of its own, while a witness talks through a tunnel on another:
//! whatever becomes of the attacker, nobody else may notice.

mod conformance;
mod floods;
mod heads;
mod pseudo;
mod resets;
mod upstream;
mod windows;

use std::net::SocketAddr;

use axum::routing::any;
use wsgate::WebSocketProxy;
use wsgate_tests::client::{Frames, H2, Handshake, Http2Frame};
use wsgate_tests::gateway::{self, Gateway};
use wsgate_tests::upstream::{Script, Seen, Upstream, script};
use wsgate_tests::{Frame, Tunnel};

/// A gateway, what stands behind it, and a witness.
struct Scene {
    upstream: Upstream,
    gateway: Gateway,
    witness: Witness,
}

/// An honest client.
struct Witness {
    h2: H2,
    tunnel: Tunnel,
    echo: Upstream,
}

// ===== impl Scene =====

impl Scene {
    /// Before an echo.
    async fn start() -> Self {
        Self::before(script::echo()).await
    }

    /// Before this; the witness has an echo.
    async fn before(script: Script) -> Self {
        Self::by(script, |addr| {
            WebSocketProxy::to(&format!("http://{addr}")).unwrap()
        })
        .await
    }

    /// The same by this proxy.
    async fn by(script: Script, proxy: impl Fn(SocketAddr) -> WebSocketProxy) -> Self {
        let echo = Upstream::tcp(script::echo()).await;
        let upstream = Upstream::tcp(script).await;
        let to_echo = WebSocketProxy::to(&format!("http://{}", echo.addr())).unwrap();
        let app = gateway::app(proxy(upstream.addr())).route("/echo", any(to_echo));
        let gateway = Gateway::serving(app).await;
        let mut h2 = gateway.target().h2().await;
        let tunnel = h2.tunnel(Handshake::of("/echo")).await;
        Self {
            upstream,
            gateway,
            witness: Witness { h2, tunnel, echo },
        }
    }

    /// An attacker's connection.
    async fn attacker(&self) -> Frames {
        self.gateway.target().frames(&[]).await
    }

    /// Whether the witness has noticed nothing: what it says comes back, and so does a page.
    async fn is_quiet(&mut self) {
        let Witness { h2, tunnel, .. } = &mut self.witness;
        tunnel.send(Frame::text("is all well?")).await;
        assert_eq!(tunnel.frame().await, Frame::text("is all well?"));
        assert_eq!(h2.get("/").await.body, "an ordinary page");
    }

    /// Ends all; the attackers have left.
    async fn join(mut self) -> Vec<Seen> {
        self.is_quiet().await;
        let Witness { h2, tunnel, echo } = self.witness;
        tunnel.close(1000, "").await;
        h2.join().await;
        echo.ended(1).await;
        let seen = self.upstream.join().await;
        self.gateway.join().await;
        seen
    }
}

/// The fields of an extended CONNECT (RFC 8441, 5).
fn connect(authority: &str) -> Vec<(&'static str, &str)> {
    vec![
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "https"),
        (":path", "/websocket"),
        (":authority", authority),
        ("sec-websocket-version", "13"),
    ]
}

/// The fields of a GET for a page.
const GET: &[(&str, &str)] = &[
    (":method", "GET"),
    (":scheme", "https"),
    (":path", "/"),
    (":authority", "localhost"),
];

/// So many odd stream identifiers, as a client counts them.
fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|at| 2 * at + 1)
}

/// An extended CONNECT on this stream.
fn open(stream: u32) -> Http2Frame {
    Http2Frame::headers(stream, &connect("localhost"), false)
}
