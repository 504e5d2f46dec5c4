//! TLS on both sides of the gateway: what clients meet, and how upstreams are met.

mod certificates;
mod clients;
mod protocols;
mod unix;
mod upstreams;

use tracing::Level;
use wsgate::WebSocketProxy;
use wsgate::server::{Pem, Tls};
use wsgate_tests::Frame;
use wsgate_tests::certs::Leaf;
use wsgate_tests::client::{Handshake, Protocol, Target};
use wsgate_tests::gateway::Gateway;
use wsgate_tests::trace::Trace;

/// A server certificate for the gateway.
fn tls(leaf: &Leaf) -> Tls {
    Tls::pem(
        Pem::bytes(leaf.cert_pem.as_str()),
        Pem::bytes(leaf.key_pem.as_str()),
    )
}

/// A proxy to the HTTP server at this address.
fn proxy(upstream: std::net::SocketAddr) -> WebSocketProxy {
    WebSocketProxy::to(&format!("http://{upstream}")).unwrap()
}

/// Says something to the echo behind the gateway and closes, over each protocol.
async fn converse(target: &Target) {
    let hello = Frame::text("hello");
    let mut tunnel = target.tunnel(Handshake::of("/websocket")).await;
    tunnel.send(hello.clone()).await;
    assert_eq!(tunnel.frame().await, hello);
    tunnel.close(1000, "").await;

    let mut h2 = target.h2().await;
    let mut tunnel = h2.tunnel(Handshake::of("/websocket")).await;
    tunnel.send(hello.clone()).await;
    assert_eq!(tunnel.frame().await, hello);
    tunnel.close(1000, "").await;
    h2.join().await;
}

/// The conversation through a gateway with this proxy.
async fn reaches(proxy: WebSocketProxy) {
    let gateway = Gateway::proxying(proxy).await;
    converse(&gateway.target()).await;
    gateway.join().await;
}

/// Over each protocol the client is told what the upstream did, and the log why.
async fn fails(trace: &Trace, proxy: WebSocketProxy, status: u16, failure: &str, cause: &str) {
    let sentence = format!("upstream {} {failure}", proxy.upstream().name());
    let gateway = Gateway::proxying(proxy).await;
    for protocol in Protocol::BOTH {
        let visit = gateway
            .target()
            .visit(protocol, Handshake::of("/websocket"))
            .await;
        let refused = visit.unwrap_err();
        assert_eq!(refused.response.status, status);
        assert_eq!(refused.body, format!("{sentence}\n"));
    }
    gateway.join().await;
    for event in trace.until(&sentence, 2).await {
        assert_eq!(
            (event.level, event.field("side")),
            (Level::WARN, "upstream")
        );
        let told = event.fields.get("cause").map_or("", |cause| cause);
        assert!(told.contains(cause), "{told}");
    }
}
