//! Messages that are too big: refused by their headers, before an upstream has seen any of them.

use axum::Router;
use wsgate::WebSocketProxy;
use wsgate::layer::LimitLayer;
use wsgate_tests::client::Handshake;
use wsgate_tests::stage::{Ends, Http, Stage};
use wsgate_tests::upstream::script::Accept;
use wsgate_tests::{Frame, trace};

use super::is_closed;

#[tokio::test]
async fn whole() {
    let message = Frame::binary(vec![1; LIMIT + 1]);
    check(limit(), &[message], &[], TOO_BIG).await;
}

/// Nothing but the header has to come.
#[tokio::test]
async fn by_the_header_alone() {
    let header = Frame::binary("").masked(KEY).header_for(1 << 40);
    check_raw(limit(), &header, &[], TOO_BIG, Answer::Cannot).await;
    // The key is a part of it, so this one has to be waited for.
    let header = Frame::text("").masked(KEY).header_for(LIMIT + 1);
    check_raw(limit(), &header, &[], TOO_BIG, Answer::Cannot).await;
}

#[tokio::test]
async fn in_fragments_that_are_too_big_together() {
    let fits = Frame::binary(vec![1; LIMIT]).unfinished();
    let begun = std::slice::from_ref(&fits);
    check(
        limit(),
        &[fits.clone(), Frame::continuation("x")],
        begun,
        TOO_BIG,
    )
    .await;
    let more = Frame::continuation(vec![2; 10]).unfinished();
    check(limit(), &[fits.clone(), more], begun, TOO_BIG).await;
    // A ping in the middle counts for nothing.
    let ping = Frame::ping(vec![3; 125]);
    let excess = Frame::continuation(vec![4; 1]);
    let begun = [fits.clone(), ping.clone()];
    check(limit(), &[fits, ping, excess], &begun, TOO_BIG).await;
}

#[tokio::test]
async fn after_others_that_are_not() {
    let fits = Frame::binary(vec![1; LIMIT]);
    let halves = [
        Frame::text("a".repeat(LIMIT / 2)).unfinished(),
        Frame::continuation(vec![b'b'; LIMIT / 2]),
    ];
    let before = [fits.clone(), halves[0].clone(), halves[1].clone(), fits];
    let excess = Frame::text("c".repeat(LIMIT + 1));
    check(
        limit(),
        &[&before[..], &[excess]].concat(),
        &before,
        TOO_BIG,
    )
    .await;
}

#[tokio::test]
async fn as_a_frame() {
    let limit = || LimitLayer::new().frame_size(LIMIT as u64);
    let fits = Frame::binary(vec![1; LIMIT]).unfinished();
    let again = Frame::continuation(vec![1; LIMIT]);
    let before = [fits, again];
    let excess = Frame::binary(vec![1; LIMIT + 1]);
    check(
        limit(),
        &[&before[..], &[excess]].concat(),
        &before,
        "frame too big",
    )
    .await;
}

/// Sends these frames; the upstream gets some of them, and is told why there is no more.
async fn check(limit: LimitLayer, frames: &[Frame], passed: &[Frame], reason: &str) {
    let wire: Vec<u8> = frames
        .iter()
        .flat_map(|f| f.clone().masked(KEY).to_bytes())
        .collect();
    check_raw(limit, &wire, passed, reason, Answer::Can).await;
}

/// Whether the client can answer a Close.
#[derive(PartialEq, Eq)]
enum Answer {
    Can,
    /// It would stand in the middle of a frame.
    Cannot,
}

async fn check_raw(limit: LimitLayer, wire: &[u8], passed: &[Frame], reason: &str, answer: Answer) {
    let _trace = trace::init();
    for http in Http::BOTH {
        let app = |proxy: WebSocketProxy| {
            Router::new()
                .route_service("/websocket", proxy)
                .layer(limit.clone())
        };
        let mut stage = Stage::serving(http, Accept::default(), app).await;
        // At once, and with every byte of the last header by itself.
        for split in [wire.len(), 1] {
            let Ends {
                mut client,
                mut upstream,
                ..
            } = stage.open(Handshake::of("/websocket")).await;
            let sending = async {
                let (start, last) = wire.split_at(wire.len().saturating_sub(LIMIT + 100));
                client.send_raw(start).await;
                for piece in last.chunks(split) {
                    // The gateway may have had enough.
                    if client.try_send_raw(piece).await.is_err() {
                        break;
                    }
                }
                if answer == Answer::Can {
                    is_closed(client, 1009, reason).await;
                } else {
                    assert_eq!(client.frame().await, Frame::close(1009, reason));
                }
            };
            let hearing = async {
                for frame in passed {
                    assert_eq!(&upstream.frame().await.unmasked(), frame, "{http:?}");
                }
                let told = upstream.frame().await.unmasked();
                assert_eq!(told, Frame::close(1009, reason), "{http:?}");
                upstream.shutdown().await;
                upstream.end().await;
            };
            tokio::join!(sending, hearing);
        }
        stage.join().await;
    }
}

fn limit() -> LimitLayer {
    LimitLayer::new().message_size(LIMIT as u64)
}

const LIMIT: usize = 1000;

const TOO_BIG: &str = "message too big";

const KEY: [u8; 4] = [0x11, 0x92, 0x73, 0xe4];
