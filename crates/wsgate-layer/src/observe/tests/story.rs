//! What is told of a handshake, in which order, and that nothing is told twice.

use std::{future::pending, io, sync::Arc, time::Duration};

use axum::{Router, extract::WebSocketUpgrade, routing::any};
use http::{Method, Request, Response, StatusCode, Version};
use hyper::{ext::Protocol, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;
use wsgate_frame::{CloseCode, Role};

use super::{super::*, harness::*};
use crate::{
    OriginPolicy,
    client::TrustedProxies,
    tunnel::{Cause, End, Limit},
    upgrade::UpgradeSender,
};

const UPGRADE: &[u8] = b"GET /rooms/7 HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\n\
    upgrade: websocket\r\nsec-websocket-version: 13\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn the_whole_story_in_its_order() {
    let diary = Diary::default();
    let (tunnel, mut client, mut handler) = open(&ObserveLayer::new(diary.clone())).await;
    let opened = ["handshake unmatched HTTP/1.1 Upgrade", "opened 101"];
    assert_eq!(diary.read(), opened);

    client.write_all(CLIENT_HELLO).await.unwrap();
    let mut hello = [0; CLIENT_HELLO.len()];
    handler.read_exact(&mut hello).await.unwrap();
    assert_eq!(hello, CLIENT_HELLO);
    tunnel.ping(Role::Client, Duration::from_millis(30));
    tunnel.limit(Limit::MessageRate);
    assert_eq!(diary.read(), ["ping Client 30ms", "limit message rate"]);

    tokio::time::sleep(Duration::from_secs(2)).await;
    handler.write_all(SERVER_HELLO).await.unwrap();
    handler.write_all(SERVER_CLOSE).await.unwrap();
    drop(handler);
    let closed = ["traffic 1/11 1/14", "closed by server: close 1000 after 2s"];
    assert_eq!(diary.read(), closed);

    drop((tunnel, client));
    assert!(diary.read().is_empty());
    assert!(diary.is_alone(), "the tunnel keeps nobody alive");
}

#[tokio::test]
async fn over_a_real_connection_to_axums_own_handler() {
    let diary = Diary::default();
    let echo = any(|ws: WebSocketUpgrade| async {
        ws.on_upgrade(|mut socket| async move {
            while let Some(Ok(message)) = socket.recv().await {
                let _ = socket.send(message).await;
            }
        })
    });
    let app = Router::new()
        .route("/rooms/{room}", echo)
        .layer(ObserveLayer::new(diary.clone()));
    let (mut client, near) = duplex(1024);
    let server = tokio::spawn(async move {
        let service = TowerToHyperService::new(app);
        let connection = http1::Builder::new().serve_connection(TokioIo::new(near), service);
        connection.with_upgrades().await.unwrap();
    });

    client.write_all(UPGRADE).await.unwrap();
    client.write_all(CLIENT_HELLO).await.unwrap();
    client.write_all(CLIENT_CLOSE).await.unwrap();
    let mut seen = Vec::new();
    client.read_to_end(&mut seen).await.unwrap();
    assert!(seen.ends_with(&[SERVER_HELLO, SERVER_CLOSE].concat()));
    server.await.unwrap();

    let told = diary.read();
    let opened = ["handshake /rooms/{room} HTTP/1.1 Upgrade", "opened 101"];
    assert_eq!(told[..2], opened);
    assert_eq!(told[2], "traffic 1/22 1/14");
    assert!(told[3].starts_with("closed by client: close 1000"));
    assert_eq!(told.len(), 4, "{told:?}");
}

#[tokio::test]
async fn over_http2_any_success_opens_it() {
    let diary = Diary::default();
    let req = Request::builder()
        .method(Method::CONNECT)
        .uri("https://example.com/live")
        .version(Version::HTTP_2)
        .header("sec-websocket-version", "13")
        .extension(Protocol::from_static("websocket"))
        .body(())
        .unwrap();
    let (_client, near) = duplex(64);
    let layer = ObserveLayer::new(diary.clone());
    let _open = open_on(&layer, req, near).await;
    let opened = ["handshake unmatched HTTP/2 extended CONNECT", "opened 200"];
    assert_eq!(diary.read(), opened);
}

#[tokio::test]
async fn what_is_no_handshake_is_not_told() {
    let diary = Diary::default();
    let page = Request::get("/").body(()).unwrap();
    answer(&ObserveLayer::new(diary.clone()), page, Response::new(())).await;
    assert!(diary.read().is_empty());
}

// ===== refused =====

/// Answers a handshake, and holds what was told against the expected.
async fn refuse(
    status: u16,
    edit: impl FnOnce(&mut Request<()>, &mut Response<()>),
    expected: &str,
) {
    let diary = Diary::default();
    let (mut req, mut res) = (request(), Response::new(()));
    *res.status_mut() = StatusCode::from_u16(status).unwrap();
    edit(&mut req, &mut res);
    let _sender: UpgradeSender<DuplexStream> = upgradeable(&mut req);
    answer(&ObserveLayer::new(diary.clone()), req, res).await;
    assert_eq!(diary.read()[1..], [expected], "of {status}");
}

