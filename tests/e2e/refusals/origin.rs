//! Which pages may open a tunnel.

use wsgate::WebSocketProxy;
use wsgate::layer::OriginPolicy;
use wsgate_tests::client::{Handshake, Protocol};
use wsgate_tests::gateway::Gateway;
use wsgate_tests::trace;
use wsgate_tests::upstream::{Upstream, script};

use super::{check, proxy};

/// Opens a tunnel from a page of each origin, over both protocols. `PORT` stands for the gateway's.
async fn pages(
    adjust: impl FnOnce(WebSocketProxy) -> WebSocketProxy,
    welcome: &[&str],
    turned_away: &[&str],
) {
    let trace = trace::init();
    let upstream = Upstream::tcp(script::echo()).await;
    let gateway = Gateway::proxying(adjust(proxy(upstream.addr()))).await;
    let target = gateway.target();
    let origin = |origin: &str| origin.replace("PORT", &gateway.addr().port().to_string());
    let from = |page: &str| Handshake::of("/websocket").field("Origin", &origin(page));
    for protocol in Protocol::BOTH {
        for page in welcome {
            let answer = target.visit(protocol, from(page)).await;
            assert!(answer.is_ok(), "{protocol:?} {page}: {answer:?}");
        }
        // Who is no browser has none.
        let answer = target.visit(protocol, Handshake::of("/websocket")).await;
        assert!(answer.is_ok(), "{protocol:?}: {answer:?}");
        for page in turned_away {
            let refused = target.visit(protocol, from(page)).await.unwrap_err();
            let (origin, host) = (origin(page), target.authority());
            let sentence = format!("the origin {origin} may not open a WebSocket at {host}");
            check(&refused, 403, &sentence);
            let logged = trace.find(&sentence);
            let event = logged.last().expect("the reason is logged");
            assert_eq!(event.level, tracing::Level::INFO);
            assert_eq!(
                (event.field("side"), event.field("status")),
                ("client", "403")
            );
            assert_eq!(event.field("route"), "/websocket");
            assert!(event.field("client").starts_with("127.0.0.1:"));
        }
    }
    upstream.ended(2 * (welcome.len() + 1)).await;
    gateway.join().await;
}

#[tokio::test]
async fn by_default_those_of_the_same_origin() {
    let other = [
        "https://localhost",
        "https://localhost:1",
        "http://localhost:PORT",
        "https://evil.example",
        "https://localhost.evil.example:PORT",
        "https://127.0.0.1:PORT",
        "null",
        "",
    ];
    pages(
        |proxy| proxy,
        &["https://localhost:PORT", "https://LOCALHOST:PORT"],
        &other,
    )
    .await;
}

#[tokio::test]
async fn or_those_on_a_list() {
    let policy = OriginPolicy::allow(["https://app.example", "*.app.example"]).unwrap();
    let listed = ["https://app.example", "https://a.app.example"];
    let others = [
        "https://localhost:PORT",
        "http://app.example",
        "https://app.example:8443",
    ];
    pages(|proxy| proxy.origin(policy), &listed, &others).await;
}

#[tokio::test]
async fn or_both() {
    let policy = OriginPolicy::same_origin()
        .and_allow(["https://app.example"])
        .unwrap();
    let welcome = ["https://localhost:PORT", "https://app.example"];
    pages(
        |proxy| proxy.origin(policy),
        &welcome,
        &["https://evil.example"],
    )
    .await;
}

#[tokio::test]
async fn or_all_of_the_web() {
    let welcome = ["https://evil.example", "null", "http://localhost"];
    pages(|proxy| proxy.origin(OriginPolicy::any()), &welcome, &[]).await;
}
