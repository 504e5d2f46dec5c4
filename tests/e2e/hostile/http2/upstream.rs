//! An upstream that means harm, where it is spoken to over HTTP/2.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use wsgate::WebSocketProxy;
use wsgate::proxy::{EndpointSettings, Http2};
use wsgate_tests::alone::{alone, memory};
use wsgate_tests::client::frames::{block, code, flag, kind, setting};
use wsgate_tests::client::{Frames, Handshake, Http2Frame, Protocol};
use wsgate_tests::trace;
use wsgate_tests::upstream::script::{Script, script};

use super::Scene;

/// What an upstream does once it has been asked for a WebSocket on this stream.
type Attack = for<'a> fn(&'a mut Frames, u32) -> BoxFuture<'a, ()>;

/// Speaks HTTP/2 well until it is asked.
fn attacking(attack: Attack) -> Script {
    script(move |connection| async move {
        let settings = [(setting::ENABLE_CONNECT_PROTOCOL, 1)];
        let stopped = connection.stopped();
        let serve = async {
            let mut frames = Frames::serve(connection.into_io(), &settings).await;
            while let Some(frame) = frames.next_patiently().await {
                answer(&mut frames, frame, attack).await;
            }
        };
        // The gateway would keep its connection for a minute.
        tokio::select! {
            () = serve => {}
            () = stopped => {}
        }
    })
}

async fn answer(frames: &mut Frames, frame: Http2Frame, attack: Attack) {
    match frame.kind {
        kind::PING if frame.flags & flag::ACK == 0 => {
            let pong = Http2Frame::new(kind::PING, flag::ACK, 0, frame.payload);
            frames.send(&[pong]).await;
        }
        kind::HEADERS => attack(frames, frame.stream).await,
        _ => {}
    }
}

/// What a client gets whose handshake went there.
async fn status(attack: Attack) -> u16 {
    let mut scene = Scene::by(attacking(attack), |addr| {
        let endpoint = EndpointSettings::new(&format!("http://{addr}")).unwrap();
        let proxy = WebSocketProxy::to_endpoint(endpoint.http2(Http2::Only)).unwrap();
        proxy.handshake_timeout(Duration::from_secs(20))
    })
    .await;
    let visit = scene
        .gateway
        .target()
        .open(Handshake::of("/websocket"))
        .await;
    let status = match visit {
        Ok(opened) => opened.response.status,
        Err(refused) => refused.response.status,
    };
    scene.is_quiet().await;
    scene.join().await;
    status
}

#[tokio::test]
async fn continuations_without_end() {
    let _trace = trace::init();
    let attack: Attack = |frames, stream| {
        Box::pin(async move {
            let head = block(&[(":status", "200")]);
            frames
                .send(&[Http2Frame::new(kind::HEADERS, 0, stream, head)])
                .await;
            let more =
                Http2Frame::continuation(stream, block(&[("x-more", &"a".repeat(1000))]), false);
            let more = more.to_bytes();
            let mut sent = 0;
            while frames.try_send(&more).await.is_ok() {
                sent += more.len();
                assert!(sent < 64 << 20, "all of it was taken");
            }
        })
    };
    assert_eq!(status(attack).await, 502);
}

/// Each part of it is well-formed, and h2 would take 16 MiB.
#[tokio::test]
async fn a_head_of_a_megabyte() {
    let _trace = trace::init();
    let attack: Attack = |frames, stream| {
        Box::pin(async move {
            let value = "a".repeat(10_000);
            let many = vec![("x-more", &*value); 100];
            let head = block(&[&[(":status", "200")], &many[..]].concat());
            let mut pieces = head.chunks(16_000);
            let first = pieces.next().unwrap().to_vec();
            let mut all = vec![Http2Frame::new(kind::HEADERS, 0, stream, first)];
            all.extend(pieces.map(|piece| Http2Frame::continuation(stream, piece.to_vec(), false)));
            all.push(Http2Frame::continuation(stream, Bytes::new(), true));
            frames.send(&all).await;
        })
    };
    assert_eq!(status(attack).await, 502);
}

#[tokio::test]
async fn a_push() {
    let _trace = trace::init();
    let attack: Attack = |frames, stream| {
        Box::pin(async move {
            let promised = [&2_u32.to_be_bytes()[..], &block(super::GET)].concat();
            let push = Http2Frame::new(kind::PUSH_PROMISE, flag::END_HEADERS, stream, promised);
            frames.send(&[push]).await;
        })
    };
    assert_eq!(status(attack).await, 502);
}

#[tokio::test]
async fn floods_that_have_an_answer() {
    let _trace = trace::init();
    let attack: Attack = |frames, stream| {
        Box::pin(async move {
            for _ in 0..2_000 {
                let settings = Http2Frame::settings(&[(setting::MAX_CONCURRENT_STREAMS, 100)]);
                frames.send(&[settings, Http2Frame::ping([0; 8])]).await;
                // What it says to each has to be read.
                frames
                    .wait("a pong", |frame| frame.kind == kind::PING)
                    .await;
            }
            frames
                .send(&[Http2Frame::headers(stream, &[(":status", "200")], false)])
                .await;
        })
    };
    assert_eq!(status(attack).await, 101);
}

/// Early hints without end; the handshake has a deadline.
#[tokio::test]
async fn informational_answers_are_not_kept() {
    if !alone("hostile::http2::upstream::informational_answers_are_not_kept").await {
        return;
    }
    let _trace = trace::init();
    let attack: Attack = |frames, stream| {
        Box::pin(async move {
            let link = "a".repeat(1000);
            let hint = Http2Frame::headers(stream, &[(":status", "103"), ("link", &link)], false);
            let hints = vec![hint; 100];
            for _ in 0..200 {
                frames.send(&hints).await;
            }
            frames
                .send(&[Http2Frame::headers(stream, &[(":status", "403")], true)])
                .await;
        })
    };
    let before = memory();
    assert_eq!(status(attack).await, 403);
    let more = memory().saturating_sub(before);
    assert!(more < 24 << 20, "20 MB of hints took {more} bytes");
}

/// The tunnels beside it on the same connection live on.
#[tokio::test]
async fn a_reset_ends_one_handshake() {
    let _trace = trace::init();
    let attack: Attack = |frames, stream| {
        Box::pin(async move {
            let answer = match stream {
                1 => Http2Frame::headers(stream, &[(":status", "200")], false),
                _ => Http2Frame::reset(stream, code::INTERNAL_ERROR),
            };
            frames.send(&[answer]).await;
        })
    };
    let mut scene = Scene::by(attacking(attack), |addr| {
        let endpoint = EndpointSettings::new(&format!("http://{addr}")).unwrap();
        WebSocketProxy::to_endpoint(endpoint.http2(Http2::Only)).unwrap()
    })
    .await;
    let target = scene.gateway.target();
    let mut first = target.tunnel(Handshake::of("/websocket")).await;
    for _ in 0..50 {
        for protocol in Protocol::BOTH {
            let refused = target.visit(protocol, Handshake::of("/websocket")).await;
            assert_eq!(refused.unwrap_err().response.status, 502);
        }
    }
    // It has not ended, and takes what it is sent.
    first.send(wsgate_tests::Frame::text("still here")).await;
    scene.is_quiet().await;
    assert_eq!(scene.upstream.seen().len(), 1, "one connection");
    drop(first);
    scene.join().await;
}
