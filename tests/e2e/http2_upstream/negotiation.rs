//! Whether it is to be HTTP/2 at all.

use std::net::SocketAddr;

use wsgate_tests::certs::TestCa;
use wsgate_tests::client::{Handshake, Protocol};
use wsgate_tests::gateway::Gateway;
use wsgate_tests::upstream::http2::{Http2Upstream, Offer};
use wsgate_tests::upstream::{Upstream, script};
use wsgate_tests::{Frame, trace};

use super::{EndpointSettings, Http2, plain, proxy, tls};

const BOTH: &[&str] = &["h2", "http/1.1"];

const NO_WEBSOCKETS: Offer = Offer {
    websockets: false,
    streams: None,
};

/// An echo answers through the gateway, over each of the client's protocols.
async fn echoes(endpoint: EndpointSettings) {
    let gateway = Gateway::proxying(proxy(endpoint)).await;
    for protocol in Protocol::BOTH {
        converse(&gateway, protocol).await;
    }
}

async fn converse(gateway: &Gateway, protocol: Protocol) {
    let handshake = Handshake::of("/websocket");
    let target = gateway.target();
    let mut h2 = None;
    let mut tunnel = match protocol {
        Protocol::Http1 => target.tunnel(handshake).await,
        Protocol::Http2 => h2.insert(target.h2().await).tunnel(handshake).await,
    };
    for text in ["hello", ""] {
        tunnel.send(Frame::text(text)).await;
        assert_eq!(tunnel.frame().await, Frame::text(text));
    }
    tunnel.close(1000, "").await;
}

async fn refused(endpoint: EndpointSettings, expected: &str) {
    let gateway = Gateway::proxying(proxy(endpoint)).await;
    let refused = gateway.target().refused(Handshake::of("/websocket")).await;
    assert_eq!(refused.response.status, 502);
    let body = String::from_utf8(refused.body.to_vec()).unwrap();
    assert!(body.contains(expected), "{body}");
}

#[tokio::test]
async fn it_is_agreed_on_by_tls() {
    let _trace = trace::init();
    let ca = TestCa::new();
    let upstream = Http2Upstream::tls(Offer::default(), ca.server(&["localhost"], BOTH)).await;
    let (addr, _echo) = upstream.into_echo();
    echoes(tls(addr, &ca, Http2::Auto)).await;
    echoes(tls(addr, &ca, Http2::Only)).await;
}

#[tokio::test]
async fn the_scheme_says_whether_there_is_tls() {
    let _trace = trace::init();
    let ca = TestCa::new();
    let mut upstream = Http2Upstream::tls(Offer::default(), ca.server(&["localhost"], BOTH)).await;
    let gateway = Gateway::proxying(proxy(tls(upstream.addr(), &ca, Http2::Auto))).await;
    let target = gateway.target();
    let (_client, asked) = tokio::join!(target.tunnel(Handshake::of("/websocket")), async {
        let asked = upstream.asked().await;
        let scheme = asked.uri().scheme_str().map(str::to_owned);
        (scheme, asked.accept())
    });
    assert_eq!(asked.0.as_deref(), Some("https"));
}

#[tokio::test]
async fn it_is_not_offered_unless_asked_for() {
    let _trace = trace::init();
    let ca = TestCa::new();
    let upstream = Http2Upstream::tls(Offer::default(), ca.server(&["localhost"], BOTH)).await;
    echoes(tls(upstream.addr(), &ca, Http2::Off)).await;
    assert_eq!(upstream.connections(), (0, 2));
}

#[tokio::test]
async fn without_tls_there_is_nothing_to_agree_by() {
    let _trace = trace::init();
    let upstream = Upstream::tcp(script::echo()).await;
    echoes(plain(upstream.addr(), Http2::Auto)).await;
    upstream.ended(2).await;
}

/// The connection that has told so is used, and no later handshake asks again.
#[tokio::test]
async fn an_upstream_of_http1_gets_http1() {
    let _trace = trace::init();
    let ca = TestCa::new();
    let upstream = Upstream::tls(ca.server(&["localhost"], &["http/1.1"]), script::echo()).await;
    echoes(tls(upstream.addr(), &ca, Http2::Auto)).await;
    upstream.ended(2).await;
}

#[tokio::test]
async fn an_upstream_whose_settings_offer_no_websockets_gets_http1() {
    let _trace = trace::init();
    let ca = TestCa::new();
    let mut upstream = Http2Upstream::tls(NO_WEBSOCKETS, ca.server(&["localhost"], BOTH)).await;
    let gateway = Gateway::proxying(proxy(tls(upstream.addr(), &ca, Http2::Auto))).await;
    for _ in 0..3 {
        converse(&gateway, Protocol::Http1).await;
    }
    // It was asked once, and remembered.
    assert_eq!(upstream.connections(), (1, 3));
    upstream.ended(0).await;
}

#[tokio::test]
async fn nothing_else_will_do_where_it_must_be() {
    let _trace = trace::init();
    let ca = TestCa::new();
    let upstream = Http2Upstream::tls(NO_WEBSOCKETS, ca.server(&["localhost"], BOTH)).await;
    let endpoint = tls(upstream.addr(), &ca, Http2::Only);
    refused(endpoint, "offers no WebSockets over HTTP/2").await;

    let upstream = Upstream::tls(ca.server(&["localhost"], &["http/1.1"]), script::echo()).await;
    let endpoint = tls(upstream.addr(), &ca, Http2::Only);
    refused(endpoint, "failed the TLS handshake").await;

    let upstream = Upstream::tls(ca.server(&["localhost"], &[]), script::echo()).await;
    let endpoint = tls(upstream.addr(), &ca, Http2::Only);
    refused(endpoint, "offers no WebSockets over HTTP/2").await;

    let upstream = Upstream::tcp(script::respond("400 Bad Request", &[], "")).await;
    refused(
        plain(upstream.addr(), Http2::Only),
        "did not answer in HTTP/2",
    )
    .await;

    let nobody: SocketAddr = "127.0.0.1:1".parse().unwrap();
    refused(plain(nobody, Http2::Only), "refused the connection").await;
}
