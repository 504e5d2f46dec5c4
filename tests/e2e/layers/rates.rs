//! How fast a client may send: who is faster waits, and loses nothing.

use std::time::Duration;

use axum::Router;
use tokio::time::Instant;
use wsgate::layer::LimitLayer;
use wsgate::layer::limit::{Excess, Rate};
use wsgate_tests::bulk::Bulk;
use wsgate_tests::client::Handshake;
use wsgate_tests::stage::{Ends, Http, Stage};
use wsgate_tests::upstream::script::Accept;
use wsgate_tests::{Frame, Role, trace};

use super::is_closed;

#[tokio::test]
async fn every_message_passes_in_its_turn() {
    let _trace = trace::init();
    for http in Http::BOTH {
        let limit = LimitLayer::new().message_rate(Rate::per_second(20).burst(4));
        let mut stage = start(http, limit).await;
        let Ends {
            mut client,
            mut upstream,
            ..
        } = stage.open(Handshake::of("/websocket")).await;
        let start = Instant::now();
        let count = 24;
        for number in 0..count {
            client.send(Frame::text(number.to_string())).await;
        }
        // A message that leaves is held by nobody.
        upstream.send(Frame::text("the other way")).await;
        assert_eq!(client.frame().await, Frame::text("the other way"));
        for number in 0..count {
            let frame = upstream.frame().await.unmasked();
            assert_eq!(frame, Frame::text(number.to_string()));
        }
        // All but those that may come at once take 50 ms each; messages that are read together may
        // pass together, and are paid for before the next.
        let took = start.elapsed();
        upstream.send(Frame::text("done")).await;
        assert_eq!(client.frame().await, Frame::text("done"));
        client.send(Frame::text("one more")).await;
        assert_eq!(upstream.frame().await.unmasked(), Frame::text("one more"));
        let paid = start.elapsed();
        assert!(
            paid >= Duration::from_millis(1000),
            "{http:?}: {took:?}, {paid:?}"
        );
        drop((client, upstream));
        stage.join().await;
    }
}

#[tokio::test]
async fn every_byte_passes_in_its_turn() {
    let _trace = trace::init();
    for http in Http::BOTH {
        let rate = Rate::per_second(4 << 20).burst(1 << 18);
        let mut stage = start(http, LimitLayer::new().byte_rate(rate)).await;
        let Ends {
            client, upstream, ..
        } = stage.open(Handshake::of("/websocket")).await;
        let (mut client, mut upstream) = (client.into_parts().0, upstream.into_parts().0);
        let bulk = Bulk::from(Role::Client, 6 << 20);
        let start = Instant::now();
        tokio::join!(bulk.send(&mut client, |_| {}), bulk.receive(&mut upstream));
        let took = start.elapsed();
        // Six, less the burst and what may be read at once, at four a second.
        assert!(took >= Duration::from_millis(1300), "{http:?}: {took:?}");
        drop((client, upstream));
        stage.join().await;
    }
}

#[tokio::test]
async fn or_who_is_faster_is_closed() {
    let _trace = trace::init();
    for http in Http::BOTH {
        let slow = Rate::new(2, Duration::from_secs(60));
        let messages = LimitLayer::new().message_rate(slow);
        check_closed(http, messages, "too many messages").await;
        let slow = Rate::new(30, Duration::from_secs(60));
        let bytes = LimitLayer::new().byte_rate(slow);
        check_closed(http, bytes, "too much data").await;
    }
}

async fn check_closed(http: Http, limit: LimitLayer, reason: &str) {
    let mut stage = start(http, limit.excess(Excess::Close)).await;
    let Ends {
        mut client,
        mut upstream,
        ..
    } = stage.open(Handshake::of("/websocket")).await;
    // Each waits for the one before, so that they are not read together. Their header and key are six
    // bytes more.
    for _ in 0..2 {
        client.send(Frame::text("eight ch")).await;
        assert_eq!(upstream.frame().await.unmasked(), Frame::text("eight ch"));
    }
    client.send(Frame::text("eight ch")).await;
    let closing = is_closed(client, 1008, reason);
    let hearing = async {
        let mut frame = upstream.frame().await.unmasked();
        if frame == Frame::text("eight ch") {
            // Bytes are counted when they have been read.
            assert_eq!(reason, "too much data");
            frame = upstream.frame().await.unmasked();
        }
        assert_eq!(frame, Frame::close(1008, reason), "{http:?}");
        upstream.shutdown().await;
        upstream.end().await;
    };
    tokio::join!(closing, hearing);
    stage.join().await;
}

async fn start(http: Http, limit: LimitLayer) -> Stage {
    Stage::serving(http, Accept::default(), |proxy| {
        Router::new()
            .route_service("/websocket", proxy)
            .layer(limit)
    })
    .await
}
