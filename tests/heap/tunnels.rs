//! The tunnels through the gateway, from both their ends.

use std::path::Path;
use std::time::Duration;

use wsgate_tests::client::{H2, Handshake};
use wsgate_tests::upstream::http2::{Http2Upstream, Offer};
use wsgate_tests::upstream::{Upstream, script};
use wsgate_tests::{Frame, Tunnel};

use super::{Gateway, Kind};

/// What the tunnels are like.
#[derive(Clone, Copy)]
pub(crate) enum Scenario {
    /// Each on a connection of its own.
    Http1,
    /// [`STREAMS`] to a connection.
    Http2,
    /// As `Http1`, with [`STREAMS`] to a connection behind the gateway.
    Shared,
    /// As `Http1`, with a keepalive, a read timeout and an observer.
    Layers,
}

/// Opens so many tunnels through a gateway, echoes a message on each, and leaves them idle.
pub(crate) async fn profile(scenario: Scenario, tunnels: usize, out: Option<&Path>) {
    let upstream = Upstream::tcp(script::echo()).await;
    let (http2, _echo) = Http2Upstream::tcp(Offer::default()).await.into_echo();
    let (kind, behind) = match scenario {
        Scenario::Http1 | Scenario::Http2 => (Kind::Bare, upstream.addr()),
        Scenario::Shared => (Kind::Shared, http2),
        Scenario::Layers => (Kind::Layered, upstream.addr()),
    };
    let gateway = Gateway::start(kind, behind, out).await;
    let target = gateway.target();

    let mut opened: Vec<Tunnel> = Vec::new();
    let mut connections: Vec<H2> = Vec::new();
    for number in 0..tunnels {
        let handshake = Handshake::of("/websocket");
        let mut tunnel = match scenario {
            Scenario::Http1 | Scenario::Shared | Scenario::Layers => target.tunnel(handshake).await,
            Scenario::Http2 => {
                if number % STREAMS == 0 {
                    connections.push(target.h2().await);
                }
                let connection = connections.last_mut().expect("one was just opened");
                connection.tunnel(handshake).await
            }
        };
        tunnel.send(Frame::text(MESSAGE)).await;
        assert_eq!(tunnel.frame().await, Frame::text(MESSAGE));
        opened.push(tunnel);
    }

    if out.is_some() {
        // What is left to be done after the last echo.
        tokio::time::sleep(REST).await;
    }
    gateway.leave().await;
}

// ===== impl Scenario =====

impl Scenario {
    pub(crate) const ALL: [Self; 4] = [Self::Http1, Self::Http2, Self::Shared, Self::Layers];

    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "http1" => Some(Self::Http1),
            "http2" => Some(Self::Http2),
            "shared" => Some(Self::Shared),
            "layers" => Some(Self::Layers),
            _ => None,
        }
    }
}

/// Tunnels to a connection of HTTP/2.
const STREAMS: usize = 100;

const REST: Duration = Duration::from_secs(2);

/// 64 bytes, as in every measurement of small messages.
const MESSAGE: &str = "................................................................";
