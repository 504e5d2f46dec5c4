//! Layers that cannot act say so, and what to change. Each says it once in a process, so most of these
//! tests have one of their own.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::routing::any;
use bytes::Bytes;
use http::{Method, Request, Version};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tower::ServiceExt;
use tracing::Level;
use wsgate::layer::limit::Rate;
use wsgate::layer::{KeepaliveLayer, LimitLayer};
use wsgate_tests::Frame;
use wsgate_tests::alone::alone;
use wsgate_tests::client::{Handshake, Target};
use wsgate_tests::gateway::Gateway;
use wsgate_tests::site::Site;
use wsgate_tests::stage::Http;
use wsgate_tests::trace::{self, Trace};

use super::{House, Visitor};

/// As with axum-server's `http1_only`: the client is told 101, and then nothing.
#[tokio::test]
async fn a_server_that_does_not_upgrade() {
    if !alone("layers::warnings::a_server_that_does_not_upgrade").await {
        return;
    }
    let trace = trace::init();
    let house = House::start().await;
    let app = house.router().layer(KeepaliveLayer::default());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let target = Target::plain(listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        for _ in 0..2 {
            let (socket, _) = listener.accept().await.unwrap();
            let app = app.clone();
            let service = service_fn(move |req: Request<hyper::body::Incoming>| {
                app.clone().oneshot(req.map(axum::body::Body::new))
            });
            // Without `with_upgrades`. That this ends is all there is to know.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
        }
    });
    for _ in 0..2 {
        let mut client = target.tunnel(Handshake::of("/axum")).await;
        client.end().await;
    }
    server.await.unwrap();
    is_told_once(&trace, "does not upgrade", "serve with upgrades").await;
    house.join().await;
}

/// A client that takes HTTP/2 for a newer HTTP/1.1.
#[tokio::test]
async fn a_handshake_of_http1_over_http2() {
    if !alone("layers::warnings::a_handshake_of_http1_over_http2").await {
        return;
    }
    let trace = trace::init();
    let house = House::start().await;
    let app = house.router().layer(KeepaliveLayer::default());
    let gateway = Gateway::serving(app).await;
    let mut visitor = Visitor::new(gateway.target(), Http::Two).await;
    for _ in 0..2 {
        let refused = visitor
            .open(Handshake::of("/axum").method("GET"))
            .await
            .unwrap_err();
        assert_eq!(refused.response.status, 405);
    }
    is_told_once(
        &trace,
        "not as an extended CONNECT",
        "enable_connect_protocol",
    )
    .await;
    visitor.leave().await;
    gateway.join().await;
    house.join().await;
}

#[tokio::test]
async fn a_server_that_does_not_tell_its_clients_address() {
    if !alone("layers::warnings::a_server_that_does_not_tell_its_clients_address").await {
        return;
    }
    let trace = trace::init();
    let limits = LimitLayer::new().handshake_rate(Rate::per_second(1));
    let app = Router::new()
        .route("/", any(async || "a page"))
        .layer(limits);
    for _ in 0..3 {
        let handshake = Request::builder()
            .method(Method::GET)
            .version(Version::HTTP_11)
            .header("Upgrade", "websocket")
            .header("Connection", "Upgrade")
            .body(axum::body::Body::empty())
            .unwrap();
        let answer: Result<_, Infallible> = app.clone().oneshot(handshake).await;
        assert_eq!(answer.unwrap().status(), 200);
    }
    is_told_once(&trace, "do not tell their client's address", "connect_info").await;
}

/// A layer has its turn when the handler reads. This one only sends, so no ping goes out.
#[tokio::test]
async fn a_handler_that_never_reads() {
    let trace = trace::init();
    let deaf = any(async |upgrade: WebSocketUpgrade| {
        upgrade.on_upgrade(async |mut socket| {
            loop {
                let message = Message::Binary(Bytes::from_static(b"more"));
                if socket.send(message).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        })
    });
    let app = Router::new()
        .route("/", deaf)
        .layer(KeepaliveLayer::every(Duration::from_secs(1)));
    let site = Site::start(app, None).await;
    let target = Target::plain(site.addr());
    let mut client = target.tunnel(Handshake::of("/")).await;
    // A minute unheard is what makes it strange.
    for _ in 0..66 {
        assert_eq!(client.frame().await, Frame::binary("more"));
    }
    is_told_once(
        &trace,
        "a handler does not read its WebSocket",
        "go on reading",
    )
    .await;
    drop(client);
    site.join().await;
}

/// One warning, and what to do about it in the same words.
async fn is_told_once(trace: &Trace, what: &str, remedy: &str) {
    let told = trace.until(what, 1).await;
    assert_eq!(told[0].level, Level::WARN);
    assert!(told[0].message.contains(remedy), "{}", told[0].message);
}
