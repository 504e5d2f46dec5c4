//! The client over HTTP/2 against axum's own WebSocket, served by the harness.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::http::Version;
use axum::routing::{any, get};
use wsgate_tests::certs::TestCa;
use wsgate_tests::client::{Handshake, Target};
use wsgate_tests::site::Site;
use wsgate_tests::{Frame, trace};

fn router() -> Router {
    let echo = async |upgrade: WebSocketUpgrade, version: Version| {
        upgrade
            .protocols(["chat"])
            .on_upgrade(async move |mut socket| {
                let greeting = Message::text(format!("{version:?}"));
                let _ = socket.send(greeting).await;
                // To the end, so that the answer to a Close is sent.
                while let Some(Ok(message)) = socket.recv().await {
                    if let Message::Text(_) | Message::Binary(_) = message {
                        let _ = socket.send(message).await;
                    }
                }
            })
    };
    let peer = async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.ip().to_string();
    Router::new()
        .route("/echo", any(echo))
        .route("/peer", get(peer))
}

async fn start() -> (Site, Target) {
    let ca = TestCa::new();
    let tls = ca.server(&["localhost"], &["h2", "http/1.1"]);
    let site = Site::start(router(), Some(tls)).await;
    let target = Target::tls(site.addr(), &ca);
    (site, target)
}

#[tokio::test]
async fn tunnels_and_requests_share_a_connection() {
    let _trace = trace::init();
    let (site, target) = start().await;
    let mut h2 = target.h2().await;
    assert!(h2.allows_websockets());

    let mut first = h2.tunnel(Handshake::of("/echo")).await;
    let mut second = h2
        .tunnel(Handshake::of("/echo").early(&[Frame::text("early")]))
        .await;
    assert_eq!(first.frame().await, Frame::text("HTTP/2.0"));
    assert_eq!(second.frame().await, Frame::text("HTTP/2.0"));
    assert_eq!(second.frame().await, Frame::text("early"));

    let answer = h2.get("/peer").await;
    assert_eq!(
        (answer.response.status, &answer.body[..]),
        (200, &b"127.0.0.1"[..])
    );

    // Further than any window, so both directions must be moved at once by somebody.
    let big = Frame::binary(vec![5; 40_000]);
    for tunnel in [&mut first, &mut second] {
        for _ in 0..5 {
            tunnel.send(big.clone()).await;
            assert_eq!(tunnel.frame().await, big);
        }
    }
    first.close(1000, "first").await;
    second.close(1000, "second").await;
    h2.join().await;
    site.join().await;
}

#[tokio::test]
async fn a_refusal_over_http2_has_fields_and_a_body() {
    let _trace = trace::init();
    let (site, target) = start().await;
    let mut h2 = target.h2().await;
    let refused = h2
        .open(Handshake::of("/echo").without("Sec-WebSocket-Version"))
        .await
        .unwrap_err();
    assert_eq!(refused.response.status, 400);
    assert!(!refused.body.is_empty());
    h2.join().await;
    site.join().await;
}

#[tokio::test]
async fn the_same_route_over_http1() {
    let _trace = trace::init();
    let (site, target) = start().await;
    let offer = Handshake::of("/echo").field("Sec-WebSocket-Protocol", "chat");
    let mut opened = target.open(offer).await.unwrap();
    assert_eq!(
        opened.response.fields.get("sec-websocket-protocol"),
        Some("chat")
    );
    assert_eq!(opened.tunnel.frame().await, Frame::text("HTTP/1.1"));
    opened.tunnel.close(1000, "").await;
    assert_eq!(target.get("/peer").await.body, "127.0.0.1");
    site.join().await;
}

#[tokio::test]
async fn a_stream_that_is_reset_does_not_end_the_connection() {
    let _trace = trace::init();
    let (site, target) = start().await;
    let mut h2 = target.h2().await;
    let mut tunnel = h2.tunnel(Handshake::of("/echo")).await;
    tunnel.frame().await;
    tunnel.reset();
    assert_eq!(h2.get("/peer").await.response.status, 200);
    h2.join().await;
    site.join().await;
}
