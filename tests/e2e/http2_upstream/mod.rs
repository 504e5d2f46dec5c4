//! Tunnels over HTTP/2 to the upstream: many on one connection, as if each had its own.

mod connections;
mod ends;
mod flow;
mod handshake;
mod negotiation;

use std::net::SocketAddr;

use wsgate::WebSocketProxy;
use wsgate::proxy::{EndpointSettings, Http2, Upstream, UpstreamTls};
use wsgate_tests::Tunnel;
use wsgate_tests::certs::TestCa;
use wsgate_tests::client::{H2, Handshake, Opened, Protocol, Refused, Target};
use wsgate_tests::gateway::Gateway;
use wsgate_tests::upstream::http2::{Http2Upstream, Offer};

/// A gateway before an upstream that speaks HTTP/2, and a client.
struct Stage {
    upstream: Http2Upstream,
    gateway: Gateway,
    client: Client,
}

enum Client {
    Http1(Target),
    Http2(H2),
}

// ===== impl Stage =====

impl Stage {
    /// Without TLS to the upstream, where HTTP/2 is known and not agreed on.
    async fn start(protocol: Protocol) -> Self {
        Self::offering(protocol, Offer::default()).await
    }

    async fn offering(protocol: Protocol, offer: Offer) -> Self {
        let upstream = Http2Upstream::tcp(offer).await;
        let proxy = proxy(plain(upstream.addr(), Http2::Only));
        Self::before(upstream, proxy, protocol).await
    }

    async fn before(upstream: Http2Upstream, proxy: WebSocketProxy, protocol: Protocol) -> Self {
        tracing::info!("the client speaks {protocol:?}");
        let gateway = Gateway::proxying(proxy).await;
        let client = Client::of(&gateway, protocol).await;
        Self {
            upstream,
            gateway,
            client,
        }
    }

    /// Opens a tunnel: the client's end, the upstream's, and which connection that one is on.
    async fn open(&mut self) -> (Tunnel, Tunnel, usize) {
        let accept = async {
            let asked = self.upstream.asked().await;
            let connection = asked.connection;
            (asked.accept(), connection)
        };
        let knock = self.client.knock(Handshake::of("/websocket"));
        let (opened, (upstream, connection)) = tokio::join!(knock, accept);
        let opened = opened.expect("the handshake is accepted");
        (opened.tunnel, upstream, connection)
    }
}

// ===== impl Client =====

impl Client {
    async fn of(gateway: &Gateway, protocol: Protocol) -> Self {
        match protocol {
            Protocol::Http1 => Self::Http1(gateway.target()),
            Protocol::Http2 => Self::Http2(gateway.target().h2().await),
        }
    }

    async fn knock(&mut self, handshake: Handshake) -> Result<Opened, Refused> {
        match self {
            Self::Http1(target) => target.open(handshake).await,
            Self::Http2(h2) => h2.open(handshake).await,
        }
    }

    async fn refused(&mut self) -> Refused {
        let answer = self.knock(Handshake::of("/websocket")).await;
        answer.expect_err("the handshake is refused")
    }
}

fn plain(addr: SocketAddr, http2: Http2) -> EndpointSettings {
    let endpoint = EndpointSettings::new(&format!("http://{addr}"));
    endpoint.unwrap().http2(http2)
}

fn tls(addr: SocketAddr, ca: &TestCa, http2: Http2) -> EndpointSettings {
    let endpoint = EndpointSettings::new(&format!("https://localhost:{}", addr.port()));
    let tls = UpstreamTls::ca_pem(ca.pem()).unwrap();
    endpoint.unwrap().tls(tls).http2(http2)
}

fn proxy(endpoint: EndpointSettings) -> WebSocketProxy {
    let upstream = Upstream::builder("backend").endpoint(endpoint).build();
    WebSocketProxy::to_upstream(upstream.unwrap())
}
