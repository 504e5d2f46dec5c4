//! Clients that leave before they have their answer: the upstream is let go at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use wsgate::WebSocketProxy;
use wsgate_tests::client::Handshake;
use wsgate_tests::gateway::Gateway;
use wsgate_tests::upstream::{Script, Upstream, script};
use wsgate_tests::{Frame, trace};

use super::proxy;

/// No deadline ends the wait of these tests: only the client does.
fn patient(upstream: &Upstream) -> WebSocketProxy {
    proxy(upstream.addr()).handshake_timeout(Duration::from_secs(3600))
}

async fn asked(upstream: &Upstream) {
    let came = upstream.until("the handshake", |seen| {
        seen.last().is_some_and(|seen| seen.request.is_some())
    });
    came.await;
}

#[tokio::test]
async fn over_http1_while_the_upstream_is_silent() {
    let _trace = trace::init();
    let upstream = Upstream::tcp(script::silence()).await;
    let gateway = Gateway::proxying(patient(&upstream)).await;
    let target = gateway.target();
    tokio::select! {
        answer = target.open(Handshake::of("/websocket")) => panic!("{answer:?}"),
        () = asked(&upstream) => {}
    }
    upstream.ended(1).await;
    gateway.join().await;
}

#[tokio::test]
async fn over_http2_while_the_upstream_is_silent() {
    let _trace = trace::init();
    let upstream = Upstream::tcp(script::silence()).await;
    let gateway = Gateway::proxying(patient(&upstream)).await;
    let mut h2 = gateway.target().h2().await;
    // The stream is reset; the connection and what else is on it are not concerned.
    tokio::select! {
        (answer, _) = h2.answer(Handshake::of("/websocket")) => panic!("{answer:?}"),
        () = asked(&upstream) => {}
    }
    upstream.ended(1).await;
    assert_eq!(h2.get("/").await.body, "an ordinary page");
    h2.join().await;
    gateway.join().await;
}

#[tokio::test]
async fn over_http2_with_the_whole_connection() {
    let _trace = trace::init();
    let upstream = Upstream::tcp(script::silence()).await;
    let gateway = Gateway::proxying(patient(&upstream)).await;
    let mut h2 = gateway.target().h2().await;
    let asking = tokio::spawn(async move { h2.open(Handshake::of("/websocket")).await });
    asked(&upstream).await;
    asking.abort();
    upstream.ended(1).await;
    gateway.join().await;
}

/// With frames behind the handshake hyper does not notice that the client left; the deadline is what
/// lets the upstream go.
#[tokio::test]
async fn with_frames_behind_the_handshake() {
    let _trace = trace::init();
    let upstream = Upstream::tcp(script::silence()).await;
    let proxy = proxy(upstream.addr()).handshake_timeout(Duration::from_millis(200));
    let gateway = Gateway::proxying(proxy).await;
    let handshake = Handshake::of("/websocket").early(&[Frame::text("hasty")]);
    let target = gateway.target();
    tokio::select! {
        answer = target.open(handshake) => panic!("{answer:?}"),
        () = asked(&upstream) => {}
    }
    upstream.ended(1).await;
    gateway.join().await;
}

/// Sends a body for as long as somebody takes it.
fn endless_body(begun: Arc<Notify>) -> Script {
    script::script(move |mut connection| {
        let begun = Arc::clone(&begun);
        async move {
            connection.request().await;
            connection
                .write("HTTP/1.1 500 Internal Server Error\r\n\r\n")
                .await;
            begun.notify_one();
            while connection.is_in_order() {
                connection.write(vec![b'x'; 1 << 16]).await;
            }
        }
    })
}

#[tokio::test]
async fn in_the_middle_of_a_body() {
    let _trace = trace::init();
    let begun = Arc::new(Notify::new());
    let upstream = Upstream::tcp(endless_body(Arc::clone(&begun))).await;
    let gateway = Gateway::proxying(patient(&upstream)).await;

    let mut h1 = gateway.target().h1().await;
    assert_eq!(h1.answer(&Handshake::of("/websocket")).await.status, 500);
    begun.notified().await;
    drop(h1);

    let mut h2 = gateway.target().h2().await;
    let (head, body) = h2.answer(Handshake::of("/websocket")).await;
    assert_eq!(head.status, 500);
    begun.notified().await;
    drop(body);
    let seen = upstream.ended(2).await;
    assert!(seen.iter().all(|seen| seen.error.is_some()), "{seen:?}");
    assert_eq!(h2.get("/").await.body, "an ordinary page");
    h2.join().await;
    gateway.join().await;
}
