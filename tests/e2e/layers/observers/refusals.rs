//! Why no WebSocket came of a handshake, as an observer tells it.

use axum::Router;
use wsgate::WebSocketProxy;
use wsgate::layer::{LimitLayer, ObserveLayer, OriginLayer};
use wsgate_tests::client::Handshake;
use wsgate_tests::gateway::Gateway;
use wsgate_tests::stage::Http;
use wsgate_tests::trace;
use wsgate_tests::upstream::{Script, Upstream, script};

use super::super::Visitor;
use super::{Notes, first};

#[tokio::test]
async fn by_a_layer() {
    let page = handshake().field("Origin", "https://evil.example");
    let origin = |app: Router| app.layer(OriginLayer::same_origin());
    check(origin, script::echo(), &page, 403, "origin").await;

    let limit = |app: Router| app.layer(LimitLayer::new().tunnels(0));
    check(limit, script::echo(), &handshake(), 503, "limit").await;
}

#[tokio::test]
async fn by_the_proxy() {
    let page = handshake().field("Origin", "https://evil.example");
    check(|app| app, script::echo(), &page, 403, "origin").await;

    let old = handshake().without("Sec-WebSocket-Version");
    let old = old.field("Sec-WebSocket-Version", "8");
    check(|app| app, script::echo(), &old, 426, "handshake").await;

    check(
        |app| app,
        script::wrong_accept(),
        &handshake(),
        502,
        "answer",
    )
    .await;
}

/// Why is its own business.
#[tokio::test]
async fn by_the_upstream() {
    let challenge = script::respond("401 Unauthorized", &[], "who?");
    check(|app| app, challenge, &handshake(), 401, "none").await;
}

/// Over both protocols.
async fn check(
    layers: impl FnOnce(Router) -> Router + Clone,
    script: Script,
    handshake: &Handshake,
    status: u16,
    why: &str,
) {
    let _trace = trace::init();
    for http in Http::BOTH {
        let upstream = Upstream::tcp(script.clone()).await;
        let proxy = WebSocketProxy::to(&format!("http://{}", upstream.addr())).unwrap();
        let notes = Notes::default();
        let app = layers.clone()(Router::new().route_service("/websocket", proxy));
        let gateway = Gateway::serving(app.layer(ObserveLayer::new(notes.clone()))).await;
        let mut visitor = Visitor::new(gateway.target(), http).await;
        let refused = visitor.open(handshake.clone()).await.unwrap_err();
        assert_eq!(refused.response.status, status);

        let story = notes.story().await;
        assert_eq!(story.first(), Some(&first(http)));
        assert_eq!(story.last(), Some(&format!("refused {status} {why}")));
        visitor.leave().await;
        upstream.join().await;
        gateway.join().await;
    }
}

fn handshake() -> Handshake {
    Handshake::of("/websocket")
}