#[tokio::test]
async fn a_refusal_is_told_with_its_status_and_its_reason() {
    refuse(401, |_, _| {}, "refused Some(401) None").await;
    // A success, but not the one that opens a WebSocket over HTTP/1.1.
    refuse(200, |_, _| {}, "refused Some(200) None").await;
    refuse(
        403,
        |req, res| {
            let origin = "https://evil.example".parse().unwrap();
            req.headers_mut().insert("origin", origin);
            let error = OriginPolicy::same_origin().check(req, &TrustedProxies::none());
            res.extensions_mut().insert(error.unwrap_err());
        },
        "refused Some(403) Some(\"origin\")",
    )
    .await;
    refuse(
        503,
        |_, res| _ = res.extensions_mut().insert(Limit::Tunnels),
        "refused Some(503) Some(\"limit\")",
    )
    .await;
    refuse(
        503,
        |_, res| _ = res.extensions_mut().insert(Cause::Drain),
        "refused Some(503) Some(\"drain\")",
    )
    .await;
}

#[tokio::test]
async fn a_broken_handshake_is_the_reason_only_where_the_answer_is_about_it() {
    let broken = |req: &mut Request<()>, _: &mut Response<()>| {
        req.headers_mut().remove("sec-websocket-key");
    };
    refuse(400, broken, "refused Some(400) Some(\"handshake\")").await;
    refuse(426, broken, "refused Some(426) Some(\"handshake\")").await;
    refuse(401, broken, "refused Some(401) None").await;
    refuse(400, |_, _| {}, "refused Some(400) None").await;
}

#[tokio::test]
async fn a_service_that_fails_is_told() {
    let diary = Diary::default();
    let mut req = request();
    let _sender: UpgradeSender<DuplexStream> = upgradeable(&mut req);
    let service =
        service_fn(|_: Request<()>| async { Err::<Response<()>, _>(io::Error::other("")) });
    let service = ObserveLayer::new(diary.clone()).layer(service);
    service.oneshot(req).await.unwrap_err();
    assert_eq!(diary.read()[1..], ["refused None Some(\"failed\")"]);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_is_told() {
    let diary = Diary::default();
    let mut req = request();
    let _sender: UpgradeSender<DuplexStream> = upgradeable(&mut req);
    let service = service_fn(|_: Request<()>| pending::<Result<Response<()>, io::Error>>());
    let service = ObserveLayer::new(diary.clone()).layer(service);
    let mut answer = tokio_test::task::spawn(service.oneshot(req));
    tokio_test::assert_pending!(answer.poll());
    assert_eq!(diary.read(), ["handshake unmatched HTTP/1.1 Upgrade"]);
    drop(answer);
    assert_eq!(diary.read(), ["refused None Some(\"gone\")"]);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_upgrade_is_told() {
    let diary = Diary::default();
    let mut req = request();
    let sender: UpgradeSender<DuplexStream> = upgradeable(&mut req);
    let mut res = Response::new(());
    *res.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    answer(&ObserveLayer::new(diary.clone()), req, res).await;
    assert_eq!(diary.read(), ["handshake unmatched HTTP/1.1 Upgrade"]);
    drop(sender);
    tokio::task::yield_now().await;
    assert_eq!(diary.read(), ["refused None Some(\"gone\")"]);
}

// ===== cancelled =====

#[tokio::test]
async fn a_handler_that_is_cancelled_or_panics_is_told_once() {
    let diary = Diary::default();
    let (_, _client, mut handler) = open(&ObserveLayer::new(diary.clone())).await;
    let task = tokio::spawn(async move { handler.read_u8().await });
    tokio::task::yield_now().await;
    task.abort();
    let _ = task.await;
    assert!(diary.read()[2].starts_with("closed by server: dropped 1006"));

    let (_, _client, handler) = open(&ObserveLayer::new(diary.clone())).await;
    let task = tokio::spawn(async move {
        let _handler = handler;
        panic!("a handler's mistake");
    });
    task.await.unwrap_err();
    let told = diary.read();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[2].starts_with("closed by server: dropped 1006"));
}

#[tokio::test]
async fn a_stream_that_is_over_for_a_layer_is_told_as_the_layers() {
    let diary = Diary::default();
    let (tunnel, _client, handler) = open(&ObserveLayer::new(diary.clone())).await;
    tunnel.set_end(End {
        cause: Cause::PongTimeout,
        code: CloseCode::INTERNAL_ERROR,
        peer: Role::Client,
    });
    drop(handler);
    assert!(diary.read()[2].starts_with("closed by gateway: pong timeout 1011"));
}

// ===== several =====

#[tokio::test]
async fn all_observers_are_told_in_their_order() {
    let (first, second) = (Diary::default(), Diary::default());
    let layer = ObserveLayer::new(first.clone()).and(Arc::new(second.clone()));
    let (_, client, handler) = open(&layer).await;
    drop((client, handler));
    let told = first.read();
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(second.read(), told);
}
