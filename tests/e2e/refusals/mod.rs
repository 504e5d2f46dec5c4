//! Handshakes that open no tunnel: whose fault it was, what the client is told, and what is left.

mod client;
mod departed;
mod origin;
mod unreachable;
mod upstream_answers;
mod upstream_errors;

use std::net::SocketAddr;

use wsgate::WebSocketProxy;
use wsgate_tests::client::{Handshake, Protocol, Refused};
use wsgate_tests::gateway::Gateway;
use wsgate_tests::upstream::{Script, Upstream};

/// A proxy to the HTTP server at this address.
fn proxy(upstream: SocketAddr) -> WebSocketProxy {
    WebSocketProxy::to(&format!("http://{upstream}")).unwrap()
}

/// What a gateway before this upstream answers, over each protocol. The upstream must have had one
/// connection for each, and both must have ended.
async fn refusals(script: Script) -> [Refused; 2] {
    let upstream = Upstream::tcp(script).await;
    let gateway = Gateway::proxying(proxy(upstream.addr())).await;
    let refusals = refused(&gateway).await;
    upstream.ended(2).await;
    gateway.join().await;
    refusals
}

/// What this gateway answers, over each protocol.
async fn refused(gateway: &Gateway) -> [Refused; 2] {
    let [h1, h2] = Protocol::BOTH.map(async |protocol| {
        let answer = gateway
            .target()
            .visit(protocol, Handshake::of("/websocket"))
            .await;
        answer.unwrap_err()
    });
    [h1.await, h2.await]
}

/// The answer to a failure of the gateway's or the upstream's: a status, and a sentence.
#[track_caller]
fn check(refused: &Refused, status: u16, sentence: &str) {
    let body = str::from_utf8(&refused.body).unwrap();
    assert_eq!(
        (refused.response.status, body),
        (status, &*format!("{sentence}\n"))
    );
    let kind = refused.response.fields.get("content-type");
    assert_eq!(kind, Some("text/plain; charset=utf-8"));
}
