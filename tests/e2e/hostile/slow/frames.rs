//! Frames and messages that are begun and do not come to their end.

use axum::Router;
use axum::extract::WebSocketUpgrade;
use axum::routing::any;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use wsgate::WebSocketProxy;
use wsgate::layer::{KeepaliveLayer, ReadTimeoutLayer, timeout::MessageTimeoutLayer};
use wsgate_tests::client::Handshake;
use wsgate_tests::gateway::{self, Gateway};
use wsgate_tests::stage::{Ends, Http, Stage};
use wsgate_tests::tasks::Tasks;
use wsgate_tests::upstream::script::Accept;
use wsgate_tests::{End, Frame, trace, within};

use super::{LONG, SHORT, lenient, took_its_time};

/// With a keepalive and a read timeout, to which each byte is a sign of life.
fn app(limit: MessageTimeoutLayer) -> impl FnOnce(WebSocketProxy) -> Router {
    move |proxy| {
        gateway::app(lenient(proxy))
            .layer(limit)
            .layer(KeepaliveLayer::every(LONG))
            .layer(ReadTimeoutLayer::new(LONG))
    }
}

#[tokio::test]
async fn a_frame_that_dribbles() {
    for http in Http::BOTH {
        let trace = trace::init();
        let limit = MessageTimeoutLayer::of_frames(SHORT);
        let mut stage = Stage::serving(http, Accept::default(), app(limit)).await;
        let Ends {
            mut client,
            mut upstream,
            ..
        } = stage.open(Handshake::of("/websocket")).await;
        let mut beside = stage.open(Handshake::of("/websocket")).await;

        let begun = Instant::now();
        client.send_raw(b"\x82\xfe\xff\xff\0\0\0\0").await;
        let close = within("a Close", async {
            loop {
                // Pings come in between.
                tokio::select! {
                    frame = client.next() => match frame {
                        Ok(frame) if frame.close_parts().is_some() => break frame,
                        Ok(_) => {}
                        Err(end) => panic!("{end:?}"),
                    },
                    () = sleep(SHORT / 20) => client.send_raw(b"x").await,
                }
            }
        })
        .await;
        took_its_time(begun);
        assert_eq!(close, Frame::close(1008, "frame timeout"));
        // What the upstream has is part of a frame.
        client.shutdown().await;
        assert!(matches!(upstream.next().await, Err(End::Truncated)));
        let closed = trace.until("tunnel closed", 1).await;
        assert_eq!(closed[0].field("cause"), "frame timeout");
        assert_eq!(closed[0].field("side"), "client");

        beside.client.send(Frame::text("still there?")).await;
        let heard = beside.upstream.frame().await.unmasked();
        assert_eq!(heard, Frame::text("still there?"));
        drop((client, upstream, beside));
        stage.join().await;
    }
}

#[tokio::test]
async fn a_message_that_is_never_finished_frees_its_handler() {
    let _trace = trace::init();
    let (over, mut ended) = mpsc::channel::<()>(1);
    let handler = any(move |ws: WebSocketUpgrade| async move {
        ws.on_upgrade(move |mut socket| async move {
            while let Some(Ok(_)) = socket.recv().await {}
            over.send(()).await.unwrap();
        })
    });
    let app = Router::new()
        .route("/websocket", handler)
        .layer(MessageTimeoutLayer::new(SHORT))
        .layer(KeepaliveLayer::every(LONG))
        .layer(ReadTimeoutLayer::new(LONG));
    let gateway = Gateway::serving(app).await;
    let tasks = Tasks::now();
    let mut client = gateway.target().tunnel(Handshake::of("/websocket")).await;
    let begun = Instant::now();
    // A MiB that the handler holds, and pings from then on.
    let part = Frame::binary(vec![7; 1 << 20]).unfinished();
    client.send(part).await;
    let frame = within("a Close", async {
        loop {
            tokio::select! {
                frame = client.next() => match frame {
                    Ok(frame) if frame.close_parts().is_some() => break frame,
                    Ok(_) => {}
                    Err(end) => panic!("{end:?}"),
                },
                () = sleep(SHORT / 20) => client.send(Frame::ping("alive")).await,
            }
        }
    })
    .await;
    took_its_time(begun);
    assert_eq!(frame, Frame::close(1008, "message timeout"));
    drop(client);
    within("the end of the handler", ended.recv())
        .await
        .unwrap();
    tasks.settle().await;
    gateway.join().await;
}
