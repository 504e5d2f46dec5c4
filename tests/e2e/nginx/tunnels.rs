//! What passes through an open WebSocket, and how it ends.

use std::sync::{Arc, Mutex, PoisonError};

use wsgate_tests::client::{Handshake, Target};
use wsgate_tests::upstream::{Script, script, switching};
use wsgate_tests::{End, Frame, Tunnel, trace};

use super::Scene;

#[tokio::test]
async fn every_kind_of_frame_passes_the_same() {
    let _trace = trace::init();
    let sent = [
        Frame::text("hello"),
        Frame::text(""),
        Frame::binary(vec![7; 126]),
        Frame::binary(vec![7; 0x1_0000]),
        Frame::text("in ").unfinished(),
        Frame::ping("between"),
        Frame::continuation("two"),
        Frame::pong("unasked"),
        // As with permessage-deflate.
        Frame::text("compressed").with_rsv(0b100),
        // What no RFC knows yet.
        Frame::new(0x5, "reserved").with_rsv(0b011),
        Frame::close(4321, "enough"),
    ];
    let sent = sent.map(|frame| frame.masked([9, 8, 7, 6]));
    let log = Log::default();
    let both = Scene::new(mirror(log.clone()))
        .play(async |target: Target| {
            let mut tunnel = target.tunnel(Handshake::of("/websocket")).await;
            let mut back = Vec::new();
            for frame in &sent {
                tunnel.send(frame.clone()).await;
                back.push(tunnel.frame().await);
            }
            assert!(matches!(tunnel.end().await, End::Eof));
            back
        })
        .await;
    // Down to the masking key, once through each.
    assert_eq!(log.frames(), [&sent[..], &sent[..]].concat());
    assert_eq!(both.nginx.client, sent.clone().map(Frame::unmasked));
    assert_eq!(both.wsgate.client, both.nginx.client);
}

#[tokio::test]
async fn closes_pass_the_same_both_ways() {
    let _trace = trace::init();
    let longest = "r".repeat(123);
    for close in [
        Frame::close(1000, "bye"),
        Frame::close(1001, ""),
        Frame::close(3000, &longest),
        Frame::close(4999, "grüße"),
        Frame::new(0x8, ""),
    ] {
        let log = Log::default();
        let farewell = close.clone();
        let leaving = move |mut tunnel: Tunnel, log: Log| {
            let farewell = farewell.clone();
            async move {
                tunnel.send(farewell).await;
                log.note(tunnel.frame().await);
                tunnel.shutdown().await;
            }
        };
        let both = Scene::new(open(leaving, log.clone()))
            .play(async |target: Target| {
                let mut tunnel = target.tunnel(Handshake::of("/websocket")).await;
                let farewell = tunnel.frame().await;
                tunnel.send(farewell.clone().masked([1, 2, 3, 4])).await;
                assert!(matches!(tunnel.end().await, End::Eof));
                farewell
            })
            .await;
        assert_eq!(both.nginx.client, close);
        assert_eq!(both.wsgate.client, close);
        assert_eq!(
            log.frames(),
            [close.clone(), close].map(|c| c.masked([1, 2, 3, 4]))
        );
    }
}

#[tokio::test]
async fn an_upstream_that_is_lost_is_told_by_wsgate_alone() {
    let _trace = trace::init();
    let leave = open(
        async |mut tunnel: Tunnel, _| {
            tunnel.send(Frame::text("last words")).await;
            tunnel.shutdown().await;
        },
        Log::default(),
    );
    let both = Scene::new(leave)
        .play(async |target: Target| {
            let mut tunnel = target.tunnel(Handshake::of("/websocket")).await;
            assert_eq!(tunnel.frame().await, Frame::text("last words"));
            let mut after = Vec::new();
            loop {
                match tunnel.next().await {
                    Ok(frame) => after.push(frame),
                    Err(End::Eof) => return after,
                    Err(end) => panic!("{end:?}"),
                }
            }
        })
        .await;
    assert_eq!(both.nginx.client, []);
    assert_eq!(both.wsgate.client, [Frame::close(1014, "upstream lost")]);
}

#[tokio::test]
async fn websockets_over_http2_are_wsgates_alone() {
    let _trace = trace::init();
    let both = Scene::new(script::echo())
        .play(async |target: Target| {
            let mut h2 = target.h2().await;
            let allowed = h2.allows_websockets();
            if allowed {
                let mut tunnel = h2.tunnel(Handshake::of("/websocket")).await;
                tunnel.send(Frame::text("hello")).await;
                assert_eq!(tunnel.frame().await, Frame::text("hello"));
                tunnel.close(1000, "").await;
            }
            h2.join().await;
            allowed
        })
        .await;
    assert!(!both.nginx.client);
    assert!(both.wsgate.client);
}

// ===== upstreams that tell what came =====

/// The frames that came to an upstream, those of all its connections.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Frame>>>);

impl Log {
    fn note(&self, frame: Frame) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(frame);
    }

    fn frames(&self) -> Vec<Frame> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Opens the WebSocket and then does this.
fn open<F, Fut>(then: F, log: Log) -> Script
where
    F: Fn(Tunnel, Log) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send,
{
    script::script(move |mut connection| {
        let (then, log) = (then.clone(), log.clone());
        async move {
            let request = connection.request().await.unwrap();
            connection.write(switching(&request, "")).await;
            then(connection.into_tunnel(), log).await;
        }
    })
}

/// Sends every frame back, up to a Close.
fn mirror(log: Log) -> Script {
    open(
        async |mut tunnel: Tunnel, log: Log| {
            while let Ok(frame) = tunnel.next().await {
                log.note(frame.clone());
                let is_close = frame.opcode == 0x8;
                tunnel.send(frame.unmasked()).await;
                if is_close {
                    tunnel.shutdown().await;
                }
            }
        },
        log,
    )
}
