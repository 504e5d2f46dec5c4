//! Over real hyper connections in memory, with axum's own `WebSocketUpgrade` as the handler.

mod harness;

use std::{
    io,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use axum::{
    Router,
    body::Body,
    extract::ws::{Message, WebSocketUpgrade},
    routing::{any, get},
};
use futures_util::StreamExt;
use http::{Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};

use self::harness::*;
use super::*;
use crate::upgrade::UpgradedIo;

#[tokio::test]
async fn four_layers_over_http1_in_their_order() {
    let (app, log) = four_deep();
    let (mut client, server) = serve(app, 1024);
    client.write_all(UPGRADE).await.unwrap();
    let (head, rest) = head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    client.write_all(&text("hello")).await.unwrap();
    h1_expect(&mut client, rest, &echoed("hello")).await;
    assert_eq!(
        *log.lock().unwrap(),
        ["first", "second", "third", "outermost"]
    );
    drop(client);
    server.await.unwrap();
}

#[tokio::test]
async fn four_layers_over_http2_in_their_order() {
    let (app, log) = four_deep();
    let (client, server) = serve(app, 1024);
    let mut send = h2(client).await;
    let (res, mut tx) = send.send_request(extended_connect(), false).unwrap();
    let res = res.await.unwrap();
    assert_eq!(res.status(), 200);
    tx.send_data(text("hello").into(), false).unwrap();
    h2_expect(&mut res.into_body(), &echoed("hello")).await;
    assert_eq!(
        *log.lock().unwrap(),
        ["first", "second", "third", "outermost"]
    );
    drop((send, tx));
    server.await.unwrap();
}

#[tokio::test]
async fn frames_in_the_segment_of_the_handshake_arrive() {
    let (app, _) = four_deep();
    let (mut client, _server) = serve(app, 1 << 20);
    let payloads: Vec<_> = (0..500).map(|i| format!("early {i}")).collect();
    let mut segment = UPGRADE.to_vec();
    segment.extend(payloads.iter().flat_map(|p| text(p)));
    client.write_all(&segment).await.unwrap();
    let (_, rest) = head(&mut client).await;
    let expected: Vec<_> = payloads.iter().flat_map(|p| echoed(p)).collect();
    h1_expect(&mut client, rest, &expected).await;
}

/// Over HTTP/2 a client need not wait for the answer either.
#[tokio::test]
async fn frames_sent_before_the_answer_arrive() {
    let (app, _) = four_deep();
    let (client, _server) = serve(app, 1 << 20);
    let mut send = h2(client).await;
    let (res, mut tx) = send.send_request(extended_connect(), false).unwrap();
    let payloads: Vec<_> = (0..500).map(|i| format!("early {i}")).collect();
    let early: Vec<_> = payloads.iter().flat_map(|p| text(p)).collect();
    tx.send_data(early.into(), false).unwrap();
    let expected: Vec<_> = payloads.iter().flat_map(|p| echoed(p)).collect();
    h2_expect(&mut res.await.unwrap().into_body(), &expected).await;
}

/// The handler keeps its `OnUpgrade`, says no, and the connection goes on as HTTP.
#[tokio::test]
async fn a_declined_upgrade_leaves_an_http_connection() {
    let kept = Arc::<Mutex<Option<OnUpgrade>>>::default();
    let keep = Arc::clone(&kept);
    let decline = move |mut req: Request<Body>| async move {
        *keep.lock().unwrap() = req.extensions_mut().remove();
        (StatusCode::FORBIDDEN, "not today")
    };
    let app = Router::new()
        .route("/echo", any(decline))
        .route("/ok", get(|| async { "ok" }))
        .layer(MapUpgradeLayer::new(|io: UpgradedIo| io));

    let (mut client, _server) = serve(app.clone(), 1024);
    client.write_all(UPGRADE).await.unwrap();
    let (first, rest) = head(&mut client).await;
    assert!(first.starts_with("HTTP/1.1 403"), "{first}");
    h1_expect(&mut client, rest, b"not today").await;
    let on_upgrade = kept.lock().unwrap().take().unwrap();
    assert!(on_upgrade.await.unwrap_err().is_canceled());
    client
        .write_all(b"GET /ok HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    assert!(head(&mut client).await.0.starts_with("HTTP/1.1 200"));

    let (client, _server) = serve(app, 1024);
    let mut send = h2(client).await;
    let (res, _tx) = send.send_request(extended_connect(), false).unwrap();
    let res = res.await.unwrap();
    assert_eq!(res.status(), 403);
    h2_expect(&mut res.into_body(), b"not today").await;
    let on_upgrade = kept.lock().unwrap().take().unwrap();
    assert!(on_upgrade.await.unwrap_err().is_canceled());
}

/// The handler is still thinking when the client goes: its `OnUpgrade` must not wait for ever.
#[tokio::test]
async fn a_client_that_leaves_is_noticed_by_a_slow_handler() {
    let (tx, mut kept) = tokio::sync::mpsc::channel::<OnUpgrade>(1);
    let slow = move |mut req: Request<Body>| async move {
        tx.send(req.extensions_mut().remove().unwrap())
            .await
            .unwrap();
        std::future::pending::<StatusCode>().await
    };
    let app = Router::new()
        .route("/echo", any(slow))
        .layer(MapUpgradeLayer::new(|io: UpgradedIo| io));

    let (mut client, _server) = serve(app.clone(), 1024);
    client.write_all(UPGRADE).await.unwrap();
    let on_upgrade = kept.recv().await.unwrap();
    drop(client);
    assert!(on_upgrade.await.unwrap_err().is_canceled());

    let (client, _server) = serve(app, 1024);
    let mut send = h2(client).await;
    let (res, mut tx) = send.send_request(extended_connect(), false).unwrap();
    let on_upgrade = kept.recv().await.unwrap();
    tx.send_reset(h2::Reason::CANCEL);
    drop((res, tx));
    assert!(on_upgrade.await.unwrap_err().is_canceled());
}

/// A handler that sends these many messages of 4 KiB, layers round it, and how many it has sent.
fn flood() -> (Router, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let flood = move |ws: WebSocketUpgrade| async move {
        // Without a buffer of its own, which would hide ours.
        ws.write_buffer_size(0)
            .on_upgrade(move |mut socket| async move {
                for i in 0..MESSAGES {
                    let message = vec![i as u8; 4096];
                    if socket.send(Message::Binary(message.into())).await.is_err() {
                        return;
                    }
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
    };
    let app = Router::new()
        .route("/echo", any(flood))
        .layer(MapUpgradeLayer::new(|io: UpgradedIo| io))
        .layer(MapUpgradeLayer::new(|io: UpgradedIo| io));
    (app, sent)
}

const MESSAGES: usize = 500;

/// The flood has come to a stand after no more messages than this.
async fn stands(sent: &AtomicUsize, at_most: usize) {
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent <= at_most, "{sent} messages were taken");
}

#[track_caller]
fn is_whole_flood(seen: &[u8]) {
    assert_eq!(seen.len(), MESSAGES * (4 + 4096));
    let frames = seen.chunks(4 + 4096);
    let numbers: Vec<_> = frames.map(|frame| frame[4] as usize).collect();
    let expected: Vec<_> = (0..MESSAGES).map(|i| i % 256).collect();
    assert_eq!(numbers, expected);
}

/// Nobody reads at the client: the handler must be stopped, and go on where it was when the client
/// reads.
#[tokio::test]
async fn a_slow_reader_stops_a_fast_handler_over_http1() {
    let (app, sent) = flood();
    let (mut client, _server) = serve(app, 1024);
    client.write_all(UPGRADE).await.unwrap();
    let (_, mut seen) = head(&mut client).await;
    // The pipe holds 1 KiB, the message in flight is the handler's.
    stands(&sent, 1).await;
    client.read_to_end(&mut seen).await.unwrap();
    is_whole_flood(&seen);
}

#[tokio::test]
async fn a_slow_reader_stops_a_fast_handler_over_http2() {
    let (app, sent) = flood();
    let (client, _server) = serve(app, 1024);
    let mut send = h2(client).await;
    let (res, _tx) = send.send_request(extended_connect(), false).unwrap();
    let mut body = res.await.unwrap().into_body();
    // The stream's window of 64 KiB, and the two writes that hyper takes beyond it.
    stands(&sent, 16 + 4).await;
    let mut seen = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        seen.extend(data);
    }
    is_whole_flood(&seen);
}

/// A page, a stream, and an `Upgrade` to something else: all as without the layer.
#[tokio::test]
async fn other_requests_pass_untouched() {
    let stream = || async {
        let chunks = futures_util::stream::iter(["one", "two"]).then(|chunk| async move {
            tokio::task::yield_now().await;
            Ok::<_, io::Error>(chunk)
        });
        Body::from_stream(chunks)
    };
    let upgradable = |req: Request<Body>| async move {
        req.extensions().get::<OnUpgrade>().is_some().to_string()
    };
    let app = Router::new()
        .route("/stream", get(stream))
        .route("/upgradable", get(upgradable))
        .layer(MapUpgradeLayer::new(|_: UpgradedIo| -> UpgradedIo {
            unreachable!()
        }));
    let (mut client, _server) = serve(app, 1024);

    client
        .write_all(b"GET /stream HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let (_, rest) = head(&mut client).await;
    h1_expect(&mut client, rest, b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n").await;

    let h2c = b"GET /upgradable HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n";
    client.write_all(h2c).await.unwrap();
    let (_, rest) = head(&mut client).await;
    h1_expect(&mut client, rest, b"true").await;
}

/// A future that was polled, dropped, or whose service failed leaves nothing behind.
#[tokio::test]
async fn an_error_of_the_inner_service_fails_the_upgrade() {
    let (_sender, theirs) = crate::upgrade::pair::<DuplexStream>();
    let req = Request::get("/")
        .header("upgrade", "websocket")
        .extension(theirs)
        .body(())
        .unwrap();
    let (mut service, mut handle) = tower_test::mock::spawn_layer::<Request<()>, Response<()>, _>(
        MapUpgradeLayer::new(|io: UpgradedIo| io),
    );
    handle.allow(1);
    tokio_test::assert_ready_ok!(service.poll_ready());
    let mut response = pin!(service.call(req));
    let (mut req, respond) = handle.next_request().await.unwrap();
    let minted = req.extensions_mut().remove::<OnUpgrade>().unwrap();
    respond.send_error("no");
    assert_eq!(response.as_mut().await.unwrap_err().to_string(), "no");
    assert!(minted.await.unwrap_err().is_canceled());
}

/// The handler reads what the wrapper makes of the bytes.
#[tokio::test]
async fn a_wrapper_may_change_what_is_read() {
    struct Upper<S>(S);
    impl<S: AsyncRead + Unpin> AsyncRead for Upper<S> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let before = buf.filled().len();
            ready!(Pin::new(&mut self.0).poll_read(cx, buf))?;
            // Frame headers have no ASCII letters here; the mask is zero.
            buf.filled_mut()[before..].make_ascii_uppercase();
            Poll::Ready(Ok(()))
        }
    }
    impl<S: AsyncWrite + Unpin> AsyncWrite for Upper<S> {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.0).poll_write(cx, buf)
        }
        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }
        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(cx)
        }
    }
    let app = Router::new()
        .route("/echo", any(echo))
        .layer(MapUpgradeLayer::new(Upper));
    let (mut client, _server) = serve(app, 1024);
    client.write_all(UPGRADE).await.unwrap();
    let (_, rest) = head(&mut client).await;
    client.write_all(&text("hello")).await.unwrap();
    h1_expect(&mut client, rest, &echoed("HELLO")).await;
}
