//! How a WebSocket ended, as an observer tells it.

use std::time::Duration;

use axum::Router;
use wsgate::layer::{Drain, KeepaliveLayer, LimitLayer, ReadTimeoutLayer};
use wsgate_tests::client::Handshake;
use wsgate_tests::stage::{Ends, Http};
use wsgate_tests::{Frame, Tunnel, trace};

use super::super::{is_closed, is_keepalive};
use super::{first, start};

#[tokio::test]
async fn a_close_of_the_client() {
    let end = async |ends: Ends| {
        let Ends {
            mut client,
            mut upstream,
            ..
        } = ends;
        client.send(Frame::text("one")).await;
        assert_eq!(upstream.frame().await.unmasked(), Frame::text("one"));
        upstream.send(Frame::text("two")).await;
        upstream.send(Frame::text("three")).await;
        let answering = answers(upstream);
        let closing = client.close(4001, "bye");
        tokio::join!(answering, closing);
    };
    check(
        |app| app,
        end,
        &["opened", "closed by client: close, 4001, (1, 2)"],
    )
    .await;
}

#[tokio::test]
async fn a_close_of_the_upstream() {
    let end = async |ends: Ends| {
        let Ends {
            client,
            mut upstream,
            ..
        } = ends;
        upstream.send(Frame::close(4002, "moved")).await;
        let answered = async {
            assert_eq!(
                upstream.frame().await.unmasked(),
                Frame::close(4002, "moved")
            );
            upstream.shutdown().await;
            upstream.end().await;
        };
        tokio::join!(is_closed(client, 4002, "moved"), answered);
    };
    check(
        |app| app,
        end,
        &["opened", "closed by server: close, 4002, (0, 0)"],
    )
    .await;
}

#[tokio::test]
async fn a_close_without_a_code() {
    let end = async |mut ends: Ends| {
        ends.client.send(Frame::new(8, "")).await;
        let answered = async {
            assert_eq!(ends.client.frame().await, Frame::new(8, ""));
            ends.client.end().await;
            drop(ends.client);
        };
        tokio::join!(answers(ends.upstream), answered);
    };
    check(
        |app| app,
        end,
        &["opened", "closed by client: close, 1005, (0, 0)"],
    )
    .await;
}

#[tokio::test]
async fn a_client_that_is_lost() {
    let trace = trace::init();
    for http in Http::BOTH {
        let (mut stage, notes) = start(http, |app| app).await;
        let mut ends = stage.open(Handshake::of("/websocket")).await;
        // Over HTTP/2 it is the stream that is reset, and not the connection.
        ends.client.reset();
        ends.upstream.end().await;
        drop(ends.upstream);
        let story = notes.story().await;
        assert_eq!(story[..2], [first(http).as_str(), "opened"]);
        let end = story[2].as_str();
        assert!(
            end.starts_with("closed by client: ") && end.ends_with(", 1006, (0, 0)"),
            "{end}"
        );
        stage.join().await;
    }
    drop(trace);
}

#[tokio::test]
async fn an_upstream_that_is_lost() {
    let end = async |ends: Ends| {
        ends.upstream.reset();
        is_closed(ends.client, 1014, "upstream lost").await;
    };
    // The farewell of the proxy, which to a layer is the handler.
    check(
        |app| app,
        end,
        &["opened", "closed by server: close, 1014, (0, 0)"],
    )
    .await;
}

#[tokio::test]
async fn a_read_timeout() {
    let end = async |ends: Ends| {
        let close = answers(ends.upstream);
        tokio::join!(is_closed(ends.client, 1001, "read timeout"), close);
    };
    let timeout = |app: Router| app.layer(ReadTimeoutLayer::new(Duration::from_millis(200)));
    check(
        timeout,
        end,
        &["opened", "closed by gateway: read timeout, 1001, (0, 0)"],
    )
    .await;
}

#[tokio::test]
async fn a_pong_timeout() {
    let end = async |mut ends: Ends| {
        let ping = ends.client.frame().await;
        assert!(is_keepalive(&ping));
        ends.client.send(Frame::pong(ping.payload)).await;
        while ends
            .client
            .next()
            .await
            .is_ok_and(|frame| is_keepalive(&frame))
        {}
        let told = ends.upstream.frame().await.unmasked();
        assert_eq!(told, Frame::close(1011, "pong timeout"));
        ends.upstream.shutdown().await;
    };
    let keepalive = KeepaliveLayer::every(Duration::from_millis(500));
    let keepalive = move |app: Router| app.layer(keepalive);
    let story = [
        "opened",
        "ping Client",
        "closed by gateway: pong timeout, 1011, (0, 0)",
    ];
    check(keepalive, end, &story).await;
}

#[tokio::test]
async fn a_limit() {
    let end = async |mut ends: Ends| {
        ends.client.send(Frame::text("nine char")).await;
        let close = answers(ends.upstream);
        tokio::join!(is_closed(ends.client, 1009, "message too big"), close);
    };
    let limit = |app: Router| app.layer(LimitLayer::new().message_size(8));
    let story = [
        "opened",
        "limit message size",
        "closed by gateway: message size, 1009, (1, 0)",
    ];
    check(limit, end, &story).await;
}

#[tokio::test]
async fn a_drain() {
    for http in Http::BOTH {
        let _trace = trace::init();
        let drain = Drain::new();
        let layer = drain.layer();
        let (mut stage, notes) = start(http, |app| app.layer(layer)).await;
        let ends = stage.open(Handshake::of("/websocket")).await;
        let close = answers(ends.upstream);
        let closed = is_closed(ends.client, 1001, "server shutting down");
        tokio::join!(drain.within(Duration::from_secs(20)), closed, close);
        let end = "closed by gateway: drain, 1001, (0, 0)";
        assert_eq!(notes.story().await, [first(http).as_str(), "opened", end]);

        let refused = stage.knock(Handshake::of("/websocket")).await.unwrap_err();
        assert_eq!(refused.response.status, 503);
        let end = "refused 503 drain";
        assert_eq!(notes.story().await, [first(http).as_str(), end]);
        stage.join().await;
    }
}

/// A story over both protocols.
async fn check(
    layers: impl FnOnce(Router) -> Router + Clone,
    end: impl AsyncFn(Ends),
    story: &[&str],
) {
    let _trace = trace::init();
    for http in Http::BOTH {
        let (mut stage, notes) = start(http, layers.clone()).await;
        let ends = stage.open(Handshake::of("/websocket")).await;
        notes.until("opened").await;
        end(ends).await;
        let told = notes.story().await;
        assert_eq!(told[0], first(http));
        assert_eq!(told[1..], *story, "{http:?}");
        stage.join().await;
    }
}

/// Hears a Close, answers it, and ends as a server does.
async fn answers(mut upstream: Tunnel) {
    loop {
        let frame = upstream.frame().await.unmasked();
        if frame.opcode == 8 {
            let _ = upstream.try_send(frame).await;
            upstream.shutdown().await;
            upstream.end().await;
            return;
        }
    }
}
